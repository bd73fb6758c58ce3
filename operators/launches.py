"""The Triton kernels of a program, their launches, and their autotuner's configs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import libcst as cst

from operators import knob_values
from operators.program_tree import Scope, Tree, last_name
from operators.walking import children, descend

# A number inside such a call still counts programs; the one in x.size(1) does not.
_COUNTING = {"cdiv", "min", "max", "ceil", "int"}


@dataclass(slots=True)
class Facts:
    """What the bodies of a kernel and of the jit functions that it calls show."""

    ranged: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    constants: dict[str, cst.Name] = field(default_factory=dict)
    dots: bool = False
    loops: bool = False

    def heed(self, option: str) -> bool:
        """Tell whether an option that the program leaves out is worth passing."""
        # num_stages pipelines loops, the last two shape the instructions of tl.dot; num_ctas wants a kernel
        # that is written for clusters
        needs = {"num_ctas": False, "num_stages": self.loops, "matrix_instr_nonkdim": self.dots, "kpack": self.dots}
        return needs.get(option, True)


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A jit function. `set_above` names the arguments that its decorators pass, None for any of them."""

    name: str
    scope: Scope
    facts: Facts
    positional: tuple[str, ...]
    constexprs: dict[str, cst.BaseExpression | None]
    set_above: frozenset[str] | None

    def kind(self, name: str, value: int) -> str | None:
        """Tell what sort of knob a constexpr or option of this kernel is."""
        return knob_values.kind(name, value, name in self.facts.ranged, self.facts.dots)

    def optional(self) -> tuple[str, ...]:
        """Return the options that a launch may leave out or pass."""
        if self.set_above is None:
            return ()
        taken = self.set_above.union(self.positional, self.constexprs)
        return tuple(name for name in knob_values.OPTIONS if name not in taken)


@dataclass(frozen=True, slots=True)
class Launch:
    """One `kernel[grid](...)`. `values` says what each constexpr and option gets, and in which scope."""

    label: str
    call: cst.Call
    scope: Scope
    kernel: Kernel
    arguments: dict[cst.Arg, str]
    values: dict[str, tuple[cst.CSTNode, Scope]]
    optional: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """One `triton.Config({...}, ...)`; any kernel of the program may be the one that it is for."""

    label: str
    call: cst.Call
    facts: Facts
    values: dict[str, cst.CSTNode]
    optional: tuple[str, ...]


def kernels(tree: Tree) -> dict[str, Kernel]:
    """Find the jit functions; of several with one name the last counts."""
    jitted = [(node, scope) for node, scope in tree.functions if any(map(is_jit, node.decorators))]
    facts = {node.name.value: _facts(tree, scope) for node, scope in jitted}
    return {node.name.value: _kernel(node, scope, _reached(node.name.value, facts)) for node, scope in jitted}


def launches(tree: Tree, jitted: dict[str, Kernel]) -> tuple[Launch, ...]:
    """Find the launches in the order of the text; a kernel's second is labelled kernel#2."""
    found: list[Launch] = []
    times: dict[str, int] = {}
    for call, scope in tree.calls:
        kernel = jitted.get(last_name(call.func.value)) if isinstance(call.func, cst.Subscript) else None
        if kernel is not None:
            times[kernel.name] = times.get(kernel.name, 0) + 1
            number = f"#{times[kernel.name]}" if times[kernel.name] > 1 else ""
            found.append(_launch(kernel.name + number, call, scope, kernel))
    return tuple(found)


def configs(tree: Tree, jitted: dict[str, Kernel]) -> tuple[Config, ...]:
    """Find the configs in the order of the text, none in a program without kernels."""
    facts = _united([kernel.facts for kernel in jitted.values()])
    found: list[Config] = []
    for call, _ in tree.calls if jitted else ():
        if last_name(call.func) == "Config" and call.args and isinstance(call.args[0].value, cst.Dict):
            found.append(_config(f"configs[{len(found)}]", call, call.args[0].value, facts))
    return tuple(found)


