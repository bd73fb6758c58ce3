"""Where a program's tunable numbers stand: what flows into each launch and config, and what must move with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import libcst as cst

from operators.knob_values import OPTIONS, kind
from operators.launches import (
    Config,
    Kernel,
    Launch,
    absent,
    configs,
    grid,
    is_declared,
    kernels,
    launches,
    literal,
)
from operators.program_tree import Path, Scope, Tree, last_name
from operators.remembering import remembered

Numbers = Mapping[cst.Integer, int]


@dataclass(frozen=True, slots=True)
class Site:
    """One number in the text; it is the knob's value plus `shift`, which is -1 in `(n + 255) // 256`."""

    path: Path
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A number that may be a knob, wherever it stands.

    `call` is the call that may pass it as a keyword argument or leave it out, in which case `value` is None; `idle`
    says that passing it would then hardly change anything. `also` are labels of other launches that it flows to.
    """

    label: str
    key: str
    kind: str
    value: int | None
    sites: tuple[Site, ...]
    call: Path | None = None
    configured: bool = False
    idle: bool = False
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The launch's or config's label and the name of the option or constexpr, such as `kernel#2.BLOCK`."""
        return f"{self.label}.{self.key}"

    @property
    def rank(self) -> int:
        """Place options behind constexprs, in an order that does not depend on which of them are passed."""
        return OPTIONS.index(self.key) if self.key in OPTIONS else -1


@dataclass(eq=False, slots=True)
class _Group:
    """Numbers that only make sense together, called by the first name that one of them goes by."""

    label: str
    key: str
    kind: str
    value: int
    numbers: dict[cst.Integer, int]
    call: cst.Call | None
    idle: bool
    also: list[str] = field(default_factory=list)


def places(tree: Tree, told: Numbers = MappingProxyType({})) -> tuple[Place, ...]:
    """Find every number of a program that may be a knob on some backend, launch by launch.

    `told` are numbers of the tree that are taken for others: so one tree answers for programs that differ in these.
    """
    jitted, found, tuned = _launched(tree)
    every = list(_Flows(tree, jitted, found, told).places())
    for launch in found:
        every += _absent(tree, launch)
    for config in tuned:
        every += _configured(tree, config, told)
    labels = [*(launch.label for launch in found), *(config.label for config in tuned)]
    order = {label: number for number, label in enumerate(labels)}
    return tuple(sorted(every, key=lambda place: (order[place.label], place.rank)))


@remembered
def _launched(tree: Tree) -> tuple[dict[str, Kernel], tuple[Launch, ...], tuple[Config, ...]]:
    """Return what of a program does not depend on its numbers."""
    jitted = kernels(tree)
    return jitted, launches(tree, jitted), configs(tree, jitted)


