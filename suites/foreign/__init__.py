"""Other people's benchmarks: their checkouts, read as text and JSON; nothing of theirs runs in this process."""

from suites.foreign.loaded import Loaded, Loader, SuiteError
from suites.foreign.registry import loader, loaders, unused

__all__ = ["Loaded", "Loader", "SuiteError", "loader", "loaders", "unused"]
