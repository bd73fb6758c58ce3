"""Shows a run as it goes: a live panel on a terminal, plain lines elsewhere. Everything here goes to stderr."""

import sys
from time import monotonic
from typing import Any, Protocol

from evo_kernel.progress import Progress
from fitness.evaluation import Mode


class Display(Protocol):
    """Takes progress as it comes."""

    def update(self, progress: Progress) -> None:
        """Show where the run stands."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def make(quiet: bool) -> Display:
    """Return what suits where stderr goes."""
    if quiet:
        return Silent()
    return Live() if sys.stderr.isatty() else Lines()


class Silent:
    """Shows nothing."""

    def update(self, progress: Progress) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Clock:
    """Remembers when watching began, for rates."""

    def __init__(self) -> None:
        self._started = monotonic()

    def elapsed(self) -> float:
        return monotonic() - self._started

    def rate(self, progress: Progress) -> float:
        return progress.judged_here / max(self.elapsed(), 1e-9)

    def remaining(self, progress: Progress) -> str:
        rate = self.rate(progress)
        return _duration((progress.budget - progress.evaluations) / rate) if rate > 0 else "?"


class Lines:
    """Prints a line for every generation, and at the first verdict."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._shown: tuple[int, bool] | None = None
        self._told = 0  # notes

    def update(self, progress: Progress) -> None:
        """Print when a generation is complete."""
        for note in progress.notes[self._told :]:
            sys.stderr.write(f"note: {note}\n")
        self._told = len(progress.notes)
        key = (progress.generation, progress.best_us is not None)
        if key == self._shown:
            return
        self._shown = key
        sys.stderr.write(line(progress, self._clock.rate(progress)) + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Do nothing."""


class Live:
    """Keeps a small panel up to date."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Panel

        self._clock = _Clock()
        self._panel = Panel(console=Console(stderr=True), refresh_per_second=8, transient=False)
        self._panel.start()

    def update(self, progress: Progress) -> None:
        """Redraw the panel."""
        self._panel.update(self._render(progress))

    def close(self) -> None:
        """Leave the last panel on the screen."""
        self._panel.stop()

    def _render(self, p: Progress) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        table.add_row(
            "generation", f"{p.generation} of {p.generations}", ProgressBar(p.budget, p.evaluations, width=40)
        )
        table.add_row("best", _best(p), p.best_intent)
        table.add_row("failed", _failures(p), f"{p.twins} same code, {p.refusals} nothing new")
        if p.asked or p.notes:
            table.add_row("models", f"{p.asked} asked", "; ".join(p.notes))
        rate = self._clock.rate(p)
        table.add_row(
            "pace", f"{rate:.2f}/s", f"{p.evaluations} of {p.budget} evaluations, {self._clock.remaining(p)} left"
        )
        return table


def line(p: Progress, rate: float) -> str:
    """Describe progress in one line."""
    return (
        f"generation {p.generation}/{p.generations}  evaluations {p.evaluations}/{p.budget}  best {_best(p)}  "
        f"failed {_failures(p)}  {rate:.2f}/s"
    )


def _best(p: Progress) -> str:
    if p.best_us is None:
        return "none yet"
    times = p.gain if p.basis == "measured" else p.seed_us / p.best_us if p.seed_us else None
    gain = f" ({times:.2f}x the seed)" if times else ""
    within = "" if p.best_interval is None else f" [{p.best_interval[0]:.2f}, {p.best_interval[1]:.2f}]"
    claimed = f", {Mode.OPEN}" if p.mode == "open" else ""
    return f"{p.best_us:.2f} us{within} {p.basis}{claimed}{gain}"


def _failures(p: Progress) -> str:
    return ", ".join(f"{count} at {stage}" for stage, count in p.failures) or "none"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
