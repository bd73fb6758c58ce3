"""What products of matrices are added up in: inside the matrix unit, or outside it from parts in fewer digits."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, keyword, open_to_keywords
from operators.rewrites.templates import statement

CHOICES = ("", ", out_dtype=tl.float16")


@dataclass(frozen=True, slots=True)
class Accumulators:
    """`acc += tl.dot(a, b)` in the place of `acc = tl.dot(a, b, acc)`, its parts in float32 or float16, and back."""

    name: str = "accumulator-dtype"
    intent: str = "add products up outside the matrix unit, in as many digits as the task wants, or inside it"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find such lines in loops; the digits of the parts are a choice."""
        for group, (call, _) in enumerate(program.calls("dot"), 1):
            line, _ = program.tree.parent(call)
            plain = [code(a.value) for a in call.args if a.keyword is None and not a.star]
            if not open_to_keywords(call) or not program.within(call) or keyword(call, "acc"):
                continue
            if isinstance(line, cst.Assign) and [code(t.target) for t in line.targets] == plain[2:]:
                rest = "".join(f", {code(a).rstrip(', ')}" for a in call.args if a.keyword is not None)
                for more in CHOICES if keyword(call, "out_dtype") is None else CHOICES[:1]:
                    text = f"{plain[2]} += tl.dot({plain[0]}, {plain[1]}{rest}{more})"
                    yield Site(text, ((program.tree.path(line), partial(_becoming, text=text)),), group=group)
            elif isinstance(line, cst.AugAssign) and isinstance(line.operator, cst.AddAssign) and len(plain) == 2:
                rest = "".join(f", {code(a).rstrip(', ')}" for a in call.args
                               if a.keyword is not None and a.keyword.value != "out_dtype")  # fmt: skip
                name = code(line.target)
                text = f"{name} = tl.dot({plain[0]}, {plain[1]}, {name}{rest})"
                yield Site(text, ((program.tree.path(line), partial(_becoming, text=text)),), group=group)


def _becoming(line: cst.CSTNode, text: str) -> cst.BaseSmallStatement:
    made = statement(text)
    assert isinstance(made, cst.SimpleStatementLine)
    return made.body[0]
