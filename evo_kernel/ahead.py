"""Looks through programs that may become parents beside the search: a rewrite of one then has only to be written.

To parse a program of 300 lines takes a tenth of a second, and to find where every rewrite applies about as long again;
both are done once. Nothing that is proposed depends on what was done ahead: it is remembered, or done when it is asked.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator

WAITING = 8  # programs that are worth it: of more, those that came first are passed over


class Ahead:
    """One thread of its own, which begins with the first program and ends with `close` or the process."""

    def __init__(self, look: Callable[[str], Iterator[None]]) -> None:
        self._look = look
        self._programs: deque[str] = deque(maxlen=WAITING)
        self._news = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, source: str) -> None:
        """Look through a program when there is time."""
        self._programs.append(source)
        self._news.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="looking ahead", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread: what it is at takes a moment."""
        self._closed = True
        self._news.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._closed:
            self._news.wait()
            self._news.clear()
            while self._programs and not self._closed:
                for _ in self._look(self._programs.popleft()):
                    if self._closed:
                        break
