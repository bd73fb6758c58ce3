"""Searches that ask models: over HTTP to a better kernel, killed anywhere, with models that fail for good."""

import contextlib
import itertools
import multiprocessing
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from itertools import cycle
from pathlib import Path

import llm_search
import llm_server
import pytest
from llm_faults import MATRIX
from llm_search import IMPROVED, FormulaPool, Improver, begin, drive, skilled
from llm_server import SECRET, LlmServer

import suites
from archives.candidate import Candidate, fingerprint
from archives.candidate import digest as candidate_id
from archives.events import Answered, Asked, Judged, Proposed, Refused, Started
from archives.journal import Journal, JournalError
from evo_kernel import api, briefs, config_files, merging, prompts, proposer, report, runs, trajectories
from evo_kernel.calls import Asking, Calls
from evo_kernel.config import ABOUT_MODELS, Settings
from evo_kernel.errors import ConfigError, RunError
from evo_kernel.examples import gather
from evo_kernel.pools import InlinePool
from evo_kernel.population import Population
from evo_kernel.progress import Progress
from evo_kernel.rules import Rules
from fitness.evaluation import Stage
from operators import catalogue
from operators.llm import mailbox
from operators.llm.budget import Amount
from operators.llm.errors import TIMEOUT
from operators.llm.model import ModelSpecError, Prompt, Reply, Usage
from operators.llm.operators import talkers
from operators.llm.retries import Patience, RealClock
from suites import Task

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.usefixtures("shared_jails")
PRICES = {"price_input": "3", "price_output": "15", "price_cache_read": "0.3"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, SECRET)


def model(server: LlmServer, api: str = "anthropic", **options: object) -> dict[str, object]:
    return {"model": f"{api}:tiny@{getattr(server, api)}", "output": 500, **PRICES, **options}


def events(folder: Path, kind: type) -> list:
    with Journal.read(folder) as journal:
        return [e for e in journal.events() if isinstance(e, kind)]


def turns(folder: Path) -> dict[tuple[int, int], str | None]:
    """Return the answer to every question on disk, by request and turn; None is one that has none."""
    if not (folder / "calls.db").exists():
        return {}
    with sqlite3.connect(f"file:{folder / 'calls.db'}?mode=ro", uri=True) as db:
        try:
            found = {(n, t): reply for n, t, reply in db.execute("SELECT number, turn, reply FROM turns")}
        except sqlite3.OperationalError:
            found = {}
    db.close()
    return found


@pytest.mark.long
def test_a_search_over_http_finds_a_better_kernel_with_ten_that_were_written_by_hand(tmp_path: Path) -> None:
    task, model = suites.load(str(IMPROVED / "task.py")), Improver()
    pools: list[InlinePool] = []

    def judged(task: Task, settings: Settings, secret: int | None) -> InlinePool:
        pools.append(InlinePool(task, settings))
        return pools[0]

    with LlmServer(model) as server:
        models = [f"anthropic:tiny@{server.anthropic}", f"openai:tiny@{server.openai}"]
        folder = begin(tmp_path / "run", task, models, generations=2, population=13, model_share=1.0, bandit=False)
        population = Population(folder, judged)
        try:
            while not (progress := population.advance()).done:
                pass
            archive = population.search.archive
            best = archive[archive.best]
            unseen = pools[0]._judge.judge(best.candidate.source, task.held_out)
        finally:
            population.close()
    assert progress.evaluations == 26
    assert progress.seed_us > 3 * progress.best_us
    assert {a.api for a in server.asked} == {"anthropic", "openai"}
    proposed = {e.candidate.fingerprint: e for e in events(folder, Proposed)}
    verdicts = {e.number: e.evaluation for e in events(folder, Judged)}
    by_hand = [verdicts[proposed[fingerprint(source)].number] for source in model.known]
    assert len(by_hand) == 10
    assert all(v.passed and v.score_us < progress.seed_us for v in by_hand)
    # its mistakes were found, and it repaired what it was shown
    assert any(v.failure is not None and v.failure.stage is Stage.CORRECTNESS for v in verdicts.values())
    made = Counter(e.candidate.operator for e in proposed.values() if verdicts[e.number].passed)
    assert set(made) >= {"seed", *catalogue.MODEL_ARITY}
    assert best.candidate.operator in catalogue.MODEL_ARITY
    assert unseen.passed, unseen.failure


