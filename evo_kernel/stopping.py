"""Why a search ends, said in words that a person and a program can read."""

from evo_kernel.rules import Limits

EVALUATIONS = "evaluations"
EXHAUSTED = "exhausted"
ROOFLINE = "roofline"
STAGNATION = "stagnation"
GPU_SECONDS = "gpu-seconds"
WALL_TIME = "wall-time"

WORDS = {
    EVALUATIONS: "all evaluations are spent",
    EXHAUSTED: "there is nothing new within reach",
    ROOFLINE: "the best is as near to the roofline as was asked for",
    STAGNATION: "nothing has improved for as long as was allowed",
    GPU_SECONDS: "the GPU seconds are spent",
    WALL_TIME: "the wall time is spent",
}


def reached(limits: Limits, roofline: float, unimproved: int, gpu_seconds: float) -> str | None:
    """Return the first limit that a search has reached: share of the roofline, evaluations without gain, GPU time."""
    if limits.stop_at_roofline is not None and roofline >= limits.stop_at_roofline:
        return ROOFLINE
    if limits.stop_after_stagnation is not None and unimproved >= limits.stop_after_stagnation:
        return STAGNATION
    if limits.max_gpu_seconds is not None and gpu_seconds >= limits.max_gpu_seconds:
        return GPU_SECONDS
    return None
