"""The nouns of a task: plain data that can be hashed, journalled and sent to another machine."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
FLOATING = ("normal", "uniform", "offset", "heavy", "spike", "signs")  # what a floating-point input can be drawn from
SPECIAL = ("nonfinite", "special")  # what it may be drawn from besides, where it says so: see Input
WHOLE = "whole"
NAMED = (*SPECIAL, WHOLE)
INTEGER = ("indices", "integers", "signs")  # what an integer input can be drawn from
DISTRIBUTIONS = (*FLOATING, *NAMED, "indices", "integers")
# What a task may call itself: the kind of work it is, and how hard a fast kernel of it is to write, 1 to 5.
CATEGORIES = (
    "elementwise", "data movement", "reduction", "normalization", "matrix product", "attention", "quantization",
    "random numbers", "sorting",
)  # fmt: skip
LEVELS = range(1, 6)

Scalar = int | float | bool


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor argument: its shape and how its values are drawn.

    Distributions: `normal` N(0, 1); `uniform` [0, 1); `offset` N(100, 1); `heavy` heavy-tailed, both signs;
    `spike` N(0, 1) with a few values of 1000, the last element among them; `signs` exactly -1, 0 or 1;
    `indices` integers in [low, high); `integers` every number that an integer dtype of at most 32 bits has. And, only
    where `trials` names it, `nonfinite`: N(0, 1) with a few NaN, infinities
    and -0.0; `special`: the same with a few of the dtype's largest numbers. Results must then be NaN or infinite
    exactly where the reference's are, which not every honest kernel of every task can promise. `whole`, likewise only
    where it is named: whole numbers from -56 to 56 of three bits each, which every dtype has. All but one in a thousand
    sums of their products, along rows as they are stored, are exact in 14 bits; in long rows most are 0.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    distribution: str = "normal"
    high: int | None = None
    order: tuple[int, ...] | None = None  # dimensions from outermost to innermost in memory; None: row-major
    trials: tuple[str, ...] | None = None  # the distributions it may take in trials; None: FLOATING if it is floating
    pad: int = 0  # unused elements after each row of the innermost dimension in memory: its stride is that much longer
    low: int = 0  # of `indices`
    scale: float = 1.0  # what is drawn as floating-point numbers is multiplied by it,
    shift: float = 0.0  # and then this is added: weights of networks are small, variances positive

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if self.order is not None:
            object.__setattr__(self, "order", tuple(self.order))
        if self.trials is not None:
            object.__setattr__(self, "trials", tuple(self.trials))
        if self.dtype not in ITEM_BYTES:
            raise ValueError(f"input dtype must be one of {', '.join(ITEM_BYTES)}; got {self.dtype!r}")
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"input distribution must be one of {', '.join(DISTRIBUTIONS)}; got {self.distribution!r}")
        if any(type(n) is not int or n < 0 for n in self.shape):
            raise ValueError(f"input shape must be non-negative integers; got {self.shape!r}")
        self._check_values()
        if self.order is not None and sorted(self.order) != list(range(len(self.shape))):
            raise ValueError(f"input order must permute {len(self.shape)} dimensions; got {self.order!r}")
        if type(self.pad) is not int or self.pad < 0 or (self.pad and not self.shape):
            raise ValueError(f"input pad must be a non-negative number of elements after each row; got {self.pad!r}")

    def _check_values(self) -> None:
        """Refuse distributions that the dtype cannot hold."""
        moved = (self.scale, self.shift) != (1.0, 0.0)
        if moved and not (self.floating and math.isfinite(self.scale) and math.isfinite(self.shift) and self.scale):
            raise ValueError("scale= and shift= are for floating-point inputs: finite numbers, the scale not 0")
        indices = self.distribution == "indices"
        if indices != (self.high is not None) or (self.high is not None and self.high < 1):
            raise ValueError("an `indices` input needs high= of at least 1, and only it does")
        if self.low and (self.high is None or not 0 <= self.low < self.high):
            raise ValueError(f"low= of an `indices` input must be at least 0 and below high; got {self.low!r}")
        integer = "int" in self.dtype or self.dtype == "bool"
        allowed = INTEGER if integer else (*FLOATING, *NAMED)
        if self.distribution not in allowed or (self.distribution == "integers" and self.dtype in ("int64", "bool")):
            raise ValueError(f"values drawn as `{self.distribution}` cannot be {self.dtype}")
        bits = 1 if self.dtype == "bool" else 8 * ITEM_BYTES[self.dtype] - (self.dtype != "uint8")
        if self.high is not None and self.high > 2**bits:
            raise ValueError(f"{self.dtype} cannot hold indices up to {self.high - 1}")
        able = (*FLOATING, *NAMED)
        if self.trials is not None and (integer or not set(self.trials) <= set(able)):
            raise ValueError(f"trials of a floating-point input are some of {', '.join(able)}; got {self.trials!r}")

    @property
    def floating(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return "float" in self.dtype

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size of its elements in bytes."""
        return self.elements * ITEM_BYTES[self.dtype]

    @property
    def storage(self) -> int:
        """Size of the memory it lies in, in bytes, padding included."""
        return math.prod(self.stored) * ITEM_BYTES[self.dtype]

    @property
    def stored(self) -> tuple[int, ...]:
        """Shape in memory, outermost dimension first, padding included."""
        order = self.order or range(len(self.shape))
        shape = [self.shape[d] for d in order]
        return (*shape[:-1], shape[-1] + self.pad) if shape else ()

    def laid_out(self, storage: Any) -> Any:
        """Return the view of this input's shape on a tensor or array of the stored shape."""
        if not self.shape:
            return storage
        order = self.order or tuple(range(len(self.shape)))
        rows = storage[..., : self.shape[order[-1]]]
        return rows.permute([order.index(d) for d in range(len(order))])