def test_no_answer_is_paid_for_twice_though_the_search_is_killed_while_calls_are_out(
    tmp_path: Path, double_task: Task
) -> None:
    run = tmp_path / "run"
    with LlmServer(skilled, delay=0.1) as server:
        models = [f"openai:tiny@{server.openai}"]
        begin(run, double_task, models, generations=2, population=3, model_share=1.0, max_calls=40)
        process = subprocess.Popen(
            [sys.executable, llm_search.__file__, str(run)], env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        while (len(server.asked) < 3 or not any(turns(run).values())) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kept = turns(run)
        server.delay = 0.0
        drive(run)
    shown = report.summary(runs.read(run))
    assert shown["evaluations"] == 6
    assert shown["gain_over_seed"] > 1.5
    out = sum(reply is None for reply in kept.values())
    assert len(kept) > out > 0
    assert {key: reply for key, reply in turns(run).items() if kept.get(key)} == {k: r for k, r in kept.items() if r}
    # every question was sent once, and once more if it was out at the kill: none whose answer was on disk
    assert len(server.asked) <= len(turns(run)) + out
    # what had been reserved and was not on its way yet counts too
    assert len(server.asked) <= sum(m["calls"] for m in shown["models"]) <= len(server.asked) + 4
    assert {e.number for e in events(run, Asked)} == {e.number for e in events(run, Answered)}
    assert SECRET.encode() not in b"".join(p.read_bytes() for p in run.iterdir() if p.is_file())


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory, double_task: Task) -> tuple[Path, LlmServer, Progress]:
    """A run of 48 evaluations, which two tests look at."""
    folder = tmp_path_factory.mktemp("long") / "run"
    with pytest.MonkeyPatch.context() as patch, LlmServer(skilled) as server:
        patch.setenv("ANTHROPIC_API_KEY", SECRET)
        begin(folder, double_task, [model(server)], generations=6, bandit=False)
        return folder, server, drive(folder)


def test_usage_and_cost_are_kept_by_operator_and_model_and_add_up(long_run: tuple[Path, LlmServer, Progress]) -> None:
    folder, server, _ = long_run
    state = runs.read(folder)
    rows = report.summary(state)["models"]
    # there may be no failure to reflect on
    assert {r["operator"] for r in rows} | {"reflect"} == {"generate", "reflect", "optimize", "recombine", "strategise"}
    assert sum(r["calls"] for r in rows) == len(server.asked) == len(server.billed)
    assert sum(r["tokens"] for r in rows) == sum(b.input + b.output + b.cached for b in server.billed)
    paid = sum(b.input * 3 + b.output * 15 + b.cached * Decimal("0.3") for b in server.billed) / 10**6
    assert sum(a.dollars for a in state.search.letters.used.values()) == paid * 10**12
    text = report.text(state)
    assert f"models: {len(events(folder, Asked))} requests, {len(server.asked)} calls" in text
    assert "  optimize   anthropic:tiny: " in text
    assert "optimize by anthropic:tiny" in report.summary(state)["operators"]


def test_half_of_the_requests_ask_models_and_none_goes_beyond_the_budget(
    long_run: tuple[Path, LlmServer, Progress],
) -> None:
    folder, _, progress = long_run
    asked = {e.number for e in events(folder, Asked)}
    ended = {e.number for e in (*events(folder, Proposed), *events(folder, Refused))} - {0}
    assert progress.evaluations == len(events(folder, Judged)) - 1 == 48
    assert asked < ended
    assert 0.3 < len(asked) / len(ended) < 0.7
    repaired = [e.parents[0] for e in events(folder, Asked) if e.operator == "reflect"]
    failed = {e.number for e in events(folder, Judged) if not e.evaluation.passed}
    assert repaired
    assert len(set(repaired)) == len(repaired)
    assert set(repaired) <= {e.candidate.id for e in events(folder, Proposed) if e.number in failed}


