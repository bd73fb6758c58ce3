"""What a launcher does, as plain data: buffers, kernels and launches, with no Python of the candidate in it.

A LaunchPlan can be hashed, journalled, sent to another machine, compiled and replayed there. A worked trace: for
`y = empty_like(x); k[(8,)](x, y, n, BLOCK=256)` the plan holds buffer 0 (an input), buffer 1 (allocated, not
filled), one KernelSpec (k's TTIR with BLOCK=256 folded in, its options) and one Launch (that kernel, grid (8, 1, 1),
arguments Pointer(0), Pointer(1), 2048); its output is View(buffer 1).
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgpack

from fitness import passed
from fitness.passed import Descriptor, Group, Pointer, leaves
from suites.task import ITEM_BYTES

FORMAT = 1
MAX_BUFFERS = 1024  # of one plan: all are watched
MAX_NAME, MAX_LABEL = 200, 4000  # characters


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory a launcher uses: an input by its argument's name, or an allocation, filled with a value or not."""

    bytes: int
    dtype: str
    input: str | None = None
    fill: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A tensor on a buffer: what the launcher returned."""

    buffer: int
    offset: int  # bytes
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements
    dtype: str


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """One specialised kernel. `ttir` is None where a plan is only meant for the interpreter."""

    function: str  # the global name that holds it in the candidate
    symbol: str  # the name of the compiled function
    # runtime arguments by name: an element dtype for pointers, else Triton's; of a group a tuple of those
    signature: tuple[tuple[str, Any], ...]
    constants: tuple[tuple[str, Any], ...]  # constexpr arguments by name, as written by the recorder
    options: tuple[tuple[str, Any], ...]  # Triton's: num_warps, num_stages, waves_per_eu, ...
    ttir: str | None

    @property
    def digest(self) -> str:
        """Identity of the compiled code: the intermediate code and the options, not the names."""
        return _digest([self.ttir, [list(o) for o in self.options]])


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to make a launch; autotuned launches have one for every configuration."""

    kernel: KernelSpec
    grid: tuple[int, int, int]
    label: str | None = None  # the autotune configuration in words


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel launch. `arguments` are runtime arguments by name, as fitness/passed.py has them."""

    variants: tuple[Variant, ...]
    arguments: tuple[tuple[str, Any], ...]

    @property
    def pointers(self) -> list[Pointer]:
        """Every pointer that is passed, also in a descriptor or a group."""
        return passed.pointers(self.arguments)

    @property
    def groups(self) -> list[Group]:
        """Every tuple that is passed, also in another."""
        found = [argument for _, argument in self.arguments if isinstance(argument, Group)]
        for group in found:  # grows while it is read
            found += [item for item in group.items if isinstance(item, Group)]
        return found

    def index(self, choice: Mapping[str, str]) -> int:
        """Return the variant whose label `choice` names for this kernel, the first if it names none."""
        wanted = choice.get(self.variants[0].kernel.function)
        return next((i for i, v in enumerate(self.variants) if v.label == wanted), 0)

    @property
    def chosen(self) -> Variant:
        """The only variant of a resolved launch."""
        if len(self.variants) != 1:
            raise ValueError(f"launch of {self.variants[0].kernel.function} still has {len(self.variants)} variants")
        return self.variants[0]


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """Everything a launcher did for one case."""

    buffers: tuple[Buffer, ...]
    launches: tuple[Launch, ...]
    outputs: tuple[View, ...]

    @property
    def shape_digest(self) -> str:
        """Identity of buffers, grids and arguments; the code launched is identified by its binaries."""
        memory = [[asdict(b) for b in self.buffers], [asdict(v) for v in self.outputs]]
        steps = [
            [[[v.grid, v.label] for v in one.variants], [passed.plain(a) for _, a in one.arguments]]
            for one in self.launches
        ]
        return _digest([memory, steps])

    @property
    def bytes(self) -> int:
        """Memory the plan needs."""
        return sum(b.bytes for b in self.buffers)

    def resolve(self, choice: dict[str, str]) -> "LaunchPlan":
        """Keep one variant of every launch: the one whose label `choice` names for its function."""
        launches = tuple(replace(one, variants=(one.variants[one.index(choice)],)) for one in self.launches)
        return replace(self, launches=launches)


def without_text(plan: LaunchPlan) -> LaunchPlan:
    """Leave the kernels' code out: what is left says how to launch what was compiled."""
    launches = tuple(
        replace(one, variants=tuple(replace(v, kernel=replace(v.kernel, ttir=None)) for v in one.variants))
        for one in plan.launches
    )
    return replace(plan, launches=launches)


def pack(plan: LaunchPlan) -> list[Any]:
    """Turn a plan into plain lists for the wire."""
    return [
        FORMAT,
        [[b.bytes, b.dtype, b.input, b.fill] for b in plan.buffers],
        [
            [
                [[_pack_kernel(v.kernel), v.grid, v.label] for v in one.variants],
                [[name, passed.plain(a)] for name, a in one.arguments],
            ]
            for one in plan.launches
        ],
        [[v.buffer, v.offset, v.shape, v.strides, v.dtype] for v in plan.outputs],
    ]


