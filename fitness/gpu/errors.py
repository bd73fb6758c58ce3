"""What goes wrong on a device: as its driver says it, by names that are ours for both vendors, and as a judge does."""

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


class Fault(Exception):
    """A candidate's machine code did something wrong on the device, or its output is; `kind` names it.

    `step` is the place of the run among those asked for together, `case` the one it belongs to, where they are known.
    """

    def __init__(self, kind: str, message: str, step: int | None = None, case: str | None = None) -> None:
        super().__init__(message)
        self.kind, self.step, self.case = kind, step, case


class DeviceUnavailable(Exception):
    """The GPU of this machine cannot be used for this: one clear line."""


class NotStarted(DeviceUnavailable):
    """A process ended before it could be asked anything: another may do better."""


class RefereeFailed(Exception):
    """The task's own code failed on the device."""


class MachineFailed(Exception):
    """A process of ours was lost or has a bug: nobody's verdict, to be tried again."""


class NoRoom(RefereeFailed):
    """The device, or a judge's part of it, has too little memory for a trial's truth."""


class Crowded(NoRoom, DeviceUnavailable):
    """It has too little because others hold more than judges beside this one may: no task's fault."""
