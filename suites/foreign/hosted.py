"""Rewrites the text of a program that was written for a GPU, so that it names the host instead."""

import re

_REWRITES = (
    (re.compile(r"""(["'])cuda(:\d+)?\1"""), '"cpu"'),
    (re.compile(r"(?<!torch)\.cuda\([^()]*\)"), ".cpu()"),
    (re.compile(r"\.is_cuda\b"), ".is_cpu"),
    (re.compile(r"\b_empty_strided_cuda\b"), "_empty_strided_cpu"),
)


def rewritten(text: str) -> str:
    """Return a program that names the host where it named the GPU."""
    for pattern, put in _REWRITES:
        text = pattern.sub(put, text)
    return text
