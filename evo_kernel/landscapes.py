"""Measured tuning landscapes: every configuration of a kernel with its time, read from tables in a folder.

One gzip JSON file a kernel and GPU: `kernel`, `gpu`, `params` (name -> allowed values), `configs` (one row per legal
configuration, in the order of `params`), `time_ms` (same order; null where the configuration failed to run). It may
have `constraints`, such as ["block_size_x * block_size_y <= 1024"]: configurations that do not meet them are left out.
"""

import gzip
import json
import keyword
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evo_kernel.errors import RunError
from operators.tune.constraints import ConstraintError, about, blame
from operators.tune.space import Config, Parameter, Space, SpaceError

SUFFIX = ".json.gz"
CONSTRAINTS = "constraints"
COLUMNS = ("kernel", "gpu", "params", "configs", "time_ms")
PEERS = "kernel_tuner_*.json"  # what Kernel Tuner's strategies reach on the same tables
RESERVED = ("mean", "policy", "seeds", "evaluations", "kernel_tuner_live")
LONGEST_MS = 3e10
COUNTS = ("20", "50", "100", "200")  # evaluations at which figures are given


class LandscapeError(RunError):
    """A table or a folder of them that cannot be used."""


@dataclass(frozen=True, slots=True)
class Landscape:
    """One table."""

    name: str
    kernel: str
    gpu: str
    space: Space
    times: dict[Config, float | None]  # milliseconds; None where it failed
    optimum: float

    @property
    def mark(self) -> str:
        """What tells it from another table of its name: a hash of all that a search can see."""
        return f"{zlib.crc32(repr((self.space.parameters, self.times)).encode()):08x}"


@dataclass(frozen=True, slots=True)
class Peer:
    """What one strategy of Kernel Tuner reaches on one table: optimum over best so far, by evaluations."""

    strategy: str
    fractions: dict[str, float]


def load(folder: Path) -> list[Landscape]:
    """Read every table of a folder, in the order of their names."""
    if not folder.is_dir():
        raise LandscapeError(f"no folder of landscapes at {folder}")
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise LandscapeError(f"{folder} holds no tables: expected files named KERNEL_GPU{SUFFIX}")
    return [read(file) for file in files]


def read(file: Path) -> Landscape:
    """Read one table."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as opened:
            document = json.load(opened)
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
        raise LandscapeError(f"{file} is no gzip JSON file: {error}") from error
    if not isinstance(document, dict):
        raise LandscapeError(f"{file} holds no table: expected an object with {', '.join(COLUMNS)}")
    missing = [column for column in COLUMNS if column not in document]
    if missing:
        raise LandscapeError(f"{file} lacks {', '.join(missing)}: a table has {', '.join(COLUMNS)}")
    try:
        return _made(file.name.removesuffix(SUFFIX), document)
    except (SpaceError, ConstraintError, LandscapeError, TypeError, AttributeError, OverflowError) as error:
        raise LandscapeError(f"{file}: {error}") from error


def peers(folder: Path) -> dict[tuple[str, str], list[Peer]]:
    """Return what Kernel Tuner reached, by kernel and GPU, from the file beside the tables, if any."""
    found: dict[tuple[str, str], list[Peer]] = {}
    for file in sorted(folder.glob(PEERS)):
        try:
            for row in json.loads(file.read_text(encoding="utf-8")):
                peer = Peer(str(row["strategy"]), {n: float(f) for n, f in row["fraction_of_optimum"].items()})
                if not all(map(math.isfinite, peer.fractions.values())):
                    raise ValueError("a fraction that is no number")
                found.setdefault((row["kernel"], row["gpu"]), []).append(peer)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LandscapeError(f"{file} is no table of Kernel Tuner's results: {error!r}") from error
    return found


def _made(name: str, document: dict[str, Any]) -> Landscape:
    if name in RESERVED:
        raise LandscapeError(f"a table cannot be called {name}: the summary has a part of that name")
    _shaped(document)
    parameters = [_parameter(key, values) for key, values in document["params"].items()]
    rows, times = document["configs"], document["time_ms"]
    if len(rows) != len(times):
        raise LandscapeError(f"{len(rows)} configurations but {len(times)} times")
    if not rows:
        raise LandscapeError("the space has no legal configuration: configs is empty")
    places = [{value: at for at, value in enumerate(p.values)} for p in parameters]
    measured = {_config(row, parameters, places): time for row, time in zip(rows, times, strict=True)}
    if len(measured) < len(rows):
        raise LandscapeError("the table holds a configuration twice")
    legal = _legal(parameters, list(measured), document.get(CONSTRAINTS, []))
    space = Space.table(parameters, legal)
    if not all(t is None or (type(t) in (int, float) and 0 < t < LONGEST_MS) for t in times):
        raise LandscapeError("times must be positive milliseconds, less than a year of them, or null for a failure")
    found = {config: measured[config] for config in legal}
    worked = [t for t in found.values() if t is not None]
    if not worked:
        raise LandscapeError("no configuration ran: every time is null")
    return Landscape(name, str(document["kernel"]), str(document["gpu"]), space, found, min(worked))


def _shaped(document: dict[str, Any]) -> None:
    """Refuse columns that are not made of lists of numbers and texts, as a table's are."""
    params, rows, times = document["params"], document["configs"], document["time_ms"]
    if not isinstance(params, dict) or not all(map(_plain, params.values())):
        raise LandscapeError("params must give every parameter a list of values: numbers and texts")
    if not isinstance(rows, list) or not all(map(_plain, rows)):
        raise LandscapeError("configs must be a list of configurations, each a list of values")
    if not isinstance(times, list):
        raise LandscapeError("time_ms must be a list of times")


def _plain(values: Any) -> bool:
    return isinstance(values, list) and not any(isinstance(v, (list, dict)) for v in values)


def _legal(parameters: list[Parameter], configs: list[Config], texts: Any) -> list[Config]:
    """Keep the configurations that meet every constraint of a table."""
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise LandscapeError(
            f"{CONSTRAINTS} must be a list of conditions such as 'block_size_x * block_size_y <= 1024'"
        )
    constraints = [about(text, [p.name for p in parameters]) for text in texts]
    every = [{p.name: p.values[at] for p, at in zip(parameters, c, strict=True)} for c in configs]
    kept = [c for c, values in zip(configs, every, strict=True) if all(test(values) for test in constraints)]
    if not kept:
        raise LandscapeError(f"the space has no legal configuration: {blame(constraints, every)}")
    return kept


def _parameter(name: str, values: list[Any]) -> Parameter:
    """Tell a parameter's kind by its values: numbers have an order, anything else has none."""
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise LandscapeError(f"{name!r} cannot be a parameter: expected a name such as block_size_x")
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return Parameter(name, tuple(sorted(values)), "ordinal")
    return Parameter(name, tuple(values), "categorical")


def _config(row: list[Any], parameters: list[Parameter], places: list[dict[Any, int]]) -> Config:
    if len(row) != len(parameters):
        raise LandscapeError(f"configuration {row} has {len(row)} values, the table {len(parameters)} parameters")
    for value, parameter, place in zip(row, parameters, places, strict=True):
        if value not in place:
            raise LandscapeError(f"configuration {row}: {value!r} is no value of {parameter.name}")
    return tuple(place[value] for value, place in zip(row, places, strict=True))
