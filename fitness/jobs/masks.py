"""Keeps what Triton's interpreter compares a condition where it is spread over a block.

It gives a comparison the type of what was compared, and its numbers that type once they are spread; from Triton 3.9 on
it refuses such numbers as a mask, and with them every kernel whose mask has a condition on a scalar.
"""

from typing import Any

import numpy as np
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle


def install() -> None:
    """Mend the interpreter of this process, once."""
    builder: Any = InterpreterBuilder
    spread = builder.create_splat
    if hasattr(spread, "__wrapped__"):
        return

    def kept(self: Any, *given: Any) -> Any:
        made = spread(self, *given)
        condition = given[-1].data.dtype == np.bool_ and made.data.dtype != np.bool_
        return TensorHandle(made.data.astype(np.bool_), made.dtype) if condition else made

    kept.__wrapped__ = spread  # type: ignore[attr-defined]
    builder.create_splat = kept
