"""What two launches share: whether each program of the second reads and writes only what it wrote itself in the first.

A barrier orders the threads of one program. Nothing in one kernel orders its programs.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Scope, last_name
from operators.rewrites.effects import EFFECTS, PLAIN, READING
from operators.rewrites.pointers import Addresses, address_of
from operators.rewrites.printing import code
from operators.rewrites.program import Program, dotted
from operators.rewrites.terms import Terms, Untold
from operators.walking import named
from suites.parsing import parse

_FRESH = ("empty", "zeros", "ones", "full", "rand", "randn")  # of torch, also with new_ or _like
_MASKS = {"load": 1, "store": 2}  # where a mask stands that is passed by place
GIVEN = ""  # among tensors: one that the launcher has not made
_SLOT = re.compile(r"(\w+ \+ tl\.program_id\(0\) \* (\d+)) \+ (\d+)")  # one of several numbers of each program
_BESIDE = ("pointer", "value", "mask", "other", "cache_modifier", "eviction_policy", "volatile")


@dataclass(frozen=True, slots=True)
class Access:
    """One load, store or call that may be either: of which tensors (None for any), where, and for which lanes.

    Two tensors that the launcher was given may be one, as in `f(x, x)`: GIVEN stands for all of them. `place` is None
    where it cannot be told. Fewer lanes have more in `masks`.
    """

    tensors: frozenset[str] | None
    writes: bool
    place: str | None
    masks: frozenset[str]

    def meets(self, later: "Access") -> bool:
        """Tell whether the order of two accesses may matter."""
        apart = self.tensors is not None and later.tensors is not None and not self.tensors & later.tensors
        return (self.writes or later.writes) and not apart and not _are_beside(self.place, later.place)

    def reaches(self, later: "Access") -> bool:
        """Tell whether two accesses that may be of one tensor are certainly of the same element in every lane."""
        return self.place is not None and self._offsets == later._offsets

    @property
    def _offsets(self) -> str | None:
        """Where an access is in its tensor, whatever that is called; a view begins elsewhere."""
        names = (self.tensors or frozenset()) - {GIVEN}
        return re.sub(rf"\b{min(names)}\b", "", self.place) if self.place and len(names) == 1 else self.place

    def stays_with(self, later: "Access") -> bool:
        """Tell whether what a program reaches by both is its own: nobody else may write it where it does itself."""
        if self.place is None or not self.reaches(later) or "program_id" not in self.place:
            return False
        wider, narrower = self.masks <= later.masks, later.masks <= self.masks
        return (wider and self.writes) or (narrower and later.writes)


def _are_beside(one: str | None, other: str | None) -> bool:
    """Tell whether places are different ones of the numbers that every program has."""
    slots = [_SLOT.fullmatch(place or "") for place in (one, other)]
    if slots[0] is None or slots[1] is None or slots[0][1] != slots[1][1]:
        return False
    numbers = {int(slot[3]) for slot in slots if slot is not None}
    return len(numbers) == 2 and max(numbers) < int(slots[0][2])


def shared(program: Program, first: Launch, second: Launch, given: tuple[Mapping[str, str], Mapping[str, str]]
           ) -> int | None:  # fmt: skip
    """Count the accesses of a second kernel that wait for one of the first; None where they may be of other programs.

    `given` holds what both launches pass for their parameters.
    """
    earlier = list(_accesses(program, first, given[0]))
    waiting = 0
    for one in _accesses(program, second, given[1]):
        met = [other for other in earlier if other.meets(one)]
        if not all(other.stays_with(one) for other in met):
            return None
        waiting += bool(met)
    return waiting


def disturbed(program: Program, kernel: Kernel) -> bool:
    """Tell whether a program may load what another lane of it stores, also where a caller passes one tensor twice."""
    for launch in program.launches:
        given = passed_texts(launch) if launch.kernel is kernel else {}
        if given is None:
            return True
        found = list(_accesses(program, launch, given)) if given else []
        writes = [one for one in found if one.writes]
        if any(one.meets(other) and not one.reaches(other) for one in writes for other in found if other is not one):
            return True
    return False


def passed_texts(launch: Launch) -> dict[str, str] | None:
    """Return what a launch passes for every parameter, and for Triton's options."""
    found: dict[str, str] = {}
    for index, argument in enumerate(launch.call.args):
        if argument.star or (argument.keyword is None and index >= len(launch.kernel.positional)):
            return None
        name = argument.keyword.value if argument.keyword else launch.kernel.positional[index]
        found[name] = code(argument.value)
    return found


def _accesses(program: Program, launch: Launch, given: Mapping[str, str]) -> Iterator[Access]:
    addresses, terms = Addresses(program, launch.kernel), Terms(program, launch.kernel, given)
    for call in launch.kernel.scope.calls:
        words = {*last_name(call.func).split("_")}
        reads, writes = bool(words & READING), bool(words & (EFFECTS - {"barrier", "print", "assert", "advance"}))
        own = type(call.func) is cst.Name and call.func.value not in (*PLAIN, "range")
        if not own and (not (reads or writes) or dotted(call.func, "gather")):
            continue
        plain = dotted(call.func, *_MASKS)
        place, masks = _reached(program, terms, call) if plain else (None, frozenset())
        reached = address_of(call)
        ends = [a.value for a in call.args] if own or reached is None else [reached]
        if reached is None and not own and type(call.func) is cst.Attribute:
            ends = [call.func.value]  # a descriptor
        tensors: frozenset[str] | None = frozenset()
        for end in ends:
            names = addresses.of(end)
            tensors = None if tensors is None or names is None else tensors | _tensors(launch, given, names)
        if tensors is None or tensors or not own:
            yield Access(tensors or None, writes or own, place, masks)


def _reached(program: Program, terms: Terms, call: cst.Call) -> tuple[str | None, frozenset[str]]:
    """Return where a load or store reaches, and what has to hold for a lane to do it."""
    try:
        address = address_of(call)
        place = None if address is None else terms.of(address)
        masks = set(terms.conditions(call))
        for number, argument in enumerate(call.args):
            name = argument.keyword.value if argument.keyword else ""
            if name == "mask" or (not name and number == _MASKS[last_name(call.func)]):
                masks |= terms.parts(argument.value)
            elif name and name not in _BESIDE:
                masks.add(f"{name}={code(argument.value)}")
    except Untold:
        return None, frozenset()
    return place, frozenset(masks)


def _tensors(launch: Launch, given: Mapping[str, str], parameters: frozenset[str]) -> frozenset[str]:
    """Return the launcher's names for the memory that parameters are passed."""
    found: set[str] = set()
    for name in parameters:
        for own in _named(f"({given.get(name, None)})"):
            found |= _roots(launch.scope, own, frozenset())
    return frozenset(found)


@lru_cache(maxsize=256)
def _named(text: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name))


def _roots(scope: Scope, name: str, seen: frozenset[str]) -> set[str]:
    """Return the names whose memory a name may stand for: its own, where it is made, or those that it is a view of."""
    values = scope.bound(name)
    others: set[str] = set()
    for value in values if name not in seen else ():
        fresh = type(value) is cst.Call and last_name(value.func).removesuffix("_like") in _FRESH
        names = named(value) if value is not None and not fresh else set()
        others |= {root for n in names for root in _roots(scope, n, seen | {name})}
        if not fresh and not names:
            others.add(GIVEN)
    return {name, *others}
