"""What a person says of knobs that go together: a constraint holds for each launch that has all of its knobs.

BLOCK_M * BLOCK_N <= 16384        for `gemm_kernel.BLOCK_M` and `gemm_kernel.BLOCK_N`, and for another kernel's
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from operators.knobs import Knob, find
from operators.tune.constraints import Constraint, ConstraintError


def at_launches(constraints: Iterable[Constraint], knobs: Sequence[Knob]) -> tuple[Constraint, ...]:
    """Return the constraints once for every launch, or config, that has all of their knobs."""
    launches: dict[str, set[str]] = {}
    for knob in knobs:
        launch, dot, key = knob.name.rpartition(".")
        launches.setdefault(launch + dot, set()).add(key)
    return tuple(replace(c, prefix=launch) for c in constraints for launch, keys in launches.items() if c.names <= keys)


def met(source: str, backend: str, constraints: Sequence[Constraint]) -> bool:
    """Tell whether a program's knobs meet all constraints; an option that it leaves out stands at its default."""
    knobs = find(source, backend) if constraints else ()
    values = {knob.name: present(knob) for knob in knobs}
    return all(test(values) for test in at_launches(constraints, knobs))


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


def present(knob: Knob) -> int | None:
    """Return what a knob stands at, said or not."""
    return knob.default if knob.value is None else knob.value
