"""Predicts the time of a plan on a chip that is not here, from its compiled code and the work of sampled programs.

A launch takes about as long as the slowest of what it must do: move bytes from memory and from the last-level
cache, issue its memory instructions, do its vector, matrix and LDS work, and wait for its own dependent loads.
The terms are joined by a 4-norm, because they overlap well but not fully. Nothing is fitted to any measurement.

Ignored: the traffic of spilled registers, of which only the instructions count, so that a program that spills hundreds
a lane looks far better than it is; bank conflicts, cache associativity and thrashing, TLB misses, clock and power
limits, instruction cache, atomics' contention, differences between programs beyond a few drawn at random,
data-dependent control flow, the overlap of one launch with the next. Rankings of programs that differ by little mean
little. A prediction is never faster than the task's roofline.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fitness import roofline
from fitness.evaluation import Resources
from fitness.passed import pointers
from fitness.plan import LaunchPlan, Variant
from fitness.targets import Target
from suites import Case

MEMORY_NS = 700.0  # latency of a load that goes to device memory, a round figure for HBM parts
CACHE_NS = 300.0  # latency of a load that the last-level cache answers
START_NS = 500.0  # from a program's dispatch to its first load
_DOT_DTYPES = {
    "fp16": "float16", "bf16": "bfloat16", "fp32": "float32", "fp64": "float64", "int8": "int8",
    "fp8e4nv": "float8_e4m3fn", "fp8e5": "float8_e5m2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What the sampled programs of one launch did, summed (fitness.jobs.counting counts it)."""

    programs: int
    accesses: int
    load_bytes: int
    store_bytes: int
    line_bytes: int
    elements: int
    transcendentals: int
    dot_flops: int
    dot_bytes: int
    dot_dtype: str
    squares: tuple[float, float, float]  # sums over the samples: of bytes stored, bytes moved and dot flops


@dataclass(frozen=True, slots=True)
class Prediction:
    """Microseconds of one launch, and the term that dominates."""

    time_us: float
    bound: str


def launch(plan: LaunchPlan, arguments: Sequence[tuple[str, Any]], variant: Variant, work: Work, figures: Resources,
           target: Target) -> Prediction:  # fmt: skip
    """Predict one launch in one of its variants."""
    if figures.occupancy == 0:
        return Prediction(math.inf, "does not fit")  # the unit has too few registers or too little LDS for one program
    programs = math.prod(variant.grid)
    scale = programs / work.programs
    touched = {p.buffer for p in pointers(arguments)}
    footprint = sum(plan.buffers[b].bytes for b in touched)
    terms = _terms(work, scale, programs, min(work.line_bytes * scale, footprint), figures, target)
    terms["latency"] = _latency_us(work, programs, terms, figures, target)
    bound = max(terms, key=lambda k: terms[k])
    body = sum(t**4 for t in terms.values()) ** 0.25
    overhead = target.ramp_us
    return Prediction(body + overhead, bound if body > overhead else "launch")


def floor_us(case: Case, target: Target) -> float:
    """Return the roofline of a case by the chip's sheet."""
    return roofline.roofline(case, roofline.of_sheet(target)).time_us


def total_us(launches: Sequence[Prediction], case: Case, target: Target) -> float:
    """Add up a plan's launches, and never go below the roofline."""
    gaps = target.dispatch_us * (len(launches) - 1)
    return max(sum(p.time_us for p in launches) + gaps, floor_us(case, target))


def _terms(
    work: Work, scale: float, programs: int, memory_bytes: float, figures: Resources, target: Target
) -> dict[str, float]:
    """Return microseconds each part of the chip would need if it were the only limit."""
    moved = (work.load_bytes + work.store_bytes) * scale
    # units that have one program more than the others finish last
    uneven = math.ceil(programs / target.units) * target.units / programs
    clocks = target.units * target.clock_ghz * 1e3  # unit clocks in a microsecond
    lanes = 16 * target.simds if target.backend == "hip" else 32 * target.simds
    path = min(64.0, 16 * figures.load_bytes) if target.backend == "hip" else min(128.0, 32 * figures.load_bytes)
    spilling = 1 + figures.spills / max(figures.vgprs, 1)
    dot_dtype = _DOT_DTYPES.get(work.dot_dtype, "float16")
    matrix = target.matrix_tflops.get(dot_dtype, target.vector_tflops) if figures.matrix_ops else target.vector_tflops
    shared_reads = work.dot_bytes * math.sqrt(figures.waves_per_program)  # every wave row and column reads its share
    return {
        "memory": memory_bytes / (target.memory_gbs * 1e3),
        "cache": work.line_bytes * scale / (target.cache_gbs * 1e3),
        "issue": moved / (path * clocks) * uneven * spilling,
        "vector": (work.elements + 4 * work.transcendentals) * scale / (lanes * clocks) * uneven * spilling,
        "matrix": work.dot_flops * scale / (matrix * 1e6) * uneven,
        "lds": shared_reads * scale / (128 * clocks) * uneven,
    }


def _latency_us(work: Work, programs: int, terms: dict[str, float], figures: Resources, target: Target) -> float:
    """Return the time of programs that wait for their own loads, one round of resident programs after another."""
    resident = max(1, figures.occupancy * target.simds // figures.waves_per_program)
    rounds = math.ceil(programs / (target.units * resident))
    reach = terms["memory"] * target.memory_gbs / max(terms["cache"] * target.cache_gbs, 1e-9)  # share from memory
    wait = CACHE_NS + (MEMORY_NS - CACHE_NS) * min(1.0, reach)
    return rounds * (START_NS + work.accesses / work.programs * wait) / 1e3
