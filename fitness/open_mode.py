"""Judges programs in open mode: each candidate's launcher runs in its own jailed process, and only its bytes come back.

    source --[child: import, call on given bytes, time]--> outputs, claimed times --[compared here]--> Evaluation

For what a plan cannot hold. Outputs are judged as strictly as anywhere: truth and limits are outside the child. Times
are what that process says of itself, so every verdict is labelled Mode.OPEN, and none is ever confirmed.
"""

import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fitness import tolerance, words
from fitness.build import Refusal, digest, timed, understood, value
from fitness.child import Limits
from fitness.correctness import TRUTH_SECONDS, UNWRITTEN, Correctness, Given, Replay
from fitness.correctness import Limits as Figures
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Mode, Stage
from fitness.gpu.calibration import Calibration
from fitness.gpu.court import DeviceUnavailable
from fitness.gpu.discover import Found
from fitness.jail import Jail, Outcome
from fitness.roofline import of_sheet, roofline
from fitness.targets import Target
from fitness.walls import profiles
from fitness.walls.standing import Standing, lowest
from suites import Case, Input, Task, TaskError
from suites.task import ITEM_BYTES, pack, pack_arguments
from suites.trials import BASE, Trial, trials

CLAIMED = "untrusted-host: times are claims of the program's own process, which holds the clock"
INTERPRETED = "no device: its launcher ran on the host under Triton's interpreter, and the times are the interpreter's"
STEPS = 4  # a sealed program has limits for record, compile and run; here one child does it all
OUTPUT = 1000 << 20  # bytes a child may answer with: what its supervisor adds must still fit into a frame
FRAME = 800 << 20  # bytes of inputs, or of truth, that may travel in one frame

# what any machine with a working driver, Triton and a C compiler can run
_PROBE = """
import torch, triton
import triton.language as tl
@triton.jit
def probe_kernel(out, BLOCK: tl.constexpr):
    tl.store(out + tl.arange(0, BLOCK), tl.arange(0, BLOCK))
def probe(x):
    out = torch.empty(128, dtype=torch.int32, device=x.device)
    probe_kernel[(1,)](out, BLOCK=128)
    return out
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a child says one case takes: microseconds of a call on the device and on the host, medians of `calls`."""

    device_us: float
    host_us: float
    calls: int