def absent(call: cst.Call, optional: tuple[str, ...]) -> tuple[str, ...]:
    """Return those options that a call does not pass."""
    passed = {a.keyword.value for a in call.args if a.keyword is not None}
    return tuple(name for name in optional if name not in passed)


def grid(launch: Launch) -> tuple[set[cst.Name], tuple[cst.Integer, ...]]:
    """Return the names that a launch's grid is computed from, and the numbers that count programs in it."""
    names: dict[cst.Name, None] = {}
    numbers: dict[cst.Integer, None] = {}
    seen: set[cst.CSTNode] = set()
    ends: list[tuple[cst.CSTNode, Scope]] = []
    if isinstance(launch.call.func, cst.Subscript):
        ends += [(element, launch.scope) for element in launch.call.func.slice]
    for node, scope in ends:  # grows on the way
        for part in _counted(node):
            if isinstance(part, cst.Integer):
                numbers[part] = None
            elif isinstance(part, cst.Name):
                names[part] = None
                fresh = [value for value in scope.bound(part.value) if value is not None and value not in seen]
                seen.update(fresh)
                ends += [(value, scope.home(part.value) or scope) for value in fresh]
    return set(names), tuple(numbers)


def literal(node: cst.CSTNode) -> cst.Integer | None:
    """Return the number that an expression is: `256` or `tl.constexpr(256)`."""
    if isinstance(node, cst.Call) and last_name(node.func) == "constexpr" and len(node.args) == 1:
        node = node.args[0].value
    return node if isinstance(node, cst.Integer) else None


def is_declared(tree: Tree, value: cst.CSTNode) -> bool:
    """Tell whether an assigned value is marked as constexpr, so that jit functions may read it."""
    parent, _ = tree.parent(value)
    marked = isinstance(parent, cst.AnnAssign) and _is_constexpr(parent.annotation)
    return marked or (isinstance(value, cst.Call) and last_name(value.func) == "constexpr")


def _kernel(node: cst.FunctionDef, scope: Scope, facts: Facts) -> Kernel:
    positional = (*node.params.posonly_params, *node.params.params)
    parameters = (*positional, *node.params.kwonly_params)
    constexprs = {p.name.value: p.default for p in parameters if p.annotation and _is_constexpr(p.annotation)}
    names = tuple(p.name.value for p in positional)
    return Kernel(node.name.value, scope, facts, names, constexprs, _set_above(node))


def _launch(label: str, call: cst.Call, scope: Scope, kernel: Kernel) -> Launch:
    arguments = dict(_arguments(call, kernel))
    values: dict[str, tuple[cst.CSTNode, Scope]] = {}
    for argument, name in arguments.items():
        values[name] = (argument.value, scope)
    if kernel.set_above is not None and not any(a.star for a in call.args):
        for name, default in kernel.constexprs.items():
            if default is not None and name not in kernel.set_above:
                values.setdefault(name, (default, kernel.scope.outer or kernel.scope))
    for name, read in kernel.facts.constants.items():
        values.setdefault(name, (read, kernel.scope))
    optional = kernel.optional() if _is_open(call) else ()
    return Launch(label, call, scope, kernel, arguments, values, optional)


def _config(label: str, call: cst.Call, entries: cst.Dict, facts: Facts) -> Config:
    values: dict[str, cst.CSTNode] = {}
    for entry in entries.elements:
        if isinstance(entry, cst.DictElement) and isinstance(entry.key, cst.SimpleString):
            values.setdefault(entry.key.raw_value, entry.value)
    positions = [a for a in call.args[1:] if a.keyword is None and not a.star]
    placed = dict(zip(("num_warps", "num_stages", "num_ctas"), positions, strict=False))
    named = {a.keyword.value: a for a in call.args if a.keyword is not None}
    for option, argument in {**placed, **named}.items():
        if option in knob_values.OPTIONS:
            values.setdefault(option, argument.value)
    optional = [name for name in ("num_warps", "num_stages") if name not in placed]
    return Config(label, call, facts, values, tuple(optional) if _is_open(call) else ())


