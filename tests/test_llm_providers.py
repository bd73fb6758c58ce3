"""Providers: real SDKs over HTTP against a loopback server, commands, mailboxes, recordings, and every fault they meet."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle
from pathlib import Path

import llm_server as faults
import pytest
from llm_faults import MATRIX
from llm_server import SECRET, LlmServer

from operators.llm import clients, errors, mailbox, model, providers
from operators.llm.budget import Budget
from operators.llm.caller import USELESS, Answer, Caller, ModelDown
from operators.llm.errors import ModelError
from operators.llm.model import PICO, Limits, Model, Price, Prompt, Usage
from operators.llm.retries import Patience

PROMPT = Prompt("You improve kernels. " * 20, "Make it faster.")
PRICE = Price.per_million("3", "15", "0.3", "3.75")
NO_LIMITS, THREE = Limits(), Patience(attempts=3)
APIS = ("anthropic", "openai")


class Clock:
    """A clock that jumps over every wait; it remembers how long each was, and when prompts were sent."""

    def __init__(self) -> None:
        self.time, self.waits, self.sent = 0.0, [], []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


class Timed:
    """A client that notes when it sends."""

    def __init__(self, client: providers.Client, clock: Clock) -> None:
        self.client, self.clock, self.close = client, clock, client.close

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> model.Reply:
        self.clock.sent.append(self.clock.now())
        return await self.client.complete(prompt, seconds, key)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmServer]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with LlmServer() as running:
        yield running


def served(api: str, server: LlmServer, **options: object) -> Model:
    values = {"price": PRICE, "output": 500, "seconds": 5.0, **options}
    return Model(api, "tiny", getattr(server, api), **values)


def ask(*models: Model, limits: Limits = NO_LIMITS, calls: int = 1, patience: Patience = THREE,
        clock: Clock | None = None, prompt: Prompt = PROMPT) -> tuple[list[Answer], Budget, Caller]:  # fmt: skip
    """Ask models in turn, all calls at once."""
    clock = clock or Clock()
    budget = Budget(models, limits, clock.now)

    async def run() -> tuple[list[Answer], Caller]:
        caller = Caller({m.label: Timed(providers.client(m), clock) for m in models}, models, budget, patience, clock)
        try:
            asked = (caller.ask(models[i % len(models)].label, prompt, f"run/{i}") for i in range(calls))
            return await asyncio.gather(*asked), caller
        finally:
            await caller.close()

    answers, caller = asyncio.run(run())
    return answers, budget, caller


class TestTheTwoApis:
    @pytest.mark.parametrize("api", APIS)
    def test_an_answer_comes_back_with_what_it_cost(self, server: LlmServer, api: str) -> None:
        server.answer = lambda asked: "Here it is: " + "x" * 400
        (first, second), budget, _ = ask(served(api, server, concurrency=1), calls=2)
        assert first.reply.text.startswith("Here it is")
        billed = server.billed
        assert first.reply.usage == Usage(billed[0].input, billed[0].output, 0)
        assert second.reply.usage == Usage(billed[1].input, billed[1].output, billed[1].cached)
        assert billed[1].cached > 0
        assert budget.spent().dollars == sum(
            b.input * 3_000_000 + b.output * 15_000_000 + b.cached * 300_000 for b in billed
        )
        assert budget.held().tokens == budget.held().dollars == 0

    def test_the_system_text_is_marked_for_anthropics_cache(self, server: LlmServer) -> None:
        ask(served("anthropic", server))
        assert server.asked[0].body["system"][0]["cache_control"] == {"type": "ephemeral"}
        assert any(SECRET in value for value in server.asked[0].headers.values())

    @pytest.mark.parametrize("api", APIS)
    def test_temperature_is_sent_when_it_is_not_the_apis_own_default(self, server: LlmServer, api: str) -> None:
        ask(served(api, server))
        ask(served(api, server, temperature=0.25))
        assert [a.body.get("temperature") for a in server.asked] == [None, 0.25]

    def test_a_server_of_ones_own_needs_no_key(self, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY")
        assert ask(served("openai", server))[0][0].reply.text == "ok"

    @pytest.mark.parametrize(("api", "variable"), [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")])
    def test_a_missing_key_is_named(self, monkeypatch: pytest.MonkeyPatch, api: str, variable: str) -> None:
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(ModelError, match=f"{api}:tiny needs a key: set {variable}"):
            providers.client(Model(api, "tiny"))


class TestFaults:
    @pytest.mark.parametrize(
        ("api", "fault", "kind", "tries", "words"),
        [(api, *row[1:]) for row, api in zip(MATRIX, cycle(APIS), strict=False)], ids=[row[0] for row in MATRIX],
    )  # fmt: skip
    def test_every_fault_has_a_kind_a_clear_line_and_an_exact_cost(
        self, server: LlmServer, api: str, fault: faults.Fault, kind: errors.Kind, tries: int, words: str
    ) -> None:
        server.faults.extend([fault] * 3)
        slow = kind is errors.TIMEOUT
        (answer,), budget, _ = ask(served(api, server, seconds=0.5 if slow else 60.0))
        assert answer.failure.kind is kind
        assert words in str(answer.failure)
        assert SECRET not in str(answer.failure)
        assert "\n" not in str(answer.failure)
        assert len(server.asked) == tries
        assert budget.held() == type(budget.held())()
        assert answer.used == budget.spent()
        assert budget.spent().calls == tries
        if server.billed:
            assert budget.spent().tokens == sum(b.input + b.output + b.cached for b in server.billed)
        else:
            most = PROMPT.most_tokens + 500
            assert budget.spent().tokens == (tries * most if kind.billed else 0)

    @pytest.mark.parametrize(
        "fault", [r[1] for r in MATRIX if r[2].transient and r[2] is not errors.TIMEOUT and r[3] > 1]
    )
    def test_one_passing_fault_costs_no_answer(self, server: LlmServer, fault: faults.Fault) -> None:
        server.faults.append(fault)
        (answer,), _, _ = ask(served("anthropic", server))
        assert answer.reply.text == "ok"
        assert len(server.asked) == 2

    @pytest.mark.parametrize("api", APIS)
    def test_a_block_sent_twice_is_one_answer(self, server: LlmServer, api: str) -> None:
        server.faults.append(faults.doubled("one answer"))
        assert ask(served(api, server))[0][0].reply.text == "one answer"

    @pytest.mark.parametrize("api", APIS)
    def test_nobody_listening_costs_nothing_and_names_the_address(self, server: LlmServer, api: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
            (answer,), budget, _ = ask(Model(api, "tiny", url, PRICE))
        assert answer.failure.kind is errors.CONNECTION
        assert f"cannot reach {url}" in str(answer.failure)
        assert budget.spent().dollars == 0

    def test_retry_after_is_obeyed_by_all_calls_of_that_model(self, server: LlmServer) -> None:
        server.faults.append(faults.status(429, retry_after="7"))
        clock = Clock()
        answers, _, _ = ask(served("anthropic", server, concurrency=1), calls=2, clock=clock)
        assert all(a.reply for a in answers)
        assert clock.waits[0] == 7
        assert clock.time == 7

    @pytest.mark.parametrize(("seconds", "sent"), [("60", [0.0, 60.0]), ("7200", [0.0])])
    def test_a_wait_that_is_asked_for_holds_back_other_calls_too_or_ends_the_model(
        self, server: LlmServer, seconds: str, sent: list[float]
    ) -> None:
        server.faults.append(faults.status(429, retry_after=seconds))
        clock = Clock()
        model = served("openai", server, concurrency=1)
        _, _, caller = ask(model, calls=2, clock=clock, patience=Patience(attempts=1))
        assert clock.sent == sent
        assert ["it asks to wait 7200 s" in why for why in caller.down.values()] == [True] * (len(sent) == 1)

    def test_a_model_that_fails_for_good_is_put_down_and_not_asked_again(self, server: LlmServer) -> None:
        server.faults.extend([faults.status(401)] * 9)
        answers, _, caller = ask(served("openai", server, concurrency=1), calls=5)
        assert len(server.asked) == 1
        assert "not asked any more" in caller.down["openai:tiny"]
        assert all(a.failure for a in answers)

    @pytest.mark.parametrize("api", APIS)
    def test_of_an_endless_error_no_more_than_its_beginning_is_read(self, server: LlmServer, api: str) -> None:
        server.faults.append(faults.endless_error)
        (answer,), _, _ = ask(served(api, server))
        assert len(str(answer.failure)) < 500
        assert server.sent < 64 << 20

    def test_a_secret_in_the_servers_words_is_taken_out(self, server: LlmServer) -> None:
        server.faults.append(faults.status(400, f"I saw {SECRET}"))
        assert "[secret]" in str(ask(served("openai", server))[0][0].failure)


class TestPace:
    """Limits of a minute, kept before a server has to refuse."""

    @pytest.mark.parametrize(
        "limit", [{"requests_per_minute": 3}, {"tokens_per_minute": 3 * (PROMPT.most_tokens + 500)}]
    )
    def test_no_minute_has_more_than_its_limit_and_no_limit_is_wasted(
        self, server: LlmServer, limit: dict[str, int]
    ) -> None:
        clock = Clock()
        server.answer = lambda asked: "x" * 4 * 500
        answers, budget, _ = ask(served("openai", server, concurrency=8, **limit), calls=10, clock=clock)
        assert all(a.reply for a in answers)
        most = limit.get("tokens_per_minute")
        cost = 1 if most is None else budget.spent().tokens / 10
        for began in clock.sent:
            assert sum(began <= at < began + 60 for at in clock.sent) * cost <= (most or 3)
        assert clock.now() <= 180

    def test_a_call_larger_than_a_minute_goes_alone(self, server: LlmServer) -> None:
        clock = Clock()
        answers, _, _ = ask(served("openai", server, tokens_per_minute=10), calls=3, clock=clock)
        assert all(a.reply for a in answers)
        assert clock.now() == 120

    def test_a_models_own_wall_time_ends_it_alone(self, server: LlmServer) -> None:
        own = {"requests_per_minute": 1, "limits": Limits(seconds=90)}
        answers, _, caller = ask(served("openai", server, **own), served("anthropic", server), calls=8)
        assert [a.reply is not None for a in answers] == [True, True, True, True, False, True, False, True]
        assert "the openai:tiny model's wall time of 90 s is used up" in caller.down["openai:tiny"]


class TestBudgetUnderLoad:
    @pytest.mark.parametrize("scarce", ["tokens", "dollars", "calls"])
    def test_32_calls_in_flight_never_exceed_the_budget(self, server: LlmServer, scarce: str) -> None:
        m = served("anthropic", server, concurrency=32)

        def all_in_flight(asked: faults.Asked) -> str:
            end = time.monotonic() + 100
            while server.most_at_once < 32 and time.monotonic() < end:
                time.sleep(0.01)
            return "x" * 1600

        server.answer = all_in_flight
        one = PROMPT.most_tokens + m.output
        limit = {"tokens": 34 * one + 1, "dollars": 34 * PRICE.most(PROMPT.most_tokens, 500), "calls": 34}[scarce]
        server.faults.extend([faults.status(500), faults.reset_mid_body])
        answers, budget, _ = ask(m, limits=Limits(**{scarce: limit}), calls=120)
        assert server.most_at_once == 32
        assert getattr(budget.spent(), scarce) <= limit
        assert sum((a.used for a in answers), type(budget.spent())()) == budget.spent()
        assert budget.held().calls == 0
        refused = [a for a in answers if a.reply is None]
        assert refused
        assert all(a.failure.kind in (errors.BUDGET, errors.RESET, errors.SERVER) for a in refused)
        assert f"budget of {model.dollars(limit) if scarce == 'dollars' else limit}" in str(refused[-1].failure)
        # what is given back is used: a call costs a fraction of what it reserves
        assert len([a for a in answers if a.reply]) >= (34 - 4 if scarce == "calls" else 40)

    def test_a_models_own_limit_leaves_the_others_running(self, server: LlmServer) -> None:
        small = served("anthropic", server, limits=Limits(calls=2))
        answers, budget, _ = ask(small, served("openai", server), calls=20)
        assert budget.spent("anthropic:tiny").calls == 2
        assert budget.spent("openai:tiny").calls == 10
        assert "the anthropic:tiny model's budget of 2 calls" in str(next(a.failure for a in answers if a.failure))
        assert not any("resume" in str(a.failure) for a in answers)  # no option of `resume` raises it

    def test_a_model_that_is_too_dear_for_what_is_left_leaves_the_cheap_one_running(self, server: LlmServer) -> None:
        dear = served("anthropic", server, price=Price.per_million("300", "1500"))
        answers, budget, caller = ask(dear, served("openai", server), limits=Limits(dollars=PICO // 5), calls=20)
        assert [a.reply is not None for a in answers] == [False, True] * 10
        assert (
            "anthropic:tiny is not asked any more: the run's budget of $0.2000 has $0" in caller.down["anthropic:tiny"]
        )
        assert "resume with a higher limit" in caller.down["anthropic:tiny"]
        assert list(caller.down) == ["anthropic:tiny"]
        assert budget.spent("anthropic:tiny").dollars == 0 < budget.spent().dollars

    def test_wall_time_ends_calls_too(self, server: LlmServer) -> None:
        clock = Clock()
        server.faults.extend([faults.status(503, retry_after="20")] * 9)
        (answer,), _, caller = ask(
            served("openai", server), limits=Limits(seconds=30), clock=clock, patience=Patience(9)
        )
        assert "HTTP 503" in str(answer.failure)  # not the budget is why there is no answer
        assert "wall time of 30 s is used up" in caller.down["openai:tiny"]
        assert len(server.asked) == 2


def run(coroutine: Awaitable[object]) -> object:
    return asyncio.run(coroutine)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 100
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def lives(pid: str) -> bool:
    """Tell whether a process runs; one that nobody has collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestCommand:
    def test_prompt_goes_in_and_answer_comes_out(self) -> None:
        reply = run(providers.client(Model("command", "tr a-z A-Z")).complete(PROMPT, 60))
        assert "MAKE IT FASTER." in reply.text
        assert reply.usage is None

    @pytest.mark.parametrize(
        ("command", "kind", "words"),
        [
            ("sh -c 'echo no such login >&2; exit 3'", errors.EXIT, "exited with 3: no such login; run it by hand"),
            ("no-such-program-anywhere", errors.COMMAND, "cannot run 'no-such-program-anywhere'"),
            ("sh -c 'sleep 9'", errors.TIMEOUT, "did not finish within 0.2 s"),
            ("true", errors.EMPTY, "wrote nothing"),
            ("printf '\\377\\376'", errors.MALFORMED, "no UTF-8"),
            ("head -c 9000000 /dev/zero", errors.HUGE, "more than 8 MiB"),
        ],
    )
    def test_what_goes_wrong_is_one_clear_line(self, command: str, kind: errors.Kind, words: str) -> None:
        with pytest.raises(ModelError, match=words) as caught:
            run(providers.client(Model("command", command)).complete(PROMPT, 0.2 if "sleep" in command else 60))
        assert caught.value.kind is kind
        assert "\n" not in str(caught.value)

    def test_what_a_command_started_dies_with_a_search_that_is_killed(self, tmp_path: Path) -> None:
        agent = tmp_path / "agent.sh"
        note = f"echo $! $$ > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/pids"
        agent.write_text(f"setsid sh -c 'sleep 60 & {note}; wait' &\nwait\n")
        asking = (
            "import asyncio\nfrom operators.llm import providers\nfrom operators.llm.model import Model, Prompt\n"
            f"asyncio.run(providers.client(Model('command', 'sh {agent}')).complete(Prompt('', ''), 60))"
        )
        search = subprocess.Popen([sys.executable, "-c", asking])
        until(lambda: (tmp_path / "pids").exists())
        search.kill()
        search.wait()
        until(lambda: not any(map(lives, (tmp_path / "pids").read_text().split())))

    @pytest.mark.parametrize("after", ["echo yes", "kill -STOP $PPID; sleep 50"])
    def test_nothing_of_a_command_outlives_its_call_nor_holds_its_answer(self, tmp_path: Path, after: str) -> None:
        began, script = time.monotonic(), tmp_path / "agent.sh"
        note = f"echo $$ > {tmp_path}/pid; exec sleep 50"
        script.write_text(f"setsid sh -c '{note}' >&2 &\nwhile [ ! -s {tmp_path}/pid ]; do :; done\n{after}\n")
        asking = providers.client(Model("command", f"sh {script}")).complete(PROMPT, 60 if "yes" in after else 1.5)
        if "yes" in after:
            assert run(asking).text == "yes\n"
        else:
            with pytest.raises(ModelError, match="did not finish"):
                run(asking)
        assert not lives((tmp_path / "pid").read_text().strip())
        assert time.monotonic() - began < 40, "it would sleep for 50 s"

    def test_a_quotation_that_does_not_end_is_said_at_once(self) -> None:
        with pytest.raises(ModelError, match="cannot be read"):
            providers.client(Model("command", "sh -c 'oops"))


