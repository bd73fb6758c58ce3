"""Kinds of kernels: which rewrites help depends on them, so what one kernel taught is offered to others of its kind."""

import re
from functools import lru_cache

PRODUCTS = "products"
_PRODUCT = re.compile(r"\b(?:tl|language)\.dot(?:_scaled)?\(")
_REDUCTION = re.compile(r"\b(?:tl|language)\.(?:sum|max|min|argmax|argmin|reduce|xor_sum|associative_scan|cum\w+)\(")


@lru_cache(maxsize=256)
def kind(source: str) -> str:
    """Name a program's kind by the costliest thing in its text: products of tiles, reductions, or neither."""
    if _PRODUCT.search(source):
        return PRODUCTS
    return "reductions" if _REDUCTION.search(source) else "pointwise"
