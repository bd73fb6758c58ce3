"""How exactly matrix units multiply float32: as the task's limits allow, which the judge knows."""

from collections.abc import Iterator
from dataclasses import dataclass

from operators.rewrites.program import Program, Site, adding, keyword, open_to_keywords

CHOICES = ("tf32", "ieee")  # tf32x3 is not on every chip


@dataclass(frozen=True, slots=True)
class Precision:
    """The input precision of tl.dot."""

    name: str = "dot-precision"
    intent: str = "multiply matrices as exactly as the task wants, and no more"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find matrix products that leave it to Triton; each precision is a choice."""
        for group, (call, _) in enumerate(program.calls("dot"), 1):
            if not open_to_keywords(call) or keyword(call, "input_precision") or keyword(call, "allow_tf32"):
                continue
            for choice in CHOICES:
                edit = adding("input_precision", f'"{choice}"')
                yield Site(f"{program.text(call)} {choice}", ((program.tree.path(call), edit),), group=group)
