"""The machine: the pure search, the actors around it, and what a person sees. Public names load when asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from evo_kernel.api import Run, check, resume, search

__all__ = ["Run", "__version__", "check", "resume", "search"]


def __getattr__(name: str) -> Any:
    """Load the public API on first use, so that `evo-kernel --help` stays fast."""
    if name in ("Run", "check", "resume", "search"):
        return getattr(import_module("evo_kernel.api"), name)
    raise AttributeError(f"module 'evo_kernel' has no attribute {name!r}")
