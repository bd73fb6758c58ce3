"""Refuses to judge where less confines a candidate than the person asked for."""

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from fitness.jail import Jail, WorkerLost
from fitness.walls.standing import LEVELS, Standing


def require_here(settings: Settings) -> None:
    """Refuse when this machine lacks a part of the level wanted. On a cluster every judge asks for itself."""
    if settings.require_isolation != LEVELS[0] and not (settings.pool == "ray" and settings.address):
        require(here(), settings.require_isolation)


def require(standing: Standing, level: str) -> None:
    """Refuse when a part of a level is missing, and say which and why."""
    missing = standing.missing(level)
    if missing:
        parts = "; ".join(f"{w.name}: {w.detail}" for w in missing)
        raise RunError(f"isolation {level!r} is required and this machine has {standing.level!r}; missing {parts}")


def here() -> Standing:
    """Start a fork server, ask it what is in force, and end it before it has loaded torch."""
    jail = Jail("compiled")
    try:
        return jail.standing
    except WorkerLost as error:
        raise RunError(f"this machine cannot judge now: {error}") from error
    finally:
        jail.close()
