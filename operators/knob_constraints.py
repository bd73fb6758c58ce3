"""Which knobs go together: what a person says of them, and what no chip has registers for.

BLOCK_M * BLOCK_N <= 16384        for `gemm_kernel.BLOCK_M` and `gemm_kernel.BLOCK_N`, and for another kernel's

A person's constraint holds for each launch that has all of its knobs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from operators.knobs import Knob, find
from operators.tune.constraints import Constraint, ConstraintError, read

# Lanes of a warp, and elements of a tile for each: more spill out of their registers, and take a compiler tens of
# seconds. An AMD lane has twice the registers.
LANES, WIDEST = {"cuda": 32, "hip": 64}, {"cuda": 128, "hip": 256}
# Of matrix products: with as many sums as a multiprocessor has registers no lane has any left. On an H200 all 38
# programs with 256 * 256 sums and 16 warps were refused by ptxas.
SUMS = {"cuda": 65536}


def at_launches(constraints: Iterable[Constraint], knobs: Sequence[Knob]) -> tuple[Constraint, ...]:
    """Return the constraints once for every launch, or config, that has all of their knobs."""
    launches = _launches(knobs).items()
    return tuple(replace(c, prefix=launch) for c in constraints for launch, keys in launches if c.names <= keys.keys())


def fitting(knobs: Sequence[Knob], backend: str) -> tuple[Constraint, ...]:
    """Return constraints that keep tiles within registers: of each launch, any two sizes make one tile at most."""
    found = []
    for prefix, keys in _launches(knobs).items():
        sizes = [key for key, knob in keys.items() if knob.kind in ("size", "tile", "rows")]
        warps = "num_warps" if "num_warps" in keys else "4"
        room = f"<= {LANES[backend] * WIDEST[backend]} * {warps}"
        tiles = [f"{one} * {other}" for one, other in combinations(sizes, 2)] or sizes
        found += [replace(read(f"{tile} {room}"), prefix=prefix) for tile in tiles]
        products = [key for key in sizes if keys[key].kind == "tile"]
        sums = [f"{one} * {other} < {SUMS[backend]}" for one, other in combinations(products, 2) if backend in SUMS]
        found += [replace(read(text), prefix=prefix) for text in sums]
    return tuple(found)


def met(source: str, backend: str, constraints: Sequence[Constraint]) -> bool:
    """Tell whether a program's knobs meet all constraints; an option that it leaves out stands at its default."""
    knobs = find(source, backend) if constraints else ()
    return _all_met(at_launches(constraints, knobs), knobs)


def fits(source: str, backend: str) -> bool:
    """Tell whether a program's tiles fit into registers."""
    knobs = find(source, backend)
    return _all_met(fitting(knobs, backend), knobs)


def require(sources: Mapping[str, str], backend: str, constraints: Sequence[Constraint]) -> None:
    """Refuse a constraint that no launch of any program has the knobs for; `sources` are programs by name."""
    found = {name: find(source, backend) for name, source in sources.items()}
    for constraint in constraints if found else ():
        if not any(at_launches([constraint], knobs) for knobs in found.values()):
            keys = dict.fromkeys(knob.name.rpartition(".")[2] for knobs in found.values() for knob in knobs)
            raise ConstraintError(
                f"constraint {constraint.text!r} names {', '.join(sorted(constraint.names))}, which no launch of "
                f"{', '.join(found)} has together: knobs are {', '.join(keys) or 'none'}"
            )


def _all_met(constraints: Iterable[Constraint], knobs: Sequence[Knob]) -> bool:
    values = {knob.name: present(knob) for knob in knobs}
    return all(test(values) for test in constraints)


def _launches(knobs: Sequence[Knob]) -> dict[str, dict[str, Knob]]:
    """Group knobs by their launches: prefixes of their names, then their own names."""
    found: dict[str, dict[str, Knob]] = {}
    for knob in knobs:
        launch, dot, key = knob.name.rpartition(".")
        found.setdefault(launch + dot, {})[key] = knob
    return found


def present(knob: Knob) -> int | None:
    """Return what a knob stands at, said or not."""
    return knob.default if knob.value is None else knob.value
