"""Reads Hopper's machine code for registers that are overwritten while the matrix units may still read them.

A product (HGMMA and its like) runs on while the program goes on, and may read its left matrix from registers until a
`WARPGROUP.DEPBAR.LE gsb0, N` has waited for its group: then at most the N newest groups are still in flight. Nothing
else keeps the next turn of a loop from loading into these registers. Where the compiler waits too late, results depend
on timing: they can be right in every trial. Triton 3.6 to 3.8 does so where it pipelines a cast before tl.dot; 3.9 gave
two turns registers of their own. Here every path through the code is followed until nothing new is found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PRODUCT_OF_REGISTERS = re.compile(r"\bwgmma\.mma_async\b[^;]*\}\s*,\s*\{")  # {sums}, {left matrix}, ...
_LABEL = re.compile(r"(\.[\w.$]+):")
_INSTRUCTION = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+((?:(@\S+)\s+)?([A-Z]\w*)((?:\.\w+)*)\s*(.*?))\s*;")
_TARGET = re.compile(r"\.L\w*")
_REGISTER = re.compile(r"R(\d+)(?:\.\w+)*")

_PRODUCTS = ("HGMMA", "IGMMA", "QGMMA", "BGMMA")
_LEFT = 4  # registers that one of them reads for its left matrix, whatever the type
_MOST = 16  # groups told apart; older ones count as one
_BRANCHES = ("BRA", "BRX", "JMP", "CALL")
_ENDS = ("EXIT", "RET", "KILL")
_WRITE_NOTHING = ("BAR", "BRX", "CALL", "JMX", "NANOSLEEP", "RET", "WARPSYNC")  # though a register comes first
_AFTER_PREDICATE = ("ATOM", "ATOMG", "ATOMS", "LOP3", "MATCH", "SHFL")  # may have a predicate before what they write
_DOUBLE = ("DADD", "DFMA", "DMUL")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of a listing: `CS2R.32 R4, SRZ` has the parts 32 and the operands R4 and SRZ."""

    address: int
    text: str
    guarded: bool  # whether it is left out where a predicate says so
    opcode: str
    parts: tuple[str, ...]
    operands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InFlight:
    """Registers that may still be read: by the group that is being made, and by those that were, newest first."""

    made: frozenset[int] = frozenset()
    groups: tuple[frozenset[int], ...] = ()

    def after(self, one: Instruction) -> "InFlight":
        """Return what is in flight behind an instruction."""
        if one.opcode in _PRODUCTS:
            made = self.made | _left(one)
            if "gsb0" not in one.operands:
                return InFlight(made, self.groups)
            groups = (made, *self.groups)
            return InFlight(groups=(*groups[: _MOST - 1], *filter(None, [frozenset().union(*groups[_MOST - 1 :])])))
        if one.opcode == "WARPGROUP" and "DEPBAR" in one.parts and "gsb0" in one.operands and not one.guarded:
            return InFlight(self.made, self.groups[: int(one.operands[-1], 16)])
        return self

    def joined(self, other: "InFlight") -> "InFlight":
        """Return what may be in flight where two paths meet: groups of one age are one."""
        longer, shorter = sorted((self.groups, other.groups), key=len, reverse=True)
        both = (a | b for a, b in zip(longer, shorter, strict=False))
        return InFlight(self.made | other.made, (*both, *longer[len(shorter) :]))

    @property
    def registers(self) -> frozenset[int]:
        """All registers that may still be read."""
        return self.made.union(*self.groups)


def takes_registers(ptx: str) -> bool:
    """Tell whether a kernel has products whose left matrix is in registers: only these are worth a listing."""
    return _PRODUCT_OF_REGISTERS.search(ptx) is not None