def test_a_model_that_takes_hours_stops_neither_the_judges_nor_another_model(tmp_path: Path, double_task: Task) -> None:
    box = tmp_path / "box"
    folder = begin(tmp_path / "alone", double_task, [f"mailbox:{box}"], model_operators=("optimize",), bandit=False)
    population = Population(folder, FormulaPool)
    try:
        for _ in range(60):
            progress = population.advance(0.01)
        # nobody answers: the others use their half of the budget, and leave the models theirs
        assert (progress.evaluations, progress.asked) == (12, 4)
        while not progress.done:
            reply_to_all(box)
            progress = population.advance(0.05)
    finally:
        population.close()
    assert len(events(folder, Asked)) >= 12
    with LlmServer(skilled) as server:
        given = {"generations": 2, "model_share": 1.0}
        folder = begin(tmp_path / "beside", double_task, [f"mailbox:{tmp_path / 'silent'}", model(server)], **given)
        population = Population(folder, FormulaPool)
        try:
            while population.advance(0.05).evaluations < 8:
                pass
        finally:
            population.close()
    assert Counter(e.model for e in events(folder, Asked))[f"mailbox:{tmp_path / 'silent'}"] == 2


def reply_to_all(box: Path) -> None:
    for letter in mailbox.unanswered(box):
        mailbox.answer(box, letter, skilled(llm_server.Asked("", letter.text, letter.text, 0, {}, {})) or "nothing")


def answering(box: Path) -> None:
    """Answer every open prompt of a folder, as the scripted model does."""
    while True:
        reply_to_all(box)
        time.sleep(0.005)


def test_two_searches_and_one_answerer_killed_at_random_have_every_prompt_answered_once(
    tmp_path: Path, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox.MailboxClient.__init__, "__defaults__", (0.0, 0.005))  # how long an answer must rest
    box, draws, spawn = tmp_path / "box", random.Random(7), multiprocessing.get_context("fork")
    box.mkdir()
    given = {
        "generations": 2,
        "model_share": 1.0,
        "model_operators": ("generate", "optimize", "strategise"),
    }
    work = {name: partial(drive, begin(tmp_path / name, double_task, [f"mailbox:{box}"], **given)) for name in "ab"}
    work["answers"] = partial(answering, box)
    running: dict[str, multiprocessing.Process] = {}
    kills, end = 0, time.monotonic() + 250
    while time.monotonic() < end:
        for name in work:
            if name not in running or running[name].exitcode not in (None, 0):
                running[name] = spawn.Process(target=work[name], daemon=True)
                running[name].start()
        time.sleep(draws.uniform(0.05, 0.3))
        alive = [name for name in work if running[name].is_alive()]
        if alive == ["answers"]:
            break
        if kills < 8:
            victim = running[draws.choice(alive)]
            victim.kill()
            victim.join()
            kills += victim.exitcode == -signal.SIGKILL
    running["answers"].kill()
    running["answers"].join()
    assert kills >= 5
    asked = {f"{calls.run}/{n}/{t}/{prompt.digest}": reply for calls, n, t, prompt, reply in both(tmp_path)}
    keys = [re.findall(r"<!-- evo-kernel (\S+) -->", p.read_text())[0] for p in sorted(box.glob("*.prompt.md"))]
    assert len(keys) == len(set(keys)) >= 32
    assert set(keys) == set(asked)
    for path, key in zip(sorted(box.glob("*.prompt.md")), keys, strict=True):
        assert (
            path.with_name(path.name.replace("prompt", "answer")).read_text()
            == f"<!-- evo-kernel {key} -->\n{asked[key]}"
        )
    assert all(runs.read(tmp_path / name).search.evaluations == 16 for name in "ab")


