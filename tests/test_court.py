"""How bench and referee are led through a verdict: who is asked what, and that a fault leaves both listening.

The two processes are stood in for by queues that answer as those do; the real ones are tried by `pytest -m gpu`.
"""

import contextlib
import random
import socket
import struct
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_replay import CODE, PLAN

from fitness import targets, wire
from fitness.gpu import arena, hearing, pair, standby, storage, zones
from fitness.gpu.court import (
    Court,
    DeviceUnavailable,
    Fault,
    Hearing,
    Heat,
    MachineFailed,
    NoRoom,
    Program,
    RefereeFailed,
    Verified,
)
from fitness.gpu.known import turned_around
from fitness.gpu.process import Lost, questions
from fitness.gpu.referee import Referee
from fitness.jail import Jail, WorkerLost
from fitness.measure import MeasuringJudge
from fitness.plan import Buffer
from suites import Input, Task, TaskError, inputs

ARENA = 1 << 20
RIGHT = ["", "", 0.5]
TRIALS = ["base", "uniform", "influence"]


class Stand:
    """Answers in the order of its questions, as a process on a channel does."""

    def __init__(self, module: str, options: dict[str, Any], desk: "Desk") -> None:
        self.name = module.rsplit(".", 1)[1]
        self.desk, self.alive, self.pid = desk, True, len(desk.stands)
        self.opened = False
        self.answers: deque[Any] = deque([["ok", None]])
        desk.stands.append(self)

    def send(self, *question: Any) -> None:
        assert self.alive, f"{question[0]} was sent to a {self.name} that was killed"
        assert not self.answers, f"{question[0]} was asked before what the {self.name} said was heard"
        assert self.opened != (question[0] == "open"), f"{question[0]} was sent to a {self.name} that is not open"
        self.opened = True
        self.desk.asked.append((self.name, *question))
        self.answers.append(self.desk.reply(self.name, question))

    def answer(self, seconds: float) -> Any:
        assert self.answers, f"nobody asked the {self.name} anything"
        assert self.opened or not self.desk.in_turn(), "others wait for a start"
        found = self.answers.popleft()
        if isinstance(found, Lost):
            raise found
        return found

    def ask(self, *question: Any, seconds: float = 60.0) -> Any:
        self.send(*question)
        return self.answer(seconds)

    def kill(self) -> None:
        self.alive = False


class Desk:
    """What the stands say, and what they were asked."""

    def __init__(self) -> None:
        self.stands: list[Stand] = []
        self.asked: list[tuple[Any, ...]] = []
        self.hello = {
            "referee": ["NVIDIA H200", 90, 60 << 20, 132, 141 << 30, "2.11"],
            "bench": ["NVIDIA H200", 1 << 37, 1 << 37, ARENA, b"handle"],
        }
        self.says: list[tuple[Callable[[str, tuple[Any, ...]], bool], Any]] = []
        self.in_turn: Callable[[], bool] = lambda: False

    def reply(self, name: str, question: tuple[Any, ...]) -> Any:
        for number, (when, answer) in enumerate(self.says):
            if when(name, question):
                del self.says[number]
                return answer
        if question[0] == "open":
            return ["ok", self.hello[name]]
        if question[0] == "times":
            return self.times(question)
        if name == "bench":
            return ["ok", [12.5] * len(question[1]) if question[0] == "runs" else None]
        answers = {"names": lambda: TRIALS, "news": list, "check": lambda: [RIGHT] * len(question[1])}
        return ["ok", answers.get(question[0], lambda: None)()]

    def times(self, question: tuple[Any, ...]) -> Any:
        """Answer for heats on four groups of sets."""
        found = [
            [[[[10.0] * 4] * cycles] * len(names), [[30.0, 31.0]] * cycles, [""] * cycles]
            for names, cycles, *_ in question[1]
        ]
        return ["ok", found]

    def listening(self) -> bool:
        """Whether nobody who lives has an answer that was not taken, but for one bench that waits to be opened."""
        waiting = [s.name for s in self.stands if s.alive and not s.opened]
        return waiting == ["bench"] and not any(s.answers for s in self.at_work() if s.alive)

    def at_work(self) -> list[Stand]:
        """Return all that ever held anything on the device."""
        return [s for s in self.stands if s.opened]

    def names(self, who: str) -> list[str]:
        return [question for name, question, *_ in self.asked if name == who]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    found = Desk()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # no turns with those who use a real device
    monkeypatch.setattr(standby, "Process", lambda module, options: Stand(module, options, found))
    return found


