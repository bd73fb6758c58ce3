"""Shares one budget among many searches, in turns: every task gets its n-th turn before any gets the one after it.

Which turns are given follows from how each task's search stands after its own turns, never from which of several
searches happened to end first. So a suite run that was killed anywhere ends as one that was not.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one task is: the turns that it was given, whether it still uses one, and whether another would help."""

    turns: int = 0
    busy: bool = False
    closed: bool = False


def ready(standings: Sequence[Standing], budget: int) -> list[int]:
    """Return the tasks whose next turn may begin now, by their places, in the order of their turns.

    A turn may begin once it is sure that the budget, in turns, is not used up by turns that come before it, even if
    every search that is still busy goes on.
    """
    waiting = [place for place, s in enumerate(standings) if not s.busy and not s.closed]
    waiting.sort(key=lambda place: (standings[place].turns, place))
    return [place for place in waiting if _before(standings, place) < budget]


def _before(standings: Sequence[Standing], place: int) -> int:
    """Count the turns that may come before a task's next one."""
    mine = standings[place].turns
    count = 0
    for other, standing in enumerate(standings):
        most = mine + (other < place)
        count += min(standing.turns, most) if standing.closed and not standing.busy else most
    return count
