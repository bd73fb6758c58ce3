"""Shared pieces: a small task that is judged in a fraction of a second, and one fork server of a kind for all tests."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fitness.child import Limits
from fitness.gpu import discover
from fitness.gpu.court import Court
from fitness.jail import Jail
from fitness.judge import Judge
from fitness.measure import MeasuringJudge
from suites import Task, read

PATIENT = 100.0  # seconds for a job that ends: others may use the machine

SCALE = '''"""Doubles a vector: the smallest task there is, for tests."""
import torch

from suites import Case, Input

entry = "double"


def reference(x):
    return x * 2


def added(x):
    return x + x


def in_float32(x):
    return (x.float() * 2).to(x.dtype)


honest = [added, in_float32]


def case(name, n, dtype="float32", distribution="normal"):
    x = Input((n,), dtype, distribution)
    return Case(name, {"x": x}, flops=n, bytes=2 * x.bytes, small={"x": Input((1500,), dtype, distribution)})


cases = [case("1M", 1 << 20), case("1M-fp16", 1 << 20, "float16", "uniform")]
held_out = [case("odd", 999_983, "float32", "spike")]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def double_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n)  # a comment that must survive
    tl.store(out_ptr + offs, x * 2, mask=offs < n)


def double(x):
    out = torch.empty_like(x)
    n = x.numel()
    double_kernel[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](out, x, n, BLOCK=128, num_warps=4)
    return out
# evo-kernel: end
'''


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from tests that need none, so that they say the same everywhere; one thread to each process of many."""
    if "not gpu" in config.option.markexpr:
        os.environ.update(CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Share tests out by module; the many programs of cheats and honest by task, and last, so that no worker idles."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        module = item.nodeid.partition("::")[0]
        parameters = getattr(item, "callspec", None)
        program = parameters and next((v for v in parameters.params.values() if hasattr(v, "task")), None)
        item.add_marker(pytest.mark.xdist_group(f"{module} of {program.task}" if program else module))
    items.sort(key=lambda i: i.path.stem in ("test_cheats", "test_honest"))


class Borrowed:
    """A jail that its user does not end."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jail, name)

    def close(self) -> None:
        """Leave it to others."""


@pytest.fixture(scope="session")
def jails() -> Iterator[Callable[[str], Jail]]:
    """Lend this process's fork server of a flavour: a start costs 3 s of a processor, and every job is a fresh child.

    Who watches, kills or attacks servers starts its own.
    """
    servers: dict[str, Jail] = {}

    def lend(flavour: str) -> Any:
        return Borrowed(servers.setdefault(flavour, Jail(flavour)))

    yield lend
    for jail in servers.values():
        jail.close()


@contextlib.contextmanager
def lent(jails: Callable[[str], Jail]) -> Iterator[None]:
    """Have all judges that are made here borrow their fork servers."""
    with pytest.MonkeyPatch.context() as patch:
        for user in ("fitness.judge", "fitness.build", "fitness.checking", "fitness.open_mode", "evo_kernel.isolation"):
            patch.setattr(f"{user}.Jail", jails)
        yield


@pytest.fixture(scope="module")
def shared_jails(jails: Callable[[str], Jail]) -> Iterator[None]:
    """Have all judges of a module borrow their fork servers."""
    with lent(jails):
        yield


@pytest.fixture(scope="module")
def rays_folder() -> Iterator[None]:
    """Have Ray write where nothing stays; its sockets' names would be too long in a folder of pytest's."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_TMPDIR", folder)
            yield


@pytest.fixture(scope="session")
def double_task() -> Task:
    return read(SCALE, "double")


@pytest.fixture(scope="session")
def one_case_task(double_task: Task) -> Task:
    return replace(double_task, cases=double_task.cases[:1])


@pytest.fixture(scope="session")
def judge(double_task: Task, jails: Callable[[str], Jail]) -> Judge:
    # the list of imports is off: the gates behind it are what these tests try
    with lent(jails):
        return Judge(double_task, "mi300", limits=Limits(seconds=PATIENT, memory=3 << 30), imports=False)


@pytest.fixture(scope="session")
def gpu_judge() -> Iterator[Callable[[Task], MeasuringJudge]]:
    """Give the measuring judge of a task; all share one bench, one referee and one fork server."""
    target = discover.own_target()
    if target is None:
        pytest.skip("no GPU here that has a sheet in fitness/targets.py")
    court, jail = Court(target, seconds=5.0), Jail("compiled")
    now: list[MeasuringJudge] = []
    patch = pytest.MonkeyPatch()
    patch.setattr("fitness.measure.PROCESSES", 1)  # the clock is not what these tests try

    def find(task: Task) -> MeasuringJudge:
        if not now or now[0].task != task:
            now[:] = [MeasuringJudge(task, target, Limits(seconds=20.0, memory=3 << 30), court, jail)]
        return now[0]

    yield find
    patch.undo()
    court.close()
    jail.close()
