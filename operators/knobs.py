"""The tunable numbers of a Triton program: found, listed with their legal values, and rewritten without loss.

    >>> source  # ... softmax_kernel[(rows,)](out, x, cols, BLOCK=256, num_warps=4)
    >>> [(knob.name, knob.value) for knob in find(source, "hip")]
    [('softmax_kernel.BLOCK', 256), ('softmax_kernel.num_warps', 4), ('softmax_kernel.waves_per_eu', None)]
    >>> rewrite(source, {"softmax_kernel.BLOCK": 1024, "softmax_kernel.waves_per_eu": 2})
    # ... softmax_kernel[(rows,)](out, x, cols, BLOCK=1024, num_warps=4, waves_per_eu=2)

Only those numbers change, and an option that was left out joins its launch: comments, spacing and line ends stay.
Names belong to the structure: two programs that differ in the values of knobs alone have equal names. Booleans
are no knobs: a flag such as HAS_BIAS says what is computed, and one that does not cannot be told by its name.
That a value is legal says no more than that it is worth a try; the judge sees what breaks.

Whoever knows a program's structure says so (`alike`): where another of it was met, this one need not be parsed.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType

import libcst as cst

from archives.candidate import fingerprint
from operators import knob_texts, knob_values
from operators.knob_sites import Place, places
from operators.knob_texts import Text
from operators.program_tree import Edit, Path, Tree, Unreadable, edited, parse, passing

logger = logging.getLogger(__name__)

FORMS = 3  # of one structure that are kept: programs that differ in comments or formatting are texts of different ones


@dataclass(frozen=True, slots=True)
class Knob:
    """A number with the values it may take, in rising order.

    A `value` of None stands for an option that the program leaves to Triton, which then takes `default`. `also` names
    other launches that the number flows to than that in its name.
    """

    name: str
    kind: str
    value: int | None
    legal: tuple[int, ...]
    default: int | None
    also: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def find(source: str, backend: str, alike: str = "") -> tuple[Knob, ...]:
    """Return the knobs of a program on a backend, none for a program that cannot be read."""
    text = _text(source, alike)
    found = _survey(source)[1] if text is None else text.places()
    knobs = tuple(_knob(place, backend) for place in found if place.value is not None or not place.idle)
    return tuple(knob for knob in knobs if any(value != knob.value for value in knob.legal))


def values(source: str, alike: str = "") -> dict[str, int | None]:
    """Return the present value of every knob on any backend, None for an option left out."""
    return dict(known_values(source, alike))


# The tuner asks for the values of every program that it learns from, at every proposal.
@lru_cache(maxsize=4096)
def known_values(source: str, alike: str = "") -> Mapping[str, int | None]:
    """Return the same to be read alone: it is kept."""
    text = _text(source, alike)
    return MappingProxyType({p.name: p.value for p in _survey(source)[1]} if text is None else text.values)


def rewrite(source: str, changes: Mapping[str, int | None], alike: str = "") -> str:
    """Set knobs by name; None takes an option out of its call. Raise ValueError for what cannot be done."""
    text = _text(source, alike)
    wanted = {name: value for name, value in changes.items() if value is not None and value >= 0}
    if text is not None and len(wanted) == len(changes) and wanted.keys() <= text.values.keys():
        return text.written(wanted)
    tree, found = _survey(source)
    unknown = sorted(set(changes).difference(place.name for place in found))
    if unknown:
        raise ValueError(f"expected knobs of this program, {[place.name for place in found]}, got {unknown}")
    edits = [edit for place in found if place.name in changes for edit in _edits(place, changes[place.name])]
    return edited(tree.module, edits).code if tree and edits else source


def holds(source: str, changes: Mapping[str, int], alike: str) -> bool:
    """Tell whether a program of a structure is of it still when knobs are set."""
    text = _text(source, alike)
    return structure(rewrite(source, changes)) == alike if text is None else text.holds(changes)


@lru_cache(maxsize=256)
def structure(source: str) -> str:
    """Hash a program with the values of its knobs, and the options it may leave out, taken out.

    A number gives way to its knob's name, so programs of one structure have equal names in equal places.
    """
    tree, found = _survey(source)
    edits = [edit for place in found for edit in _blanks(place)]
    return fingerprint(edited(tree.module, edits).code if tree and edits else source)


@lru_cache(maxsize=32)
def _text(source: str, alike: str) -> Text | None:
    """Return a program of a known structure as a text of a form that was met; None where it must be parsed."""
    met = _forms(alike) if alike else []
    for form in met:
        text = form.read(source)
        if text is not None:
            return text
    if not alike or len(met) == FORMS:
        return None
    tree, found = _survey(source)
    fresh = None if tree is None else knob_texts.form(source, tree, found)
    text = None if fresh is None else fresh.read(source)
    if text is not None:
        met.append(text.form)
    return text


@lru_cache(maxsize=32)
def _forms(structure: str) -> list[knob_texts.Form]:
    """Return the forms of a structure that were met so far; a list to append to."""
    return []


# One program's tree takes about a megabyte; a proposal asks for its parents and its own.
@lru_cache(maxsize=32)
def _survey(source: str) -> tuple[Tree | None, tuple[Place, ...]]:
    try:
        tree = parse(source)
        found = places(tree)
    except (Unreadable, RecursionError) as error:
        logger.debug("no knobs: the program cannot be read: %s", error)
        return None, ()
    if not found:
        logger.debug("no knobs: no launch of a kernel of this program has a tunable number or option")
    return tree, found


def _knob(place: Place, backend: str) -> Knob:
    default = None
    if place.kind in knob_values.OPTIONS:
        default = knob_values.default(place.kind, backend, place.configured)
    legal = knob_values.legal(place.kind, place.value, backend, default)
    return Knob(place.name, place.kind, place.value, legal, default, place.also)


def _edits(place: Place, value: int | None) -> list[tuple[Path, Edit]]:
    """List what turns a place's present value into another."""
    if value == place.value:
        return []
    if value is None and place.call is not None:
        return [(place.call, partial(_removed, option=place.key))]
    if value is None or value < 0:
        raise ValueError(f"expected a number of 0 or more for {place.name}, got {value}")
    if place.value is None and place.call is not None:
        return [(place.call, partial(passing, name=place.key, value=cst.Integer(str(value))))]
    return [(site.path, partial(_number, text=str(value + site.shift))) for site in place.sites]


