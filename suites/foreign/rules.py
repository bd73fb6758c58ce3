"""How the suites' own harnesses compare a program's results with the reference's, mistakes included.

These rules are what published numbers were made with. They are looser than they look: GEAK-eval drops its tolerances
below the first level, ends a comparison where the shorter of two tuples ends, and takes None for None.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

TRITONBENCH = (1e-2, 1e-1)  # absolute and relative, as GEAK-eval's command passes them, for results that are one tensor
INSIDE = (1e-3, 1e-3)  # its functions' own, for tensors in tuples, lists and dictionaries: it passes none on there
ROCM = (1e-2, 1e-2)
KERNELBENCH = {"float32": 1e-4}  # by dtype, absolute and relative
KERNELBENCH_ELSE = 1e-2
KERNELBENCH_TRIALS, TRIALS = 5, "trials"  # on other inputs each; under which key their results stand
HALVES, SINGLES = 5e-3, 1e-5  # KernelBench-X's tolerance for 16-bit and for wider floating-point tensors
LOOSEST = {"cosine_sim": 0.99, "l1_relative": 0.01, "rmse": 0.01}  # where it states thresholds without one of these
_CALLED = "_CALL_SUCCESS_"


def same(style: str, reference: Any, made: Any, thresholds: Mapping[str, float] | None = None) -> bool:
    """Say whether a suite's harness takes `made` for right; one that raises has said no."""
    try:
        if style == "model":
            return _kernelbench(reference, made, thresholds or {})
        if style == "script":
            return _recorded(reference, made)
        if style == "function":
            return _kernelbenchx(reference, made, thresholds or {})
        return _rocm(reference, made) if style == "pytest" else _tritonbench(reference, made)
    except Exception:  # noqa: BLE001  their harness takes whatever a comparison raises for a failure
        return False


def contents(result: Any) -> set[str]:
    """List the kinds of values that a result holds: tensor, none, integer, or the name of a type."""
    if isinstance(result, Mapping):
        return {kind for key, value in result.items() if key != _CALLED for kind in contents(value)}
    if isinstance(result, (list, tuple)):
        return {kind for value in result for kind in contents(value)}
    if isinstance(result, (torch.Tensor, np.ndarray)):
        return {"tensor"}
    if result is None:
        return {"none"}
    return {"integer"} if type(result) is int else {type(result).__name__}


def _tritonbench(reference: Any, made: Any) -> bool:
    """Compare `result_gold` as GEAK-eval does for TritonBench."""
    if reference is None or made is None or type(reference) is not type(made):
        return False
    return _level(reference, made, TRITONBENCH)


def _level(reference: Any, made: Any, tolerances: tuple[float, float]) -> bool:
    absolute, relative = tolerances
    if isinstance(made, dict):
        return _level(list(reference.values()), list(made.values()), tolerances)
    if type(made) in (list, tuple):
        return all(_level(r, m, INSIDE) for r, m in zip(reference, made, strict=False))
    if isinstance(made, (np.ndarray, torch.Tensor)) and _swells(reference, made):
        return False
    if isinstance(made, np.ndarray):
        return bool(np.allclose(reference, made, atol=absolute, rtol=relative))
    if isinstance(made, torch.Tensor):
        return bool(torch.allclose(reference, made, atol=absolute, rtol=relative))
    return bool(reference == made)


def _swells(reference: Any, made: Any) -> bool:
    """Say whether to compare two shapes takes more memory than either: a column against a row, which none of theirs is.

    They compare in a process of their own; here a small result could fill the memory of all judges.
    """
    shapes = (np.shape(reference), np.shape(made))
    return math.prod(np.broadcast_shapes(*shapes)) > max(map(math.prod, shapes))


def _rocm(reference: Any, made: Any) -> bool:
    """Compare what the tests saved as GEAK-eval does for the ROCm benchmark; the mark of a call must be there."""
    if _CALLED not in reference or _CALLED not in made:
        return False
    saved = [{k: v for k, v in result.items() if k != _CALLED} for result in (reference, made)]
    return _nested(*saved)


def _nested(reference: Any, made: Any) -> bool:
    if type(reference) is not type(made):
        return False
    if isinstance(made, dict):
        return reference.keys() == made.keys() and all(_nested(reference[k], made[k]) for k in made)
    if isinstance(made, (list, tuple)):
        return len(reference) == len(made) and all(_nested(r, m) for r, m in zip(reference, made, strict=True))
    if isinstance(made, torch.Tensor):
        torch.testing.assert_close(reference, made, atol=ROCM[0], rtol=ROCM[1])
        return True
    return bool(reference == made)


