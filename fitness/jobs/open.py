"""Runs a candidate's own launcher on real tensors: open mode, for programs that a plan cannot hold.

Nothing that comes from here is trusted. Outputs are compared outside, with a truth that never was in this process. The
times are claims of a process that runs the candidate's Python: it can reach the clock, the events and this very code.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from fitness.child import Refused, Report
from fitness.jobs import devices, program
from fitness.jobs.interpret import prepare
from fitness.jobs.truth import storage
from suites.task import Argument, Input, unpack_arguments
from suites.trials import BASE, Trial, draw

WARM, BATCHES, CALLS = 3, 4, 16  # calls before the clock runs; batches of calls that are timed
SETS, SETS_BYTES = 64, 4 << 30  # of inputs that calls take in turn: at most so many, of at most so many bytes in all
AHEAD = 4_000_000  # clocks for which the device is kept busy, so that the host runs ahead of it: about 2 ms

Launcher = Callable[..., Any]


def run_open(payload: Any, report: Report) -> Any:
    """Check and time a program on a GPU."""
    devices.choose(payload["visible"])
    return _run(payload, report, "cuda")


def run_interpreted(payload: Any, report: Report) -> Any:
    """Check a program under Triton's interpreter, on tensors of the host; its times are the interpreter's."""
    prepare()
    return _run(payload, report, "cpu")


def _run(payload: Any, report: Report, device: str) -> Any:
    """Return for every check the outputs and what became of the inputs, and for every timed case what it took."""
    report.stage("static")
    program.check_source(payload["source"], payload["entry"], imports=False)
    clock = Clock(device)  # before the candidate's first line
    module = program.load(payload["source"], report)
    launcher = getattr(module, payload["entry"])
    checked = []
    for case, packed, given, small in payload["checks"]:
        report.stage(f"correctness:{case}")
        checked.append(_check(launcher, unpack_arguments(packed), dict(given), device, small))
    timed = []
    for case, packed, seed in payload["timed"]:
        report.stage(f"timing:{case}")
        timed.append(clock.time(launcher, case, unpack_arguments(packed), seed, payload["cache"]))
    return checked, timed


def _check(launcher: Launcher, arguments: Mapping[str, Argument], given: Mapping[str, bytes], device: str,
           small: bool) -> list[Any]:  # fmt: skip
    """Call once; return the outputs, and of small inputs what they are afterwards."""
    values = {n: _tensor(a, given[n], device) if isinstance(a, Input) else a for n, a in arguments.items()}
    made = launcher(*values.values())
    outputs = [_plain(o) for o in (made if isinstance(made, (tuple, list)) else (made,))]
    after = [[n, storage(values[n], a)] for n, a in arguments.items() if isinstance(a, Input) and small]
    return [outputs, after]


def _tensor(spec: Input, data: bytes, device: str) -> Any:
    """Rebuild an input from its bytes, with its strides and padding."""
    dtype = getattr(torch, spec.dtype)
    if not data:
        return spec.laid_out(torch.empty(spec.stored, dtype=dtype, device=device))
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device)
    return spec.laid_out(flat.view(dtype).view(spec.stored))


def _plain(output: Any) -> list[Any]:
    """Return one output's schema and its bytes in row-major order."""
    if not isinstance(output, torch.Tensor):
        kind = type(output).__name__
        raise Refused("schema", f"the launcher must return a tensor or a tuple of tensors; got {kind}")
    if not output.is_contiguous():
        raise Refused("schema", "the launcher must return tensors that are contiguous in row-major order")
    data = output.detach().reshape(-1).view(torch.uint8).cpu().numpy().tobytes() if output.numel() else b""
    return [str(output.dtype).removeprefix("torch."), list(output.shape), data]


class Clock:
    """Times calls: on the device by events around each, on the host by how long the call itself takes.

    It keeps its own references to what it needs, which stops a candidate that patches them and no other. On the device
    a pair of events adds its own microsecond or so, which the replayed graphs of sealed mode do not have.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._now = time.perf_counter_ns
        self._event = torch.cuda.Event
        self._sleep = getattr(torch.cuda, "_sleep", None)
        self._wait = torch.cuda.synchronize
        self._flush = torch.Tensor.fill_

    def time(self, launcher: Launcher, case: str, arguments: Mapping[str, Argument], seed: int, cache: int
             ) -> list[Any]:  # fmt: skip
        """Return the medians of a call's microseconds on the device and on the host, and the number of calls.

        Each call finds the cache full of others' writes, as in sealed mode: torch gives each the memory of the last
        one's outputs, which the cache would hold.
        """
        size = sum(a.storage for a in arguments.values() if isinstance(a, Input))
        count = max(2, min(SETS, 2 * cache // max(size, 1) + 1, SETS_BYTES // max(size, 1)))
        trial = Trial(BASE, case, arguments)
        if self._device == "cpu":
            values = tuple(draw(trial, seed).values())
            host = [self._host(launcher, values) for _ in range(WARM)]
            return [statistics.median(host), statistics.median(host), len(host)]
        sets = [tuple(draw(trial, seed + n, self._device).values()) for n in range(count)]
        for n in range(WARM):
            launcher(*sets[n % count])
        pairs: list[tuple[Any, Any]] = []
        host = []
        flushed = torch.empty(2 * cache, dtype=torch.uint8, device=self._device)
        for batch in range(BATCHES):
            self._wait()
            if self._sleep is not None:
                self._sleep(AHEAD)
            for n in range(batch * CALLS, (batch + 1) * CALLS):
                begin, end = self._event(enable_timing=True), self._event(enable_timing=True)
                self._flush(flushed, n % 256)
                begin.record()
                host.append(self._host(launcher, sets[n % count]))
                end.record()
                pairs.append((begin, end))
        self._wait()
        device = [begin.elapsed_time(end) * 1e3 for begin, end in pairs]
        return [statistics.median(device), statistics.median(host), len(device)]

    def _host(self, launcher: Launcher, values: tuple[Any, ...]) -> float:
        """Return how many microseconds a call takes, without waiting for what it launched."""
        started = self._now()
        launcher(*values)
        return (self._now() - started) / 1e3