@pytest.fixture
def bound(desk: Desk, double_task: Task) -> Iterator[Court]:
    made = Court(targets.find("h200"))
    desk.in_turn = lambda: bool(made._turns._depth)
    made.start()
    made.begin(double_task, 1)
    desk.asked.clear()
    yield made
    assert desk.listening()
    made.close()
    assert not any(s.alive for s in desk.stands)


PROGRAM = Program(PLAN, {PLAN.launches[0].chosen.kernel.digest: CODE})


def heard(court: Court, *trials: str, program: Program = PROGRAM) -> list[Verified]:
    return court.verify([Hearing("1M", trials or tuple(TRIALS), program)])


def wrong(what: str, before: int = 0) -> list[Any]:
    """What the referee says of runs of which one is wrong."""
    return ["ok", [*[RIGHT] * before, ["wrong", what, 9.0]]]


def test_a_program_runs_every_trial_on_both_poisons_and_is_checked_each_time(bound: Court, desk: Desk) -> None:
    assert heard(bound) == [Verified(0.5, 12.5)]
    (runs,) = [q[2] for q in desk.asked if q[:2] == ("bench", "runs")]
    assert [(n, poison) for _, n, poison in runs] == [(n, arena.POISONS[n % 2]) for n in range(4)]
    (checked,) = [q[2] for q in desk.asked if q[:2] == ("referee", "check")]
    assert [part[0] for part in checked] == [["1M", t] for t in ("base", "base", "uniform", "influence")]
    assert [bool(part[4]) for part in checked] == [False, True, False, False], "the second must equal the first"


def test_every_run_has_memory_of_its_own_that_is_filled_before_and_checked_after(bound: Court, desk: Desk) -> None:
    bound.verify([Hearing("1M", tuple(TRIALS), PROGRAM), Hearing("2M", ("base",), PROGRAM, twice=False)])
    questions = [(who, what) for who, what, *_ in desk.asked if what in ("fill", "runs", "check")]
    assert questions == [("referee", "fill"), ("bench", "runs"), ("referee", "check")], "one turn each on the device"
    filled, runs, checked = (next(q[2] for q in desk.asked if q[1] == name) for name in ("fill", "runs", "check"))
    bound_sets = {key: sets for q in desk.asked if q[1] == "bind" for key, _, _, sets in q[2]}
    places = [bound_sets[key][number] for key, number, _ in runs]
    assert len(set(places)) == 5
    assert [sets[0][0] for _, sets, _ in filled] == [[["x", bodies[0]]] for bodies in places]
    assert [inputs for _, inputs, *_ in checked] == [[["x", bodies[0]]] for bodies in places]
    assert not any(moved for *_, moved in filled), "what is compared holds the trial's own inputs"


