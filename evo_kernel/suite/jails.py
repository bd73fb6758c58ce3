"""Several fork servers at once for the tasks of a suite: each is used by one task at a time."""

import contextlib
import queue
from collections.abc import Callable
from typing import TypeVar

from fitness.jail import Jail, WorkerLost

T = TypeVar("T")
TRIES = 2  # a server that is lost is nobody's verdict
AGAIN = 0.1  # seconds, after which who still uses a server that is to be closed is cut off once more
CUTS = 100  # so often; then it is ended under its user


class Jails:
    """So many fork servers of one flavour, which start to load at once."""

    def __init__(self, flavour: str, count: int) -> None:
        self._every = [Jail(flavour) for _ in range(count)]
        self._free: queue.SimpleQueue[Jail] = queue.SimpleQueue()
        self._closed = False
        for jail in self._every:
            jail.start()
            self._free.put(jail)

    def use(self, work: Callable[[Jail], T]) -> T:
        """Do a piece of work in a server that nobody uses; WorkerLost when servers are lost over it, or closed."""
        jail = self._free.get()
        try:
            for _ in range(TRIES - 1):
                with contextlib.suppress(WorkerLost):
                    return self._work(jail, work)
            return self._work(jail, work)
        finally:
            self._free.put(jail)

    def _work(self, jail: Jail, work: Callable[[Jail], T]) -> T:
        if self._closed:
            raise WorkerLost("the fork servers are closed")
        return work(jail)

    def close(self) -> None:
        """Cut off what runs in the servers, and end them when no thread uses one: it would start another."""
        self._closed = True
        for _ in self._every:
            self._take()
        for jail in self._every:
            jail.close()
            self._free.put(jail)  # for who waits for one, to be told

    def _take(self) -> None:
        """Take a server that nobody uses, and cut those off who use one."""
        for _ in range(CUTS):
            with contextlib.suppress(queue.Empty):
                self._free.get(timeout=AGAIN)
                return
            for jail in self._every:
                jail.hang_up()