class OpenJudge:
    """The pipeline of open mode for one task. Without a GPU (`gpu` None) the launcher runs under the interpreter."""

    def __init__(self, task: Task, target: Target, limits: Limits | None = None, gpu: Found | None = None,
                 secret: int | None = None) -> None:  # fmt: skip
        self.task, self.target = task, target
        limits = limits or Limits()
        self._limits = replace(limits, seconds=limits.seconds * STEPS, output=OUTPUT)
        self._gpu, self._visible = gpu, "" if gpu is None else visible(gpu)
        self._trusted = Jail("compiled" if gpu is None else "device")
        self._trusted.start()
        self._jail = self._trusted if gpu is not None else Jail("interpreter")
        self._jail.start()
        self._rng = random.Random(os.urandom(16))  # of timings' inputs, which nobody compares
        # whoever knew the seed could know the inputs: all judges of one run have one, so that no limit moves
        self._seed = self._rng.getrandbits(48) if secret is None else secret
        self.correctness = Correctness(task, self._seed, self._trusted)
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._full: dict[str, Given | None] = {}
        if gpu is not None:
            self._probe(gpu)

    @property
    def standing(self) -> Standing:
        """What is in force around a candidate."""
        return lowest((self._trusted.standing, self._jail.standing))

    @property
    def device(self) -> str | None:
        """The device's name."""
        return None if self._gpu is None else self._gpu.name

    def judge(self, source: str, cases: tuple[Case, ...] | None = None, against: Mapping[str, str] | None = None,
              confirm: bool | None = None) -> Evaluation:  # fmt: skip
        """Judge a program; rivals and `confirm` change nothing here, and the notes say so."""
        cases = cases or self.task.cases
        self.seconds = {}
        try:
            with timed(self.seconds, Stage.CORRECTNESS), understood(Stage.CORRECTNESS):
                errors, claims, notes = self._verify(source, cases)
            results = tuple(self._result(c, errors[c.name], claims[c.name]) for c in cases)
        except Refusal as refused:
            return self._evaluation(refused.failure)
        if against:
            notes += (f"not timed beside {', '.join(against)}: open mode has no common clock",)
        return replace(self._evaluation(None, results), program=digest(source), notes=notes)

    def news(self) -> Figures:
        """Return the limits that were computed since this was last asked."""
        return self.correctness.news()

    def close(self) -> None:
        """End the fork servers."""
        self._trusted.close()
        self._jail.close()

    def pids(self) -> list[int]:
        """Return the fork servers' processes, for those who watch or kill them."""
        return [p for p in dict.fromkeys((self._trusted.pid, self._jail.pid)) if p]

    def _verify(
        self, source: str, cases: tuple[Case, ...]
    ) -> tuple[dict[str, float], dict[str, Claim], tuple[str, ...]]:
        """Run every trial and time every case in one child; then the timed sizes, as many to a child as can travel."""
        replays = self.correctness.repeats(cases)
        checks = [self._check(r.trial, self.correctness.given(r.trial), small=True) for r in replays]
        small = self._gpu is None
        asked = [[c.name, pack_arguments(c.arguments(small)), self._rng.getrandbits(48)] for c in cases]
        checked, said = value(self._run(source, checks, asked), Stage.CORRECTNESS, self.task)
        self._unchanged(replays, [after for _, after in checked])
        errors, failure = self.correctness.judge(replays, [outputs for outputs, _ in checked])
        if failure is not None:
            raise Refusal(_of_two_calls(failure))
        claims = {c.name: _claim(plain) for c, plain in zip(cases, said, strict=True)}
        notes = [CLAIMED] if self._gpu is not None else [CLAIMED, INTERPRETED]
        if self._gpu is not None:
            notes += self._verify_full(source, cases, errors)
        return errors, claims, tuple(notes)

    def _verify_full(self, source: str, cases: tuple[Case, ...], errors: dict[str, float]) -> list[str]:
        """Check each case's base values at the timed size; return what was left out, in words."""
        given = {c.name: g for c in cases if (g := self._given_full(c)) is not None}
        for group in _groups([(c, given[c.name]) for c in cases if c.name in given]):
            checks = [self._check(_base(self.task, c), g, small=False) for c, g in group]
            checked, _ = value(self._run(source, checks, []), Stage.CORRECTNESS, self.task)
            for (case, g), (outputs, _) in zip(group, checked, strict=True):
                verdict = tolerance.compare(outputs, g.outputs)
                if verdict.complaint:
                    message = words.message(f"case {case.name} at its timed size: {verdict.complaint}")
                    raise Refusal(Failure(Stage.CORRECTNESS, verdict.kind, message, case=case.name))
                errors[case.name] = max(errors[case.name], round(verdict.ratio, 6))
        left = [c.name for c in cases if c.name not in given]
        return [f"checked at the small size alone, too large to send: {', '.join(left)}"] if left else []

    def _given_full(self, case: Case) -> Given | None:
        """Compute a case's inputs and truth at the timed size on the device, once, in a child without candidates."""
        if case.name not in self._full:
            self._full[case.name] = self._compute_full(case) if _bytes_of_truth(case) <= FRAME else None
        return self._full[case.name]

    def _compute_full(self, case: Case) -> Given:
        trial = _base(self.task, case)
        payload = {
            "task": pack(self.task),
            "trials": [[trial.name, trial.case, pack_arguments(trial.arguments), trial.exact, trial.misrounded]],
            "seed": self._seed,
            "device": "cuda",
            "visible": self._visible,
        }
        outcome = self._trusted.run("truth-on-device", payload, Limits(seconds=TRUTH_SECONDS, output=OUTPUT))
        if outcome.kind is not None:
            raise TaskError(f"task {self.task.name}, case {case.name}: the reference failed: {outcome.message}")
        inputs, outputs = outcome.value[0]
        return Given(tuple(inputs), tuple(tolerance.unpack(o) for o in outputs))

    def _check(self, trial: Trial, given: Given, small: bool) -> list[Any]:
        return [trial.case, pack_arguments(trial.arguments), given.inputs, small]

    def _run(self, source: str, checks: Sequence[Any], asked: Sequence[Any], entry: str | None = None) -> Outcome:
        """Run a program in a child of its own."""
        payload = {
            "source": source,
            "entry": entry or self.task.entry,
            "visible": self._visible,
            "cache": self.target.cache_mb << 20,
            "checks": checks,
            "timed": asked,
        }
        return self._jail.run("open-interpreted" if self._gpu is None else "open", payload, self._limits)

    def _probe(self, gpu: Found) -> None:
        """Find out with a program of our own whether anything can run; no candidate is to blame for a machine."""
        if not profiles.c_compiler():
            self.close()
            raise DeviceUnavailable(
                f"open mode needs a C compiler ({' or '.join(profiles.COMPILERS)} in /usr/bin): Triton builds each "
                "launcher with it"
            )
        arguments = {"x": Input((1,))}
        outcome = self._run(_PROBE, [["probe", pack_arguments(arguments), [["x", bytes(4)]], True]], [], "probe")
        if outcome.kind is not None:
            self.close()
            raise DeviceUnavailable(f"open mode does not run on {gpu.name} here: {outcome.message}")

    def _unchanged(self, replays: Sequence[Replay], after: Sequence[Any]) -> None:
        """Refuse a program that changed an input it may not change."""
        for replay, plain in zip(replays, after, strict=True):
            case, found = replay.trial.case, dict(plain)
            for name, data in self.correctness.given(replay.trial).inputs:
                if name not in self.task.in_place and found[name] != data:
                    message = f"case {case}: the program changes its input `{name}`"
                    raise Refusal(Failure(Stage.CORRECTNESS, "input-changed", message, case=case))

    def _result(self, case: Case, error: float, claim: Claim) -> CaseResult:
        """Sum up one case; a claim that beats the roofline is refused."""
        ceilings = of_sheet(self.target)
        if self._gpu is not None:
            ceilings = Calibration.of(self._gpu.name, self.target).ceilings
        least = roofline(case, ceilings)
        if self._gpu is not None and least.beaten(claim.device_us):
            why = "part of the work is left out, or the claim is false"
            raise Refusal(least.refusal(case, claim.device_us, self._gpu.name, why))
        return CaseResult(
            case=case.name,
            time_us=float(f"{claim.device_us:.6g}"),
            error=error,
            floor_us=float(f"{least.time_us:.6g}"),
            bound=least.bound,
            samples=claim.calls,
            host_us=float(f"{claim.host_us:.6g}"),
        )

    def _evaluation(self, failure: Failure | None, cases: tuple[CaseResult, ...] = ()) -> Evaluation:
        return Evaluation(
            self.target.name, Basis.MEASURED, str(self.standing), failure, cases, mode=Mode.OPEN, device=self.device
        )


