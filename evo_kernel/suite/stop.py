"""Stops a suite run: a flag that its threads look at, and that ends what they wait for in jails."""

import contextlib
import threading
from collections.abc import Iterator

from fitness.jail import Jail, WorkerLost


class Stop(threading.Event):
    """An event that reaches jails: once it is set whoever waits for one of them has WorkerLost."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._jails: set[Jail] = set()

    @contextlib.contextmanager
    def reaching(self, jail: Jail) -> Iterator[None]:
        """Start a jail and let a stop end what runs in it; WorkerLost where it came before."""
        with self._lock:  # else one that is not started yet would be missed
            if self.is_set():
                raise WorkerLost("the run was stopped")
            jail.start()
            self._jails.add(jail)
        try:
            yield
        finally:
            with self._lock:
                self._jails.discard(jail)

    def set(self) -> None:
        """Stop, and end what runs in jails."""
        super().set()
        with self._lock:
            for jail in self._jails:
                jail.hang_up()
