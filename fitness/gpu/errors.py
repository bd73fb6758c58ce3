"""What a device's driver answers when it refuses, by names that are ours for both vendors."""

_ERRORS = {
    "CUDA_ERROR_ILLEGAL_ADDRESS": "illegal-address", "CUDA_ERROR_MISALIGNED_ADDRESS": "misaligned",
    "CUDA_ERROR_ASSERT": "assert", "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES": "resources",
    "CUDA_ERROR_OUT_OF_MEMORY": "memory", "CUDA_ERROR_ILLEGAL_INSTRUCTION": "illegal-instruction",
    "CUDA_ERROR_LAUNCH_FAILED": "launch-failed", "CUDA_ERROR_INVALID_ADDRESS_SPACE": "illegal-address",
    "CUDA_ERROR_INVALID_PC": "illegal-address", "CUDA_ERROR_HARDWARE_STACK_ERROR": "launch-failed",
    "CUDA_ERROR_LAUNCH_TIMEOUT": "timeout", "CUDA_ERROR_INVALID_VALUE": "invalid",
    "hipErrorIllegalAddress": "illegal-address", "hipErrorAssert": "assert", "hipErrorOutOfMemory": "memory",
    "hipErrorLaunchOutOfResources": "resources", "hipErrorLaunchFailure": "launch-failed",
    "hipErrorLaunchTimeOut": "timeout", "hipErrorInvalidValue": "invalid",
}  # fmt: skip


class DeviceError(Exception):
    """The driver refused a call, or a kernel before it went wrong; `kind` is ours for both vendors.

    `step` is the place of the run among those asked for together.
    """

    def __init__(self, call: str, name: str) -> None:
        super().__init__(f"{call}: {name}")
        self.kind = _ERRORS.get(name, "device")
        self.step: int | None = None


class NoDevice(Exception):
    """There is no driver or no device of this kind here."""