class TestRecording:
    def test_what_was_recorded_is_replayed_in_order_without_the_model(self, server: LlmServer, tmp_path: Path) -> None:
        from operators.llm.recording import Recorder

        count = iter(range(9))
        server.answer = lambda asked: f"answer {next(count)}, not {SECRET}"
        file = tmp_path / "calls.jsonl"

        async def record() -> list[str]:
            recorder = Recorder(providers.client(served("anthropic", server)), file)
            texts = [(await recorder.complete(PROMPT, 5)).text for _ in range(2)]
            await recorder.close()
            return texts

        recorded = run(record())
        assert SECRET not in file.read_text()

        async def replay() -> list[str]:
            client = providers.client(Model("replay", str(file)))
            return [(await client.complete(PROMPT, 5)).text for _ in range(2)]

        assert run(replay()) == [t.replace(SECRET, "[secret]") for t in recorded]
        with pytest.raises(ModelError, match="no answer left to prompt"):
            run(providers.client(Model("replay", str(file))).complete(Prompt("", "another"), 5))

    def test_a_file_that_is_no_recording_is_named(self, tmp_path: Path) -> None:
        row = '{"digest": "d", "model": "m", "reply": %s, "usage": %s}'
        for bad in ('{"digest": 1}', row % ("null", "null"), row % ('"\\ud800"', "null"), row % ('"r"', "[1e400]"),
                    row % ("1", "null"), row % ('"r"', f"[{10**30}]"), "[" * 100_000):  # fmt: skip
            (tmp_path / "bad").write_text(f"{bad}\n")
            with pytest.raises(ModelError, match="line 1, is no recorded answer"):
                providers.client(Model("replay", str(tmp_path / "bad")))
        with pytest.raises(ModelError, match="cannot read the recording"):
            providers.client(Model("replay", str(tmp_path / "none")))


