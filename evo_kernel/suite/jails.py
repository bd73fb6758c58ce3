"""Several fork servers at once for the tasks of a suite: each is used by one task at a time."""

import queue
from collections.abc import Callable
from typing import TypeVar

from fitness.jail import Jail, WorkerLost

T = TypeVar("T")
TRIES = 2  # a server that is lost is nobody's verdict


class Jails:
    """So many fork servers of one flavour, which start to load at once."""

    def __init__(self, flavour: str, count: int) -> None:
        self._every = [Jail(flavour) for _ in range(count)]
        self._free: queue.SimpleQueue[Jail] = queue.SimpleQueue()
        for jail in self._every:
            jail.start()
            self._free.put(jail)

    def use(self, work: Callable[[Jail], T]) -> T:
        """Do a piece of work in a server that nobody uses; WorkerLost when servers are lost over it."""
        jail = self._free.get()
        try:
            for _ in range(TRIES - 1):
                try:
                    return work(jail)
                except WorkerLost:
                    continue
            return work(jail)
        finally:
            self._free.put(jail)

    def close(self) -> None:
        """End all servers, and what runs in them."""
        for jail in self._every:
            jail.close()