def both(folder: Path) -> Iterator[tuple[Calls, int, int, Prompt, str | None]]:
    """Give every turn of the runs a and b."""
    for name in "ab":
        calls = Calls(folder / name)
        for number in {number for number, _ in turns(folder / name)}:
            for place, turn in enumerate(calls.turns(number)):
                yield calls, number, place, turn.prompt, turn.reply
        calls.close()


def always_new(task: Task) -> Callable[[llm_server.Asked], str]:
    """Return a model that never writes one program twice."""
    blocks = itertools.count(8)
    return lambda asked: f"```python\n{task.seeds[0].source.replace('BLOCK=128', f'BLOCK={2 ** next(blocks)}')}```"


def test_a_kernel_to_port_is_in_the_run_and_in_every_prompt_of_generate(tmp_path: Path, double_task: Task) -> None:
    port = "__global__ void twice(float* x) { x[0] *= 2; }"
    with LlmServer(always_new(double_task)) as server:
        given = {"port": port, "model_operators": ("generate", "optimize"), "model_share": 1.0, "generations": 2}
        folder = begin(tmp_path / "run", double_task, [model(server)], **given)
        drive(folder)
    texts = [a.text for a in server.asked]
    assert {t.startswith("Port this kernel to Triton") for t in texts if "The program to improve" not in t} == {True}
    assert all((port in t) == t.startswith("Port") for t in texts)
    assert events(folder, Asked)[0].operator == "generate"
    assert runs.read(folder).settings.port == port
    assert prompts.of_run(folder, "generate").text.startswith("Port this kernel to Triton")
    with pytest.raises(ConfigError, match="a kernel is ported by a model"):
        config_files.load(None, {"port": port})


def test_the_best_of_a_persons_archives_are_examples_but_never_of_the_task_itself_under_any_name(
    tmp_path: Path, double_task: Task
) -> None:
    plus = suites.read(double_task.source.replace("double", "plus").replace("x * 2", "x + 2"), "plus")
    archive = begin(tmp_path / "archive", plus, [], generations=1, population=2)
    drive(archive)
    best = runs.read(archive).search.archive.top(1)[0]
    twin = suites.read(double_task.source.replace("double", "twice"), "twin")
    for name, task in (("same", double_task), ("twin", twin)):
        begin(tmp_path / name, task, [], generations=1, population=1)
        drive(tmp_path / name)
    archives = [str(tmp_path / n) for n in ("archive", "same", "twin")]
    examples = gather(archives, double_task)
    assert {e.entry for e in examples} == {"plus"}
    assert best.candidate.source in {e.source for e in examples}
    with LlmServer(always_new(double_task)) as server:
        given = {"archives": archives, "model_operators": ("optimize",), "population": 2, "generations": 1}
        folder = begin(tmp_path / "run", double_task, [model(server)], model_share=1.0, **given)
        drive(folder)
        shutil.rmtree(archive)  # what was gathered is in the run
        runs.extend(folder, 2)
        drive(folder)
    assert {h for a in server.asked for h in re.findall(r"most like this one \((.*?predicted)", a.text)} == {
        "plus, predicted"
    }
    assert len(server.asked) >= 4
    assert "plus, predicted" in prompts.of_run(folder, "optimize").text
    with pytest.raises(JournalError, match="no run folder"):
        gather([str(archive)], double_task)


