"""Searches that ask models: over HTTP to a better kernel, killed anywhere, with models that fail for good."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import llm_search
import llm_server
import msgpack
import pytest
from llm_search import Mini, by_block, skilled
from llm_server import LlmServer

import suites
from archives.events import Refused
from evo_kernel.calls import Asking, Calls, Turn
from evo_kernel.errors import RunError
from fitness.judge import Judge
from operators.llm.model import Limits, Model, Price, Prompt, Usage
from suites import Task
from suites.task import pack

PRICE = Price.per_million("3", "15", "0.3", "3.75")


def model(server: LlmServer, api: str = "anthropic", **options: object) -> Model:
    return Model(api, "tiny", getattr(server, api), price=PRICE, output=500, **options)


def test_a_scripted_model_finds_a_better_kernel_over_http_with_the_real_judge(tmp_path: Path) -> None:
    whole = suites.load("softmax")
    task = replace(whole, cases=whole.cases[:1], edges=whole.edges[:1])
    judge = Judge(task, "mi300")
    try:
        with LlmServer(skilled) as server:
            models = [model(server), model(server, "openai")]
            search = Mini(tmp_path, task, models, lambda source: judge.judge(source, task.cases))
            search.run(8)
            ranked = search.history.ranked()
            search.close()
    finally:
        judge.close()
    seed = next(t for t in ranked if t.operator == "seed")
    assert ranked[0].evaluation.score_us < seed.evaluation.score_us / 1.5
    assert ranked[0].operator in llm_search.TURNS
    assert {a.api for a in server.asked} == {"anthropic", "openai"}
    assert any("<<<<<<< SEARCH" in turn.reply for n in range(1, 8) for turn in replies_of(tmp_path, n))


def replies_of(folder: Path, number: int) -> list[Turn]:
    calls = Calls(folder)
    try:
        return calls.turns(number)
    finally:
        calls.close()


def test_usage_and_cost_are_kept_by_operator_and_model_and_add_up(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(skilled) as server:
        search = Mini(tmp_path, double_task, [model(server)], by_block)
        search.run(12)
        used = search.calls.used()
        search.close()
    assert {operator for operator, _ in used} >= {"optimize", "strategise", "generate"}
    assert sum(a.calls for a in used.values()) == len(server.asked) == len(server.billed)
    assert sum(a.tokens for a in used.values()) == sum(b.input + b.output + b.cached for b in server.billed)
    assert sum(a.dollars for a in used.values()) == sum(
        b.input * PRICE.input + b.output * PRICE.output + b.cached * PRICE.cache_read for b in server.billed
    )


def answered(folder: Path) -> set[str]:
    if not (folder / "calls.db").exists():
        return set()
    with sqlite3.connect(f"file:{folder / 'calls.db'}?mode=ro", uri=True) as db:
        try:
            found = {row[0] for row in db.execute("SELECT prompt FROM turns WHERE reply IS NOT NULL")}
        except sqlite3.OperationalError:
            found = set()
    db.close()
    return found


def test_killed_in_the_middle_of_outstanding_calls_no_answer_is_paid_for_twice(
    tmp_path: Path, double_task: Task
) -> None:
    (tmp_path / "task").write_bytes(msgpack.packb(pack(double_task)))
    command = [sys.executable, llm_search.__file__, str(tmp_path / "run"), str(tmp_path / "task")]
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}", "OPENAI_API_KEY": "sk-none-at-all"}
    draws = random.Random(5)
    kept: dict[str, int] = {}
    kills = 0
    with LlmServer(skilled, delay=0.15) as server:
        while True:
            process = subprocess.Popen([*command, server.openai, "12"], env=environment, stdout=subprocess.PIPE)
            if kills < 2:
                before = len(server.asked)
                while len(server.asked) < before + 3 and process.poll() is None:
                    time.sleep(0.005)
                time.sleep(draws.uniform(0.0, 0.4))
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
                seen = Counter(a.text for a in server.asked)
                kept |= {text: seen[text] for text in answered(tmp_path / "run") if text not in kept}
                continue
            out, _ = process.communicate(timeout=60)
            break
    assert process.returncode == 0
    assert kept
    seen = Counter(a.text for a in server.asked)
    assert {text: seen[text] for text in kept} == kept
    assert sum(seen.values()) - len(seen) <= 2 * 4  # what was out at a kill, four at a time, is asked once more
    calls = Calls(tmp_path / "run")
    assert calls.open_requests() == []
    assert [a.number for a in calls.requests()] == list(range(1, 12))
    # what had been reserved and was not on its way yet counts too
    assert len(server.asked) <= sum(a.calls for a in calls.used().values()) <= len(server.asked) + 2 * 4
    calls.close()
    assert float(out.split(b":")[1].strip(b" }\n")) < 75  # the seed takes 75.8


def test_a_model_that_fails_for_good_is_left_and_the_others_go_on(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(skilled) as good, LlmServer(skilled) as bad:
        bad.faults.extend([llm_server.status(401)] * 99)
        models = [model(good), model(bad, "openai")]
        search = Mini(tmp_path, double_task, models, by_block)
        search.run(12)
        notes, left = search.proposer.notes, search.proposer.models
        search.close()
    assert len(search.ended) == 12
    assert left == ["anthropic:tiny"]
    assert "openai:tiny is not asked any more" in notes[0]
    assert len(bad.asked) <= 4
    assert len(good.asked) > 4


def test_when_the_budget_is_used_up_nothing_more_is_asked_and_it_is_said(tmp_path: Path, double_task: Task) -> None:
    with LlmServer(skilled) as server:
        search = Mini(tmp_path, double_task, [model(server)], by_block, Limits(calls=5))
        search.run(40)
        notes = search.proposer.notes
        assert search.proposer.free() == 0
        search.close()
        again = Mini(tmp_path, double_task, [model(server)], by_block, Limits(calls=5))
        again.run(40)
        again.close()
    assert len(server.asked) == 5
    assert "the run's budget of 5 calls has 0 left" in notes[0]


def test_an_answer_on_disk_is_used_without_asking_though_the_prompt_would_now_be_another(
    tmp_path: Path, double_task: Task
) -> None:
    with LlmServer(skilled) as server:
        first = Mini(tmp_path, double_task, [model(server)], by_block)
        parent = first.history.ranked()[0]
        first.calls.ask(Asking(1, "optimize", "anthropic:tiny", (parent.id,)))
        first.calls.say(1, 0, Prompt("s", "an older prompt"))
        child = parent.source.replace("BLOCK=128", "BLOCK=512")
        first.calls.hear(1, 0, f"```python\n{child}```", Usage(1, 1))
        first.calls.ask(Asking(2, "optimize", "anthropic:tiny", (parent.id,)))
        first.calls.say(2, 0, Prompt("defines the launcher `double`", "a prompt that was never answered"))
        first.close()
        second = Mini(tmp_path, double_task, [model(server)], by_block)
        second.run(3)
        second.close()
    assert [a.text for a in server.asked] == ["a prompt that was never answered"]
    assert "BLOCK=512" in second.history.ranked()[0].source


def test_a_file_of_calls_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "calls.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(RunError, match="newer evo-kernel"):
        Calls(tmp_path)


def test_a_command_answers_from_the_proposers_thread_and_dies_with_it(tmp_path: Path, double_task: Task) -> None:
    (tmp_path / "run").mkdir()
    script = tmp_path / "agent.sh"
    script.write_text(
        "#!/bin/sh\ncat > /dev/null\necho $$ >> $0.pids\nsleep 0.05\n[ -e $0.slow ] && sleep 60\necho no code\n"
    )
    script.chmod(0o755)
    search = Mini(tmp_path / "run", double_task, [Model("command", str(script))], by_block)
    search.run(4)
    why = [e.why for e in search.journal.events() if isinstance(e, Refused)]
    (tmp_path / "agent.sh.slow").touch()
    search.begin(search.ask())
    while len((tmp_path / "agent.sh.pids").read_text().split()) < 4:
        time.sleep(0.01)
    search.close()
    assert len(why) == 3
    assert all("the reply holds no program" in w or "expected one fence" in w for w in why)
    last = int((tmp_path / "agent.sh.pids").read_text().split()[-1])
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)