def unpack(plain: Any) -> LaunchPlan:
    """Rebuild a plan from `pack`; raises ValueError on anything else."""
    try:
        version, buffers, launches, outputs = plain
        if version != FORMAT:
            raise ValueError(f"plan format {version} is not {FORMAT}")
        plan = LaunchPlan(
            buffers=tuple(Buffer(int(b[0]), str(b[1]), b[2], b[3]) for b in buffers),
            launches=tuple(
                Launch(
                    variants=tuple(Variant(_unpack_kernel(k), (g[0], g[1], g[2]), label) for k, g, label in variants),
                    arguments=tuple((name, passed.unplain(a)) for name, a in arguments),
                )
                for variants, arguments in launches
            ),
            outputs=tuple(View(v[0], v[1], tuple(v[2]), tuple(v[3]), v[4]) for v in outputs),
        )
        _check(plan)
    except (TypeError, IndexError, KeyError, RecursionError) as error:
        raise ValueError(f"not a launch plan: {error}") from error
    return plan


def _check(plan: LaunchPlan) -> None:
    """Refuse what no launcher can have done: only a plan that was forged points outside its own buffers."""
    numbers = [n for v in plan.outputs for n in (v.buffer, v.offset, *v.shape, *v.strides)]
    numbers += [n for x in plan.launches for v in x.variants for n in v.grid]
    pointers = [a for x in plan.launches for a in x.pointers]
    numbers += [n for p in pointers for n in (p.buffer, p.offset)]
    if any(type(n) is not int for n in numbers):
        raise ValueError("a place, a shape or a grid is out of range: not a whole number")
    sizes = [b.bytes for b in plan.buffers]
    if len(sizes) > MAX_BUFFERS:
        raise ValueError(f"{len(sizes)} buffers; at most {MAX_BUFFERS} can be watched")
    if any(b.fill is not None and type(b.fill) not in (int, float, bool) for b in plan.buffers):
        raise ValueError("a buffer is filled with what is no number")
    if any(size < 0 or b.dtype not in ITEM_BYTES for size, b in zip(sizes, plan.buffers, strict=True)):
        raise ValueError("a buffer has no size or no dtype")
    for view in plan.outputs:
        size = math.prod(view.shape) * ITEM_BYTES[view.dtype]
        if (
            min(view.shape, default=0) < 0
            or view.buffer < 0
            or view.offset < 0
            or view.offset + size > sizes[view.buffer]
        ):
            raise ValueError("an output lies outside its buffer")
        if view.offset % ITEM_BYTES[view.dtype]:
            raise ValueError("an output lies outside its buffer's elements")
    if any(not (0 <= p.buffer < len(sizes) and 0 <= p.offset <= sizes[p.buffer]) for p in pointers):
        raise ValueError("a pointer lies outside its buffer")
    for launch in plan.launches:
        _check_words(launch)
        if any(min(v.grid) < 1 or v.grid[0] >= 2**31 or max(v.grid[1:]) > 65535 for v in launch.variants):
            raise ValueError("a grid is out of range")


def _check_words(launch: Launch) -> None:
    """Refuse names that would steer a terminal or fill one, and arguments that are no numbers: both come to be shown.

    Nothing behind this gate cleans them again.
    """
    kernels = [v.kernel for v in launch.variants]
    names = [name for k in kernels for name in (k.function, k.symbol, *(n for p in k.signature for n in leaves(p)))]
    names += [pair[0] for k in kernels for pair in (*k.constants, *k.options)]
    names += [name for name, _ in launch.arguments] + [g.made_by for g in launch.groups if g.made_by is not None]
    labels = [v.label for v in launch.variants if v.label is not None]
    told = [(name, MAX_NAME) for name in names] + [(label, MAX_LABEL) for label in labels]
    if any(not isinstance(text, str) or len(text) > most or not text.isprintable() for text, most in told):
        raise ValueError("a name is not printable text of a length that can be shown")
    values = [leaf for _, argument in launch.arguments for leaf in leaves(argument)]
    if any(type(v) not in (Pointer, Descriptor, int, float, bool, type(None)) for v in values):
        raise ValueError("an argument is neither a pointer nor a number")
    for one in (v for v in values if isinstance(v, Descriptor)):
        lengths = {len(one.shape), len(one.strides), len(one.block)}
        numbers = (*one.shape, *one.strides, *one.block)
        if one.dtype not in ITEM_BYTES or len(lengths) != 1 or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError("a tensor descriptor has no dtype, shape or strides")


def _pack_kernel(kernel: KernelSpec) -> list[Any]:
    return [kernel.function, kernel.symbol, kernel.signature, kernel.constants, kernel.options, kernel.ttir]


def _unpack_kernel(plain: Any) -> KernelSpec:
    function, symbol, signature, constants, options, ttir = plain
    return KernelSpec(function, symbol, _pairs(signature), _pairs(constants), _pairs(options), ttir)


def _pairs(plain: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((k, freeze(v)) for k, v in plain)


def freeze(value: Any) -> Any:
    """Turn lists into tuples, all the way down."""
    return tuple(freeze(v) for v in value) if isinstance(value, (list, tuple)) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(msgpack.packb(value)).hexdigest()[:16]
