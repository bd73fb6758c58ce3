"""Judges one program after another: gates in order of rising cost, each in a killable child, then a prediction.

    source --[record]--> LaunchPlan --[compile]--> figures --[interpret]--> outputs, work --> Evaluation

The truth stays in this process. It runs no candidate's code and unpacks only plain data.
"""

import math
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fitness import coverage, predict, targets
from fitness import plan as plans
from fitness.build import Builder, Built, Purpose, Recorded, Refusal, timed, understood, value
from fitness.child import Limits
from fitness.correctness import Correctness
from fitness.correctness import Limits as Figures
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from fitness.jail import Jail, WorkerLost
from fitness.walls.standing import Standing, lowest
from suites import Case, Task
from suites.task import pack_arguments

REMEMBERED = 4096  # finished programs kept, each a few hundred bytes


class Judge:
    """The whole pipeline for one task and one target. `judge` is a pure function of the source and the seed.

    A program must also pass, and is predicted, on every target named in `also`.
    """

    def __init__(self, task: Task, target: str, seed: int = 0, limits: Limits | None = None, imports: bool = True,
                 also: Sequence[str] = ()) -> None:  # fmt: skip
        self.task, self.target, self.seed = task, targets.find(target), seed
        self._limits = limits or Limits()
        self._builder = Builder(task, self.target, self._limits, Purpose(code=False, imports=imports))
        self._interpreter = Jail("interpreter")
        self._interpreter.start()
        self.correctness = Correctness(task, seed, self._interpreter if task.interpreted else self._builder.jail)
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()
        self._others = tuple(Judge(task, name, seed, limits, imports) for name in also)

    def judge(self, source: str, cases: tuple[Case, ...] | None = None) -> Evaluation:
        """Return the verdict on a program; WorkerLost when this machine, not the program, failed."""
        try:
            built = self._builder.build(source, cases or self.task.cases, self.correctness.edges)
            known = self._finished.get(built.program)
            if known is not None:
                return known
            self.seconds = self._builder.seconds
            with timed(self.seconds, Stage.CORRECTNESS), understood(Stage.CORRECTNESS):
                evaluation = self._finish(source, built)
            evaluation = replace(evaluation, elsewhere=tuple(self._elsewhere(j, source, cases) for j in self._others))
        except Refusal as refused:
            self.seconds = self._builder.seconds
            return self._refusal(refused.failure)
        self._finished[built.program] = evaluation
        if len(self._finished) > REMEMBERED:
            self._finished.popitem(last=False)
        return evaluation

    def _elsewhere(self, other: "Judge", source: str, cases: tuple[Case, ...] | None) -> tuple[str, float]:
        """Return what a program that passed here takes on another target; Refusal where it fails there."""
        evaluation = other.judge(source, cases)
        if evaluation.failure is not None:
            raise Refusal(replace(evaluation.failure, message=f"on {other.target.name}: {evaluation.failure.message}"))
        return other.target.name, _digits(evaluation.score_us)

    def _refusal(self, failure: Failure) -> Evaluation:
        return Evaluation(self.target.name, Basis.PREDICTED, str(self.standing), failure)

    @property
    def standing(self) -> Standing:
        """What is in force around a candidate."""
        return lowest((self._builder.jail.standing, self._interpreter.standing, *(j.standing for j in self._others)))

    def news(self) -> Figures:
        """Return the limits that were computed since this was last asked."""
        return self.correctness.news()

    def close(self) -> None:
        """End the fork servers."""
        self._builder.close()
        self._interpreter.close()
        for other in self._others:
            other.close()

    def pids(self) -> list[int]:
        """Return the fork servers' processes, for those who watch or kill them."""
        own = [p for p in (self._builder.jail.pid, self._interpreter.pid) if p]
        return own + [p for j in self._others for p in j.pids()]

    def _finish(self, source: str, built: Built) -> Evaluation:
        """Check every case and edge under the interpreter and predict every case's time."""
        recorded, figures = built.recorded, built.figures
        tuned = any(len(launch.variants) > 1 for r in recorded for launch in r.full.launches)
        profiles = [self._profile(r, coverage.FEW) for r in recorded]
        reserved = max(r.full.bytes for r in recorded)
        choices: list[dict[str, str]] = [{} for _ in recorded]
        works: Any = None
        if tuned:  # the configuration must be known before it can be checked: profile first
            _, works = self._interpret(source, [], profiles, reserved)
            choices = [self._choose(one, work, figures) for one, work in zip(recorded, works, strict=True)]
        checks = {one.case.name: one.check.resolve(choice) for one, choice in zip(recorded, choices, strict=True)}
        checks |= {e.case.name: e.check.resolve(choices[0]) for e in built.edges}
        replays = self.correctness.replays(tuple(r.case for r in recorded))
        outputs, profiled = self._interpret(
            source, self.correctness.checks(replays, checks), [] if tuned else profiles, 0 if tuned else reserved
        )
        works = works if tuned else profiled
        ratios, failure = self.correctness.judge(replays, outputs)
        if failure is not None:
            raise Refusal(failure)
        errors = [ratios[r.case.name] for r in recorded]
        works = [
            self._covering(source, one, choice, work)
            for one, choice, work in zip(recorded, choices, works, strict=True)
        ]
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
            isolation=str(self.standing),
            failure=None,
            cases=tuple(results),
            kernels=tuple(figures[d] for d in used),
            program=built.program,
            notes=built.notes,
        )

    def _interpret(self, source: str, checks: list[Any], profiles: list[Any], reserved: int = 0) -> tuple[Any, Any]:
        """Replay plans under the interpreter in the jail; `reserved` bytes are address space that is hardly touched."""
        limits = replace(self._limits, memory=self._limits.memory + reserved)
        payload = {"source": source, "checks": checks, "profiles": profiles, "in_place": self.task.in_place}
        outcome = self._interpreter.run("interpret", payload, limits)
        outputs, works = value(outcome, Stage.CORRECTNESS, self.task)
        return outputs, works

    def _profile(self, one: Recorded, samples: int) -> list[Any]:
        """Say which plan to sample and how often. Which programs are drawn follows from the seed and the case."""
        seed = random.Random(f"programs {self.seed} {one.case.name}").getrandbits(48)
        return [one.case.name, plans.pack(one.full), pack_arguments(one.case.arguments(small=False)), seed, samples]

    def _covering(self, source: str, one: Recorded, choice: dict[str, str], works: Any) -> Any:
        """Return the work of enough programs to tell that the plan does the whole task; Refusal where it does not."""
        if coverage.missing(one.full, one.case, choice, works) is None:
            return works
        _, (more,) = self._interpret(source, [], [self._profile(one, coverage.MANY)], one.full.bytes)
        missing = coverage.missing(one.full, one.case, choice, more, coverage.DEVIATIONS)
        if missing:
            message = f"case {one.case.name}: {missing}"
            raise Refusal(Failure(Stage.CORRECTNESS, "incomplete", message, case=one.case.name))
        return more

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
        time_us = predict.total_us(predictions, one.case, self.target)
        if not math.isfinite(time_us):
            raise Refusal(Failure(Stage.COMPILE, "resources", "no configuration fits the chip", case=one.case.name))
        longest = max(predictions, key=lambda p: p.time_us, default=predict.Prediction(0.0, "launch"))
        floor = predict.floor_us(one.case, self.target)
        bound = longest.bound if predictions else "nothing"
        return CaseResult(one.case.name, _digits(time_us), error, _digits(floor), bound, tuple(sorted(choice.items())))


def _digits(number: float) -> float:
    """Keep six digits: more would be noise, and fewer decimals would make nothing of tiny cases."""
    return float(f"{number:.6g}")


__all__ = ["Judge", "WorkerLost"]
