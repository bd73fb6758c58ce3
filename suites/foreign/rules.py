"""How the suites' own harnesses compare a program's results with the reference's, mistakes included.

These rules are what published numbers were made with. They are looser than they look: GEAK-eval drops its tolerances
below the first level, ends a comparison where the shorter of two tuples ends, and takes None for None.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

TRITONBENCH = (1e-3, 1e-1)  # absolute and relative, for results that are one tensor
INSIDE = (1e-3, 1e-3)  # for tensors in tuples, lists and dictionaries
ROCM = (1e-2, 1e-2)
_CALLED = "_CALL_SUCCESS_"


def same(style: str, reference: Any, made: Any) -> bool:
    """Say whether a suite's harness takes `made` for right; one that raises has said no."""
    try:
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
    if isinstance(made, np.ndarray):
        return bool(np.allclose(reference, made, atol=absolute, rtol=relative))
    if isinstance(made, torch.Tensor):
        return bool(torch.allclose(reference, made, atol=absolute, rtol=relative))
    return bool(reference == made)


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