class TestMailbox:
    def test_an_answer_counts_only_when_it_has_come_to_rest(self, tmp_path: Path) -> None:
        client = mailbox.MailboxClient(Model("mailbox", str(tmp_path)), quiet=0.15, look=0.01)

        async def exchange() -> str:
            waiting = asyncio.create_task(client.complete(PROMPT, 5, "k"))
            await asyncio.sleep(0.03)
            path = tmp_path / "001.answer.md"
            for part in ("half", "half and half"):
                path.write_text(part)
                await asyncio.sleep(0.05)
            return (await waiting).text

        assert run(exchange()) == "half and half"

    def test_an_answer_that_never_comes_leaves_the_prompt_open(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"nobody wrote .*001.answer.md within 0.1 s"):
            run(mailbox.MailboxClient(Model("mailbox", str(tmp_path))).complete(PROMPT, 0.1, "k"))
        assert [letter.number for letter in mailbox.unanswered(tmp_path)] == [1]

    def asking(self, folder: Path, prompt: Prompt = PROMPT, seconds: float = 0.1) -> str:
        client = mailbox.MailboxClient(Model("mailbox", str(folder)), quiet=0.01, look=0.005)
        return run(client.complete(prompt, seconds, "run/1/0")).text

    def test_an_answer_counts_for_its_own_prompt_alone(self, tmp_path: Path) -> None:
        (tmp_path / "001.answer.md").write_text("left from an earlier prompt of this number")
        with pytest.raises(ModelError, match=r"nobody wrote .*002.answer.md"):
            self.asking(tmp_path)
        (letter,) = mailbox.unanswered(tmp_path)
        other = mailbox.Letter(2, "run/1/0/another-prompt", "")
        assert mailbox.answer(tmp_path, other, "to another prompt")
        with pytest.raises(ModelError, match=r"nobody wrote .*002.answer.md"):
            self.asking(tmp_path)
        assert mailbox.answer(tmp_path, letter, "to this one")
        assert not mailbox.answer(tmp_path, letter, "twice")
        assert self.asking(tmp_path) == "to this one"
        with pytest.raises(ModelError, match=r"nobody wrote .*003.answer.md"):  # the same place in a copied run
            self.asking(tmp_path, Prompt("", "another"))

    @pytest.mark.parametrize("before", ["\ufeff", "\n \n", " ", "```markdown\n"])
    def test_the_key_of_an_answer_is_found_behind_what_editors_put_there(self, tmp_path: Path, before: str) -> None:
        with pytest.raises(ModelError):
            self.asking(tmp_path)
        path = tmp_path / "001.answer.md"
        path.write_text(f"{before}<!-- evo-kernel run/9/9/another -->\nto another")
        with pytest.raises(ModelError, match="nobody wrote"):
            self.asking(tmp_path)
        path.write_text(f"{before}<!-- evo-kernel run/1/0/{PROMPT.digest} -->\nto this one")
        assert self.asking(tmp_path) == f"{before if '`' in before else ''}to this one"

    def test_no_number_is_given_twice_though_its_files_are_gone(self, tmp_path: Path) -> None:
        (tmp_path / "999999999.prompt.md").write_text("x")
        for number in (10**9, 10**9 + 1):
            with pytest.raises(ModelError, match=f"{number}.answer.md"):
                self.asking(tmp_path)
            for path in tmp_path.glob("*.md"):
                path.unlink()

    def test_a_time_stamp_of_the_future_delays_no_answer(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError):
            self.asking(tmp_path)
        (tmp_path / "001.answer.md").write_text("by hand")
        os.utime(tmp_path / "001.answer.md", (time.time() + 10**6,) * 2)
        (tmp_path / "001.prompt.md").unlink()  # taken away by whoever answered
        (tmp_path / "001.prompt.md").write_text(f"<!-- evo-kernel run/1/0/{PROMPT.digest} -->")
        assert self.asking(tmp_path) == "by hand"

    @pytest.mark.parametrize("kind", ["link", "pipe", "folder", "huge", "bytes"])
    def test_an_answer_that_is_no_text_of_its_own_is_refused_in_a_line(self, tmp_path: Path, kind: str) -> None:
        (tmp_path / "secret").write_text("not for a model")
        box = tmp_path / "box"
        with pytest.raises(ModelError, match="nobody wrote"):
            self.asking(box)
        path = box / "001.answer.md"
        make = {
            "link": lambda: path.symlink_to("../secret"), "pipe": lambda: os.mkfifo(path),
            "folder": path.mkdir, "huge": lambda: path.write_bytes(b"x" * (9 << 20)),
            "bytes": lambda: path.write_bytes(b"\xff\xfe"),
        }  # fmt: skip
        make[kind]()
        words = {"link": "outside its folder", "pipe": "nobody wrote", "folder": "no plain file", "huge": "more than 8 MiB",
                 "bytes": "no UTF-8"}  # fmt: skip
        with pytest.raises(ModelError, match=words[kind]):
            self.asking(box)

    def test_a_folder_that_is_taken_away_is_said_to_be_gone(self, tmp_path: Path) -> None:
        client = mailbox.MailboxClient(Model("mailbox", str(tmp_path / "box")), look=0.01)

        async def exchange() -> None:
            waiting = asyncio.create_task(client.complete(PROMPT, 5, "k"))
            await asyncio.sleep(0.05)
            shutil.rmtree(tmp_path / "box")
            await waiting

        with pytest.raises(ModelError, match="it is gone"):
            run(exchange())

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ModelError, match="is not writable"):
            providers.client(Model("mailbox", str(tmp_path / "file")))