def visible(gpu: Found) -> str:
    """Return the name that a GPU has for its driver's own variable, which may hide others of this machine."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES" if gpu.backend == "cuda" else "HIP_VISIBLE_DEVICES", "").split(",")
    return names[gpu.index] if gpu.index < len(names) and names[gpu.index] else str(gpu.index)


def _of_two_calls(failure: Failure) -> Failure:
    """Say of a result that changed what is known here: memory is the program's own, and two calls differ."""
    if failure.kind != "uninitialised":
        return failure
    message = failure.message.replace(UNWRITTEN, "differs between two calls on equal inputs")
    return replace(failure, kind="unstable", message=message)


def _claim(plain: Any) -> Claim:
    """Read what a child says a case takes; ValueError where it cannot be a time."""
    device_us, host_us, calls = (float(plain[0]), float(plain[1]), int(plain[2]))
    if not (0 < device_us < math.inf and 0 < host_us < math.inf and 0 < calls < 1 << 20):
        raise ValueError("a time that is none")
    return Claim(device_us, host_us, calls)


def _base(task: Task, case: Case) -> Trial:
    """Return a case's own values at the timed size."""
    return next(t for t in trials(task, case, small=False) if t.name == BASE)


def _bytes_of_truth(case: Case) -> int:
    """Estimate what inputs and float64 truth of a case take: what it must move besides its inputs is its outputs."""
    given = [a for a in case.inputs.values() if isinstance(a, Input)]
    item = min((ITEM_BYTES[a.dtype] for a in given if a.floating), default=4)
    read = sum(a.storage for a in given)
    return read + max(0, case.bytes - read) * 8 // item


def _groups(wanted: Sequence[tuple[Case, Given]]) -> list[list[tuple[Case, Given]]]:
    """Put cases together while their inputs, and their outputs, fit into one frame."""
    groups: list[list[tuple[Case, Given]]] = []
    room = 0
    for case, given in wanted:
        size = max(sum(len(data) for _, data in given.inputs), sum(y.truth.nbytes for y in given.outputs))
        if not groups or size > room:
            groups.append([])
            room = FRAME
        groups[-1].append((case, given))
        room -= size
    return groups
