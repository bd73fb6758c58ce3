"""Programs are looked through beside a search, and what is proposed does not depend on it."""

import time
from collections.abc import Iterator

import numpy as np

from archives.candidate import Candidate, fingerprint
from evo_kernel.ahead import Ahead
from operators.proposal import Context
from operators.rewrites import program as programs
from operators.rewrites.families import FAMILIES
from operators.rewrites.operator import Rewriting, look
from suites import load

SEED = load("rms_norm").seeds[0].source


def proposed(source: str) -> list[str]:
    parent = Candidate(source, "seed", "", (), fingerprint(source), "s")
    contexts = [Context(np.random.default_rng(n), lambda mark: False, "mi300", "hip") for n in range(12)]
    return [Rewriting().propose([parent], context).source for context in contexts]


def test_a_program_that_was_looked_through_gives_the_same_proposals() -> None:
    programs.read.cache_clear()
    alone = proposed(SEED)
    programs.read.cache_clear()
    ahead = Ahead(look)
    ahead.add("def broken(:")
    ahead.add(SEED)
    until = time.monotonic() + 30
    while programs.read.cache_info().currsize == 0 and time.monotonic() < until:
        time.sleep(0.001)
    beside = proposed(SEED)  # while it is looked through
    while len(programs.read(SEED)._places) < len(FAMILIES) and time.monotonic() < until:
        time.sleep(0.01)
    ahead.close()
    assert len(programs.read(SEED)._places) == len(FAMILIES)
    assert alone == beside == proposed(SEED)


def test_closing_waits_for_one_step_alone() -> None:
    steps = []

    def look_long(source: str) -> Iterator[None]:
        for number in range(1000):
            steps.append(number)
            time.sleep(0.01)
            yield

    ahead = Ahead(look_long)
    ahead.close()  # nothing was begun
    ahead = Ahead(look_long)
    ahead.add("a program")
    while not steps:
        time.sleep(0.001)
    ahead.close()
    assert len(steps) < 500
