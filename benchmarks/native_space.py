"""The legal knob settings of a native task's seed as a space that can be measured whole.

Two things are left out of what `operators/knobs.py` calls legal, so that a table is whole and yet short: tiles of more
than WIDEST elements a lane, which compilers take tens of seconds for, and the values that KEPT does not name.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from operators import knob_constraints, knobs
from operators.knob_constraints import present
from operators.knobs import Knob
from operators.tune.space import Config, Parameter, Space
from suites import Task

WIDEST, LANES = knob_constraints.WIDEST["cuda"], knob_constraints.LANES["cuda"]  # elements a lane, lanes a warp
KEPT = {
    # of the 3,125 settings of the matrix product: no tile edge of 16, no step over 128, 4 or 8 warps
    "gemm_fp16": {
        "BLOCK_M": (32, 64, 128, 256), "BLOCK_N": (32, 64, 128, 256), "BLOCK_K": (32, 64, 128),
        "num_warps": (4, 8), "num_stages": (1, 2, 3, 4),
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """One task's seed and what its knobs may be; `first` is the setting that the seed has."""

    task: Task
    knobs: tuple[Knob, ...]
    space: Space
    first: Config
    legal: int  # settings before any was left out

    def source(self, config: Config) -> str:
        """Write a setting into the seed; an option that the seed leaves out stays out at Triton's default."""
        values = dict(zip((k.name for k in self.knobs), self.space.values(config).values(), strict=True))
        changes = {k.name: values[k.name] for k in self.knobs if values[k.name] != present(k)}
        return knobs.rewrite(self.task.seeds[0].source, changes)  # type: ignore[arg-type]

    def order(self, most: int, rng: np.random.Generator) -> list[Config]:
        """Return the seed's setting and then others in random order, `most` in all."""
        rows = [tuple(row) for row in rng.permutation(self.space.rows).tolist()]
        return [self.first, *(row for row in rows if row != self.first)][:most]


def settings(task: Task, backend: str) -> Settings:
    """List the settings of a task's seed."""
    found = knobs.find(task.seeds[0].source, backend)
    parameters = [Parameter(short(k), _values(k, task.name)) for k in found]
    rows = itertools.product(*(range(len(p.values)) for p in parameters))
    kept = [row for row in rows if not _wide(found, parameters, row)]
    first = tuple(p.values.index(present(k)) for k, p in zip(found, parameters, strict=True))
    legal = math.prod(len({*k.legal, present(k)}) for k in found)
    return Settings(task, found, Space.table(parameters, kept), first, legal)


def short(knob: Knob) -> str:
    """Return a knob's name without its kernel's."""
    return knob.name.rpartition(".")[2]


def _values(knob: Knob, task: str) -> tuple[int, ...]:
    """Return the values of a knob that are kept, with its default where the seed leaves it out."""
    every = sorted({*knob.legal, present(knob)})
    wanted = KEPT.get(task, {}).get(short(knob), every)
    return tuple(v for v in every if v in wanted or v == present(knob))


def _wide(found: tuple[Knob, ...], parameters: list[Parameter], config: Config) -> bool:
    """Tell whether the two largest sizes make a tile of more than WIDEST elements a lane."""
    values = [p.values[at] for p, at in zip(parameters, config, strict=True)]
    sizes = sorted(v for k, v in zip(found, values, strict=True) if k.kind in ("size", "tile"))
    warps = next((v for k, v in zip(found, values, strict=True) if k.kind == "num_warps"), 4)
    return math.prod(sizes[-2:]) > WIDEST * LANES * warps
