"""Counts what programs do under Triton's interpreter: bytes, memory lines, arithmetic and dots."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from triton.runtime import interpreter

LINE = 64  # bytes that move together between memory and cache


@dataclass(slots=True)
class Work:
    """What sampled programs of one launch did; the judge scales it to the grid."""

    programs: int = 0
    operations: int = 0
    accesses: int = 0
    load_bytes: int = 0
    store_bytes: int = 0
    lines: int = 0  # memory lines touched by each access, summed
    elements: int = 0  # results of elementwise arithmetic
    transcendentals: int = 0
    dot_flops: int = 0
    dot_bytes: int = 0  # operands
    dot_dtype: str = ""
    squares: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of the samples' own bytes stored, bytes moved and dot flops

    @property
    def done(self) -> tuple[int, int, int]:
        """Bytes stored, bytes moved and dot flops so far."""
        return self.store_bytes, self.load_bytes + self.store_bytes, self.dot_flops

    def count(self, before: tuple[int, int, int]) -> None:
        """Take what was done since `before` for one more sample."""
        own = [now - then for now, then in zip(self.done, before, strict=True)]
        stored, moved, flops = (total + float(x) ** 2 for total, x in zip(self.squares, own, strict=True))
        self.programs, self.squares = self.programs + 1, (stored, moved, flops)

    def plain(self) -> list[Any]:
        """Return plain data for the wire, in the order of predict.Work."""
        return [self.programs, self.accesses, self.load_bytes, self.store_bytes, self.lines * LINE, self.elements,
                self.transcendentals, self.dot_flops, self.dot_bytes, self.dot_dtype,
                list(self.squares)]  # fmt: skip


@contextmanager
def counting(work: Work) -> Iterator[None]:
    """Count loads, stores, arithmetic and dots of the interpreter while a program runs."""
    builder = interpreter.interpreter_builder
    kind = type(builder)
    wrapped: dict[str, Callable[..., Any]] = {}

    def wrap(name: str, count: Callable[[Work, tuple[Any, ...], Any], None]) -> None:
        plain = getattr(kind, name, None)
        if plain is None:
            return

        def counted(*args: Any, **kwargs: Any) -> Any:
            result = plain(builder, *args, **kwargs)
            work.operations += 1
            count(work, args, result)
            return result

        wrapped[name] = counted

    wrap("create_masked_load", lambda w, a, r: _memory_access(w, a[0], a[1], load=True))
    wrap("create_masked_store", lambda w, a, r: _memory_access(w, a[0], a[2], load=False))
    wrap("create_atomic_rmw", lambda w, a, r: _memory_access(w, a[1], a[3], load=False))
    wrap("create_dot", _dot)
    wrap("binary_op", _elementwise)
    wrap("ternary_op", _elementwise)
    wrap("unary_op", _transcendental)
    for name, counted in wrapped.items():
        setattr(builder, name, counted)
    try:
        yield
    finally:
        for name in wrapped:
            delattr(builder, name)


def _memory_access(work: Work, pointers: Any, mask: Any, load: bool) -> None:
    """Count the bytes one access moves and the memory lines it touches."""
    addresses = np.asarray(pointers.data)
    active = addresses[np.broadcast_to(mask.data, addresses.shape).astype(bool)] if mask is not None else addresses
    size = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
    moved = int(active.size) * size
    work.accesses += 1
    if load:
        work.load_bytes += moved
    else:
        work.store_bytes += moved
    if active.size:
        lines = active.reshape(-1) // LINE
        # sorted tiles are the rule: count steps where it is so, sort where it is not
        steps = np.count_nonzero(np.diff(lines)) + 1
        work.lines += int(steps) if steps <= moved // LINE + 1 else int(np.unique(lines).size)


def _dot(work: Work, args: tuple[Any, ...], result: Any) -> None:
    left, right = args[0], args[1]
    m, k = left.data.shape[-2:]
    batch = math.prod(left.data.shape[:-2])
    work.dot_flops += 2 * batch * m * k * right.data.shape[-1]
    work.dot_bytes += batch * k * (m + right.data.shape[-1]) * left.data.itemsize
    work.dot_dtype = str(left.get_element_ty())


def _elementwise(work: Work, args: tuple[Any, ...], result: Any) -> None:
    work.elements += int(np.size(result.data))


def _transcendental(work: Work, args: tuple[Any, ...], result: Any) -> None:
    work.transcendentals += int(np.size(result.data))
