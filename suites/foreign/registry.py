"""Finds loaders by name: those that come with the program, and other people's by entry point."""

import difflib
import inspect
from importlib import metadata

from suites.foreign.arena import AgentKernelArena
from suites.foreign.geak import Rocm, TritonBenchRevised
from suites.foreign.kernelbench import KernelBench
from suites.foreign.kernelbenchx import KernelBenchX
from suites.foreign.loaded import Loader, SuiteError
from suites.foreign.native import Native
from suites.foreign.plugged import Plugged
from suites.foreign.tritonbench import TritonBenchG

GROUP = "evo_kernel.suites"


def loaders() -> dict[str, Loader]:
    """Return all loaders by name; other people's are loaded, which runs their code."""
    return _own() | {name: _loaded(point) for name, point in _points().items()}


def loader(name: str) -> Loader:
    """Return one loader, whatever is wrong with others; an unknown name is answered with the nearest ones."""
    own = _own()
    if name in own and not any(point.name == name for point in metadata.entry_points(group=GROUP)):
        return own[name]
    points = _points()
    if name in points:
        return _loaded(points[name])
    known = (*own, *points)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(known)}"
    raise SuiteError(f"no suite named {name!r} ({hint})")


def _own() -> dict[str, Loader]:
    """Return the loaders that come with the program."""
    own: tuple[Loader, ...] = (
        TritonBenchRevised(),
        TritonBenchG(),
        Rocm(),
        KernelBench(),
        KernelBenchX(),
        AgentKernelArena(),
        Native(),
    )
    return {one.name: one for one in own}


def _points() -> dict[str, metadata.EntryPoint]:
    """Return other people's entry points by name; SuiteError where two suites have one."""
    own, found = _own(), dict[str, metadata.EntryPoint]()
    for point in metadata.entry_points(group=GROUP):
        if point.name in own or point.name in found:
            raise SuiteError(f"entry point {point.value}: there is a suite {point.name} already; give it another name")
        found[point.name] = point
    return found


def _loaded(point: metadata.EntryPoint) -> Loader:
    """Load another person's loader, a class or an object."""
    try:
        found = point.load()
        made = found() if inspect.isclass(found) else found
    except Exception as error:  # another person's code, which may raise anything
        raise SuiteError(f"suite {point.name} ({point.value}): {type(error).__name__}: {error}") from error
    return Plugged(point.name, point.value, made)
