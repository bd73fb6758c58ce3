"""Gives Triton's interpreter bfloat16: numpy has no such dtype, and the interpreter computes with the bits as integers.

Operands are widened to float32, which is exact, and results are rounded to the nearest, ties to even, as GPUs round.
What is not mended here raises NotImplementedError: the interpreter cannot judge it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import triton.language as tl
from triton._C.libtriton import ir
from triton.runtime.interpreter import InterpreterBuilder, ReduceOps, ScanOps, TensorHandle

_COMPUTES = ("binary_op", "ternary_op", "unary_op", "create_fma", "create_dot")
_BY_NUMPY = ((ReduceOps, ("sum", "min_max")), (ScanOps, ("cumsum", "cumprod")))
_PADDED = ("create_tensor_pointer_load", "create_descriptor_load")


def install() -> None:
    """Mend the interpreter of this process, once."""
    builder: Any = InterpreterBuilder
    if hasattr(builder, "mended"):
        return
    builder.mended = True  # a `get_bf16` of its own it has from Triton 3.9 on
    builder.get_bf16 = lambda _, value: _handle(np.array([value], dtype=np.float32))
    builder.cast_impl = _cast(builder.cast_impl)
    builder.create_atomic_rmw = _no_atomics(builder.create_atomic_rmw)
    for name in _COMPUTES:
        setattr(builder, name, _widened(getattr(builder, name)))
    for name in filter(partial(hasattr, builder), _PADDED):  # Triton 3.9 has no block pointers
        setattr(builder, name, _no_padding(getattr(builder, name)))
    for kind, names in _BY_NUMPY:
        for name in names:
            setattr(kind, name, _no_bits(getattr(kind, name)))


def narrow(values: Any) -> Any:
    """Return float32 values as the bits of the nearest bfloat16."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    bits = values.view(np.uint32).astype(np.uint64)
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), (bits >> 16) | 0x40, nearest).astype(np.uint16)


def widen(bits: Any) -> Any:
    """Return bits of bfloat16 as float32."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


def _handle(values: Any) -> TensorHandle:
    return TensorHandle(narrow(values).reshape(np.shape(values)), tl.bfloat16)


def _is_bits(handle: Any) -> bool:
    """Tell whether a handle holds bfloat16; the interpreter gives comparisons the dtype of what they compare."""
    return isinstance(handle, TensorHandle) and handle.dtype.scalar == tl.bfloat16 and handle.data.dtype == np.uint16


def _widened(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Compute in float32 where an operand is bfloat16."""

    def computed(builder: Any, *operands: Any) -> Any:
        if not any(map(_is_bits, operands)):
            return compute(builder, *operands)
        wide = [TensorHandle(widen(x.data), tl.float32) if _is_bits(x) else x for x in operands]
        made = compute(builder, *wide)
        if made.data.dtype == np.bool_:
            return TensorHandle(made.data, tl.int1)
        product = compute.__name__ == "create_dot"  # which is added to an accumulator of its own dtype
        return made if product else _handle(made.data)

    return computed


def _cast(cast: Callable[..., Any]) -> Callable[..., Any]:
    """Convert between float32 and bfloat16 here; Triton makes no other conversion of bfloat16."""

    def converted(builder: Any, source: Any, kind: Any) -> Any:
        if _is_bits(source) and kind.scalar == tl.float32:
            return TensorHandle(widen(source.data), tl.float32)
        if source.dtype.scalar == tl.float32 and kind.scalar == tl.bfloat16:
            return _handle(source.data)
        return cast(builder, source, kind)

    return converted


def _no_atomics(atomic: Callable[..., Any]) -> Callable[..., Any]:
    def refused(builder: Any, operation: Any, pointer: Any, value: Any, *rest: Any) -> Any:
        if _is_bits(value):
            raise NotImplementedError("atomics on bfloat16")
        return atomic(builder, operation, pointer, value, *rest)

    return refused


def _no_padding(load: Callable[..., Any]) -> Callable[..., Any]:
    def refused(builder: Any, pointer: Any, *rest: Any, **named: Any) -> Any:
        given = (*rest, *named.values(), getattr(pointer, "padding", None))
        if pointer.base.get_element_ty() == tl.bfloat16 and ir.PADDING_OPTION.PAD_NAN in given:
            raise NotImplementedError("NaN as the padding of bfloat16")
        return load(builder, pointer, *rest, **named)

    return refused


def _no_bits(reduce: Callable[..., Any]) -> Callable[..., Any]:
    def refused(self: Any, given: Any, *rest: Any, **named: Any) -> Any:
        first = given[0] if isinstance(given, tuple) else given
        if _is_bits(first.handle):
            raise NotImplementedError("a reduction of bfloat16 that was not converted to float32")
        return reduce(self, given, *rest, **named)

    return refused
