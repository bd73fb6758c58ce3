"""Device memory that one process gives to another."""

from ctypes import byref, c_void_p

from fitness.gpu import api
from fitness.gpu.errors import NoDevice


class SharedMemory:
    """Another process's device memory, mapped into this process's current context."""

    def __init__(self, backend: str, handle: bytes) -> None:
        self._library = api.library(backend)
        self._hip = backend == "hip"
        address = c_void_p()
        opened = api.IpcHandle.from_buffer_copy(handle)
        code = getattr(self._library, api.NAMES["ipc_open"][self._hip])(byref(address), opened, 1)
        if code:
            raise NoDevice(
                f"the bench's GPU memory cannot be mapped (driver error {code}): are both in the same namespaces?"
            )
        self.address = address.value or 0

    def close(self) -> None:
        """Unmap it; until then the memory of a process that died is not given back."""
        getattr(self._library, api.NAMES["ipc_close"][self._hip])(c_void_p(self.address))
