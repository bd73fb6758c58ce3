"""The machine: the pure search, the actors around it, and what a person sees. Public names load when asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from evo_kernel.api import Run, check, resume, search

__all__ = ["Run", "__version__", "check", "resume", "search"]


def __getattr__(name: str) -> Any:
    """Load the public API on first use, so that `evo-kernel --help` stays fast."""
    if name not in __all__:
        raise AttributeError(f"module 'evo_kernel' has no attribute {name!r}")
    api = import_module("evo_kernel.api")
    # bound here for good: importing the API binds the name `search` to the module that it holds
    globals().update({public: getattr(api, public) for public in __all__ if public != "__version__"})
    return globals()[name]
