"""What fresh memory holds before a plan runs: two fills, so that a result that hangs on either is seen."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Poison:
    """One fill: a number for each float dtype, a byte for all others."""

    floats: Mapping[str, float]
    byte: int


# NaN shows in every sum it enters, but a maximum may drop it; a large number shows in a maximum
POISONS = (
    Poison(dict.fromkeys(("float64", "float32", "float16", "bfloat16"), float("nan")), 0x5B),
    Poison({"float64": 2.0**99, "float32": 2.0**99, "float16": 49152.0, "bfloat16": 2.0**99}, 0xA4),
)
