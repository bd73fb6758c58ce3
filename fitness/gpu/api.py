"""The device through its driver's C interface: the only file that knows CUDA from ROCm.

Everything is called by ctypes, so that the process that launches a candidate's machine code needs neither torch nor
triton and starts in the time a context takes. ROCm mirrors the CUDA driver's functions under other names; where the
two differ by more than a name, a line here says so. The ROCm half has compiled code behind it, but has not run.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char, c_char_p, c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p

from fitness.gpu.errors import DeviceError, NoDevice
from fitness.passed import Descriptor

_LIBRARIES = {"cuda": ("libcuda.so.1", "libcuda.so"), "hip": ("libamdhip64.so", "libamdhip64.so.6", "libamdhip64.so.7")}

# our name -> (CUDA's, ROCm's)
NAMES = {
    "init": ("cuInit", "hipInit"),
    "device": ("cuDeviceGet", "hipDeviceGet"),
    "device_name": ("cuDeviceGetName", "hipDeviceGetName"),
    "retain": ("cuDevicePrimaryCtxRetain", "hipDevicePrimaryCtxRetain"),
    "set_current": ("cuCtxSetCurrent", "hipSetDevice"),
    "memory_info": ("cuMemGetInfo_v2", "hipMemGetInfo"),
    "alloc": ("cuMemAlloc_v2", "hipMalloc"),
    "free": ("cuMemFree_v2", "hipFree"),
    "ipc_export": ("cuIpcGetMemHandle", "hipIpcGetMemHandle"),
    "ipc_open": ("cuIpcOpenMemHandle_v2", "hipIpcOpenMemHandle"),
    "ipc_close": ("cuIpcCloseMemHandle", "hipIpcCloseMemHandle"),
    "set8": ("cuMemsetD8Async", "hipMemsetD8Async"),
    "set16": ("cuMemsetD16Async", "hipMemsetD16Async"),
    "set32": ("cuMemsetD32Async", "hipMemsetD32Async"),
    "copy": ("cuMemcpyDtoDAsync_v2", "hipMemcpyDtoDAsync"),
    "to_host": ("cuMemcpyDtoH_v2", "hipMemcpyDtoH"),
    "stream": ("cuStreamCreate", "hipStreamCreateWithFlags"),
    "stream_query": ("cuStreamQuery", "hipStreamQuery"),
    "capture_begin": ("cuStreamBeginCapture_v2", "hipStreamBeginCapture"),
    "capture_end": ("cuStreamEndCapture", "hipStreamEndCapture"),
    "instantiate": ("cuGraphInstantiateWithFlags", "hipGraphInstantiateWithFlags"),
    "graph_upload": ("cuGraphUpload", "hipGraphUpload"),
    "graph_launch": ("cuGraphLaunch", "hipGraphLaunch"),
    "graph_free": ("cuGraphDestroy", "hipGraphDestroy"),
    "exec_free": ("cuGraphExecDestroy", "hipGraphExecDestroy"),
    "event": ("cuEventCreate", "hipEventCreateWithFlags"),
    "event_record": ("cuEventRecord", "hipEventRecord"),
    "elapsed": ("cuEventElapsedTime", "hipEventElapsedTime"),
    "module_load": ("cuModuleLoadData", "hipModuleLoadData"),
    "module_free": ("cuModuleUnload", "hipModuleUnload"),
    "function": ("cuModuleGetFunction", "hipModuleGetFunction"),
    "function_set": ("cuFuncSetAttribute", "hipFuncSetAttribute"),
    "tensor_map": ("cuTensorMapEncodeTiled", "hipTensorMapEncodeTiled"),
    "launch": ("cuLaunchKernel", "hipModuleLaunchKernel"),
    "launch_cooperative": ("cuLaunchCooperativeKernel", "hipModuleLaunchCooperativeKernel"),
    "launch_cluster": ("cuLaunchKernelEx", "hipDrvLaunchKernelEx"),
}

_TENSOR_MAP, _TENSOR_MAP_ALIGNMENT = 128, 64  # bytes
_ELEMENT = {8: 10, 9: 8, 10: 9}  # types of elements that the host numbers otherwise than the device
_L2_OF_128, _NAN = 2, 1  # promotion, and what is read beyond the end
_NOT_READY = 600  # of both
_CAPTURE_RELAXED = 2
_DYNAMIC_SHARED = 8  # attribute of a function, of both
STATIC_SHARED = 48 << 10  # CUDA grants more only when asked
_CLUSTER_DIMENSION = 4  # launch attribute, of both


class IpcHandle(ctypes.Structure):
    """What one process gives another to map its memory."""

    _fields_ = [("reserved", c_char * 64)]


class _Attribute(ctypes.Structure):
    """One launch attribute: an id and 64 bytes, of which a cluster uses the first three numbers."""

    _fields_ = [("id", c_uint), ("pad", c_char * 4), ("value", c_uint * 16)]


class _Config(ctypes.Structure):
    """A launch with attributes; CUDA and ROCm lay it out alike."""

    _fields_ = [
        ("grid", c_uint * 3), ("block", c_uint * 3), ("shared", c_uint), ("stream", c_void_p),
        ("attributes", POINTER(_Attribute)), ("count", c_uint),
    ]  # fmt: skip


class Gpu:
    """One device: its driver started and its name known, then, once opened, its primary context and one stream.

    Everything runs on that stream. Until `open` this process has no context and holds no memory of the device.
    """

    def __init__(self, backend: str, index: int = 0) -> None:
        self.backend = backend
        self._hip = backend == "hip"
        self._library = library(backend)
        self._check("init", 0)
        self._device = c_int()
        self._check("device", byref(self._device), index)
        label = ctypes.create_string_buffer(256)
        self._check("device_name", label, 256, self._device)
        self.name = label.value.decode()
        self._stream = c_void_p()

    def open(self) -> None:
        """Take the device up: all that follows needs this."""
        self._make_current()
        self._check("stream", byref(self._stream), 1)  # does not wait for the default stream

    def _make_current(self) -> None:
        """Use the primary context: the one torch would use too."""
        if self._hip:
            self._check("set_current", self._device)
            return
        context = c_void_p()
        self._check("retain", byref(context), self._device)
        self._check("set_current", context)

    def _check(self, call: str, *arguments: object) -> None:
        """Call the driver; any answer but success is an error by name."""
        code = self._function(call)(*arguments)
        if code:
            raise DeviceError(call, self._error_name(code))

    def _function(self, call: str) -> "ctypes._NamedFuncPointer":
        name = NAMES[call][self._hip]
        try:
            return getattr(self._library, name)  # type: ignore[no-any-return]
        except AttributeError as error:
            raise NoDevice(f"this driver has no {name}; a newer one is needed") from error

    def _error_name(self, code: int) -> str:
        if self._hip:
            get = self._library.hipGetErrorName
            get.restype = c_char_p
            return (get(code) or b"?").decode()
        name = c_char_p()
        self._library.cuGetErrorName(code, byref(name))
        return (name.value or str(code).encode()).decode()

    def memory(self) -> tuple[int, int]:
        """Return bytes that are free and bytes in all."""
        free, total = c_size_t(), c_size_t()
        self._check("memory_info", byref(free), byref(total))
        return free.value, total.value

    def allocate(self, size: int) -> int:
        """Allocate device memory and return its address."""
        address = c_void_p()
        self._check("alloc", byref(address), c_size_t(size))
        return address.value or 0

    def export(self, address: int) -> bytes:
        """Return a handle by which another process can map an allocation."""
        handle = IpcHandle()
        self._check("ipc_export", byref(handle), c_void_p(address))
        return ctypes.string_at(byref(handle), 64)

    def set8(self, address: int, value: int, size: int) -> None:
        """Fill bytes, in stream order."""
        self._check("set8", c_void_p(address), ctypes.c_ubyte(value), c_size_t(size), self._stream)

    def set16(self, address: int, value: int, count: int) -> None:
        """Fill 16-bit words, in stream order."""
        self._check("set16", c_void_p(address), ctypes.c_ushort(value), c_size_t(count), self._stream)

    def set32(self, address: int, value: int, count: int) -> None:
        """Fill 32-bit words, in stream order."""
        self._check("set32", c_void_p(address), c_uint(value), c_size_t(count), self._stream)

    def copy(self, to: int, source: int, size: int) -> None:
        """Copy within the device, in stream order."""
        self._check("copy", c_void_p(to), c_void_p(source), c_size_t(size), self._stream)

    def busy(self) -> bool:
        """Tell whether work is left; raises what a kernel did wrong."""
        code = self._function("stream_query")(self._stream)
        if code and code != _NOT_READY:
            raise DeviceError("kernel", self._error_name(code))
        return bool(code)

    def load(self, binary: bytes, symbol: str, shared: int) -> tuple[int, int]:
        """Load machine code; return its module and function. More LDS than there is is refused here, by name.

        ROCm before 7 ran such a launch as if it were empty, without an error.
        """
        module, function = c_void_p(), c_void_p()
        self._check("module_load", byref(module), binary)
        try:
            self._check("function", byref(function), module, symbol.encode())
            if shared > STATIC_SHARED and not self._hip:
                self._check("function_set", function, _DYNAMIC_SHARED, shared)
        except DeviceError:
            self._check("module_free", module)
            raise
        return module.value or 0, function.value or 0

    def unload(self, module: int) -> None:
        """Unload machine code."""
        self._check("module_free", c_void_p(module))

    def launch(self, function: int, grid: Sequence[int], threads: int, shared: int, parameters: object,
               ctas: int = 1, cooperative: bool = False) -> None:  # fmt: skip
        """Launch a kernel; `parameters` is an array of addresses of its arguments."""
        if ctas > 1:
            self._launch_cluster(function, grid, threads, shared, parameters, ctas)
            return
        call = "launch_cooperative" if cooperative else "launch"
        arguments: list[object] = [
            c_void_p(function),
            *map(c_uint, grid),
            c_uint(threads),
            c_uint(1),
            c_uint(1),
            c_uint(shared),
        ]
        arguments += [self._stream, parameters]
        self._check(call, *arguments, *([] if cooperative else [None]))

    def _launch_cluster(self, function: int, grid: Sequence[int], threads: int, shared: int, parameters: object,
                        ctas: int) -> None:  # fmt: skip
        """Launch programs that span several blocks."""
        attribute = _Attribute(_CLUSTER_DIMENSION)
        attribute.value[0:3] = [ctas, 1, 1]
        config = _Config(
            (c_uint * 3)(grid[0] * ctas, *grid[1:]), (c_uint * 3)(threads, 1, 1), shared, self._stream,
            ctypes.pointer(attribute), 1,
        )  # fmt: skip
        self._check("launch_cluster", byref(config), c_void_p(function), parameters, None)

    def tensor_map(self, layout: Sequence[int], address: int, one: Descriptor) -> bytes:
        """Encode a tensor descriptor for the unit that moves blocks; its dimensions are counted from the last."""
        swizzle, item, kind, *block = layout
        rank = len(block)
        memory = ctypes.create_string_buffer(_TENSOR_MAP + _TENSOR_MAP_ALIGNMENT)
        place = -(-ctypes.addressof(memory) // _TENSOR_MAP_ALIGNMENT) * _TENSOR_MAP_ALIGNMENT
        shape = (c_ulonglong * rank)(*reversed(one.shape))
        strides = (c_ulonglong * rank)(*(item * n for n in reversed(one.strides[:-1])))
        self._check(
            "tensor_map", c_void_p(place), _ELEMENT.get(kind, kind), c_uint(rank), c_void_p(address), shape, strides,
            (c_uint * rank)(*reversed(block)), (c_uint * rank)(*[1] * rank), 0, swizzle, _L2_OF_128,
            _NAN if one.nan else 0,
        )  # fmt: skip
        return ctypes.string_at(place, _TENSOR_MAP)

    def begin_capture(self) -> None:
        """Write launches down instead of running them."""
        self._check("capture_begin", self._stream, _CAPTURE_RELAXED)

    def end_capture(self) -> int:
        """Return what was written down as a graph that can be launched."""
        graph, executable = c_void_p(), c_void_p()
        self._check("capture_end", self._stream, byref(graph))
        self._check("instantiate", byref(executable), graph, c_ulonglong(0))
        self._check("graph_free", graph)
        return executable.value or 0

    def upload_graph(self, executable: int) -> None:
        """Bring a graph to the device, so that its first launch is as quick as the others."""
        self._check("graph_upload", c_void_p(executable), self._stream)

    def launch_graph(self, executable: int) -> None:
        """Launch a graph, in stream order."""
        self._check("graph_launch", c_void_p(executable), self._stream)

    def free_graph(self, executable: int) -> None:
        """Free a graph."""
        self._check("exec_free", c_void_p(executable))

    def event(self) -> int:
        """Make an event that can be timed."""
        event = c_void_p()
        self._check("event", byref(event), 0)
        return event.value or 0

    def record(self, event: int) -> None:
        """Put a mark into the stream."""
        self._check("event_record", c_void_p(event), self._stream)

    def elapsed_us(self, start: int, end: int) -> float:
        """Return microseconds between two marks that were reached."""
        milliseconds = c_float()
        self._check("elapsed", byref(milliseconds), c_void_p(start), c_void_p(end))
        return milliseconds.value * 1e3


def library(backend: str) -> ctypes.CDLL:
    """Load the driver's library."""
    for name in _LIBRARIES[backend]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise NoDevice(f"no {backend} driver on this machine: {_LIBRARIES[backend][0]} cannot be loaded")