def test_runs_that_do_not_fit_together_take_turns(bound: Court, desk: Desk) -> None:
    large = replace(PLAN, buffers=(replace(PLAN.buffers[0], bytes=ARENA * 2 // 5), *PLAN.buffers[1:]))
    assert heard(bound, program=Program(large, PROGRAM.code)) == [Verified(0.5, 12.5)]
    runs = [len(q[2]) for q in desk.asked if q[1] == "runs"]
    assert runs == [2, 2], "twins stay together"


def on(who: str, what: str, number: int = 1) -> Callable[[str, tuple[Any, ...]], bool]:
    """Match the n-th question of a kind."""
    seen = iter(range(1, 1000))
    return lambda name, question: (name, question[0]) == (who, what) and next(seen) == number


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_a_fault_on_the_device_replaces_the_bench_alone(number: int, bound: Court, desk: Desk) -> None:
    said = ["failed", "illegal-address", "kernel: CUDA_ERROR_ILLEGAL_ADDRESS", number]
    desk.says.append((on("bench", "runs"), said))
    with pytest.raises(Fault, match="ILLEGAL_ADDRESS") as raised:
        bound.verify([Hearing("2M", ("base",), PROGRAM), Hearing("1M", tuple(TRIALS), PROGRAM)])
    assert (raised.value.kind, raised.value.case) == ("illegal-address", "2M" if number < 2 else "1M")
    assert desk.listening()
    bound.start()
    assert [s.name for s in desk.at_work()] == ["referee", "bench", "bench"]
    assert [s.alive for s in desk.at_work()] == [True, False, True]
    assert desk.names("referee")[-2:] == ["unmap", "map"]
    assert heard(bound)[0].error == 0.5, "the next program is judged"
    assert desk.names("bench").count("load") == 2, "the fresh bench has no machine code yet"


@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_wrong_output_fails_and_leaves_both_sides_listening(number: int, bound: Court, desk: Desk) -> None:
    desk.says.append((on("referee", "check"), wrong("at [3] expected 1, got 2", number)))
    with pytest.raises(Fault, match=r"at \[3\] expected 1") as raised:
        heard(bound)
    assert (raised.value.kind, raised.value.case) == ("wrong", "1M")
    assert str(raised.value).startswith(["its own inputs", "", "uniform inputs", "influence inputs"][number])
    assert [s.name for s in desk.at_work()] == ["referee", "bench"]


def test_a_kernel_that_does_not_end_is_a_timeout(bound: Court, desk: Desk) -> None:
    desk.says.append((on("bench", "runs"), Lost("no answer", hung=True)))
    with pytest.raises(Fault, match="did not finish on the device") as raised:
        heard(bound)
    assert raised.value.kind == "timeout"


def test_two_runs_are_not_compared_where_atomics_are_declared(bound: Court, desk: Desk, double_task: Task) -> None:
    bound.begin(replace(double_task, atomics=True), 1)
    heard(bound)
    (checked,) = [q[2] for q in desk.asked if q[:2] == ("referee", "check")]
    assert not any(part[4] for part in checked)


def test_a_truth_without_room_gives_all_memory_back(bound: Court, desk: Desk) -> None:
    desk.says.append((on("referee", "fill"), ["failed", "memory", "CUDA out of memory"]))
    with pytest.raises(NoRoom):
        heard(bound)
    assert desk.names("referee")[-1] == "forget"
    assert not desk.at_work()[1].alive
    assert heard(bound)[0].error == 0.5


def test_others_memory_is_no_lasting_fact_of_a_task(desk: Desk, double_task: Task) -> None:
    judge = MeasuringJudge(double_task, targets.find("h200"), court=Court(targets.find("h200")))
    desk.says.append((on("referee", "eager_us"), ["failed", "crowded", "too little memory is left on the GPU"]))
    with contextlib.closing(judge), pytest.raises(DeviceUnavailable, match="too little memory is left"):
        judge.eager_us()


@pytest.mark.parametrize(
    ("judges", "holds", "kind", "words"),
    [
        (1, 1, "memory", "more memory than the GPU has: 1.0 of 140.0 GiB are free, its judge holds 138.0"),
        (1, 100, "crowded", "others 100.0; run it when they are done"),
        (4, 1, "memory", "more memory than the GPU has"),
        (4, 100, "memory", "than its judge's part, one of 4 of the GPU: 1.0 of 140.0 GiB are free"),
        (4, 108, "memory", "others 108.0; fewer judges on one GPU would leave it more"),  # their parts, and contexts
        (4, 110, "crowded", "others 110.0, 105.0 of which would be for the judges beside it; run it when"),
    ],
)
def test_memory_that_is_short_is_the_tasks_fault_only_where_its_judges_part_was_there(
    judges: int, holds: int, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    referee, total = Referee.__new__(Referee), 140 << 30
    referee._device, referee._arena = "cuda:0", torch.empty(1 << 20, dtype=torch.uint8)
    referee.limit(total // 4, judges)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: total - (1 << 30) - (holds << 30))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, total))
    found, said = referee.shortage()
    assert found == kind
    assert words in said


def test_a_referee_is_told_how_many_judges_share_its_device(desk: Desk) -> None:
    with contextlib.closing(Court(targets.find("h200"), judges=4)) as made:
        made.start()
    ((_, _, memory, judges),) = [q for q in desk.asked if q[:2] == ("referee", "limit")]
    assert (memory, judges) == (int(made.device.memory * pair.REFEREE_SHARE / 4), 4)


def test_an_error_of_the_tasks_own_code_is_no_candidates_fault(bound: Court, desk: Desk) -> None:
    desk.says.append((on("referee", "fill"), ["failed", "task", "ZeroDivisionError: division by zero"]))
    with pytest.raises(RefereeFailed, match="ZeroDivisionError"):
        heard(bound)


def test_machine_code_is_loaded_once_and_forgotten_when_there_is_too_much(
    bound: Court, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        heard(bound, "base")
    assert desk.names("bench").count("load") == 1
    monkeypatch.setattr(hearing, "KEPT_MODULES", 1)
    kernel = replace(PLAN.launches[0].chosen.kernel, ttir="module { other }")
    variant = replace(PLAN.launches[0].variants[0], kernel=kernel)
    other = replace(PLAN, launches=(replace(PLAN.launches[0], variants=(variant,)),))
    heard(bound, "base", program=Program(other, {kernel.digest: CODE}))
    assert desk.names("bench").count("unload") == 1


def test_buffers_that_do_not_fit_are_refused_in_words(bound: Court) -> None:
    large = replace(PLAN, buffers=(replace(PLAN.buffers[0], bytes=ARENA), *PLAN.buffers[1:]))
    with pytest.raises(Fault, match="GiB of the device") as raised:
        heard(bound, program=Program(large, PROGRAM.code))
    assert raised.value.kind == "memory"


def test_another_chip_is_one_line(desk: Desk) -> None:
    made = Court(targets.find("mi300"))
    with pytest.raises(DeviceUnavailable, match="this GPU is NVIDIA H200") as raised:
        made.start()
    assert "\n" not in str(raised.value)
    assert not any(s.alive for s in desk.stands)


def test_a_device_that_does_not_start_is_one_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Stand, "answer", lambda self, seconds: ["failed", "no-device", "no cuda driver on this machine"]
    )
    with pytest.raises(DeviceUnavailable, match="no cuda driver"):
        Court(targets.find("h200")).start()
    assert not any(s.alive for s in desk.stands)


def test_programs_are_timed_on_the_same_sets_and_the_candidate_is_watched(bound: Court, desk: Desk) -> None:
    small = replace(bound.device, cache=1 << 10)
    bound._device = small
    timed = [[[[10.0] * 4], [[20.0] * 4]], [[30.0, 31.0]], [""]]
    desk.says.append((on("bench", "times"), ["ok", [timed]]))
    desk.hello["bench"][3] = 1 << 40
    bound._arena = 1 << 40
    (clocked,) = bound.time([Heat("1M", (PROGRAM, PROGRAM), (200.0, 200.0), 4)])
    samples, anchors = clocked.samples, clocked.anchors
    assert samples == [[[10.0] * 4], [[20.0] * 4]]
    assert anchors == [[30.0, 31.0]]
    ((one, other),) = [q[2] for q in desk.asked if q[:2] == ("bench", "bind")]
    assert one[3] == other[3], "the same addresses for both"
    ((question,),) = [q[2] for q in desk.asked if q[:2] == ("bench", "times")]
    assert tuple(question[1:4]) == (1, [0, 1], 1), (
        "one cycle of two turns, one replay an item: few pairs of a long program"
    )
    assert desk.names("referee") == ["fill", "check"]


def test_a_timed_output_that_is_wrong_is_a_fault(bound: Court, desk: Desk) -> None:
    bound._arena = 1 << 40
    desk.says.append((on("bench", "times"), ["ok", [[[[[10.0] * 4]], [[30.0, 31.0]], [""]]]]))
    desk.says.append((on("referee", "check"), wrong("at [7]")))
    with pytest.raises(Fault, match="output of a timed run is wrong"):
        bound.time([Heat("1M", (PROGRAM,), (200.0,), 4)])


def test_short_programs_are_timed_in_batches(bound: Court, desk: Desk) -> None:
    bound._arena = 1 << 40
    desk.says.append((on("bench", "times"), ["ok", [[[[[1.0] * 4]], [[30.0]], [""]]]]))
    bound.time([Heat("1M", (PROGRAM,), (2.0,), 4)])
    ((question,),) = [q[2] for q in desk.asked if q[:2] == ("bench", "times")]
    assert question[3] == 50, "50 replays of 2 us last as long as an item should"


def test_a_program_that_answers_from_memory_is_found_after_the_clock(bound: Court, desk: Desk) -> None:
    bound._arena = 1 << 40
    for _ in range(2):
        desk.says.append((on("bench", "times"), ["ok", [[[[[10.0] * 4]], [[30.0, 31.0]], [""]]]]))
    desk.says.append((on("referee", "check", 2), wrong("at [7]")))
    with pytest.raises(Fault, match="influence inputs: at"):
        bound.time([Heat("1M", (PROGRAM,), (200.0,), 4, again="influence")])
    filled = [q[2][0][0][1] for q in desk.asked if q[:2] == ("referee", "fill")]
    assert filled == ["turned base", "turned influence"]


def test_a_program_that_works_in_place_gets_fresh_inputs_for_every_turn(
    bound: Court, desk: Desk, double_task: Task
) -> None:
    bound.begin(replace(double_task, in_place=("x",)), 1)
    bound._arena = 1 << 40
    desk.says.append(
        (on("bench", "times"), ["ok", [[[[[1.0, 0.0, 1.0, 0.0]], [[0.0, 2.0, 0.0, 2.0]]], [[30.0]], [""]]]])
    )
    desk.says.append(
        (
            on("bench", "times"),
            ["ok", [[[[[0.0, 3.0, 0.0, 3.0]], [[4.0, 0.0, 4.0, 0.0]]], [[31.0]], ["it is too hot"]]]],
        )
    )
    (clocked,) = bound.time([Heat("1M", (PROGRAM, PROGRAM), (200.0, 200.0), 4)])
    samples, anchors = clocked.samples, clocked.anchors
    assert samples == [[[1.0, 3.0, 1.0, 3.0]], [[4.0, 2.0, 4.0, 2.0]]]
    assert anchors == [[30.0, 31.0]]
    assert clocked.held == ["it is too hot"]
    assert desk.names("referee").count("fill") == desk.names("referee").count("check") == 2
    turns = [question[2] for q in desk.asked if q[:2] == ("bench", "times") for question in q[2]]
    assert turns == [[0], [1]]


def test_sets_that_are_timed_hold_their_inputs_moved_and_the_one_that_is_looked_at_too(
    bound: Court, desk: Desk
) -> None:
    bound._arena = 1 << 40
    desk.says.append((on("bench", "times"), ["ok", [[[[[10.0] * 4]], [[30.0, 31.0]], [""]]]]))
    bound.time([Heat("1M", (PROGRAM,), (200.0,), 4)])
    (fill,) = [q[2] for q in desk.asked if q[1] == "fill"]
    (check,) = [q[2] for q in desk.asked if q[1] == "check"]
    assert [(len(sets), moved) for _, sets, moved in fill] == [(1, False), (len(fill[1][1]), True)]
    assert len(fill[1][1]) >= 3
    assert [key for key, *_ in fill] == [["1M", "turned base"], ["1M", "base"]]
    assert list(check[0][:2]) == [fill[0][0], fill[0][1][0][0]], "what is looked at holds inputs that were moved once"


@pytest.mark.parametrize("order", [None, (1, 0)])
def test_inputs_that_were_moved_once_are_the_same_numbers_elsewhere(order: tuple[int, ...] | None) -> None:
    spec = Input((5, 7), "float16", order=order)
    value = inputs.tensor(spec, inputs.generator(1))
    moved = turned_around(value, spec, random.Random(3))
    assert moved.shape == value.shape
    assert moved.stride() == value.stride()
    assert not moved.equal(value)
    assert sorted(moved.flatten().tolist()) == sorted(value.flatten().tolist())
    padded = Input((5, 7), "float16", pad=2)
    assert turned_around(value, padded, random.Random(3)) is value, "what pads a row must stay where it is"


def test_what_is_told_is_timed_in_parts_of_secret_length_and_looked_at_after_each(bound: Court, desk: Desk) -> None:
    bound._device = replace(bound.device, cache=1 << 10)
    desk.hello["bench"][3] = bound._arena = 1 << 40
    lengths = set()
    for _ in range(40):
        desk.asked.clear()
        (clocked,) = bound.time([Heat("1M", (PROGRAM,), (200.0,), 32, told=True)])
        parts = tuple(heat[1] for q in desk.asked if q[:2] == ("bench", "times") for heat in q[2])
        assert sum(parts) == 8 == len(clocked.samples[0]) == len(clocked.anchors)
        assert desk.names("referee") == ["clear", "fill", "check"] * len(parts)
        lengths.add(parts)
    assert len(lengths) > 5
    assert {len(parts) for parts in lengths} == {1, 2, 3}
    desk.asked.clear()
    bound.time([Heat("1M", (PROGRAM,), (200.0,), 32)])
    assert desk.names("referee") == ["fill", "check"], "what only chooses is looked at once"


def test_what_is_told_leaves_no_memory_unwatched_that_would_outlast_a_replay(bound: Court, desk: Desk) -> None:
    bound._device = replace(bound.device, cache=1 << 10)
    bound._arena = size = 1 << 30
    other = replace(PLAN, buffers=(PLAN.buffers[0], Buffer(9000, "float32"), Buffer(70000, "int32")))
    rival = Program(other, PROGRAM.code)
    bound.time([Heat("1M", (PROGRAM, rival), (200.0, 200.0), 4, told=True)])
    question = next(q[2][0] for q in desk.asked if q[:2] == ("bench", "times"))
    (flush, flushed), (target, _, copied) = question[4], question[5]
    (cleared,) = [q[2] for q in desk.asked if q[1] == "clear"][:1]
    (looked,) = [q[2][0][2] for q in desk.asked if q[1] == "check"][:1]
    rewritten = {"flush": (flush, flushed), "anchor": (target, copied)}
    everything = sorted([*rewritten.values(), *((o, n) for o, n in cleared)])
    assert arena.between(everything, 0, size) == [], "every byte is either rewritten in each round, or cleared before"
    bound_sets = [p[3] for q in desk.asked if q[:2] == ("bench", "bind") for p in q[2]]
    bodies = [
        [(o, b.bytes) for place in own for o, b in zip(place, plan.buffers, strict=True)]
        for own, plan in zip(bound_sets, (PLAN, other), strict=True)
    ]
    for offset, count, _ in looked:
        for body, held in (one for own in bodies for one in own):
            assert offset + count <= body or body + held <= offset or not held, "a program's own memory is no red zone"
    far = sum(count for _, count, what in looked if "far" in what)
    near = sum(count for _, count, what in looked if "near" in what)
    sets = len(bound_sets[0])
    used = max(o + n for own in bodies for o, n in own) - min(o for own in bodies for o, _ in own)
    assert far >= size - flushed - copied - used - 4 * (arena.GUARD + arena.ALIGNMENT)
    assert near >= used / sets - 83000 - 2 * (arena.BEHIND + arena.ALIGNMENT)
    desk.asked.clear()
    bound.time([Heat("1M", (PROGRAM,), (200.0,), 4)])
    assert desk.names("referee") == ["fill", "check"]


def test_a_zone_of_any_size_tells_of_one_byte() -> None:
    memory = torch.full((1 << 18,), arena.GUARD_BYTE, dtype=torch.uint8)
    zones_of = [[0, 4096, "a"], [5000, 4608, "b"], [1 << 14, 100_000, "c"], [131_077, 131_000, "d"], [10_000, 7, "e"]]
    assert zones.broken(memory, zones_of).tolist() == [0.0] * 5
    for number, place in ((0, 4095), (1, 5000), (2, (1 << 14) + 99_999), (3, 200_000), (4, 10_003)):
        memory[place] ^= 1
        assert zones.broken(memory, zones_of).tolist() == [float(n == number) for n in range(5)]
        memory[place] ^= 1
    assert not len(zones.broken(memory, []))


@pytest.mark.parametrize("who", ["bench", "referee"])
def test_what_hangs_is_dead_before_anybody_else_has_a_turn(who: str, bound: Court, desk: Desk) -> None:
    seen: list[bool] = []
    leave = bound._turns._free

    def free() -> None:
        seen.append(any(s.alive and s.name == who for s in desk.at_work()))
        leave()

    bound._turns._free = free  # type: ignore[method-assign]
    desk.says.append((on(who, "runs" if who == "bench" else "fill"), Lost("no answer", hung=True)))
    before = len(seen)
    with pytest.raises((Fault, MachineFailed), match=r"did not finish|was lost"):
        bound._run("runs", []) if who == "bench" else bound._ask("fill", [])
    assert seen[before] is False


def test_only_what_needs_the_device_waits_for_a_turn(bound: Court, desk: Desk) -> None:
    turns: dict[str, set[bool]] = {}

    def noted(_: str, question: tuple[Any, ...]) -> bool:
        turns.setdefault(question[0], set()).add(desk.in_turn())
        return False

    desk.says.append((noted, None))
    bound.close()
    bound.trials("1M")
    bound.news()
    heard(bound)
    bound.drop_bench()
    assert {name for name, held in turns.items() if held == {False}} == {"begin", "limit", "names", "news"}
    assert {name for name, held in turns.items() if held == {True}} == {
        "open", "map", "unmap", "load", "bind", "fill", "runs", "check",
    }  # fmt: skip
    bound.start()


def test_what_is_filled_is_run_and_compared_in_the_same_turn(bound: Court, desk: Desk) -> None:
    taken: list[int] = []
    take = bound._turns._take
    bound._turns._take = lambda kind: (taken.append(len(desk.asked)), take(kind))[1]  # type: ignore[method-assign, func-returns-value]

    def by_turn(work: Callable[[], object]) -> list[list[str]]:
        taken.clear()
        desk.asked.clear()
        work()
        ends = [*taken[1:], len(desk.asked)]
        return [[question for _, question, *_ in desk.asked[a:b]] for a, b in zip(taken, ends, strict=True)]

    heard(bound)
    assert [sorted(turn) for turn in by_turn(lambda: heard(bound))] == [["bind", "check", "fill", "runs"]]
    bound._device, bound._arena = replace(bound.device, cache=1 << 10), 1 << 30
    told = Heat("1M", (PROGRAM,), (200.0,), 1, told=True)
    assert [sorted(turn) for turn in by_turn(lambda: bound.time([told]))] == [
        ["bind", "check", "clear", "fill", "times"]
    ]


def test_the_next_bench_is_ready_before_it_is_asked_for(bound: Court, desk: Desk) -> None:
    heard(bound)
    for number in (3, 4, 5):
        *_, waiting = desk.stands
        assert (len(desk.stands), waiting.name, waiting.opened) == (number, "bench", False)
        assert len(bound.pids()) == 3
        bound.drop_bench()
        heard(bound)
        assert waiting.opened
        assert desk.names("bench").count("open") == number - 2
    desk.stands[-1].alive = False  # it died while it waited
    bound.drop_bench()
    assert heard(bound)[0].error == 0.5


@pytest.mark.parametrize("when", ["greeted", "opened"])
def test_a_bench_that_died_after_it_was_seen_alive_is_replaced_once(when: str, bound: Court, desk: Desk) -> None:
    died = Lost("it ended", hung=False)
    bound.drop_bench()
    if when == "greeted":
        desk.stands[-1].answers = deque([died])
    else:
        desk.says.append((on("bench", "open"), died))
    assert heard(bound)[0].error == 0.5
    bound.drop_bench()
    desk.says += [(on("bench", "open"), died), (on("bench", "open"), died)]
    with pytest.raises(DeviceUnavailable, match="could not start: it ended"):
        heard(bound)
    assert not any(s.alive for s in desk.stands)
    assert heard(bound)[0].error == 0.5


def test_a_judge_that_cannot_begin_says_whose_fault_it_is_and_leaves_no_process(desk: Desk, double_task: Task) -> None:
    for fails, kind in (
        ("task", TaskError),
        ("question", WorkerLost),
        ("memory", TaskError),
        ("crowded", DeviceUnavailable),
    ):
        desk.says.append((on("referee", "begin"), ["failed", fails, "ImportError: no such module"]))
        jail = Jail("compiled")
        with pytest.raises(kind, match="no such module"):
            MeasuringJudge(double_task, targets.find("h200"), court=Court(targets.find("h200")), jail=jail)
        assert jail.pid is None
        assert not any(s.alive for s in desk.stands)


def test_a_referee_that_failed_gives_its_memory_back_within_a_turn(bound: Court, desk: Desk) -> None:
    turns: list[int] = []

    def forgets(name: str, question: tuple[Any, ...]) -> bool:
        if question[0] == "forget":
            turns.append(bound._turns._depth)
        return False

    desk.says += [(forgets, None), (on("referee", "fill"), ["failed", "task", "the reference failed"])]
    with pytest.raises(RefereeFailed, match="reference failed"):
        heard(bound)
    assert len(turns) == 1
    assert turns[0] > 0
    assert bound._turns._depth == 0


def test_a_referee_that_does_not_give_its_memory_back_is_replaced(bound: Court, desk: Desk) -> None:
    desk.says.append((on("referee", "forget"), Lost("no answer", hung=True)))
    desk.says.append((on("referee", "fill"), ["failed", "task", "the reference failed"]))
    with pytest.raises(RefereeFailed, match="reference failed"):
        heard(bound)
    assert not any(s.alive for s in desk.at_work()), "a late answer would be taken for another's"
    assert heard(bound)[0].error == 0.5


def test_a_fault_while_several_cases_are_timed_names_its_case(bound: Court, desk: Desk) -> None:
    bound._arena = 1 << 40
    desk.says.append((on("bench", "times"), ["failed", "timeout", "kernel: CUDA_ERROR_LAUNCH_TIMEOUT", 1]))
    with pytest.raises(Fault, match="did not finish") as raised:
        bound.time([Heat("1M", (PROGRAM,), (200.0,), 4), Heat("2M", (PROGRAM,), (200.0,), 4)])
    assert raised.value.case == "2M"


def test_moved_bytes_lie_on_a_ring() -> None:
    memory, data = torch.zeros(12, dtype=torch.uint8), torch.arange(8, dtype=torch.uint8)
    storage.write(memory, 2, data, 4)
    assert memory.tolist() == [0, 0, 4, 5, 6, 7, 0, 1, 2, 3, 0, 0]


def test_a_lost_referee_is_nobodys_fault(bound: Court, desk: Desk) -> None:
    desk.says.append((on("referee", "fill"), Lost("it ended", hung=False)))
    with pytest.raises(MachineFailed):
        heard(bound)
    assert [s.alive for s in desk.at_work()] == [False, False]
    assert heard(bound)[0].error == 0.5, "both are started again"


def test_a_question_that_cannot_be_read_is_answered_and_the_next_one_too(bound: Court, desk: Desk) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(struct.pack(">Q", 3) + b"\x81\x80\xc0" + wire.encode(["hello"]))
        ours.shutdown(socket.SHUT_WR)
        assert list(questions(theirs.fileno(), lambda why: ["failed", "question", why])) == [("hello",)]
        answer = wire.receive(ours.fileno())
    desk.says.append((on("referee", "fill"), list(answer)))
    with pytest.raises(MachineFailed, match="cannot be read"):
        heard(bound)


def test_a_bug_of_the_bench_is_no_candidates_crash(bound: Court, desk: Desk) -> None:
    desk.says.append((on("bench", "runs"), ["failed", "bench", "KeyError: 'timed 0'", None]))
    with pytest.raises(MachineFailed, match="KeyError"):
        heard(bound)