def _is_open(call: cst.Call) -> bool:
    """Tell whether one more keyword can be passed: ** may hold it already, a bare generator stands alone."""
    return not any(a.star == "**" or isinstance(a.value, cst.GeneratorExp) for a in call.args)


def _arguments(call: cst.Call, kernel: Kernel) -> Iterator[tuple[cst.Arg, str]]:
    starred = False
    for index, argument in enumerate(call.args):
        starred = starred or argument.star != ""
        if argument.keyword is not None:
            name = argument.keyword.value
        elif not starred and index < len(kernel.positional):
            name = kernel.positional[index]
        else:
            continue
        if name in kernel.constexprs or (argument.keyword and name in knob_values.OPTIONS):
            yield argument, name


def _counted(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give the parts of an expression that its value counts with."""
    yield node
    below: Iterable[cst.CSTNode] = ()
    if isinstance(node, cst.Call):
        counts = last_name(node.func) in _COUNTING
        below = (node.func, *(a.value for a in node.args if counts))
    elif isinstance(node, (cst.FunctionDef, cst.Lambda)):
        below = (node.body,)
    elif not isinstance(node, cst.Subscript):  # x.shape[1] is a matter of place
        below = children(node)
    for part in below:
        yield from _counted(part)


def _facts(tree: Tree, scope: Scope) -> Facts:
    facts = Facts(loops=scope.loops)
    for call in scope.calls:
        name = last_name(call.func)
        facts.called.add(name)
        if name == "arange":
            facts.ranged |= {part.value for part in descend(call) if isinstance(part, cst.Name)}
    first = {read.value: read for read in reversed(scope.reads)}
    for name in dict.fromkeys(read.value for read in scope.reads):
        values = scope.bound(name) if scope.home(name) is tree.top else ()
        if len(values) == 1 and values[0] is not None and is_declared(tree, values[0]):
            facts.constants[name] = first[name]
    facts.dots = bool(facts.called & {"dot", "dot_scaled"})
    return facts


def _reached(name: str, facts: dict[str, Facts]) -> Facts:
    """Unite what a jit function shows with what those show that it calls."""
    seen = [name]
    for known in seen:  # grows on the way
        seen += [callee for callee in sorted(facts[known].called) if callee in facts and callee not in seen]
    return _united([facts[known] for known in seen])


def _united(parts: list[Facts]) -> Facts:
    return Facts(
        ranged=set().union(*(part.ranged for part in parts)),
        called=set().union(*(part.called for part in parts)),
        constants={name: read for part in reversed(parts) for name, read in part.constants.items()},
        dots=any(part.dots for part in parts),
        loops=any(part.loops for part in parts),
    )


def is_jit(decorator: cst.Decorator) -> bool:
    """Tell whether a decorator is triton.jit."""
    function = decorating(decorator)
    foreign = isinstance(function, cst.Attribute) and last_name(function.value) in ("torch", "numba", "jax")
    return last_name(function) == "jit" and not foreign


def _set_above(node: cst.FunctionDef) -> frozenset[str] | None:
    """Name the arguments that decorators pass to a kernel, None where they may pass any."""
    names: set[str] = set()
    for decorator in node.decorators:
        name = last_name(decorating(decorator))
        if "tune" in name:
            return None
        if name == "heuristics":
            names |= {s.raw_value for s in descend(decorator) if isinstance(s, cst.SimpleString)}
    return frozenset(names)


def decorating(decorator: cst.Decorator) -> cst.CSTNode:
    """Return what a decorator is, or what it calls."""
    node = decorator.decorator
    return node.func if isinstance(node, cst.Call) else node


def _is_constexpr(annotation: cst.Annotation) -> bool:
    node = annotation.annotation
    return last_name(node) == "constexpr" or (isinstance(node, cst.SimpleString) and "constexpr" in node.value)
