"""Tensors with nothing behind them: what a launcher sees of the device while it is recorded."""

from typing import Any, Protocol

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from triton.backends.compiler import GPUTarget

from fitness.child import Refused
from fitness.plan import View
from suites.task import ITEM_BYTES

_HOST = (
    "the launcher computes with torch on the host ({}); a sealed launcher may only allocate, take views and "
    "launch kernels: do this in a kernel"
)
FORBIDDEN = _HOST.replace("{}", "aten.{}")
_READERS = ("item", "tolist", "numpy", "__array__")  # of a tensor's values: torch refuses some in words of its own
# what builds of torch say where there is no device and something is no operation before there is one
_NO_DEVICE = (
    "not linked with support for", "no NVIDIA driver", "GPUs are available", "not compiled with CUDA", "HIP error",
    "Cannot initialize CUDA", "CUDA driver", "CUDA error", "CUDA unknown error", "from the 'CUDA' backend",
)  # fmt: skip


class Answers(Protocol):
    """Whoever answers what the launcher that runs now asks of torch and Triton."""

    target: GPUTarget

    def apply(self, op: Any, args: Any, kwargs: Any) -> Any:
        """Answer one tensor operation, or refuse it."""

    def compile(self, src: Any, target: Any = None, options: Any = None) -> Any:
        """Stand in for triton.compile."""

    def tune(self, tuner: Any, args: Any, kwargs: Any) -> None:
        """Stand in for a call of an autotuned kernel."""

    def launch(self, kernel: Any, grid: tuple[int, int, int], values: tuple[Any, ...]) -> None:
        """Write a launch down."""


RECORDERS: list[Answers] = []  # the last one answers

STALE = "the launcher uses a tensor that it made in an earlier call: every call must allocate and compute its own"


class Recorded(torch.Tensor):
    """A tensor with shape, stride, dtype and an address, and nothing behind it."""

    meta: torch.Tensor
    buffer: int
    owner: Answers  # the recorder of the call it was made in

    @staticmethod
    def __new__(cls, meta: torch.Tensor, buffer: int) -> "Recorded":
        """Wrap a meta tensor."""
        made: Recorded = torch.Tensor._make_wrapper_subclass(
            cls,
            meta.shape,
            strides=meta.stride(),
            storage_offset=meta.storage_offset(),
            dtype=meta.dtype,
            device="cuda:0",
        )
        return made

    def __init__(self, meta: torch.Tensor, buffer: int) -> None:
        self.meta, self.buffer, self.owner = meta, buffer, RECORDERS[-1]

    def data_ptr(self) -> int:
        """Return an address that no memory has: 2^36 apart, aligned as an allocator would."""
        return ((self.buffer + 1) << 36) + self.offset

    def untyped_storage(self) -> Any:
        """Return the meta storage, which has the true size: the AMD backend asks for it."""
        return self.meta.untyped_storage()

    def contiguous(self, *args: Any, **kwargs: Any) -> "Recorded":
        """Return itself, if it is; torch's own would ask for a real device first."""
        if not self.is_contiguous(*args, **kwargs):
            raise Refused("host-operation", _HOST.format("contiguous() of a tensor that is not"))
        return self

    def cuda(self, *_: Any, **__: Any) -> "Recorded":
        """Return itself: it is on the device."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Convert, which is refused; but to be where it is costs nothing, though torch's own would ask for a device."""
        here = self.device
        named = [here if _names_device(a) else a for a in args]
        moved: torch.Tensor = super().to(*named, **{k: here if _names_device(v) else v for k, v in kwargs.items()})
        return moved

    @property
    def offset(self) -> int:
        """Bytes from the start of the buffer."""
        return self.meta.storage_offset() * self.meta.element_size()

    def view_of(self) -> View:
        """Describe this tensor in a plan."""
        dtype = dtype_name(self.meta.dtype)
        return View(self.buffer, self.offset, tuple(self.meta.shape), tuple(self.meta.stride()), dtype)

    def __getitem__(self, index: Any) -> "Recorded":
        """Take a view by index; torch's own would ask for a real device first."""
        fresh(self)
        view = self.meta[index]
        if not shares(view, self.meta):
            raise Refused("host-operation", FORBIDDEN.format("index"))
        return Recorded(view, self.buffer)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Refuse to write from the host."""
        raise Refused("host-operation", FORBIDDEN.format("index_put_"))

    def copy_(self, *_: Any, **__: Any) -> "Recorded":
        """Refuse to copy; torch's own would ask for a real device first."""
        raise Refused("host-operation", FORBIDDEN.format("copy_"))

    def __repr__(self, **_: Any) -> str:
        return f"recorded tensor {tuple(self.shape)} {self.dtype}"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Name the method of what torch would do on the host, before it asks for a device."""
        try:
            return super().__torch_function__(func, types, args, kwargs)
        except RuntimeError as error:
            name = getattr(func, "__name__", str(func))
            if name in _READERS or lacks_device(error):
                raise Refused("host-operation", _HOST.format(f"torch.Tensor.{name}")) from None
            raise

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Send every operation to the recorder of this process."""
        return RECORDERS[-1].apply(op, args, kwargs or {})


def _intercept(mode: TorchDispatchMode, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """Send operations on the device to the recorder; host-only tensors are the host's business."""
    kwargs = kwargs or {}
    device = kwargs.get("device")
    on_device = device is not None and torch.device(device).type == "cuda"
    if on_device or any(isinstance(a, Recorded) for a in args):
        return RECORDERS[-1].apply(op, args, kwargs)
    return op(*args, **kwargs)


# torch wraps a mode's method to keep dynamo out, and its first call would import torch._dynamo for that: 1.2 s
setattr(_intercept, "__dynamo_disable", _intercept)


class Intercept(TorchDispatchMode):
    """Catches allocations on the device, which no tensor argument announces."""

    __torch_dispatch__ = _intercept


def _names_device(value: Any) -> bool:
    """Tell whether an argument is the device without its number."""
    return (isinstance(value, str) and value == "cuda") or value == torch.device("cuda")


def lacks_device(error: BaseException) -> bool:
    """Tell whether torch failed for want of a GPU, of which a launcher that is recorded has none."""
    return isinstance(error, RuntimeError | AssertionError) and any(words in str(error) for words in _NO_DEVICE)


def no_device(error: BaseException) -> Refused:
    """Say of such a failure what it means, where it happened."""
    said = f"makes or moves a tensor: {str(error).splitlines()[0][:80]}"
    return Refused("host-operation", _HOST.format(said)).with_traceback(error.__traceback__)


def fresh(tensor: Recorded) -> None:
    """Refuse a tensor of an earlier call: its number means another buffer now."""
    if tensor.owner is not RECORDERS[-1]:
        raise Refused("stale", STALE)


def shares(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two tensors lie on one storage."""
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)


def dtype_name(dtype: torch.dtype) -> str:
    """Return a dtype's name in plans, or refuse it."""
    name = str(dtype).removeprefix("torch.")
    if name not in ITEM_BYTES:
        raise Refused("dtype", f"tensors of {name} cannot be judged yet")
    return name
