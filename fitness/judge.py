"""Judges one program after another: gates in order of rising cost, each in a killable child, then a prediction.

    source --[record]--> LaunchPlan --[compile]--> figures --[interpret]--> outputs, work --> Evaluation

The truth stays in this process. It runs no candidate's code and unpacks only plain data.
"""

import hashlib
import logging
import math
import re
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from typing import Any

from fitness import codescan, coverage, predict, targets, tolerance
from fitness import plan as plans
from fitness.child import Limits
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from fitness.jail import ISOLATION, Jail, Outcome, WorkerLost
from fitness.plan import LaunchPlan
from fitness.tolerance import Expected
from suites import Case, Task, TaskError
from suites.task import pack, pack_arguments

logger = logging.getLogger(__name__)

REMEMBERED = 4096  # compiled kernels and finished programs kept, each a few hundred bytes
MAX_PLAN_BYTES = 24 << 30  # what the buffers of one case may need


@dataclass(frozen=True, slots=True)
class Given:
    """One case's inputs as bytes and what its outputs must be."""

    inputs: tuple[tuple[str, bytes], ...]
    outputs: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One case's plan at the timed size, and the plan the interpreter checks."""

    case: Case
    full: LaunchPlan
    check: LaunchPlan


class _Failed(Exception):
    """Carries a failure out of a gate."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Judge:
    """The whole pipeline for one task and one target. `judge` is a pure function of the source and the seed."""

    def __init__(
        self, task: Task, target: str, seed: int = 0, limits: Limits | None = None, imports: bool = True
    ) -> None:
        self.task, self.target, self.seed = task, targets.find(target), seed
        self._limits = limits or Limits()
        self._imports = imports  # whether imports are held to the list of fitness/jobs/policy.py
        self._compiled, self._interpreter = Jail("compiled"), Jail("interpreter")
        self._compiled.start()
        self._interpreter.start()
        self._stage = Stage.STATIC
        self._given: dict[str, Given] = {}
        self._figures: OrderedDict[str, Resources] = OrderedDict()
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()

    def judge(self, source: str, cases: tuple[Case, ...] | None = None) -> Evaluation:
        """Return the verdict on a program; WorkerLost when this machine, not the program, failed."""
        cases = cases or self.task.cases
        try:
            _check_text(source)
            recorded, notes = self._record(source, cases)
            figures = self._compile(recorded)
            program = _program(recorded, figures)
            known = self._finished.get(program)
            if known is not None:
                return known
            evaluation = self._finish(source, recorded, figures, program, notes)
            _remember(self._finished, program, evaluation)
        except _Failed as failed:
            return self._refusal(failed.failure)
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            # what a child sent has the wrong form: only a candidate that forges its channel can bring that about
            logger.debug("malformed answer", exc_info=True)
            return self._refusal(Failure(self._stage, "malformed", f"the child's answer is malformed: {error}"))
        return evaluation

    def _refusal(self, failure: Failure) -> Evaluation:
        return Evaluation(self.target.name, Basis.PREDICTED, ISOLATION, failure)

    def close(self) -> None:
        """End the fork servers."""
        self._compiled.close()
        self._interpreter.close()

    def pids(self) -> list[int]:
        """Return the fork servers' processes, for those who watch or kill them."""
        return [p for p in (self._compiled.pid, self._interpreter.pid) if p]

    def _record(self, source: str, cases: tuple[Case, ...]) -> tuple[tuple[Recorded, ...], tuple[str, ...]]:
        """Run the launcher in the jail and take its plans."""
        target = self.target
        self._stage = Stage.RECORD
        outcome = self._compiled.run(
            "record",
            {
                "source": source,
                "entry": self.task.entry,
                "imports": self._imports,
                "target": [target.backend, target.arch, target.wave],
                "sheet": {k: v for k, v in asdict(target).items() if k != "matrix_tflops"},
                "cases": [
                    [c.name, pack_arguments(c.inputs), None if c.small is None else pack_arguments(c.small)]
                    for c in cases
                ],
            },
            self._limits,
        )
        recorded, notes = [], []
        for case, (_, full, check, said) in zip(cases, _value(outcome, Stage.RECORD), strict=True):
            one = Recorded(case, plans.unpack(full), plans.unpack(check))
            if max(one.full.bytes, one.check.bytes) > MAX_PLAN_BYTES:
                size = max(one.full.bytes, one.check.bytes) / (1 << 30)
                message = f"the launcher allocates {size:.1f} GiB; at most {MAX_PLAN_BYTES >> 30} GiB are allowed"
                raise _Failed(Failure(Stage.RECORD, "memory", message, case=case.name))
            recorded.append(one)
            notes += said
        return tuple(recorded), tuple(dict.fromkeys(notes))

    def _compile(self, recorded: tuple[Recorded, ...]) -> dict[str, Resources]:
        """Read the code, then compile what is new, in a child that never saw the candidate."""
        wanted = {v.kernel.digest: v.kernel for r in recorded for launch in r.full.launches for v in launch.variants}
        objection = codescan.objection(wanted.values(), getattr(self.task, "tf32", False))
        if objection:
            raise _Failed(Failure(Stage.COMPILE, "code", objection))
        missing = {d: k for d, k in wanted.items() if d not in self._figures}
        if missing:
            target = self.target
            kernels = [[d, k.symbol, k.ttir, k.options] for d, k in missing.items()]
            payload = {"target": [target.backend, target.arch, target.wave], "kernels": kernels}
            outcome = self._compiled.run("compile", payload, self._limits)
            for digest, figures in _value(outcome, Stage.COMPILE):
                _remember(self._figures, digest, Resources(*figures))
        found = {d: self._figures[d] for d in wanted}
        for digest, figures in found.items():
            if figures.occupancy == 0 and all(len(x.variants) == 1 for r in recorded for x in r.full.launches):
                symbol, shared = wanted[digest].symbol, figures.shared_bytes
                message = (
                    f"kernel {symbol} cannot run on {self.target.name}: one program needs {shared} bytes of LDS (of "
                    f"{self.target.shared}), {figures.vgprs} registers a lane and {figures.waves_per_program} waves"
                )
                raise _Failed(Failure(Stage.COMPILE, "resources", message))
        return found

    def _finish(self, source: str, recorded: tuple[Recorded, ...], figures: dict[str, Resources], program: str,
                notes: tuple[str, ...]) -> Evaluation:  # fmt: skip
        """Check every case under the interpreter and predict every case's time."""
        tuned = any(len(launch.variants) > 1 for r in recorded for launch in r.full.launches)
        profiles = [[r.case.name, plans.pack(r.full)] for r in recorded]
        reserved = max(r.full.bytes for r in recorded)
        if tuned:  # the configuration must be known before it can be checked: profile first
            _, works = self._interpret(source, [], profiles, reserved)
            checks, choices = [], []
            for one, work in zip(recorded, works, strict=True):
                choice = self._choose(one, work, figures)
                choices.append(choice)
                checks.append(one.check.resolve(choice))
            outputs, _ = self._interpret(source, self._checks(recorded, checks), [])
        else:
            choices = [{} for _ in recorded]
            outputs, works = self._interpret(
                source, self._checks(recorded, [r.check for r in recorded]), profiles, reserved
            )
        errors = [self._correct(r.case, out) for r, out in zip(recorded, outputs, strict=True)]
        results = [
            self._result(one, choice, work, figures, error)
            for one, choice, work, error in zip(recorded, choices, works, errors, strict=True)
        ]
        used = {
            launch.chosen.kernel.digest: None
            for one, choice in zip(recorded, choices, strict=True)
            for launch in one.full.resolve(choice).launches
        }
        return Evaluation(
            target=self.target.name,
            basis=Basis.PREDICTED,
            isolation=ISOLATION,
            failure=None,
            cases=tuple(results),
            kernels=tuple(figures[d] for d in used),
            program=program,
            notes=notes,
        )

    def _checks(self, recorded: tuple[Recorded, ...], checks: list[LaunchPlan]) -> list[Any]:
        return [[r.case.name, plans.pack(p), self._truth(r.case).inputs] for r, p in zip(recorded, checks, strict=True)]

    def _interpret(self, source: str, checks: list[Any], profiles: list[Any], reserved: int = 0) -> tuple[Any, Any]:
        """Replay plans under the interpreter in the jail; `reserved` bytes are address space that is hardly touched."""
        limits = replace(self._limits, memory=self._limits.memory + reserved)
        self._stage = Stage.CORRECTNESS
        payload = {"source": source, "checks": checks, "profiles": profiles}
        outcome = self._interpreter.run("interpret", payload, limits)
        outputs, works = _value(outcome, Stage.CORRECTNESS)
        return outputs, works

    def _correct(self, case: Case, outputs: Any) -> float:
        """Compare one case's outputs with the truth, here, outside the jail."""
        try:
            verdict = tolerance.compare(outputs, self._truth(case).outputs)
        except (ValueError, TypeError, KeyError) as error:
            raise _Failed(
                Failure(Stage.CORRECTNESS, "schema", f"unreadable outputs: {error}", case=case.name)
            ) from error
        if verdict.complaint:
            message = f"case {case.name}: {verdict.complaint}"
            raise _Failed(Failure(Stage.CORRECTNESS, verdict.kind, message, case=case.name))
        return round(verdict.ratio, 6)

    def _choose(self, one: Recorded, works: Any, figures: dict[str, Resources]) -> dict[str, str]:
        """Take for every autotuned kernel the configuration that is predicted fastest in this case."""
        totals: dict[str, dict[str, float]] = {}
        for launch, work in zip(one.full.launches, works, strict=True):
            for variant, sample in zip(launch.variants, work, strict=True):
                if variant.label is None:
                    continue
                figure = figures[variant.kernel.digest]
                predicted = predict.launch(
                    one.full, launch.arguments, variant, predict.Work(*sample), figure, self.target
                )
                table = totals.setdefault(variant.kernel.function, {})
                table[variant.label] = table.get(variant.label, 0.0) + predicted.time_us
        return {function: min(table, key=lambda k: (table[k], k)) for function, table in totals.items()}

    def _result(self, one: Recorded, choice: dict[str, str], works: Any, figures: dict[str, Resources],
                error: float) -> CaseResult:  # fmt: skip
        """Predict one case."""
        predictions = []
        for launch, work in zip(one.full.launches, works, strict=True):
            number = launch.index(choice)
            variant = launch.variants[number]
            figure = figures[variant.kernel.digest]
            predictions.append(
                predict.launch(one.full, launch.arguments, variant, predict.Work(*work[number]), figure, self.target)
            )
        missing = coverage.missing(one.full, one.case, choice, works)
        if missing:
            message = f"case {one.case.name}: {missing}"
            raise _Failed(Failure(Stage.CORRECTNESS, "incomplete", message, case=one.case.name))
        time_us = predict.total_us(predictions, one.case, self.target)
        if not math.isfinite(time_us):
            raise _Failed(Failure(Stage.COMPILE, "resources", "no configuration fits the chip", case=one.case.name))
        longest = max(predictions, key=lambda p: p.time_us, default=predict.Prediction(0.0, "launch"))
        floor = predict.floor_us(one.case, self.target)
        bound = longest.bound if predictions else "nothing"
        return CaseResult(one.case.name, _digits(time_us), error, _digits(floor), bound, tuple(sorted(choice.items())))

    def _truth(self, case: Case) -> Given:
        """Compute a case's inputs and truth once, in a child that runs the task's own code alone."""
        if case.name not in self._given:
            payload = {
                "task": pack(self.task),
                "case": case.name,
                "arguments": pack_arguments(case.arguments(small=True)),
                "seed": self.seed,
            }
            outcome = self._compiled.run("truth", payload, Limits(seconds=120.0))
            if outcome.kind is not None:
                raise TaskError(
                    f"task {self.task.name}, case {case.name}: the reference failed: {outcome.message}\n{outcome.trace}"
                )
            inputs, outputs = outcome.value
            self._given[case.name] = Given(tuple(inputs), tuple(tolerance.expected(o) for o in outputs))
        return self._given[case.name]


