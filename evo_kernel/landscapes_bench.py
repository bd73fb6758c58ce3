"""Runs what `bench landscapes` was asked for: every table with every seed, in this process or in several."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evo_kernel import landscapes, landscapes_peer, landscapes_plot, landscapes_replay
from evo_kernel.landscapes import Landscape, LandscapeError, Peer
from evo_kernel.landscapes_judge import Faults
from evo_kernel.landscapes_replay import Replay
from evo_kernel.landscapes_report import Figures

THREADS = "OMP_NUM_THREADS"  # matrices here are small: more threads would only wait for each other


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to replay."""

    folder: Path
    seeds: range
    tables: tuple[str, ...]
    policy: str
    noise: float
    failures: float
    evaluations: int
    workers: int
    kept: Path | None
    strategies: tuple[str, ...] = ()  # of Kernel Tuner, to be run here

    def named(self, one: Landscape, seed: int) -> str:
        """Name the folder of one run: with all that makes it another run."""
        trouble = f"-noise-{self.noise:g}-failures-{self.failures:g}" if self.noise or self.failures else ""
        return f"{one.name}-{one.mark}-{self.policy}-{self.evaluations}{trouble}-{seed}"


Peers = dict[tuple[str, str], list[Peer]]


def compare(wanted: Wanted, say: Callable[[str], None]) -> tuple[list[Figures], Peers]:
    """Replay everything; return the curves and what Kernel Tuner reached."""
    landscapes_replay.known(wanted.policy)
    landscapes_peer.check(wanted.strategies)
    tables = landscapes.load(wanted.folder)
    unknown = set(wanted.tables) - {t.name for t in tables}
    if unknown:
        raise LandscapeError(f"no table {sorted(unknown)[0]!r} in {wanted.folder}: {', '.join(t.name for t in tables)}")
    chosen = [t for t in tables if not wanted.tables or t.name in wanted.tables]
    peers = landscapes.peers(wanted.folder)
    found = []
    with _mapping(wanted.workers) as over:
        for one in chosen:
            say(f"{one.name}: {len(one.times):,} configurations, {len(wanted.seeds)} searches")
            curves = over(functools.partial(_curve, one, wanted), wanted.seeds)
            found.append(Figures(one, tuple(map(tuple, curves))))
            live = [_live(one, wanted, strategy, over) for strategy in wanted.strategies]
            written = [p for p in peers.get((one.kernel, one.gpu), []) if p.strategy not in wanted.strategies]
            peers[one.kernel, one.gpu] = [*written, *live]
    return found, peers


def check_plot(file: Path) -> None:
    """Refuse a picture that cannot be written before hours are spent on it."""
    if file.suffix not in landscapes_plot.WRITERS:
        raise LandscapeError(f"expected a plot named .svg or .png, got {file}")
    if not file.parent.is_dir():
        raise LandscapeError(f"no folder {file.parent} to write the plot {file.name} into")


def draw(file: Path, found: list[Figures], wanted: Wanted) -> None:
    """Write the mean curves as a picture."""
    trouble = f", noise {wanted.noise:g}, failures {wanted.failures:g}" if wanted.noise or wanted.failures else ""
    title = f"policy {wanted.policy}, mean of {len(wanted.seeds)} searches{trouble}; times recorded"
    try:
        landscapes_plot.write(file, {f.landscape.name: f.curves for f in found}, title)
    except OSError as error:
        raise LandscapeError(f"the plot cannot be written to {file}: {error.strerror}") from error


def _curve(landscape: Landscape, wanted: Wanted, seed: int) -> list[float]:
    faults = Faults(wanted.noise, wanted.failures)
    folder = None if wanted.kept is None else wanted.kept / wanted.named(landscape, seed)
    return Replay(landscape, wanted.policy, seed, wanted.evaluations, faults).run(folder)


def _live(landscape: Landscape, wanted: Wanted, strategy: str, over: "Mapping") -> Peer:
    """Run one of Kernel Tuner's strategies with every seed."""
    faults = Faults(wanted.noise, wanted.failures)
    search = functools.partial(landscapes_peer.curve, landscape, strategy, wanted.evaluations, faults)
    return landscapes_peer.peer(strategy, list(over(search, wanted.seeds)))


Mapping = Callable[[Callable[[int], list[float]], Iterable[int]], Iterable[list[float]]]


@contextmanager
def _mapping(workers: int) -> Iterator[Mapping]:
    """Give a `map` over seeds: this process's own, or one over several processes, in order."""
    if workers == 1:
        yield map
        return
    os.environ.setdefault(THREADS, "1")
    with ProcessPoolExecutor(workers) as pool:
        yield pool.map