class TestSpecs:
    def test_a_model_is_read_from_one_word(self) -> None:
        assert model.parse("anthropic:big-1") == Model("anthropic", "big-1")
        local = model.parse("openai:org/tiny@http://127.0.0.1:8000/v1")
        assert (local.name, local.url) == ("org/tiny", "http://127.0.0.1:8000/v1")
        assert model.parse("command:agent -p --mail a@b").name == "agent -p --mail a@b"

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ("gpt", "a model is written PROVIDER:NAME"),
            ("bard:x", "unknown provider 'bard': expected one of anthropic, openai, command, mailbox, replay"),
            ("openai:", "no name came after the colon"),
            ("openai:x@localhost:80", "an address that begins with http"),
            ("openai:x@https://me:pw@host/v1", "may not hold a user name"),
            ("openai:x@https://host/v1?key=1", "an address ends before any"),
        ],
    )
    def test_a_wrong_spec_says_what_to_write(self, spec: str, words: str) -> None:
        with pytest.raises(model.ModelSpecError, match=words):
            model.parse(spec)

    @pytest.mark.parametrize("key", [SECRET, "MY_ACCOUNT", "sk_key-1"])
    def test_a_key_that_would_not_be_kept_out_of_files_is_refused_and_not_repeated(self, key: str) -> None:
        with pytest.raises(
            model.ModelSpecError, match="the name of an environment variable that ends in _KEY"
        ) as caught:
            Model("openai", "x", key=key)
        assert key not in str(caught.value)
        assert Model("openai", "x", key="MY_OWN_KEY").key_variable == "MY_OWN_KEY"

    def test_an_address_with_a_key_in_it_is_refused_and_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWAY_TOKEN", SECRET)
        with pytest.raises(model.ModelSpecError, match="holds the value of GATEWAY_TOKEN") as caught:
            model.parse(f"openai:x@https://host/{SECRET}/v1")
        assert SECRET not in str(caught.value)

    def test_a_temperature_that_anthropic_does_not_take_is_refused(self) -> None:
        with pytest.raises(model.ModelSpecError, match=r"at most 1; got 1\.5"):
            Model("anthropic", "x", temperature=1.5)

    def test_a_dollar_budget_needs_every_price(self) -> None:
        with pytest.raises(model.ModelSpecError, match="needs the price of openai:x"):
            Budget([Model("openai", "x")], Limits(dollars=5), time.monotonic)

    @pytest.mark.parametrize("price", ["-1", "cheap", "0.1234567", "nan"])
    def test_a_price_that_is_none_is_refused(self, price: str) -> None:
        with pytest.raises(model.ModelSpecError, match="a price is"):
            Price.per_million(price, "1")

    def test_largest_is_what_the_messages_say(self) -> None:
        assert clients.LARGEST == 8 << 20
        assert json.loads("1") == 1


def test_a_model_that_never_helps_is_not_asked_for_ever(server: LlmServer) -> None:
    server.faults += [faults.status(400, "max_tokens: too many")] * 30
    found, _, caller = ask(served("openai", server, concurrency=1), calls=30)
    assert all(answer.reply is None for answer in found)
    assert sum(isinstance(a.failure, ModelDown) for a in found) == 30 - USELESS
    assert "not asked any more" in caller.down["openai:tiny"]


@pytest.mark.parametrize("tokens", [10**6, 1 << 40])
def test_a_server_that_counts_more_than_there_can_be_is_not_asked_again(server: LlmServer, tokens: int) -> None:
    answer = {
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": tokens},
    }
    server.faults.append(faults.raw(json.dumps(answer).encode()))
    found, budget, caller = ask(served("openai", server, concurrency=1), calls=3)
    assert sum(a.reply is not None for a in found) == 1
    assert budget.spent().dollars < 1 << 62
    assert f"counted {2 * tokens:,} tokens" in caller.down["openai:tiny"]
    assert sum(isinstance(a.failure, ModelDown) for a in found) == 2
