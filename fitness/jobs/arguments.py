"""What a kernel is given, as plan data: how the recorder writes it down, and how the interpreter makes it again."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from fitness.child import Refused
from fitness.jobs import program
from fitness.jobs.tensors import Recorded, dtype_name, fresh
from fitness.passed import Descriptor, Group, Pointer

_DESCRIPTOR = (
    "argument `{}` is a tensor descriptor made by the host, in a tuple: pass it by itself, make it in the kernel by "
    "tl.make_tensor_descriptor, or judge the program with `--mode open`"
)


def argument(module: ModuleType, name: str, value: Any, kind: Any) -> tuple[Any, Any]:
    """Turn a runtime argument and its type in Triton's signature into plan data."""
    if isinstance(value, tuple):
        pairs = zip(value, kind, strict=True)
        written = [argument(module, f"{name}[{n}]", v, k) for n, (v, k) in enumerate(pairs)]
        made_by = _class_name(module, name, type(value)) if hasattr(value, "_fields") else None
        return Group(tuple(w for w, _ in written), made_by), tuple(k for _, k in written)
    if isinstance(value, Recorded):
        fresh(value)
        return Pointer(value.buffer, value.offset), dtype_name(value.dtype)
    value = value.value if isinstance(value, tl.constexpr) else value
    if value is None or isinstance(value, (bool, int, float)):
        return value, kind
    if isinstance(value, torch.Tensor):
        raise Refused("argument", f"argument `{name}` is a tensor on {value.device}: make it on the input's device")
    if isinstance(value, TensorDescriptor):
        return _descriptor(name, value), kind
    raise Refused("argument", f"argument `{name}` is a {type(value).__name__}, which a plan cannot hold yet")


def _descriptor(name: str, value: TensorDescriptor) -> Descriptor:
    """Write a tensor descriptor down; one in a tuple no launcher of Triton's takes apart."""
    if "[" in name:
        raise Refused("argument", _DESCRIPTOR.format(name))
    if not isinstance(value.base, Recorded):
        raise Refused("argument", f"argument `{name}` describes a tensor that is not on the device")
    if getattr(value, "round_f32_to_tf32", False):  # from Triton 3.9 on
        raise Refused(
            "argument", f"argument `{name}` rounds to tf32 what it loads, which a plan cannot hold: leave it out"
        )
    fresh(value.base)
    base, dtype = Pointer(value.base.buffer, value.base.offset), dtype_name(value.base.dtype)
    shape, strides, block = (tuple(map(int, given)) for given in (value.shape, value.strides, value.block_shape))
    return Descriptor(base, dtype, shape, strides, block, value.padding == "nan")


def constant(module: ModuleType, value: Any) -> Any:
    """Turn a constexpr into plan data: a plain value, a dtype, a function of the program, or a tuple of those."""
    value = value.value if isinstance(value, tl.constexpr) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tl.dtype):
        return ("dtype", str(value))
    if isinstance(value, triton.JITFunction):
        return ("function", program.global_name(module, value))
    if hasattr(value, "_fields"):
        return ("named", _class_name(module, "constexpr", type(value)), *[constant(module, v) for v in value])
    if isinstance(value, (tuple, list)):
        return ("tuple", *[constant(module, v) for v in value])
    raise Refused("argument", f"a constexpr of type {type(value).__name__} cannot be part of a plan")


def given(module: ModuleType, value: Any, kind: Any, tensor: Callable[[Pointer, str], torch.Tensor]) -> Any:
    """Make a runtime argument again, with `tensor` for what a pointer points to."""
    if isinstance(value, Group):
        items = [_item(module, v, k, tensor) for v, k in zip(value.items, kind, strict=True)]
        return tuple(items) if value.made_by is None else getattr(module, value.made_by)(*items)
    if isinstance(value, Pointer):
        return tensor(value, kind)
    if isinstance(value, Descriptor):
        base, lengths = tensor(value.pointer, value.dtype), map(list, (value.shape, value.strides, value.block))
        return TensorDescriptor(base, *lengths, padding="nan" if value.nan else "zero")
    return int(value) if isinstance(value, bool) else value  # the interpreter chokes on a bool


def constant_again(module: ModuleType, value: Any) -> Any:
    """Make a constexpr again."""
    if not isinstance(value, tuple):
        return value
    kind, *rest = value
    if kind == "dtype":
        return tl.dtype(rest[0])
    if kind == "function":
        return getattr(module, rest[0])
    if kind == "named":
        return getattr(module, rest[0])(*[constant_again(module, v) for v in rest[1:]])
    return tuple(constant_again(module, v) for v in rest)


def _item(module: ModuleType, value: Any, kind: Any, tensor: Callable[[Pointer, str], torch.Tensor]) -> Any:
    """Make what a tuple holds: Triton compiles numbers that it specialises, such as 1, in."""
    made = given(module, value, kind, tensor)
    return tl.constexpr(made) if kind == "constexpr" and made is not None else made


def _class_name(module: ModuleType, name: str, kind: type) -> str:
    """Find the global name under which a program holds the class of one of its NamedTuples."""
    for found, value in vars(module).items():
        if value is kind:
            return found
    raise Refused("argument", f"`{name}` is a {kind.__name__}, which must be defined at the top level of the program")
