"""Programs of one structure are one text with holes for numbers: so all of them are read and written by parsing one.

    softmax_kernel[(rows,)](out, x, cols, BLOCK=[256], num_warps=[4][any other options])

Parsing a program takes some 20 ms, and a tuner learns from hundreds that differ in these numbers alone. A text that
does not fit is none of this form, whatever the reason; it is then parsed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import libcst as cst

from operators.knob_sites import Place, places
from operators.program_tree import Edit, Path, Tree, edited, passing

MARK = "271828182845904523536"  # no program's number; four digits behind it say which hole it stands for
SLOT = "evo_kernel_slot"
_DIGITS = "(?:0|[1-9][0-9]*)"
_NUMBER = f"({_DIGITS})"
_PASSED = re.compile(rf", (\w+)={_NUMBER}")

Numbers = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class _Hole:
    """Where one number of a knob stands, or where a call's options are appended (`slot`: keyword -> knob)."""

    name: str
    shift: int = 0
    path: Path = ()
    slot: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """The text that programs of one structure share, and the tree of the one that was parsed."""

    tree: Tree
    places: tuple[Place, ...]
    pattern: re.Pattern[str]
    holes: tuple[_Hole, ...]  # the pattern's groups

    def read(self, source: str) -> "Text | None":
        """Return a program as a text of this form; None if it is not."""
        found = self.pattern.fullmatch(source)
        if found is None:
            return None
        values: dict[str, int | None] = {place.name: None for place in self.places}
        if not all(_enter(values, hole, text) for hole, text in zip(self.holes, found.groups(), strict=True)):
            return None
        return Text(self, source, values, tuple(map(found.span, range(1, len(self.holes) + 1))))

    def survey(self, values: Numbers) -> tuple[Place, ...]:
        """Find the knobs of the program that has these values."""
        told = {}
        for hole in self.holes:
            value = values.get(hole.name)
            if hole.path and value is not None:
                told[self.tree.at(hole.path)] = value + hole.shift
        found = places(self.tree, told)
        return tuple(replace(p, value=values[p.name]) if p.call and p.name in values else p for p in found)


@dataclass(frozen=True, slots=True)
class Text:
    """One program of a form: the values of its knobs, and where they stand."""

    form: Form
    source: str
    values: Numbers
    spans: tuple[tuple[int, int], ...]

    def places(self) -> tuple[Place, ...]:
        """Return what may be a knob; sites are those of the program that was parsed."""
        return self.form.survey(self.values)

    def holds(self, changes: Numbers) -> bool:
        """Tell whether the program is of the form's structure still when knobs are set to other values."""
        return _ties(self.form.survey({**self.values, **changes})) == _ties(self.form.places)

    def written(self, changes: Mapping[str, int]) -> str:
        """Return the program with other values; options that it leaves out join their calls."""
        changed = {name: value for name, value in changes.items() if value != self.values[name]}
        parts, end = [], 0
        for hole, (first, last) in zip(self.form.holes, self.spans, strict=True):
            if hole.slot is not None:
                parts += [self.source[end:first], self._passed(hole.slot, self.source[first:last], changed)]
                end = last
            elif hole.name in changed and first >= 0:
                parts += [self.source[end:first], str(changed[hole.name] + hole.shift)]
                end = last
        return "".join([*parts, self.source[end:]])

    def _passed(self, slot: Mapping[str, str], text: str, changed: Mapping[str, int]) -> str:
        """Return what stands behind a call's other arguments: options as they were or changed, then new ones."""
        passed = [(key, changed.get(slot[key], int(value))) for key, value in _PASSED.findall(text)]
        passed += [(k, changed[name]) for k, name in slot.items() if name in changed and self.values[name] is None]
        return "".join(f", {key}={value}" for key, value in passed)


def form(source: str, tree: Tree, found: tuple[Place, ...]) -> Form | None:
    """Return the form of a parsed program; None if it has no knobs, or options that nothing can be appended to."""
    if not found or MARK in source or SLOT in source:
        return None
    holes, edits = _marks(found)
    pieces = re.split(MARK + r"(\d{4})", edited(tree.module, edits).code)
    keys = {place.name: place.key for place in found if place.call is not None}
    pattern: list[str] = []
    order = [holes[int(number)] for number in pieces[1::2]]
    for before, hole in zip(pieces[::2], order, strict=False):
        passed = _passed(before, keys.get(hole.name), hole)
        if passed is None:
            return None
        pattern += passed
    whole = re.compile("".join([*pattern, re.escape(pieces[-1])]))
    return Form(tree, found, whole, tuple(order))


def _marks(found: tuple[Place, ...]) -> tuple[list[_Hole], list[tuple[Path, Edit]]]:
    """Return all holes, and the edits that put a mark into each."""
    holes = [_Hole(place.name, site.shift, site.path) for place in found for site in place.sites]
    calls: dict[Path, dict[str, str]] = {}
    for place in found:
        if place.call is not None:
            calls.setdefault(place.call, {})[place.key] = place.name
    marks = [cst.Integer(f"{MARK}{number:04}") for number in range(len(holes) + len(calls))]
    edits: list[tuple[Path, Edit]] = [(h.path, partial(_numbered, mark=m)) for h, m in zip(holes, marks, strict=False)]
    for (path, slot), mark in zip(calls.items(), marks[len(holes) :], strict=True):
        holes.append(_Hole(SLOT, slot=slot))
        edits.append((path, partial(passing, name=SLOT, value=mark)))
    return holes, edits


def _numbered(node: cst.Integer, mark: cst.Integer) -> cst.Integer:
    return node.with_changes(value=mark.value)


def _passed(before: str, key: str | None, hole: _Hole) -> tuple[str, str] | None:
    """Return the patterns of the text before a hole and of the hole; an option may be left out with its comma."""
    if hole.slot is not None:
        kept = before.removesuffix(f", {SLOT}=")
        return None if kept == before else (re.escape(kept), rf"((?:, \w+={_DIGITS})*)")
    lead = re.search(rf",\s*{key}\s*=\s*\Z", before) if key is not None else None
    if lead is None:
        return re.escape(before), _NUMBER
    return re.escape(before[: lead.start()]), f"(?:{re.escape(lead[0])}{_NUMBER})?"


def _enter(values: dict[str, int | None], hole: _Hole, text: str | None) -> bool:
    """Enter what stands in a hole; tell whether it agrees with what stands in the others."""
    for name, value in _entries(hole, text):
        if values.get(name, -1) not in (None, value):
            return False
        values[name] = value
    return True


def _entries(hole: _Hole, text: str | None) -> Iterator[tuple[str, int]]:
    if text is None:
        return
    if hole.slot is None:
        yield hole.name, int(text) - hole.shift
        return
    for key, value in _PASSED.findall(text):
        yield hole.slot.get(key, ""), int(value)


def _ties(found: tuple[Place, ...]) -> dict[str, tuple[Path | None, frozenset[tuple[Path, int]]]]:
    """Return which numbers of a program go by which name: its structure is the same as long as they do."""
    return {p.name: (p.call, frozenset((s.path, s.shift) for s in p.sites)) for p in found}
