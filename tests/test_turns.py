"""Judges that share a device: who compares does so beside others, whose clock runs is alone."""

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fitness.gpu.turns import Turns

HOLD = """
import sys, time
from pathlib import Path
from fitness.gpu.turns import Turns
with Turns("here", Path(sys.argv[1])).alone():
    print("alone", flush=True)
    time.sleep(60)
"""


def begun(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def held(file: Path) -> bool:
    """Tell whether somebody has a file's lock."""
    with open(file) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_nobody_works_beside_one_who_is_alone_and_those_who_compare_share(tmp_path: Path) -> None:
    inside: list[str] = []
    worst = {"together": 0, "alone": 0}

    def work(kind: str) -> None:
        turns = Turns("here", tmp_path)
        for _ in range(40):
            with turns.alone() if kind == "alone" else turns.together():
                inside.append(kind)
                time.sleep(0.001)
                worst[kind] = max(worst[kind], len(inside))
                inside.remove(kind)
        turns.close()

    for thread in [begun(lambda kind=kind: work(kind)) for kind in ("together", "together", "alone", "alone")]:  # type: ignore[misc]
        thread.join(60)
    assert worst == {"together": 2, "alone": 1}


def test_who_waits_to_be_alone_is_not_passed_by_those_who_come_later(tmp_path: Path) -> None:
    order: list[str] = []
    first, second, third = (Turns("here", tmp_path) for _ in range(3))

    def alone() -> None:
        with second.alone():
            order.append("alone")

    def later() -> None:
        with third.together():
            order.append("later")

    with first.together():
        waiting = begun(alone)
        end = time.monotonic() + 60
        while not held(tmp_path / "evo-kernel-gpu-here.gate"):
            assert time.monotonic() < end
            time.sleep(0.005)
        late = begun(later)
        time.sleep(0.05)
        assert order == []
        with first.together():  # within its own turn nobody waits
            order.append("first")
    for thread in (waiting, late):
        thread.join(60)
    assert order == ["first", "alone", "later"]


def test_devices_are_apart_and_a_killed_process_gives_its_turn_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "alone\n"
        with Turns("there", tmp_path).alone():
            pass
        taken: list[float] = []

        def take() -> None:
            with Turns("here", tmp_path).together():
                taken.append(time.monotonic())

        thread = begun(take)
        time.sleep(0.1)
        assert not taken
        holder.kill()
        thread.join(60)
    assert taken


def test_one_who_works_together_cannot_wait_to_be_alone(tmp_path: Path) -> None:
    turns = Turns("here", tmp_path)
    with turns.together(), pytest.raises(RuntimeError, match="cannot wait"), turns.alone():
        pass
    with turns.alone(), turns.together():
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed_and_judging_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "evo-kernel-gpu-here.gate").symlink_to(tmp_path / "elsewhere")
    with Turns("here", tmp_path).alone():
        pass
    assert "may disturb the clock" in caplog.text
    assert not (tmp_path / "elsewhere").exists()
