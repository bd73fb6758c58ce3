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
    if name in own:
        return own[name]
    if name in broken:
        raise SuiteError(broken[name])
    if name in points:
        return _loaded(points[name])
    known = (*own, *points)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(known)}"
    raise SuiteError(f"no suite named {name!r} ({hint})")


def unused(name: str) -> tuple[str, ...]:
    """Say what else has the name of a suite that comes with the program, and is not used."""
    taken = _points()[1]
    return (taken[name],) if name in taken and name in _own() else ()


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
    """Return other people's entry points by name, and by name the reason where any is not used: the name is taken."""
    own, named, taken = _own(), dict[str, dict[str, metadata.EntryPoint]](), dict[str, str]()
    for point in metadata.entry_points(group=GROUP):
        named.setdefault(point.name, {})[point.value] = point
    for name, points in named.items():
        who = " and ".join(points)
        if name in own:
            already = f"there is a suite {name} already, which comes with evo-kernel"
            taken[name] = f"entry point {who} is not used: {already}; give it another name"
        elif len(points) > 1:
            taken[name] = f"entry points {who}: none is used, as each is a suite {name}; give them names of their own"
    return {name: point for name, points in named.items() if name not in taken for point in points.values()}, taken


def _loaded(point: metadata.EntryPoint) -> Loader:
    """Load another person's loader, a class or an object."""

    def made() -> Loader:
        found = point.load()
        return Plugged(point.name, point.value, found() if inspect.isclass(found) else found)

    return asked(f"suite {point.name} ({point.value}):", made)
