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
from suites.foreign.plugged import Plugged, asked
from suites.foreign.tritonbench import TritonBenchG

GROUP = "evo_kernel.suites"


def loaders() -> tuple[dict[str, Loader], tuple[str, ...]]:
    """Return all loaders by name, and why any cannot be used; other people's are loaded, which runs their code."""
    found, (points, broken) = _own(), _points()
    for name, point in points.items():
        try:
            found[name] = _loaded(point)
        except SuiteError as error:
            broken[name] = str(error)
    return found, tuple(broken.values())


def loader(name: str) -> Loader:
    """Return one loader, whatever is wrong with others; an unknown name is answered with the nearest ones."""
    own, (points, broken) = _own(), _points()
    if name in broken:
        raise SuiteError(broken[name])
    if name in own:
        return own[name]
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


def _points() -> tuple[dict[str, metadata.EntryPoint], dict[str, str]]:
    """Return other people's entry points by name, and by name the reason where two suites have one."""
    own, found, twice = _own(), dict[str, metadata.EntryPoint](), dict[str, str]()
    for point in metadata.entry_points(group=GROUP):
        if point.name in own or point.name in found:
            reason = f"there is a suite {point.name} already; give it another name"
            twice[point.name] = f"entry point {point.value}: {reason}"
        found[point.name] = point
    return {name: point for name, point in found.items() if name not in twice}, twice


def _loaded(point: metadata.EntryPoint) -> Loader:
    """Load another person's loader, a class or an object."""

    def made() -> Loader:
        found = point.load()
        return Plugged(point.name, point.value, found() if inspect.isclass(found) else found)

    return asked(f"suite {point.name} ({point.value}):", made)
