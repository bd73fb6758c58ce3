"""Finds loaders by name: those that come with the program, and other people's by entry point."""

import difflib
import inspect
from importlib import metadata
from typing import cast

from suites.foreign.arena import AgentKernelArena
from suites.foreign.geak import Rocm, TritonBenchRevised
from suites.foreign.kernelbench import KernelBench
from suites.foreign.kernelbenchx import KernelBenchX
from suites.foreign.loaded import Loader, SuiteError
from suites.foreign.native import Native
from suites.foreign.tritonbench import TritonBenchG

GROUP = "evo_kernel.suites"


def loaders() -> dict[str, Loader]:
    """Return all loaders by name; other people's are loaded, which runs their code."""
    own: tuple[Loader, ...] = (
        TritonBenchRevised(),
        TritonBenchG(),
        Rocm(),
        KernelBench(),
        KernelBenchX(),
        AgentKernelArena(),
        Native(),
    )
    found = {loader.name: loader for loader in own}
    for point in metadata.entry_points(group=GROUP):
        if point.name in found:
            raise SuiteError(f"entry point {point.value}: there is a suite {point.name} already; give it another name")
        found[point.name] = _loaded(point)
    return found


def loader(name: str) -> Loader:
    """Return one loader; an unknown name is answered with the nearest ones."""
    known = loaders()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(known)}"
    raise SuiteError(f"no suite named {name!r} ({hint})")


def _loaded(point: metadata.EntryPoint) -> Loader:
    """Load another person's loader, a class or an object, and look whether it is one."""
    try:
        found = point.load()
        made = found() if inspect.isclass(found) else found
    except Exception as error:  # another person's code, which may raise anything
        raise SuiteError(f"suite {point.name} ({point.value}): {type(error).__name__}: {error}") from error
    lacking = [part for part in ("name", "about", "looks_for", "load", "notes") if not hasattr(made, part)]
    if lacking:
        raise SuiteError(f"suite {point.name} ({point.value}) is no loader: it lacks {', '.join(lacking)}")
    return cast(Loader, made)
