"""Reads a reply strictly: one whole program in a fence, or SEARCH/REPLACE edits that each match exactly once.

A worked reply with edits, one block or several, in one fence or in none:

    <<<<<<< SEARCH
        x = tl.load(x_ptr + offs)
    =======
        x = tl.load(x_ptr + offs, eviction_policy="evict_first")
    >>>>>>> REPLACE

Before it may stand a plan, as JSON in a fence of its own marked `plan`. Every way to be wrong is a ProposalError with a
name; it costs no evaluation, and its words go into the next prompt.
"""

import ast
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archives.candidate import fingerprint
from operators.llm.launcher import Launcher
from operators.llm.plain import plain
from operators.llm.refusals import (
    BadPlan,
    BrokenFence,
    EntryChanged,
    ManyMatches,
    MissingCode,
    NoMatch,
    NotPython,
    ReplyError,
    TooLong,
    TwoPrograms,
    Unchanged,
)
from suites.parsing import parse

LARGEST = 200_000  # characters of a program
LONGEST = 2_000_000  # characters of a reply: edits of many large parts, with words around them
DEEPEST = 150  # levels of a syntax tree
DIGITS = 4000  # of an integer: Python writes no more than 4300
_LARGE = 10**DIGITS
MOST = 200  # edits of one reply

_FENCE = re.compile(r"^(?P<marks>`{3,}|~{3,})[ \t]*(?P<language>[\w.+-]*)[^\n]*$")
_SEARCH, _MIDDLE, _REPLACE = (re.compile(rf"^{mark}{{5,9}}(?: {word})?\s*$") for mark, word in (
    ("<", "SEARCH"), ("=", ""), (">", "REPLACE")))  # fmt: skip


class Plan(BaseModel):
    """What a model says of its program beside the code; every part may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", max_length=200)
    steps: tuple[str, ...] = Field(default=(), max_length=12)
    lesson: str = Field(default="", max_length=600)  # what to remember: tried, went wrong, to do instead


@dataclass(frozen=True, slots=True)
class Read:
    """A reply that was understood. `source` is None where only a plan was asked for."""

    source: str | None
    plan: Plan


@dataclass(frozen=True, slots=True)
class _Block:
    language: str
    text: str


def program(text: str, parent: str | None, launcher: Launcher) -> Read:
    """Return the program that a reply makes of its parent (None: there is none yet), or raise a ReplyError."""
    blocks, edits_outside = _split(text)
    plan = _plan([b for b in blocks if b.language == "plan"])
    codes = [b for b in blocks if b.language != "plan"]
    edits = [e for b in codes for e in _edits(b.text)] + _edits(edits_outside)
    whole = [b for b in codes if not _has_edit(b.text)]
    if edits and whole:
        raise TwoPrograms("the reply holds edits and a fence with other code: give edits alone, or one whole program")
    if len(whole) > 1:
        raise TwoPrograms(f"the reply holds {len(whole)} fences with code: put the whole program into one")
    if not edits and not whole:
        raise MissingCode("the reply holds no program: put it into one ```python fence, or give SEARCH/REPLACE edits")
    if edits and parent is None:
        raise NoMatch("the reply holds edits, but there is no program to edit: give a whole program in one fence")
    source = apply(parent, edits) if edits and parent is not None else whole[0].text
    check(source, parent, launcher)
    return Read(source, plan)


def lesson(text: str) -> str:
    """Return what a reply says is to be remembered; nothing where it does not say it in the form asked for."""
    try:
        blocks, _ = _split(text)
        return plain(_plan([b for b in blocks if b.language == "plan"]).lesson)
    except ReplyError:
        return ""


def fences(text: str, *languages: str) -> list[str]:
    """Return what stands in the fences of these languages."""
    blocks, _ = _split(text)
    return [b.text for b in blocks if b.language in languages]


def apply(source: str, edits: list[tuple[str, str]]) -> str:
    """Apply edits one after another; each must match whole lines exactly once where it is applied.

    Lines end at line feeds alone: a form feed or U+2028 within one stays there. A program whose lines all end as
    Windows has them keeps those ends.
    """
    if len(edits) > MOST:
        raise TooLong(f"the reply holds {len(edits)} edits: at most {MOST} are read; give the whole program instead")
    windows = 0 < source.count("\n") == source.count("\r\n")
    text = "\n" + (source.replace("\r\n", "\n") if windows else source)
    text += "" if text.endswith("\n") else "\n"
    for number, (old, new) in enumerate(edits, 1):
        at = text.find("\n" + old) if old.strip() else -1
        shown = next((line.strip()[:80] for line in old.split("\n") if line.strip()), "(nothing)")
        which = f"edit {number} of {len(edits)}: its SEARCH part, which begins with `{shown}`, is"
        if at < 0:
            raise NoMatch(f"{which} not in the program: copy whole lines with their indentation")
        if text.find("\n" + old, at + 1) >= 0:
            raise ManyMatches(f"{which} in the program more than once: take more lines around it")
        text = text[: at + 1] + new + text[at + 1 + len(old) :]
        _fits(text)
    return text[1:].replace("\n", "\r\n") if windows else text[1:]


def check(source: str, parent: str | None, launcher: Launcher) -> None:
    """Refuse a program that cannot be judged for what it is: unparsable, unchanged, with another launcher."""
    _fits(source)
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise NotPython(f"the program is no Python: {said}{where}") from error
    if _deep(tree):
        raise TooLong(f"the program nests its parts more than {DEEPEST} deep: write it in shorter statements")
    if any(_long(node) for node in ast.walk(tree)):
        raise TooLong(f"the program holds an integer of more than {DIGITS} digits: write it as an expression")
    try:
        fault = launcher.fault(tree)
        same = parent is not None and fingerprint(source) == fingerprint(parent)
    except (ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise NotPython(f"the program cannot be read: {type(error).__name__}: {error}") from error
    if fault is not None:
        raise EntryChanged(fault)
    if same:
        raise Unchanged("the program does what its parent does: but for comments and spacing nothing was changed")


def _long(node: ast.AST) -> bool:
    """Tell whether a node is an integer that cannot be written in decimal, as hashing a program would."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) >= _LARGE


