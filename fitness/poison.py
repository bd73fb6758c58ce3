"""What fresh memory holds before a plan runs: two fills, so that a result that hangs on either is seen."""

from collections.abc import Mapping
from dataclasses import dataclass

from fitness.tolerance import EPSILON


@dataclass(frozen=True, slots=True)
class Poison:
    """One fill: a number for each float dtype, a byte for all others."""

    floats: Mapping[str, float]
    byte: int


NARROW = {"float8_e4m3fn": 448.0, "float8_e5m2": 49152.0}

# NaN shows in every sum it enters, but a maximum may drop it; a large number shows in a maximum
POISONS = (
    Poison(dict.fromkeys((*EPSILON, *NARROW), float("nan")), 0x5B),
    Poison({"float64": 2.0**99, "float32": 2.0**99, "float16": 49152.0, "bfloat16": 2.0**99} | NARROW, 0xA4),
)
