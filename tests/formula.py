"""A pool whose judge reads the numbers in a program's text: a search of dozens of programs is quick."""

import re
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from evo_kernel import api
from evo_kernel.pools import Done
from evo_kernel.suite import held_out
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage


class Formula:
    """Judges in place of the interpreter, by the numbers in a program; raises KeyboardInterrupt when it is told to."""

    left: float = float("inf")  # verdicts until an interrupt

    def __init__(self, *_: object) -> None:
        self.tickets: list[tuple[int, str]] = []

    def free(self) -> int:
        return 1 - len(self.tickets)

    def submit(self, ticket: int, source: str) -> None:
        self.tickets.append((ticket, source))

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        Formula.left -= 1
        if Formula.left < 0:
            raise KeyboardInterrupt
        return [Done(ticket, self.judge(source), 0.0) for ticket, source in (self.tickets.pop(),) if self.tickets == []]

    def judge(self, source: str, *_: object) -> Evaluation:
        block, warps = (
            int(m[1]) if (m := re.search(rf"{name}=(\d+)", source)) else 4 for name in ("BLOCK", "num_warps")
        )
        failure = None
        if block >= 2048 or "broken" in source:
            failure = Failure(Stage.CORRECTNESS, "wrong", "by its numbers")
        times = (2.0 + abs(block - 512) / 64 + abs(warps - 2), 3.0 + warps)
        named = zip(("1M", "1M-fp16"), times, strict=True)
        cases = () if failure else tuple(CaseResult(name, us, 0.1, 0.5, "memory") for name, us in named)
        kernels = (Resources("k", 32, 30, 0, 0, 0, 4, 8, 0, 4.0, "code"),)
        return Evaluation("mi300", Basis.PREDICTED, "process", failure, cases, kernels, f"{block} {warps}")

    def close(self) -> None:
        self.tickets.clear()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have suite runs judge so."""
    monkeypatch.setattr(api, "inline", Formula)
    monkeypatch.setattr(held_out, "one_judge", lambda *_: SimpleNamespace(judge=Formula().judge, close=lambda: None))
    monkeypatch.setattr(Formula, "left", float("inf"))
