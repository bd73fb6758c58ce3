"""Reads the sheets of chips and the texts of Triton know-how, and says which texts matter for a kernel."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fitness.targets import Target

_FOLDER = Path(__file__).parent
SHEETS = {"mi250": "gfx90a", "mi300": "gfx942", "gfx950": "gfx950", "h100": "sm_90", "h200": "sm_90"}
_SIGNS = {
    "dot": re.compile(r"tl\.dot|[\w)\]] @ [\w(]|\.(matmul|bmm|mm|einsum|linear)\("),
    "reduction": re.compile(r"tl\.(sum|max|min|reduce|argmax|argmin|cumsum)\b|\.(sum|mean|amax|softmax|var|norm)\("),
    "loop": re.compile(r"^[ \t]+(for|while) .*:", re.MULTILINE),
}


@dataclass(frozen=True, slots=True)
class Text:
    """One piece of knowledge. `applies`: all, dot, reduction, elementwise, loop, or a chip by its sheet."""

    name: str
    title: str
    applies: tuple[str, ...]
    sources: str
    body: str


def sheet(target: Target) -> Text:
    """Return the sheet of a chip."""
    return _read(_FOLDER / "targets" / f"{SHEETS[target.name]}.md")


@cache
def texts() -> tuple[Text, ...]:
    """Return every text of know-how, in the order of their names."""
    return tuple(_read(path) for path in sorted((_FOLDER / "knowhow").glob("*.md")))


def matching(code: str, target: Target) -> list[Text]:
    """Return the texts that matter for this code on this chip, those that fit most narrowly first."""
    traits = {trait for trait, sign in _SIGNS.items() if sign.search(code)} | {SHEETS[target.name]}
    traits |= set() if traits & {"dot", "reduction"} else {"elementwise"}
    fitting = [t for t in texts() if "all" in t.applies or traits & set(t.applies)]
    return sorted(fitting, key=lambda t: ("all" in t.applies, t.name))


@cache
def _read(path: Path) -> Text:
    """Read a text: its title, the lines `applies:` and `sources:`, an empty line, and the text."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    title, *lines = head.splitlines()
    said = dict(line.split(": ", 1) for line in lines)
    return Text(
        path.stem, title.removeprefix("# "), tuple(said.get("applies", "all").split()), said["sources"], body.rstrip()
    )
