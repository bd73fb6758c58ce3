"""What a launch passes to a kernel, as plain data: numbers, None, pointers, tensor descriptors, and tuples of those."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 16  # of tuples in tuples


@dataclass(frozen=True, slots=True)
class Pointer:
    """An argument that points into a buffer."""

    buffer: int
    offset: int  # bytes


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A tensor descriptor that the launcher made: a pointer with shape, strides and the block that a kernel moves."""

    pointer: Pointer
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements
    block: tuple[int, ...]
    nan: bool  # whether NaN is read beyond the end, else zero


@dataclass(frozen=True, slots=True)
class Group:
    """A tuple passed as one argument; `made_by` is the program's own class for it, if it is a NamedTuple."""

    items: tuple[Any, ...]  # arguments, or groups
    made_by: str | None = None


def leaves(value: Any) -> Iterator[Any]:
    """Yield what an argument or its signature holds, in the order in which a launch passes it."""
    if isinstance(value, (Group, tuple)):
        for item in value.items if isinstance(value, Group) else value:
            yield from leaves(item)
    else:
        yield value


def pointers(arguments: Iterable[tuple[str, Any]]) -> list[Pointer]:
    """Return every pointer among arguments by name."""
    values = [leaf for _, argument in arguments for leaf in leaves(argument)]
    values = [v.pointer if isinstance(v, Descriptor) else v for v in values]
    return [v for v in values if isinstance(v, Pointer)]


def plain(argument: Any) -> Any:
    """Turn an argument into plain data."""
    if isinstance(argument, Descriptor):
        body = [argument.dtype, argument.shape, argument.strides, argument.block, argument.nan]
        return ["descriptor", plain(argument.pointer), body]
    if isinstance(argument, Group):
        return ["group", argument.made_by, [plain(a) for a in argument.items]]
    return [argument.buffer, argument.offset] if isinstance(argument, Pointer) else argument


def unplain(argument: Any, depth: int = MAX_DEPTH) -> Any:
    """Rebuild an argument from `plain`; ValueError on anything else."""
    if not isinstance(argument, (list, tuple)):
        return argument
    if len(argument) == 2:
        return Pointer(argument[0], argument[1])
    kind, made_by, items = argument
    if kind == "descriptor":
        dtype, shape, strides, block, nan = items
        return Descriptor(unplain(made_by), dtype, tuple(shape), tuple(strides), tuple(block), nan)
    if kind != "group" or not depth:
        raise ValueError("an argument is neither a pointer nor a tuple of arguments")
    return Group(tuple(unplain(a, depth - 1) for a in items), made_by)
