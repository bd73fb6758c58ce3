"""A grid as large as the chip, whose programs take one tile after another: launched once, ended once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.program import Program, Site, adding_constexpr, bound, fresh_name
from operators.rewrites.programs import becoming, own_numbers, relaunched, with_parameter
from operators.rewrites.templates import statement

UNITS = (132, 304)  # of an H200 and of an MI300X
PER_UNIT = 8  # programs on each at first; the tuner moves it


@dataclass(frozen=True, slots=True)
class Persistent:
    """A loop over tiles in every program, and only as many programs as fit the chip at once."""

    name: str = "persistent-grid"
    intent: str = "launch as many programs as the chip holds, and let each take tile after tile"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels with one `tl.program_id(0)`; the number of units is a choice."""
        for group, kernel in enumerate(program.kernels.values(), 1):
            asked = own_numbers(program, kernel)
            if not asked or "PROGRAMS_PER_UNIT" in kernel.constexprs or not _separate(program, kernel, asked[0]):
                continue
            for units in UNITS:
                site = self._site(program, kernel, asked, units, group)
                if site is not None:
                    yield site

    def _site(
        self, program: Program, kernel: Kernel, asked: tuple[cst.Call, ...], units: int, group: int
    ) -> Site | None:
        programs, tile = (fresh_name(program, kernel, n) for n in ("programs", "tile"))
        grid = f'lambda meta: (min({{programs}}, {units} * meta["PROGRAMS_PER_UNIT"]),)'
        told = relaunched(program, kernel, grid, programs)
        if told is None:
            return None
        edits, added = told
        function = program.function(kernel)
        _, first = program.place(asked[0])
        path, constexpr = adding_constexpr(program, kernel, "PROGRAMS_PER_UNIT", PER_UNIT)
        edits += [
            (path, lambda parameters: with_parameter(constexpr(parameters), programs)),
            *((program.tree.path(call), partial(becoming, text=f"tl.cast({tile}, tl.int32)")) for call in asked),
            (program.tree.path(function.body), partial(_looping, first=first, tile=tile, programs=programs)),
        ]
        return Site(f"{kernel.name} on {units} units", tuple(edits), tuple(added), group=group)


def _separate(program: Program, kernel: Kernel, asked: cst.Call) -> bool:
    """Tell whether nothing that is bound before the program's number is bound again after it."""
    body = program.function(kernel).body.body
    _, first = program.place(asked)
    parameters = set(kernel.positional)
    early = parameters.union(*(bound(line) for line in body[:first]))
    return not early.intersection(*[set().union(*(bound(line) for line in body[first:]))])


def _looping(block: Any, first: int, tile: str, programs: str) -> Any:
    """Put all statements from one on into a loop over the tiles of a program."""
    loop = statement(f"for {tile} in range(tl.program_id(0), {programs}, tl.num_programs(0)):\n    pass\n")
    return block.with_changes(
        body=[*block.body[:first], loop.with_changes(body=cst.IndentedBlock(list(block.body[first:])))]
    )
