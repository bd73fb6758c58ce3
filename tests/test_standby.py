"""The real bench on a driver of our own making: what it does before it is opened, and what becomes of one that waits."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from triton.backends.compiler import GPUTarget

from fitness import targets
from fitness.gpu import compare
from fitness.gpu.errors import DeviceUnavailable
from fitness.gpu.process import Process
from fitness.gpu.standby import Standby, opened

DRIVER = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int said(const char *name) {
    int file = open(CALLS, O_WRONLY | O_APPEND | O_CREAT, 0600);
    dprintf(file, "%d %s\\n", getpid(), name);
    return close(file);
}
#define CALL(name) int name() { return said(#name); }
CALL(cuInit) CALL(cuDeviceGet) CALL(cuDeviceGetName) CALL(cuDevicePrimaryCtxRetain) CALL(cuCtxSetCurrent)
CALL(cuStreamCreate) CALL(cuMemAlloc_v2) CALL(cuEventCreate) CALL(cuIpcGetMemHandle)
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = *total = 1ul << 34; return said("cuMemGetInfo_v2"); }
"""
READY = ["cuInit", "cuDeviceGet", "cuDeviceGetName"]


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="the driver is written in C: it needs `cc`")


class Driver:
    """A library that answers as CUDA's driver and writes down who called what."""

    def __init__(self, folder: Path) -> None:
        self._calls = folder / "calls"
        (folder / "driver.c").write_text(DRIVER)
        said = f'-DCALLS="{self._calls}"'
        built = ["cc", "-w", "-shared", "-fPIC", said, "-o", str(folder / "libcuda.so.1"), str(folder / "driver.c")]
        subprocess.run(built, check=True)

    def calls(self, process: Process) -> list[str]:
        """Return what a process called, in order."""
        lines = [line.split() for line in self._calls.read_text().splitlines()]
        return [name for pid, name in lines if int(pid) == process.pid]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    return Driver(tmp_path)


@pytest.fixture
def standby(driver: Driver) -> Iterator[Standby]:
    made = Standby(targets.find("h200"), 0, "0000:00:00.0")
    yield made
    made.close()


@needs_compiler
def test_a_bench_takes_the_device_up_when_it_is_opened_and_not_before(driver: Driver, standby: Standby) -> None:
    bench = standby.bench()
    assert driver.calls(bench) == READY
    assert opened(bench, 1 << 30)[1:4] == (1 << 34, 1 << 34, 1 << 30)
    assert driver.calls(bench)[3:6] == ["cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuStreamCreate"]
    bench.kill()
    with pytest.raises(DeviceUnavailable, match=r"has 16\.0 GiB free, 33\.0 are needed") as raised:
        opened(other := standby.bench(), 1 << 35)
    assert "\n" not in str(raised.value)
    assert not other.alive


@needs_compiler
def test_one_that_waits_is_given_away_once_replaced_where_it_died_and_ended_at_the_end(
    driver: Driver, standby: Standby
) -> None:
    standby.prepare()
    (first,) = standby.pids()
    standby.prepare()
    assert standby.pids() == [first], "one is enough"
    given = standby.bench()
    assert (given.pid, standby.pids()) == (first, [])
    given.kill()
    standby.prepare()
    (second,) = standby.pids()
    os.kill(second, signal.SIGKILL)
    end = time.monotonic() + 60
    while Path(f"/proc/{second}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.005)
    given = standby.bench()
    assert given.pid != second
    opened(given, 1 << 30)
    given.kill()
    standby.prepare()
    (third,) = standby.pids()
    standby.close()
    assert standby.pids() == []
    assert not Path(f"/proc/{third}").exists()


@pytest.mark.parametrize(
    ("target", "kind"), [(GPUTarget("cuda", 90, 32), "cubin"), (GPUTarget("hip", "gfx942", 64), "hsaco")]
)
def test_the_comparison_is_compiled_before_there_is_a_device(
    target: GPUTarget, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    compare.prepare(target)
    assert [path.stem for path in tmp_path.rglob(f"*.{kind}")] == ["_differ"]