Argument = Input | Scalar


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration the kernel is judged on.

    `inputs` are the arguments at the size that is timed. `small` are the same arguments cut down to a size that
    Triton's interpreter can run in about a second; without a GPU correctness is checked at that size. None
    means that `inputs` are small enough themselves, or, for an edge, that it is for a GPU. `flops` and `bytes` are
    the least work any correct kernel must do at the timed size: they set the roofline that nothing may beat.
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


def edge(
    name: str, inputs: Mapping[str, Argument], small: Mapping[str, Argument] | None = None, bytes: int = 1
) -> Case:
    """Make a case for correctness alone: it is never timed, so it needs no roofline.

    `bytes`: what its results take, where that is far more than its inputs: such an edge is not for every program.
    """
    return Case(name, inputs, flops=0, bytes=bytes, small=small)


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
    """What to compute. `source` is the task file's text; its functions run only in trusted processes.

    `honest` names other honest PyTorch implementations, whose errors set the limits beside the reference's. `exact`:
    from inputs of -1, 0 and 1 the result must be right bit for bit. `misrounded`: from inputs drawn as `whole` sums are
    exact, and at most this share of the elements may be other than the truth rounded once. `atomics`: results may
    differ from run to run in their last bits. `in_place` names the inputs that a launcher may overwrite and return.
    `tf32`: dots of float32 may round their operands to tf32. `edges` are cases for correctness alone, never timed.
    `category` and `level` say what kind of work it is and how hard, for tables: one of CATEGORIES, and 1 (a copy) to 5;
    empty where unsaid.
    `interpreted`: its reference is a Triton program, which runs under Triton's interpreter where there is no GPU.
    `judged_by`: what another suite's own test is made of where that judges in place of cases, of which it has none
    (suites/foreign/by_theirs.py); empty where our judge does.
    """

    name: str
    about: str
    entry: str
    cases: tuple[Case, ...]
    held_out: tuple[Case, ...]
    seeds: tuple[Seed, ...]
    source: str = field(repr=False)
    honest: tuple[str, ...] = ()
    exact: bool = False
    misrounded: float | None = None
    atomics: bool = False
    in_place: tuple[str, ...] = ()
    tf32: bool = False
    edges: tuple[Case, ...] = ()
    category: str = ""
    level: int = 0
    interpreted: bool = False
    judged_by: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """Identity of the task's text: two runs with equal digests may be merged."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    @property
    def foreign(self) -> bool:
        """Whether its text holds code of another suite, which runs in jails alone: its name is SUITE/TASK."""
        return "/" in self.name

    def case(self, name: str) -> Case:
        """Return the public case, held-out case or edge of that name."""
        for case in (*self.cases, *self.held_out, *self.edges):
            if case.name == name:
                return case
        raise KeyError(name)


def pack_arguments(arguments: Mapping[str, Argument]) -> list[Any]:
    """Turn arguments into plain lists for the wire."""
    return [[k, _plain(a) if isinstance(a, Input) else a] for k, a in arguments.items()]


def _plain(a: Input) -> list[Any]:
    """Return an input's parts; the last two only where they say something, as journals had them before."""
    moved = [a.scale, a.shift] if (a.scale, a.shift) != (1.0, 0.0) else []
    return [a.shape, a.dtype, a.distribution, a.high, a.order, a.trials, a.pad, a.low, *moved]


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


_CASES = ("cases", "held_out", "edges")
_PLAIN = ("name", "about", "entry", "source", "exact", "atomics", "tf32")
_NAMES = ("honest", "in_place")
_LATER = {"category": "", "level": 0, "interpreted": False}  # parts that tasks of older journals have not


def pack(task: Task) -> dict[str, Any]:
    """Turn a task into plain data for the journal and for workers."""
    return {
        **{part: getattr(task, part) for part in (*_PLAIN, *_LATER)},
        **{part: list(getattr(task, part)) for part in _NAMES},
        **{part: [pack_case(c) for c in getattr(task, part)] for part in _CASES},
        "seeds": [[s.name, s.source] for s in task.seeds],
        **({"judged_by": dict(task.judged_by)} if task.judged_by else {}),
        **({"misrounded": task.misrounded} if task.misrounded is not None else {}),
    }


def unpack(plain: dict[str, Any]) -> Task:
    """Rebuild a task from `pack`."""
    parts: dict[str, Any] = {part: plain[part] for part in _PLAIN}
    parts |= {part: plain.get(part, unsaid) for part, unsaid in _LATER.items()}
    parts |= {"judged_by": plain.get("judged_by", {}), "misrounded": plain.get("misrounded")}
    parts |= {part: tuple(plain[part]) for part in _NAMES}
    parts |= {part: tuple(unpack_case(c) for c in plain[part]) for part in _CASES}
    return Task(seeds=tuple(Seed(*s) for s in plain["seeds"]), **parts)