class _Flows:
    """Follows literals to the launches of a program."""

    def __init__(self, tree: Tree, jitted: dict[str, Kernel], found: tuple[Launch, ...], told: Numbers) -> None:
        self._tree = tree
        self._told = told
        self._launches = found
        self._kernels = {kernel.scope for kernel in jitted.values()}
        self._grids = [grid(launch) for launch in found]
        self._grid_names = set().union(*(names for names, _ in self._grids))
        self._arguments = {arg: (launch, name) for launch in found for arg, name in launch.arguments.items()}
        self._groups: dict[cst.Integer, _Group] = {}

    def places(self) -> Iterator[Place]:
        """Give the numbers that flow into launches, in the order of the launches."""
        flows = [dict(self._flows(launch)) for launch in self._launches]
        direct = set(self._groups)
        for values, (_, numbers) in zip(flows, self._grids, strict=True):
            for other in numbers:
                if other not in direct:
                    self._link(values, other)
        for group in {id(group): group for group in self._groups.values()}.values():
            sites = tuple(Site(self._tree.path(n), shift) for n, shift in group.numbers.items())
            call = self._tree.path(group.call) if group.call else None
            also = tuple(dict.fromkeys(label for label in group.also if label != group.label))
            yield Place(group.label, group.key, group.kind, group.value, sites, call, idle=group.idle, also=also)

    def _flows(self, launch: Launch) -> Iterator[tuple[str, cst.Integer]]:
        """Give the constexprs of a launch that get a tunable literal, and enter literals not met before."""
        for name, (node, scope) in launch.values.items():
            number = self._number(node, scope)
            sort = launch.kernel.kind(name, self._value(number)) if number else None
            if number is None or sort is None:
                continue
            if number not in self._groups:
                droppable = number is node and name in launch.optional
                call, idle = (launch.call, not launch.kernel.facts.heed(name)) if droppable else (None, False)
                self._groups[number] = _Group(launch.label, name, sort, self._value(number), {number: 0}, call, idle)
            self._groups[number].also.append(launch.label)
            if name not in OPTIONS:
                yield name, number

    def _link(self, values: dict[str, cst.Integer], other: cst.Integer) -> None:
        """Tie a number of a launch's grid to the value that it repeats, to all if that may be several."""
        divides = self._divides(other)
        likely: list[tuple[cst.Integer, int]] = []
        possible: list[tuple[cst.Integer, int]] = []
        for name, number in values.items():
            splits = name.upper().startswith("SPLIT")
            shift = self._shift(self._value(number), other, splits)
            if shift is not None:
                sized = self._groups[number].kind in ("size", "tile", "rows")
                possible.append((number, shift))
                likely += [(number, shift)] if (sized if divides else splits) else []
        for number, shift in likely or possible:
            self._join(number, other, shift)

    def _shift(self, value: int, other: cst.Integer, splits: bool) -> int | None:
        """Return what a number of a grid differs by if it repeats a value, None if it does not."""
        if self._value(other) == value and (value > 1 or splits):  # a 1 mostly stands for an unused axis
            return 0
        return -1 if self._value(other) == value - 1 and self._rounds_up(other) else None

    def _value(self, number: cst.Integer) -> int:
        return _value(number, self._told)

    def _join(self, number: cst.Integer, other: cst.Integer, shift: int) -> None:
        group, second = self._groups[number], self._groups.get(other)
        if second is None:
            group.numbers[other] = shift
            self._groups[other] = group
        elif second is not group and second.numbers[other] == shift:
            first, second = sorted((group, second), key=list(self._groups.values()).index)
            for moved, by in second.numbers.items():
                first.numbers.setdefault(moved, by)
                self._groups[moved] = first
            first.also += [second.label, *second.also]

    def _divides(self, number: cst.Integer) -> bool:
        """Tell whether a number of a grid is part of a division."""
        return any(_is_division(parent) for _, parent, _ in self._tree.above(number))

    def _rounds_up(self, number: cst.Integer) -> bool:
        """Tell whether a number is added before a division, as 255 in `(n + 255) // 256`."""
        around = [(parent, side) for _, parent, side in self._tree.above(number)]
        added = isinstance(around[0][0], cst.BinaryOperation) and isinstance(around[0][0].operator, cst.Add)
        return added and any(_is_division(parent) and side == "left" for parent, side in around)

    def _number(self, node: cst.CSTNode, scope: Scope) -> cst.Integer | None:
        """Return the literal that an argument is, directly or through a name that serves nothing else."""
        number = literal(node)
        if number is not None or not isinstance(node, cst.Name):
            return number
        home, values = scope.home(node.value), scope.bound(node.value)
        number = literal(values[0]) if len(values) == 1 and values[0] is not None else None
        if number is None or home is None or values[0] is None:
            return None
        declared, value = is_declared(self._tree, values[0]), self._value(number)
        reads = self._tree.reads.get((home, node.value), [])
        return number if all(self._is_harmless(*read, value, declared) for read in reads) else None

    def _is_harmless(self, name: cst.Name, scope: Scope, value: int, declared: bool) -> bool:
        """Tell whether a name is read only to count programs, to make room or to feed a knob, so that it may change."""
        if any(outer in self._kernels for outer in scope.chain()):
            return declared
        if name in self._grid_names:
            return True
        for child, parent, _ in self._tree.above(name):
            if _is_division(parent) or _is_room(parent):
                return True
            if isinstance(child, cst.Arg) and child in self._arguments:
                launch, key = self._arguments[child]
                return launch.kernel.kind(key, value) is not None
        return False


def _absent(tree: Tree, launch: Launch) -> Iterator[Place]:
    for option in absent(launch.call, launch.optional):
        idle = not launch.kernel.facts.heed(option)
        yield Place(launch.label, option, option, None, (), tree.path(launch.call), idle=idle)


def _configured(tree: Tree, config: Config, told: Numbers) -> Iterator[Place]:
    passed = {a.keyword.value for a in config.call.args if a.keyword is not None}
    path = tree.path(config.call)
    for name, node in config.values.items():
        number = literal(node)
        value = _value(number, told) if number else 0
        sort = kind(name, value, name in config.facts.ranged, config.facts.dots)
        if number is not None and sort is not None:
            call = path if name in passed.intersection(config.optional) else None
            idle = call is not None and not config.facts.heed(name)
            yield Place(config.label, name, sort, value, (Site(tree.path(number)),), call, configured=True, idle=idle)
    for option in absent(config.call, config.optional):
        idle = not config.facts.heed(option)
        yield Place(config.label, option, option, None, (), path, configured=True, idle=idle)


def _value(number: cst.Integer, told: Numbers) -> int:
    return told.get(number, number.evaluated_value)


def _is_room(node: cst.CSTNode) -> bool:
    """Tell whether something allocates a buffer, whose size follows what its kernels put there."""
    return isinstance(node, cst.Call) and last_name(node.func) == "empty"


def _is_division(node: cst.CSTNode) -> bool:
    """Tell whether something counts how many times a size fits; a true division outside of ceil may scale data."""
    if isinstance(node, cst.BinaryOperation):
        return isinstance(node.operator, (cst.FloorDivide, cst.Modulo))
    return isinstance(node, cst.Call) and last_name(node.func) in ("cdiv", "ceil")
