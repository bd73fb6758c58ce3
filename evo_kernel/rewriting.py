"""The families of rewrites for a person: what there is, where each applies in a program, and the program after one."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evo_kernel.errors import ConfigError, RunError
from operators.program_tree import Unreadable
from operators.rewrites import program as programs
from operators.rewrites import telling
from operators.rewrites.families import FAMILIES, refused
from operators.rewrites.operator import sites_of
from operators.rewrites.program import Program
from suites import load, names
from suites.loading import parts


@dataclass(frozen=True, slots=True)
class Family:
    """A family of rewrites, and the places of a program where it applies, in a few words each.

    `refused` says why no search draws it.
    """

    name: str
    intent: str
    places: tuple[str, ...] = ()
    refused: str = ""


def source_of(program: str) -> str:
    """Return the text of a program's file, or the first seed of a native task or of a task's file."""
    path = Path(program)
    if path.suffix != ".py" and program in names():
        return load(program).seeds[0].source
    try:
        text = path.read_bytes().decode()  # with its own line ends
    except (OSError, UnicodeDecodeError) as error:
        close = difflib.get_close_matches(program, names(), n=1)
        why = _instead(close, str(error.strerror if isinstance(error, OSError) else error))
        raise RunError(f"{program} is no task, and no file that can be read{why}") from error
    seeds, _ = parts(text)
    return seeds[0].source if seeds else text


@dataclass(frozen=True, slots=True)
class Left:
    """What is left alone of a program: kernels with the reason, and families that raised with what they did."""

    kernels: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def left(source: str) -> Left:
    """Return what is left alone of a program, a line each."""
    program = _read(source)
    sites_of(program)
    return Left(
        tuple(telling.left(kernel, why) for kernel, why in program.alone.items()),
        tuple(telling.fault(family, error) for family, error in program.faults.items()),
    )


def families(source: str | None = None) -> tuple[Family, ...]:
    """Return all families, or with a program those that apply to it."""
    if source is None:
        return tuple(Family(f.name, f.intent, (), refused(f.name)) for f in FAMILIES)
    found = {name: tuple(site.what for site in sites) for name, sites in sites_of(_read(source)).items()}
    return tuple(Family(f.name, f.intent, found[f.name], refused(f.name)) for f in FAMILIES if f.name in found)


def rewrite(source: str, family: str, place: int | None = None) -> str:
    """Return a program after a family's rewrite at one place, counted from 1 as in `families`, or at all of them."""
    known: Mapping[str, object] = {f.name: f for f in FAMILIES}
    if family not in known:
        close = difflib.get_close_matches(family, known, n=1)
        raise ConfigError(f"there is no rewrite {family!r}" + _instead(close, "`evo-kernel rewrites` lists them"))
    if why := refused(family):
        raise RunError(f"{family} is not offered: {why}")
    program = _read(source)
    sites = sites_of(program).get(family, [])
    if family in program.faults:
        raise RunError(telling.fault(family, program.faults[family]))
    if not sites:
        why = "".join(f"; {telling.left(kernel, why)}" for kernel, why in program.alone.items())
        raise RunError(f"{family} applies nowhere in this program{why}")
    if place is not None and not 1 <= place <= len(sites):
        raise ConfigError(f"{family} applies at places 1 to {len(sites)}, not at {place}")
    made = program.rewritten(family, sites if place is None else [sites[place - 1]])
    if made is None:
        raise RunError(telling.fault(family, program.faults[family]))
    return made


def difference(before: str, after: str, name: str) -> str:
    """Return what a rewrite changed, as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (rewritten)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _instead(close: list[str], otherwise: str) -> str:
    return f"; did you mean {close[0]}?" if close else f": {otherwise}"


def _read(source: str) -> Program:
    try:
        program = programs.read(source)
    except (Unreadable, RecursionError) as error:
        raise RunError(f"the program cannot be rewritten: {error}") from error
    if not program.known:
        raise RunError("the program cannot be rewritten: it has no function under @triton.jit")
    return program
