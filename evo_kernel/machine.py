"""Settles what `auto` means on this machine: which chip a run is for, and whether its times are measured.

A run keeps one basis and one target for ever, so this happens once, when it begins.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from fitness.gpu import discover

DEFAULT_TARGET = "mi300"  # of predictions where there is no GPU

logger = logging.getLogger(__name__)
_number: ContextVar[int] = ContextVar("_number", default=0)  # of the work, among work that is dealt out to GPUs


def resolve(settings: Settings, say: Callable[[str], None] = logger.info) -> Settings:
    """Return settings with a target and a basis; `say` hears it when a GPU that is here is left unused."""
    check_open(settings)
    if settings.basis == "recorded":
        raise RunError("times are recorded only where a table is replayed (bench landscapes): use another basis")
    if settings.basis == "predicted" and settings.target != "auto":
        return settings
    here = own_targets()
    target = settings.target if settings.target != "auto" else (here or [DEFAULT_TARGET])[0]
    if settings.mode == "open":
        require(target)
    if settings.also:
        if target in settings.also:
            raise RunError(f"{target} is the run's target itself: name others with --also")
        return settings.model_copy(update={"target": target, "basis": "predicted"})
    measured = settings.basis == "measured" or (settings.basis == "auto" and target in here)
    if settings.basis == "measured" and settings.address is None:
        require(target, instead="--basis predicted, or ")
    if settings.basis == "auto" and not measured:
        for gpu in discover.gpus()[:1]:
            say(f"times are predicted for {target}, not measured: the GPU here is {_described(gpu)}")
    return settings.model_copy(update={"target": target, "basis": "measured" if measured else "predicted"})


def own_targets() -> list[str]:
    """Name the targets that this machine's GPUs are."""
    return list(dict.fromkeys(g.target.name for g in discover.gpus() if g.target is not None))


def check_open(settings: Settings) -> None:
    """Refuse open mode in one line where it cannot be."""
    if settings.mode != "open":
        return
    if settings.pool != "inline":
        raise RunError("open mode runs on this machine's GPU, one program at a time: use --pool inline")
    if settings.basis == "predicted":
        raise RunError("open mode measures on a GPU and cannot predict: leave out --basis predicted, or --mode open")
    if not discover.gpus():
        why = discover.complaint() or "this machine has none"
        raise RunError(f"open mode needs a GPU: {why}; without one programs are judged sealed")


def own(target: str) -> discover.Found:
    """Return this machine's GPU of a target; RunError says in one line why there is none."""
    index = require(target)
    return next(g for g in discover.gpus() if g.index == index and g.target is not None and g.target.name == target)


def require(target: str, instead: str = "") -> int:
    """Return the index of this machine's GPU of a target, of several that whose turn it is (`dealt`).

    RunError says in one line why there is none and what to do; `instead`: what would do as well, where anything does.
    """
    advice = f"use {instead}a machine with a GPU of target {target}"
    gpus = discover.gpus()
    if not gpus:
        why = discover.complaint() or "this machine has none"
        raise RunError(f"measuring needs a GPU: {why}; {advice}")
    places = [gpu.index for gpu in gpus if gpu.target is not None and gpu.target.name == target]
    if places:
        return places[_number.get() % len(places)]
    raise RunError(f"cannot measure for {target}: the GPU here is {_described(gpus[0])}; {advice}")


def count(target: str) -> int:
    """Return how many GPUs of a target this machine has."""
    return sum(gpu.target is not None and gpu.target.name == target for gpu in discover.gpus())


@contextlib.contextmanager
def dealt(number: int) -> Iterator[None]:
    """Do a piece of work on a GPU by its number: pieces are dealt out to all GPUs of the target in turn."""
    before = _number.set(number)
    try:
        yield
    finally:
        _number.reset(before)


def check_resumable(settings: Settings) -> None:
    """Refuse to go on with a measured run where its device is not; a cluster may have it elsewhere."""
    check_open(settings)
    if settings.basis == "recorded":
        raise RunError("this run replays a table: bench landscapes DIR --runs FOLDER goes on with it")
    if settings.basis != "measured" or settings.address is not None:
        return
    try:
        require(settings.target)
    except RunError as error:
        raise RunError(f"this run was measured on {settings.target} and can only go on there: {error}") from error


def _described(gpu: discover.Found) -> str:
    return f"{gpu.name} ({'a chip without a sheet' if gpu.target is None else gpu.target.name})"
