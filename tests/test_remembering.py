"""What is known of a program goes with it, and a search's collections pass over what was there before it."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from archives.candidate import Candidate, fingerprint
from evo_kernel import runs
from evo_kernel.config import Settings
from evo_kernel.population import Population
from operators import remembering, walking
from operators.proposal import Context
from operators.rewrites.operator import Rewriting
from operators.rewrites.program import read
from operators.uncollected import settled
from suites import load

SEED = load("rms_norm").seeds[0].source


def proposed(source: str) -> str:
    parent = Candidate(source, "seed", "", (), fingerprint(source), "s")
    return Rewriting().propose([parent], Context(np.random.default_rng(0), lambda mark: False, "mi300", "hip")).source


def test_of_many_programs_only_the_last_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "REMEMBERED", 2000)  # nodes, of some programs of this size
    trees = []
    for number in range(60):
        source = SEED.replace("rms_norm_kernel", f"kernel_{number}")
        proposed(source)
        trees.append(weakref.ref(read(source).tree))
    assert all(tree() is not None for tree in trees[-8:])
    gc.collect()
    assert not any(tree() for tree in trees[:20])


def test_what_is_proposed_does_not_depend_on_what_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [SEED, proposed(SEED)]
    read.cache_clear()
    before = [proposed(source) for source in sources]
    read.cache_clear()
    monkeypatch.setattr(walking, "REMEMBERED", 0)
    assert [proposed(source) for source in sources] == before


def test_answers_are_kept_until_all_are_forgotten() -> None:
    asked = []

    @remembering.remembered
    def twice(number: int) -> int:
        asked.append(number)
        return 2 * number

    assert [twice(3), twice(3)] == [6, 6]
    assert asked == [3]
    remembering.forget()
    assert (twice(3), asked) == (6, [3, 3])


def test_what_was_there_before_a_search_is_left_out_of_its_collections(tmp_path: Path) -> None:
    assert gc.get_freeze_count() == 0
    runs.begin(tmp_path / "run", Settings(target="mi300", basis="predicted"), load("softmax"))
    population = Population(tmp_path / "run", lambda *_: NoPool())
    assert gc.get_freeze_count() > 10_000
    with settled():  # of another run in this process
        pass
    assert gc.get_freeze_count() > 10_000
    population.close()
    assert gc.get_freeze_count() == 0


class NoPool:
    """Judges nothing."""

    def close(self) -> None:
        """End."""