def _deep(tree: ast.AST) -> bool:
    """Tell whether a tree is deeper than what walks it can follow."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _fits(source: str) -> None:
    if len(source) > LARGEST:
        raise TooLong(f"the program has {len(source)} characters; at most {LARGEST} are judged")


def _split(text: str) -> tuple[list[_Block], str]:
    """Cut a reply into its fences and the text around them. Fences with no code in them do not count."""
    if len(text) > LONGEST:
        raise TooLong(f"the reply has {len(text)} characters; at most {LONGEST} are read")
    blocks: list[_Block] = []
    around: list[str] = []
    inside: list[str] | None = None
    marks = language = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _FENCE.match(line)
        if inside is None and match:
            inside, marks, language = [], match["marks"], match["language"].lower()
        elif inside is not None and line.rstrip() == marks:
            blocks.append(_Block(language, "\n".join([*inside, ""])))
            inside = None
        elif inside is not None:
            inside.append(line)
        else:
            around.append(line)
    if inside is not None:
        raise BrokenFence(f"a fence begins with {marks}{language} and does not end: was the reply cut off?")
    return [b for b in blocks if b.text.strip()], "\n".join(around)


def _has_edit(text: str) -> bool:
    return any(_SEARCH.match(line) for line in text.split("\n"))


def _edits(text: str) -> list[tuple[str, str]]:
    """Read the SEARCH/REPLACE blocks of a text as pairs of whole lines."""
    edits: list[tuple[str, str]] = []
    part: list[str] | None = None
    old: list[str] | None = None
    for line in text.split("\n"):
        if part is None:
            part = [] if _SEARCH.match(line) else None
        elif old is None and _MIDDLE.match(line):
            old, part = part, []
        elif old is not None and _REPLACE.match(line):
            edits.append((_lines(old), _lines(part)))
            old = part = None
        elif _SEARCH.match(line) or _REPLACE.match(line):
            raise BrokenFence("the marks of an edit are out of order: SEARCH, then =======, then REPLACE")
        else:
            part.append(line)
    if part is not None:
        raise BrokenFence("an edit begins with SEARCH and does not end with REPLACE: was the reply cut off?")
    return edits


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _plan(blocks: list[_Block]) -> Plan:
    if not blocks:
        return Plan()
    if len(blocks) > 1:
        raise BadPlan(f"the reply holds {len(blocks)} plans: give one")
    try:
        return Plan.model_validate_json(blocks[0].text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise BadPlan(f"the plan is not of the form asked for: {where}: {first['msg']}") from error