def _blanks(place: Place) -> list[tuple[Path, Edit]]:
    if place.value is None:
        return []
    if place.call is not None:
        return [(place.call, partial(_removed, option=place.key))]
    # the shift needs no mark: it follows from the operators around the number
    return [(site.path, partial(_named, name=place.name)) for site in place.sites]


def _number(node: cst.Integer, text: str) -> cst.Integer:
    return node.with_changes(value=text)


def _named(node: cst.Integer, name: str) -> cst.SimpleString:
    return cst.SimpleString(repr(name), lpar=node.lpar, rpar=node.rpar)


def _removed(call: cst.Call, option: str) -> cst.Call:
    """Take a keyword argument out of a call, with the comma before it."""
    names = [arg.keyword.value if arg.keyword else None for arg in call.args]
    index = names.index(option)
    before, gone, after = call.args[:index], call.args[index], call.args[index + 1 :]
    if before and not _has_comment(before[-1].comma):
        moved = {"comma": gone.comma, "whitespace_after_arg": gone.whitespace_after_arg}
        before = (*before[:-1], before[-1].with_changes(**moved))
    return call.with_changes(args=(*before, *after))


def _has_comment(comma: cst.Comma | cst.MaybeSentinel) -> bool:
    space = comma.whitespace_after if isinstance(comma, cst.Comma) else None
    return isinstance(space, cst.ParenthesizedWhitespace) and "#" in cst.Module([]).code_for_node(space)
