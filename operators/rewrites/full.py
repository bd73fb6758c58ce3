"""Full blocks without masks, decided where a program runs: the last block alone pays for the end of the data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.program_tree import Edit, Path, copied, edited
from operators.remembering import remembered
from operators.rewrites.bounds import Bound, Masks, accesses, masks, with_mask
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted
from operators.rewrites.special import each_replaced
from operators.rewrites.templates import expression
from operators.walking import blocks, named, of_kind

Known = Callable[[Bound], bool]


@dataclass(frozen=True, slots=True)
class Full:
    """Whole steps of loops, and programs whose block lies inside, in a copy of their lines that has no masks.

    A mask keeps loads and stores from being wide, wherever the end is no multiple of 16.
    """

    name: str = "full-blocks"
    intent: str = "leave masks out of every block but the last"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find masks of blocks that are known to be inside in whole steps of a loop, or by one test before them.

        Of a kernel with both the choices are both and the loops alone.
        """
        read = masks(program)
        for group, kernel in enumerate(program.kernels.values(), 1):
            body, own = program.function(kernel).body, read[kernel.name]
            if not accesses(body):
                continue
            looping = [(program.tree.path(body), partial(_stepped, own=own))] if _splits(body, own) else []
            testing = _testing(program, body, own)
            if testing is not None:
                yield Site(f"blocks of {kernel.name}", (testing, *looping), group=group)
            if looping:
                yield Site(f"loops of {kernel.name}", tuple(looping), group=group)


def _splits(node: cst.CSTNode, own: Masks) -> bool:
    return any(whole_steps(loop, own) is not None for loop in of_kind(node, cst.For))


def _stepped(block: Any, own: Masks) -> Any:
    """Split every loop of a block that has whole steps without masks."""
    split = partial(_split, own=own)
    return edited(block, [(path, split) for path, one in blocks(block) if _has_loop(one, own)])


def _has_loop(block: cst.IndentedBlock, own: Masks) -> bool:
    return any(whole_steps(line, own) is not None for line in block.body)


@remembered
def whole_steps(loop: cst.CSTNode, own: Masks) -> Known | None:
    """Return what holds in the whole steps of a loop from 0 on, if that leaves out a mask."""
    if type(loop) is not cst.For or type(loop.target) is not cst.Name or loop.orelse is not None:
        return None
    given = _range(loop.iter)
    if given is None:
        return None
    over, step = given
    known = partial(Bound.steps_with, variable=loop.target.value, over=over, step=step)
    changed = set(bound(loop.body))
    if changed & named(loop.iter) or loop.target.value in changed:
        return None
    return known if any(known(one) for _, mask in accesses(loop.body) for one in own.bounds(mask)) else None


def _range(call: cst.BaseExpression) -> tuple[str, str] | None:
    """Return what a loop from 0 on runs over, and its step, if that is a name."""
    if type(call) is not cst.Call or not (code(call.func) == "range" or dotted(call.func, "range")):
        return None
    values = [a.value for a in call.args if a.keyword is None and not a.star]
    if len(values) != 3 or code(values[0]) != "0" or type(values[2]) is not cst.Name:
        return None
    return code(values[1]), values[2].value


def _split(block: Any, own: Masks) -> Any:
    body: list[Any] = []
    for line in block.body:
        known = whole_steps(line, own)
        body += [line] if known is None else _halves(line, own, known)
    return copied(block, {"body": body})


def _halves(loop: Any, own: Masks, known: Known) -> list[Any]:
    """Return a loop over the whole steps, and one for what is left, which takes a step or none."""
    first, over, step, *rest = loop.iter.args
    whole = expression("(x // y) * y", x=over.value, y=step.value)
    most = copied(loop.iter, {"args": (first, copied(over, {"value": whole}), step, *rest)})
    last = copied(loop.iter, {"args": (copied(first, {"value": whole}), over, step, *rest)})
    return [
        copied(loop, {"iter": most, "body": without_known(loop.body, own, known)}),
        copied(loop, {"iter": last, "leading_lines": []}),
    ]


def without_known(node: Any, own: Masks, known: Known) -> Any:
    """Leave out of all masks in a node what is known."""
    changes: dict[cst.CSTNode, Edit] = {
        call: partial(with_mask, mask=own.without(mask, known))
        for call, mask in accesses(node) if any(known(one) for one in own.bounds(mask))
    }  # fmt: skip
    return each_replaced(node, changes) if changes else node


def _testing(program: Program, block: Any, own: Masks) -> tuple[Path, Edit] | None:
    """Return the edit of a block that tests, before the first mask, whether offsets are inside.

    Where nothing can be told there, but all masks are in one loop, that is the edit of the loop's body.
    """
    place = next((n for n, line in enumerate(block.body) if accesses(line)), 0)
    after = block.body[place:]
    if type(after[0]) is cst.If or any(_ends(line) for line in after):
        return None
    later = set().union(*(bound(line) for line in after))
    found = [one for line in after for _, mask in accesses(line) for one in own.bounds(mask)]
    tests = tuple(one for one in dict.fromkeys(found) if not later & _names(one))
    if tests:
        return program.tree.path(block), partial(_choosing, place=place, own=own, tests=tests)
    first, *others = after
    inside = type(first) is cst.For and not any(accesses(line) for line in others)
    return _testing(program, first.body, own) if inside and not _splits(first, own) else None


def _ends(line: cst.CSTNode) -> bool:
    return bool(of_kind(line, cst.Return, cst.Break, cst.Continue))


def _names(one: Bound) -> frozenset[str]:
    return named(expression(one.holds))


def _choosing(block: Any, place: int, own: Masks, tests: Sequence[Bound]) -> Any:
    """Put what follows a place into two branches: without the masks that a test answers, and as it is."""
    known = set(tests)
    after: list[Any] = list(block.body[place:])
    bare = [without_known(line, own, known.__contains__) for line in after]
    said = [one.holds for one in tests]
    test = expression(said[0] if len(said) == 1 else " & ".join(f"({one})" for one in said))
    choice = cst.If(
        test, cst.IndentedBlock(_from(bare)), cst.Else(cst.IndentedBlock(_from(after))), after[0].leading_lines
    )
    return copied(block, {"body": [*block.body[:place], choice]})


def _from(lines: list[Any]) -> list[Any]:
    return [copied(lines[0], {"leading_lines": []}), *lines[1:]]
