"""Lets suite runs search by a suite's own test without a GPU: the test is real, the clock is the program's text."""

import contextlib
import zlib
from typing import Any

import pytest

from evo_kernel import machine
from evo_kernel.suite import tasks
from fitness import by_theirs, their_times
from fitness.their_times import Times

TESTS = ("n=5", "n=16")


def take(task: Any, source: str, *_: object) -> Times:
    return Times(tuple((name, 1.0 + zlib.crc32(f"{name} {source}".encode()) / 2**32) for name in TESTS), 0.0)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(their_times, "take", take)
    monkeypatch.setattr(by_theirs, "timed", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(machine, "own", lambda target: None)
    monkeypatch.setattr(machine, "check_resumable", lambda settings: None)
    monkeypatch.setattr(tasks, "on_device", lambda settings: True)