def test_two_runs_that_are_merged_keep_what_was_said_to_models_and_what_it_cost(
    tmp_path: Path, double_task: Task
) -> None:
    with LlmServer(skilled) as server:
        models = [model(server), f"command:{sys.executable} -c 'print(1)'"]
        folders = [begin(tmp_path / n, double_task, models, generations=g) for n, g in (("one", 2), ("two", 3))]
        for folder in folders:
            drive(folder)
    merged = merging.merge(*folders, tmp_path / "both")
    separate = [report.summary(runs.read(f))["models"] for f in folders]
    for what in ("requests", "calls", "tokens", "dollars"):
        sums = [sum(r[what] or 0 for r in rows) for rows in (*separate, report.summary(merged)["models"])]
        assert sums[2] == pytest.approx(sums[0] + sums[1])
        assert sums[0] > 0
    calls = [Calls(f) for f in (*folders, tmp_path / "both")]
    spent = [c.spent()["anthropic:tiny"] for c in calls]
    assert spent[2] == spent[0] + spent[1]
    for c in calls:
        c.close()
    both = trajectories.write(tmp_path / "both", tmp_path / "both.jsonl")
    assert both == sum(trajectories.write(f, tmp_path / "t.jsonl") for f in folders)
    said = report.text(merged)
    assert "print(1)': " in said
    assert "calls, tokens not counted, price not known" in said
    assert ", and what has no known price" in said


def doubling(asked: llm_server.Asked) -> str:
    """Answer with the best program that is shown, its block doubled."""
    shown = re.findall(r"^```python\n(.*?)^```$", asked.text, re.MULTILINE | re.DOTALL)
    parent = max((s for s in shown if "def double(" in s), key=block)
    return f"```python\n{parent.replace(f'BLOCK={block(parent)}', f'BLOCK={2 * block(parent)}')}```"


def block(source: str) -> int:
    return int((re.findall(r"BLOCK=(\d+)", source) or ["0"])[0])


