"""Kernels that every family leaves alone, and why: what is read of them may not be what runs, or cannot be added to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import libcst as cst

from operators.launches import Kernel, Launch, decorating, is_jit
from operators.program_tree import Scope, Tree, last_name
from operators.walking import of_kind

KNOWN = ("autotune", "heuristics", "staticmethod")  # decorators that change nothing of what a kernel does
_WITHIN = (cst.SimpleStatementSuite, cst.Lambda, cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp)


def alone(tree: Tree, jitted: Mapping[str, Kernel], launched: Sequence[Launch]) -> dict[str, str]:
    """Say of every kernel that is left alone why, by its name."""
    uncertain = dict(_uncertain(tree, jitted))
    calling = {
        name: f"it calls {min(called)}, of which it is not known what runs"
        for name, kernel in jitted.items() if (called := kernel.facts.called & uncertain.keys())
    }  # fmt: skip
    within = {one.kernel.name: _place(tree, one.call) for one in launched if _place(tree, one.call)}
    return {**dict(_odd(tree, jitted)), **within, **calling, **uncertain}


def _uncertain(tree: Tree, jitted: Mapping[str, Kernel]) -> Iterator[tuple[str, str]]:
    """Give the jit functions of which another definition may be the one that runs."""
    functions = [node for node, _ in tree.functions if any(map(is_jit, node.decorators))]
    times = Counter(node.name.value for node in functions)
    for node in functions:
        name = node.name.value
        unknown = [d for d in node.decorators if not is_jit(d) and last_name(decorating(d)) not in KNOWN]
        if times[name] > 1:
            yield name, f"it is defined {times[name]} times, and which of them runs is not known"
        elif unknown:
            yield name, f"nothing is known of its decorator @{tree.module.code_for_node(decorating(unknown[0]))}"
        elif any(_other(value) for value in _bound(jitted[name].scope, name)):
            yield name, "its name is given to something else too"


def _bound(scope: Scope, name: str) -> Sequence[cst.CSTNode | None]:
    return () if scope.outer is None else scope.outer.bindings.get(name, ())


def _other(value: cst.CSTNode | None) -> bool:
    """Tell whether what a kernel's name is given can be launched, and is not a function with that name."""
    nothing = isinstance(value, cst.Name) and value.value == "None"
    return not nothing and not isinstance(value, cst.FunctionDef)


def _odd(tree: Tree, jitted: Mapping[str, Kernel]) -> Iterator[tuple[str, str]]:
    """Give the jit functions to which no line or parameter can be added."""
    nodes = {scope: node for node, scope in tree.functions}
    for name, kernel in jitted.items():
        function = nodes[kernel.scope]
        loops = of_kind(function.body, cst.For, cst.While) if tree.suites else ()
        if any(isinstance(one.body, cst.SimpleStatementSuite) for one in chain((function,), loops)):
            yield name, "its body, or that of a loop in it, is in one line with its head"
        elif isinstance(function.params.star_arg, cst.Param):
            yield name, f"it takes any number of arguments, as *{function.params.star_arg.name.value}"


def _place(tree: Tree, call: cst.Call) -> str:
    """Say what a launch stands in, if no line can be put before it that is run as often."""
    node: cst.CSTNode = call
    while not isinstance(node, (cst.SimpleStatementLine, cst.Module)):
        if isinstance(node, _WITHIN):
            return "a launch of it stands in a lambda, in a comprehension or in one line with a head"
        node, _ = tree.parent(node)
    return ""