def _kernelbenchx(reference: Any, made: Any, thresholds: Mapping[str, float]) -> bool:
    """Compare `test_results` as KernelBench-X does: shapes, dtypes and keys count, NaN equals NaN."""
    if isinstance(reference, torch.Tensor) and isinstance(made, torch.Tensor):
        if reference.shape != made.shape or reference.dtype != made.dtype:
            return False
        return _near(reference, made, thresholds) if thresholds else _close(reference, made)
    if isinstance(reference, dict) and isinstance(made, dict):
        return reference.keys() == made.keys() and all(_kernelbenchx(reference[k], made[k], thresholds) for k in made)
    if isinstance(reference, (list, tuple)) and isinstance(made, (list, tuple)):
        pairs = zip(reference, made, strict=False)
        return len(reference) == len(made) and all(_kernelbenchx(r, m, thresholds) for r, m in pairs)
    if isinstance(reference, np.ndarray) and isinstance(made, np.ndarray):
        same_kind = reference.dtype == made.dtype and reference.shape == made.shape
        return same_kind and _kernelbenchx(torch.from_numpy(reference), torch.from_numpy(made), {})
    both_nan = isinstance(reference, float) and isinstance(made, float) and reference != reference and made != made
    return both_nan or bool(reference == made)


def _close(reference: torch.Tensor, made: torch.Tensor) -> bool:
    narrow = reference.dtype in (torch.float16, torch.bfloat16)
    tolerance = (HALVES if narrow else SINGLES) if reference.is_floating_point() else 0.0
    torch.testing.assert_close(reference, made, atol=tolerance, rtol=tolerance, equal_nan=True)
    return True


def _near(reference: torch.Tensor, made: torch.Tensor, thresholds: Mapping[str, float]) -> bool:
    """Compare whole tensors by the angle between them and by their mean errors, as for quantised results."""
    limits = {**LOOSEST, **thresholds}
    right, got = reference.float().flatten(), made.float().flatten()
    lengths = [float(torch.linalg.vector_norm(v)) for v in (right, got)]
    if min(lengths) < 1e-12:
        cosine = 1.0 if max(lengths) < 1e-12 else 0.0
    else:
        cosine = float(torch.nn.functional.cosine_similarity(right, got, dim=0))
    wrong = (got - right).abs()
    relative = float(wrong.sum() / right.abs().sum().clamp_min(1e-12))
    within = relative <= limits["l1_relative"] and float((wrong**2).mean().sqrt()) <= limits["rmse"]
    return cosine >= limits["cosine_sim"] and within


def _recorded(reference: Any, made: Any) -> bool:
    """Compare what a script compared in two runs of equal seeds: a side of one run with the other side of the other.

    The tolerances are those of the reference's run, where no candidate could change them.
    """
    if not reference or len(reference) != len(made):
        return False
    return all(_crossed(r, m) for r, m in zip(reference, made, strict=True))


def _crossed(reference: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    for one, other in ((made["one"], reference["other"]), (reference["one"], made["other"])):
        if one.shape != other.shape:
            return False
        wide = (one.double(), other.double()) if one.is_floating_point() or other.is_floating_point() else (one, other)
        if not torch.allclose(*wide, rtol=reference["rtol"], atol=reference["atol"], equal_nan=reference["nan"]):
            return False
    return True


def _kernelbench(reference: Any, made: Any, thresholds: Mapping[str, float]) -> bool:
    """Compare a module's outputs as KernelBench does: one tensor, of the same shape, in every trial."""
    if isinstance(reference, Mapping) and TRIALS in reference:
        pairs = zip(reference[TRIALS], made[TRIALS], strict=True)
        return all(_kernelbench(one, other, thresholds) for one, other in pairs)
    if not (isinstance(reference, torch.Tensor) and isinstance(made, torch.Tensor)) or reference.shape != made.shape:
        return False
    usual = KERNELBENCH.get(str(reference.dtype).removeprefix("torch."), KERNELBENCH_ELSE)
    limit = thresholds.get("allclose", usual)
    return bool(torch.allclose(reference, made, atol=limit, rtol=limit))
