"""Makes Triton's interpreter round to bfloat16 as GPUs do: its own conversion cuts off, and errs twice as much."""

from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle


def rounding(cut: Callable[..., Any]) -> Callable[..., Any]:
    """Return the builder's conversion `cut`, but for float32 to bfloat16: to the nearest, ties to even."""

    def rounded(source: Any, kind: Any) -> Any:
        if source.get_element_ty() != tl.float32 or kind.scalar != tl.bfloat16:
            return cut(source, kind)
        values = np.asarray(source.data, dtype=np.float32)
        bits = values.view(np.uint32).astype(np.uint64)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return TensorHandle(np.where(np.isnan(values), (bits >> 16) | 0x40, nearest).astype(np.uint16), kind.scalar)

    return rounded
