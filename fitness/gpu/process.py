"""Starts a process of ours with one channel of frames, and asks it questions with a time limit."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from fitness import wire

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import importlib; "
    "importlib.import_module(sys.argv[2]).main(int(sys.argv[3]), json.loads(sys.argv[4]))"
)
_KEPT = (
    "PATH",
    "HOME",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)


def questions(channel: int, unread: Callable[[str], list[Any]]) -> Iterator[Any]:
    """Yield what the other side asks until it hangs up; what nobody can read is answered with what `unread` makes."""
    while True:
        try:
            yield wire.receive(channel)
        except wire.WireError as error:
            wire.send(channel, unread(f"the question cannot be read: {error}"))
        except (EOFError, ConnectionError):
            return


class Lost(Exception):
    """The process died or did not answer in time; `hung` tells which."""

    def __init__(self, message: str, hung: bool) -> None:
        super().__init__(message)
        self.hung = hung


class Process:
    """One child with a `main(channel, options)`: started at once, killed at the end or when it is lost.

    Nobody waits for the start: its first answer is to no question, and says that it is ready.
    """

    def __init__(self, module: str, options: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        stderr = subprocess.DEVNULL if options.get("quiet") else None  # a failed assertion on the device prints a page
        environment = {k: os.environ[k] for k in _KEPT if k in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path), module, str(theirs.fileno()),
                 json.dumps({**options, "parent": os.getpid()})],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=environment,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        self._channel = ours

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def send(self, *question: Any) -> None:
        """Send a question without waiting for its answer."""
        try:
            self._channel.sendall(wire.encode(list(question)))
        except (OSError, wire.WireError) as error:
            raise Lost(f"it cannot be asked: {error}", hung=False) from error

    def answer(self, seconds: float) -> Any:
        """Wait for the next answer."""
        deadline = time.monotonic() + seconds
        try:
            if not select.select([self._channel], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Lost(f"no answer within {seconds:g} s", hung=True)
            return wire.receive(self._channel.fileno())
        except (EOFError, OSError, wire.WireError) as error:
            raise Lost(f"it ended: {error}", hung=False) from error

    def ask(self, *question: Any, seconds: float = 60.0) -> Any:
        """Send a question and wait for its answer."""
        self.send(*question)
        return self.answer(seconds)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
