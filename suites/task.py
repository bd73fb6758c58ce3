"""The nouns of a task: plain data that can be hashed, journalled and sent to another machine."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
DISTRIBUTIONS = ("normal", "uniform", "offset", "heavy", "spike", "signs", "indices")

Scalar = int | float | bool


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor argument: its shape and how its values are drawn.

    Distributions: `normal` N(0, 1); `uniform` [0, 1); `offset` N(100, 1); `heavy` heavy-tailed, both signs;
    `spike` N(0, 1) with a few values of 1000, the last element among them; `signs` exactly -1, 0 or 1;
    `indices` integers in [0, high).
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    distribution: str = "normal"
    high: int | None = None
    order: tuple[int, ...] | None = None  # dimensions from outermost to innermost in memory; None: row-major

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if self.order is not None:
            object.__setattr__(self, "order", tuple(self.order))
        if self.dtype not in ITEM_BYTES:
            raise ValueError(f"input dtype must be one of {', '.join(ITEM_BYTES)}; got {self.dtype!r}")
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"input distribution must be one of {', '.join(DISTRIBUTIONS)}; got {self.distribution!r}")
        if any(type(n) is not int or n < 0 for n in self.shape):
            raise ValueError(f"input shape must be non-negative integers; got {self.shape!r}")
        self._check_values()
        if self.order is not None and sorted(self.order) != list(range(len(self.shape))):
            raise ValueError(f"input order must permute {len(self.shape)} dimensions; got {self.order!r}")

    def _check_values(self) -> None:
        """Refuse distributions that the dtype cannot hold."""
        indices = self.distribution == "indices"
        if indices != (self.high is not None) or (self.high is not None and self.high < 1):
            raise ValueError("an `indices` input needs high= of at least 1, and only it does")
        integer = "int" in self.dtype or self.dtype == "bool"
        if indices != integer and self.distribution != "signs":
            raise ValueError(f"values drawn as `{self.distribution}` cannot be {self.dtype}")
        bits = 1 if self.dtype == "bool" else 8 * ITEM_BYTES[self.dtype] - (self.dtype != "uint8")
        if self.high is not None and self.high > 2**bits:
            raise ValueError(f"{self.dtype} cannot hold indices up to {self.high - 1}")

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.elements * ITEM_BYTES[self.dtype]


Argument = Input | Scalar


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration the kernel is judged on.

    `inputs` are the arguments at the size that is timed. `small` are the same arguments cut down to a size that
    Triton's interpreter can run in about a second; without a GPU correctness is checked at that size. None
    means that `inputs` are small enough themselves. `flops` and `bytes` are the least work any correct kernel
    must do at the timed size: they set the roofline that nothing may beat.
    """

    name: str
    inputs: Mapping[str, Argument]
    flops: int
    bytes: int
    small: Mapping[str, Argument] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", dict(self.inputs))
        if self.small is not None:
            object.__setattr__(self, "small", dict(self.small))
            if [_kind(k, a) for k, a in self.small.items()] != [_kind(k, a) for k, a in self.inputs.items()]:
                raise ValueError(
                    f"case {self.name}: small must have the same arguments as inputs: names, order, dtypes, dimensions"
                )
        if not self.name or not any(isinstance(a, Input) for a in self.inputs.values()):
            raise ValueError(f"case {self.name!r} needs a name and at least one Input")
        if self.bytes <= 0 or self.flops < 0:
            raise ValueError(f"case {self.name}: bytes must be positive and flops not negative")

    def arguments(self, small: bool) -> Mapping[str, Argument]:
        """Return the arguments at the interpreter's size or at the timed size."""
        return self.small if small and self.small is not None else self.inputs


def _kind(name: str, argument: Argument) -> tuple[str, ...]:
    """Return what small and full arguments must share."""
    if isinstance(argument, Input):
        return name, argument.dtype, argument.distribution, str(len(argument.shape))
    return name, type(argument).__name__


@dataclass(frozen=True, slots=True)
class Seed:
    """A correct, plain kernel to start from: a whole program, by name."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Task:
    """What to compute. `source` is the task file's text; its `reference` runs only in trusted processes."""

    name: str
    about: str
    entry: str
    cases: tuple[Case, ...]
    held_out: tuple[Case, ...]
    seeds: tuple[Seed, ...]
    source: str = field(repr=False)

    @property
    def digest(self) -> str:
        """Identity of the task's text: two runs with equal digests may be merged."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def case(self, name: str) -> Case:
        """Return the public or held-out case of that name."""
        for case in (*self.cases, *self.held_out):
            if case.name == name:
                return case
        raise KeyError(name)


def pack_arguments(arguments: Mapping[str, Argument]) -> list[Any]:
    """Turn arguments into plain lists for the wire."""
    return [
        [k, [a.shape, a.dtype, a.distribution, a.high, a.order] if isinstance(a, Input) else a]
        for k, a in arguments.items()
    ]


def unpack_arguments(plain: Any) -> dict[str, Argument]:
    """Rebuild arguments from `pack_arguments`."""
    return {k: Input(*a) if isinstance(a, (list, tuple)) else a for k, a in plain}


def pack_case(case: Case) -> list[Any]:
    """Turn a case into plain lists for the wire."""
    small = None if case.small is None else pack_arguments(case.small)
    return [case.name, pack_arguments(case.inputs), case.flops, case.bytes, small]


def unpack_case(plain: Any) -> Case:
    """Rebuild a case from `pack_case`."""
    name, inputs, flops, size, small = plain
    return Case(name, unpack_arguments(inputs), flops, size, None if small is None else unpack_arguments(small))


def pack(task: Task) -> dict[str, Any]:
    """Turn a task into plain data for the journal and for workers."""
    return {
        "name": task.name, "about": task.about, "entry": task.entry, "source": task.source,
        "cases": [pack_case(c) for c in task.cases], "held_out": [pack_case(c) for c in task.held_out],
        "seeds": [[s.name, s.source] for s in task.seeds],
    }  # fmt: skip


def unpack(plain: dict[str, Any]) -> Task:
    """Rebuild a task from `pack`."""
    return Task(
        name=plain["name"],
        about=plain["about"],
        entry=plain["entry"],
        source=plain["source"],
        cases=tuple(unpack_case(c) for c in plain["cases"]),
        held_out=tuple(unpack_case(c) for c in plain["held_out"]),
        seeds=tuple(Seed(*s) for s in plain["seeds"]),
    )