def _digits(value: float) -> float:
    """Keep six digits: more would be noise, and fewer decimals would make nothing of tiny cases."""
    return float(f"{value:.6g}")


def _check_text(source: str) -> None:
    """Refuse what no file and no wire can hold."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise _Failed(Failure(Stage.STATIC, "syntax", f"the program is not valid Unicode text: {error}")) from error


def _value(outcome: Outcome, default: Stage) -> Any:
    """Return a job's value, or raise its failure at the stage the child had reached."""
    if outcome.kind is None:
        return outcome.value
    name, _, case = (outcome.stage or default.value).partition(":")
    stage = Stage(name) if name in set(Stage) else default
    trace = _clean(outcome.trace or outcome.log)
    raise _Failed(Failure(stage, outcome.kind, _clean(outcome.message), trace, case or None))


def _clean(text: str) -> str:
    """Take out what differs from run to run: scratch folders and addresses."""
    return re.sub(r"0x[0-9a-f]{6,}", "0x...", re.sub(r"/\S*?/evo-\w+/\w+/home/", "", text))


def _program(recorded: tuple[Recorded, ...], figures: dict[str, Resources]) -> str:
    """Identify what would run: launches, arguments and machine code, whatever the source looked like."""
    codes = [[figures[v.kernel.digest].code for launch in r.full.launches for v in launch.variants] for r in recorded]
    text = repr([[r.case.name, r.full.shape_digest, r.check.shape_digest] for r in recorded]) + repr(codes)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remember(memory: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    """Add to a memory that forgets its oldest."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)


__all__ = ["Judge", "WorkerLost"]