def test_the_bandit_chooses_among_operators_with_their_models(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(doubling) as good, LlmServer(lambda asked: "I would rather not.") as bad:
        models = [model(good), model(bad, "openai")]
        given = {"generations": 5, "model_operators": ("optimize",), "conversations": 1}
        folder = begin(tmp_path / "run", double_task, models, **given)
        drive(folder)
    by_model = Counter(e.model for e in events(folder, Asked))
    assert by_model["anthropic:tiny"] > by_model["openai:tiny"] > 0
    arms = report.summary(runs.read(folder))["operators"]
    assert arms["optimize by anthropic:tiny"]["gains"] > 0 == arms["optimize by openai:tiny"]["gains"]


class Hurried(RealClock):
    """A clock on which every wait is a thousand times shorter."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 1000)


def test_a_whole_search_survives_every_fault_with_an_exact_budget_and_says_what_each_was(
    tmp_path: Path, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one model for each kind, which is first asked to port a kernel and then whatever is drawn; and one that answers
    monkeypatch.setattr(proposer, "Patience", partial(Patience, attempts=2))
    monkeypatch.setattr(proposer, "RealClock", Hurried)
    kinds = dict(zip((f"m{n}" for n in range(len(MATRIX))), zip(MATRIX, cycle(("openai", "anthropic"))), strict=False))
    with LlmServer(skilled) as server:
        server.faulty = {name: row[1] for name, (row, _) in kinds.items()}
        models = [
            {**model(server, spoken, max_calls=4, seconds=0.5 if row[2] is TIMEOUT else 100.0),
             "model": f"{spoken}:{name}@{getattr(server, spoken)}"}
            for name, (row, spoken) in kinds.items()
        ]  # fmt: skip
        models += [model(server), {**model(server), "model": "openai:nobody@http://127.0.0.1:9"}]
        given = {
            "port": "a kernel",
            "bandit": False,
            "model_share": 0.9,
            "conversations": len(models),
            "max_cost": "100",
        }
        folder = begin(tmp_path / "run", double_task, models, **given)
        progress = drive(folder)
        state, seen = runs.read(folder), {name: [a for a in server.asked if a.body["model"] == name] for name in kinds}
    assert progress.evaluations == len(events(folder, Judged)) - 1 == 24
    assert {e.number for e in events(folder, Asked)} == {e.number for e in events(folder, Answered)}
    rows, text = report.summary(state)["models"], report.text(state)
    assert "cannot reach http://127.0.0.1:9" in text
    for name, ((_, _, kind, _, words), spoken) in kinds.items():
        own = [r for r in rows if r["model"] == f"{spoken}:{name}"]
        assert any(words in why for r in own for why in r["no_answer"]), (name, words, own)
        calls, tokens = (sum(r[what] for r in own) for what in ("calls", "tokens"))
        assert calls in ((1,) if kind.final else range(1, 5)), name
        if kind is TIMEOUT:  # also when this machine is too busy to take what was sent
            assert calls >= len(seen[name]) > 0, name
            continue
        billed = [b.input + b.output + b.cached for b in server.billed if b.model == name]
        most = sum(Prompt(a.system, a.text).most_tokens + 500 for a in seen[name]) if kind.billed else 0
        assert (calls, tokens) == (len(seen[name]), sum(billed) if billed else most), name
    good = [b for b in server.billed if b.model == "tiny"]
    paid = sum(b.input * 3 + b.output * 15 + b.cached * Decimal("0.3") for b in good) * 10**6
    assert sum(a.dollars for (_, m), a in state.search.letters.used.items() if m == "anthropic:tiny") == paid > 0
    told = {note.partition(" is not asked any more")[0] for note in progress.notes}
    assert told >= {f"{spoken}:{name}" for name, (row, spoken) in kinds.items() if row[2].final}


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_when_all_models_fail_for_good_the_rule_based_operators_carry_on(
    tmp_path: Path, double_task: Task, share: float
) -> None:
    with LlmServer(skilled) as bad:
        bad.faults.extend([llm_server.status(401)] * 99)
        folder = begin(tmp_path / "run", double_task, [model(bad)], model_share=share)
        progress = drive(folder)
    assert progress.evaluations == 24
    assert len(progress.notes) == 1
    assert {e.candidate.operator for e in events(folder, Proposed)} <= {"seed", *Rules().operators}


def test_one_name_on_two_servers_is_two_models_with_prices_and_budgets_of_their_own(
    tmp_path: Path, double_task: Task
) -> None:
    with LlmServer(skilled) as one, LlmServer(skilled) as other:
        models = [model(one, "openai", max_calls=3), model(other, "openai")]
        folder = begin(tmp_path / "run", double_task, models, generations=2)
        progress = drive(folder)
        labels = [f"openai:tiny@{s.openai}" for s in (one, other)]
        assert f"the {labels[0]} model's budget of 3 calls has 0 left" in progress.notes[0]
        rows = report.summary(runs.read(folder))["models"]
        calls = {label: sum(r["calls"] for r in rows if r["model"] == label) for label in labels}
        assert calls == {labels[0]: len(one.asked), labels[1]: len(other.asked)}
        assert (len(one.asked), len(other.asked) > 3) == (3, True)


def test_a_price_that_is_given_at_resume_counts_from_then_on(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(skilled) as server:
        spec = f"openai:tiny@{server.openai}"
        folder = begin(tmp_path / "run", double_task, [{"model": spec, "output": 500}], generations=1)
        drive(folder)
        before, billed = len(server.billed), report.summary(runs.read(folder))["models"]
        assert {r["dollars"] for r in billed} == {None}
        with pytest.raises(ModelSpecError, match="a dollar budget needs the price of openai:tiny"):
            api.reopened(folder, 2, {}, {"max_cost": "5"})
        api.reopened(folder, 2, {}, {"max_cost": "5"}, ["openai:tiny=3/15"])
        drive(folder)
    paid = sum((b.input + b.cached) * 3 + b.output * 15 for b in server.billed[before:]) / 10**6
    shown = report.summary(runs.read(folder))["models"]
    assert sum(r["dollars"] for r in shown) == pytest.approx(paid)
    assert paid > 0


def test_when_a_budget_is_used_up_it_is_said_and_the_search_goes_on_without(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(skilled) as server:
        folder = begin(tmp_path / "run", double_task, [model(server)], max_calls=5)
        progress = drive(folder)
        assert progress.evaluations == 24
        assert "the run's budget of 5 calls has 0 left" in progress.notes[0]
        assert len(server.asked) == 5
        runs.extend(folder, 4)
        drive(folder)
        assert len(server.asked) == 5
        runs.extend(folder, 5, {"max_calls": 7})
        drive(folder)
        assert len(server.asked) == 7
        (folder / "calls.db").unlink()
        with pytest.raises(RunError, match=r"calls.db is gone, which holds answers and what was paid"):
            drive(folder)


def test_one_models_own_budget_does_not_end_the_others(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(skilled) as server:
        models = [model(server, max_calls=2), model(server, "openai")]
        progress = drive(begin(tmp_path / "run", double_task, models))
    assert "the anthropic:tiny model's budget of 2 calls has 0 left" in progress.notes[0]
    assert Counter(a.api for a in server.asked)["anthropic"] == 2
    assert Counter(a.api for a in server.asked)["openai"] > 2


def test_an_answer_and_what_it_cost_are_kept_together_or_not_at_all(tmp_path: Path) -> None:
    with contextlib.closing(Calls(tmp_path)) as calls:
        calls.ask(Asking(1, "optimize", "m", ()))
        calls.say(1, 0, Prompt("s", "p"))
        account = calls.account(1, "m", 0)
        attempt = account.reserve(Amount(9, 9, 1))
        with pytest.raises(OverflowError):
            account.settle(attempt, Amount(1 << 70, 1, 1), Reply("answer", None, "m"))
        assert (calls.turns(1)[0].reply, calls.cost(1)) == (None, Amount(9, 9, 1))
        account.settle(attempt, Amount(2, 3, 1), Reply("answer", None, "m"))
        assert (calls.turns(1)[0].reply, calls.cost(1)) == ("answer", Amount(2, 3, 1))


def test_an_answer_on_disk_is_used_without_asking_though_the_prompt_would_now_be_another(
    tmp_path: Path, double_task: Task
) -> None:
    seed = double_task.seeds[0].source
    with LlmServer(skilled) as server:
        folder = begin(tmp_path / "run", double_task, [model(server)], generations=1, population=2)
        state = runs.read(folder)
        parent = state.search.pending[0].id
        with Journal.append_to(folder) as journal:
            journal.append(Judged(0, FormulaPool(double_task, state.settings).verdict(seed)))
            for number in (1, 2):
                journal.append(Asked(number, "optimize", "anthropic:tiny", (parent,)))
        calls = Calls(folder)
        calls.ask(Asking(1, "optimize", "anthropic:tiny", (parent,)))
        calls.say(1, 0, Prompt("s", "an older prompt"))
        calls.hear(1, 0, f"```python\n{seed.replace('BLOCK=128', 'BLOCK=512')}```", Usage(1, 1))
        calls.ask(Asking(2, "optimize", "anthropic:tiny", (parent,)))
        calls.say(2, 0, Prompt("defines the launcher `double`", "a prompt that was never answered"))
        calls.close()
        drive(folder)
    assert server.asked[0].text == "a prompt that was never answered"
    assert "an older prompt" not in {a.text for a in server.asked}
    first = next(e.candidate for e in events(folder, Proposed) if e.number == 1)
    assert "BLOCK=512" in first.source


def test_a_failure_that_the_history_forgot_is_still_repaired_when_a_run_is_resumed(
    tmp_path: Path, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(briefs, "FAILED", 2)
    seed = double_task.seeds[0].source
    failing = [seed.replace("num_warps=4", f"num_warps={16 * n}") for n in (1, 2, 3, 4)]
    with LlmServer(skilled) as server:
        folder = begin(tmp_path / "run", double_task, [model(server)], generations=1, population=6)
        judged = FormulaPool(double_task, runs.read(folder).settings).verdict
        with Journal.append_to(folder) as journal:
            journal.append(Judged(0, judged(seed)))
            for number, source in enumerate(failing, 1):
                journal.append(Proposed(number, Candidate(source, "knob-step", "", (), fingerprint(source), "")))
                journal.append(Judged(number, judged(source)))
            journal.append(Asked(5, "reflect", "anthropic:tiny", (candidate_id(failing[0]),)))
        assert "num_warps=64" in prompts.of_run(folder, "reflect").text
        drive(folder)
    assert "num_warps=16" in server.asked[0].text.split("# The record of its failure")[0]


def test_without_a_model_nothing_of_models_is_in_a_journal(tmp_path: Path, double_task: Task) -> None:
    folder = begin(tmp_path / "run", double_task, [])
    drive(folder)
    started = events(folder, Started)[0].settings
    assert not {"models", *ABOUT_MODELS} & set(started)
    assert not (folder / "calls.db").exists()
    assert "models" not in report.text(runs.read(folder))


def test_the_lesson_of_a_repair_is_shown_in_the_next_run(tmp_path: Path, double_task: Task) -> None:
    lesson, blocks = "More than 8 warps fail here.", itertools.count(8)

    def failing_then_repairing(asked: llm_server.Asked) -> str:
        written = double_task.seeds[0].source.replace("BLOCK=128", f"BLOCK={2 ** next(blocks)}")
        if not asked.text.startswith("This program fails."):
            return f"```python\n{written.replace('num_warps=4', 'num_warps=16')}```"
        return f'```plan\n{{"lesson": "{lesson}"}}\n```\n```python\n{written}```'

    file = tmp_path / "lessons.json"
    given = {"lessons": str(file), "model_operators": ("optimize", "reflect"), "model_share": 1.0}
    with LlmServer(failing_then_repairing) as server:
        drive(begin(tmp_path / "one", double_task, [model(server)], generations=2, **given))
        assert lesson in file.read_text()
        before = len(server.asked)
        drive(begin(tmp_path / "two", double_task, [model(server)], generations=1, population=2, **given))
    assert lesson in server.asked[before].text


def test_a_recorded_search_is_replayed_without_its_model(tmp_path: Path, double_task: Task) -> None:
    file, given = tmp_path / "answers.jsonl", {"generations": 2, "conversations": 1, "model_share": 1.0}
    with LlmServer(skilled) as server:
        drive(begin(tmp_path / "one", double_task, [model(server)], record=str(file), **given))
        count = len(server.asked)
    progress = drive(begin(tmp_path / "two", double_task, [f"replay:{file}"], **given))
    assert progress.notes == ()
    sources = [[e.candidate.source for e in events(tmp_path / name, Proposed)] for name in ("one", "two")]
    assert sources[0] == sources[1]
    assert len(file.read_text().splitlines()) == count >= 16


def test_a_command_answers_a_search_and_dies_with_it(tmp_path: Path, double_task: Task) -> None:
    script = tmp_path / "agent.sh"
    script.write_text("#!/bin/sh\ncat > /dev/null\necho $$ >> $0.pids\n[ -e $0.slow ] && sleep 60\necho no code\n")
    script.chmod(0o755)
    folder = begin(tmp_path / "run", double_task, [f"command:{script}"], model_operators=("optimize",))
    drive(folder)
    why = [e.why for e in events(folder, Refused) if e.operator == "optimize"]
    assert why
    assert all("the reply holds no program" in w for w in why)
    (tmp_path / "agent.sh.slow").touch()
    count = len((tmp_path / "agent.sh.pids").read_text().split())
    runs.extend(folder, 20)
    population = Population(folder, FormulaPool)
    while len((tmp_path / "agent.sh.pids").read_text().split()) <= count:
        population.advance(0.01)
    population.close()
    last = int((tmp_path / "agent.sh.pids").read_text().split()[-1])
    state = Path(f"/proc/{last}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"  # dead, if nobody's


def test_every_operator_that_asks_has_its_arity_in_the_catalogue() -> None:
    assert {t.name: t.arity for t in talkers()} == catalogue.MODEL_ARITY


def test_a_file_of_calls_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "calls.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(RunError, match="newer evo-kernel"):
        Calls(tmp_path)