def objection_to(symbol: str, listing: str) -> str | None:
    """Say which instruction of a kernel's listing overwrites what may still be read; None where none does."""
    for one, register in overwritten(listing):
        return (
            f"kernel {symbol} would give results that depend on timing: its machine code has `{one.text}` at "
            f"{one.address:#x}, which overwrites R{register} while a matrix product that reads its left tile there may "
            "still run; num_stages=1, another tile, other num_warps, or no cast between the load and tl.dot helps"
        )
    return None


def overwritten(listing: str) -> Iterator[tuple[Instruction, int]]:
    """Yield the instructions that write what may still be read, with the first such register."""
    code, labels = _read(listing)
    before: dict[int, InFlight] = dict.fromkeys(
        (i for name, i in labels.items() if name.startswith(".text")), InFlight()
    )
    todo = [i for i in before if i < len(code)]
    while todo:
        i = todo.pop()
        after = before[i].after(code[i])
        for following in _following(i, code[i], labels):
            if following < len(code):
                joined = before[following].joined(after) if following in before else after
                if joined != before.get(following):
                    before[following] = joined
                    todo.append(following)
    for i, one in enumerate(code):
        hit = before[i].registers & _written(one) if i in before else None
        if hit:
            yield one, min(hit)


def _read(listing: str) -> tuple[list[Instruction], dict[str, int]]:
    """Read what nvdisasm prints: the instructions, and which of them each label stands before."""
    code: list[Instruction] = []
    labels: dict[str, int] = {}
    for line in listing.splitlines():
        if found := _INSTRUCTION.match(line):
            address, text, guard, opcode, parts, operands = found.groups()
            code.append(
                Instruction(int(address, 16), text, guard is not None, opcode, tuple(parts.split(".")[1:]),
                            tuple(operands.split(", ")))
            )  # fmt: skip
        elif found := _LABEL.match(line):
            labels[found[1]] = len(code)
    return code, labels


def _following(i: int, one: Instruction, labels: dict[str, int]) -> list[int]:
    """List the places of what may run after the instruction at place i."""
    if one.opcode in _ENDS and not one.guarded:
        return []
    if one.opcode not in _BRANCHES:
        return [i + 1]
    targets = [labels[name] for name in _TARGET.findall(one.text) if name in labels]
    always = one.opcode != "CALL" and not one.guarded and len(one.operands) == 1
    return targets if always else [*targets, i + 1]


def _left(one: Instruction) -> frozenset[int]:
    """Return the registers of a product's left matrix; none where it lies in shared memory."""
    found = _REGISTER.fullmatch(one.operands[1])
    return frozenset(range(int(found[1]), int(found[1]) + _LEFT)) if found else frozenset()


def _written(one: Instruction) -> frozenset[int]:
    """Return the registers that an instruction writes. Products write in the order of their groups: none here."""
    if one.opcode in (*_PRODUCTS, *_WRITE_NOTHING):
        return frozenset()
    places = one.operands[: 2 if one.opcode in _AFTER_PREDICATE and _is_predicate(one.operands[0]) else 1]
    found = _REGISTER.fullmatch(places[-1])
    return frozenset(range(int(found[1]), int(found[1]) + _width(one))) if found else frozenset()


def _is_predicate(operand: str) -> bool:
    return re.fullmatch(r"U?P[T\d]", operand) is not None


def _width(one: Instruction) -> int:
    """Return how many registers, from the first on, an instruction writes."""
    op, parts = one.opcode, one.parts
    if op == "LDSM":
        return int(parts[-1]) if parts[-1] in ("2", "4") else 1
    if op in ("HMMA", "IMMA", "BMMA", "DMMA"):
        return 2 if op == "HMMA" and "F32" not in parts else 4
    if "128" in parts:
        return 4
    wide = op == "CS2R" and "32" not in parts
    wide |= op == "I2F" and "F64" in parts
    wide |= op == "F2F" and parts[:1] == ("F64",)
    wide |= op == "F2I" and ("S64" in parts or "U64" in parts)
    return 2 if wide or op in _DOUBLE or "64" in parts or "WIDE" in parts else 1
