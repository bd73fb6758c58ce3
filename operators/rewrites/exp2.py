"""exp(x) as exp2(x * log2(e)): chips compute powers of two, and the factor often folds into one that is there."""

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from operators.program_tree import copied
from operators.rewrites.program import Program, Site
from operators.rewrites.templates import expression

LOG2_E = "1.4426950408889634"


@dataclass(frozen=True, slots=True)
class Exp2:
    """Powers of two in the place of powers of e."""

    name: str = "exp-to-exp2"
    intent: str = "compute exp as exp2 with the factor folded in"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find every tl.exp of one argument."""
        for call, _ in program.calls("exp"):
            if len(call.args) == 1 and not call.args[0].star:
                yield Site(program.text(call), ((program.tree.path(call), _powered),))


def _powered(call: cst.Call) -> cst.BaseExpression:
    assert isinstance(call.func, cst.Attribute)
    function = copied(call.func, {"attr": cst.Name("exp2")})
    argument = expression(f"x * {LOG2_E}", x=call.args[0].value)
    return call.with_changes(
        func=function, args=(call.args[0].with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT, value=argument),)
    )
