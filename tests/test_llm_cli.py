"""What a person types about models: prompt, doctor --model, export --trajectories; and what they are told when it is wrong."""

import json
import re
from pathlib import Path

import llm_server
import pytest
from click.testing import CliRunner
from conftest import SCALE
from llm_search import FormulaPool, begin, drive, widened
from llm_server import SECRET, LlmServer

from archives.events import Judged
from archives.journal import Journal
from evo_kernel import config, config_files, doctor, prompts, providers, runs
from evo_kernel.cli import main
from evo_kernel.cli_llm import priced
from evo_kernel.config import Settings
from evo_kernel.pools import Predicting
from fitness.judge import Judge
from operators.llm import settings
from operators.llm.model import Limits, ModelSpecError, Price, parse
from suites import Task

pytestmark = pytest.mark.usefixtures("shared_jails")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_prompt_prints_what_generate_would_send() -> None:
    status, out, _ = run("prompt", "softmax", "--operator", "generate", "--target", "mi300", "--json")
    shown = json.loads(out)
    assert status == 0
    assert "# The chip: gfx942" in shown["system"]
    assert "def reference(x):" in shown["system"]
    assert "65537x32771" not in out
    assert "12288" not in out
    assert shown["prompt"].startswith("Write a Triton program")
    assert run("prompt", "softmax", "--operator", "generate", "--target", "mi300", "--json")[1] == out


def test_prompt_judges_the_program_it_shows(tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    # the judge that other tests share: to start another one takes six seconds
    shared = Predicting(judge)
    monkeypatch.setattr(Predicting, "close", lambda self: None)
    monkeypatch.setattr(prompts, "one_judge", lambda task, settings: shared)
    (tmp_path / "wrong.py").write_text("import triton\n\n\ndef twice(x):\n    return x\n")
    (tmp_path / "task.py").write_text(SCALE)
    task, wrong = str(tmp_path / "task.py"), str(tmp_path / "wrong.py")
    status, out, _ = run("prompt", task, "--operator", "reflect", "--program", wrong, "--target", "mi300")
    assert status == 0
    assert "the launcher `double` is not defined" in out
    assert str(tmp_path) not in out
    assert "zygote.py" not in out
    assert "site-packages" not in out


def test_prompt_in_a_run_shows_its_state(tmp_path: Path, double_task: Task) -> None:
    runs.begin(tmp_path / "run", Settings(target="mi300", basis="predicted", pool="inline"), double_task)
    ask = ("prompt", "--run", str(tmp_path / "run"), "--operator", "optimize")
    status, _, err = run(*ask)
    assert status == 1
    assert "optimize needs 1 programs that passed, got 0" in err
    with Journal.append_to(tmp_path / "run") as journal:
        seed = double_task.seeds[0].source
        journal.append(Judged(0, FormulaPool(double_task, Settings(target="mi300")).verdict(seed)))
    status, out, _ = run(*ask)
    assert status == 0
    assert "predicted 75.76 us on mi300" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prompt"], "give a TASK, or --run RUN"),
        (
            ["prompt", "softmax", "--operator", "mutate"],
            "no operator named 'mutate' asks a model; those that do: generate",
        ),
        (
            ["prompt", "softmax", "--operator", "recombine", "--target", "mi300"],
            "needs two programs and softmax has one seed",
        ),
        (["prompt", "no_such_task"], "no task named 'no_such_task'"),
        (["doctor", "--model", "bard:x"], "unknown provider 'bard'"),
        (["doctor", "--model", "anthropic:x", "--model", "anthropic:x"], "given twice"),
        (["export", "nowhere", "--trajectories", "t.jsonl"], "no run folder at nowhere"),
    ],
)
def test_wrong_input_is_one_clear_line(arguments: list[str], words: str) -> None:
    status, _, err = run(*arguments)
    assert status in (1, 2)
    assert words in err
    assert "Traceback" not in err


def test_doctor_asks_each_model_one_cheap_question_and_explains_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with LlmServer(lambda asked: "ready") as server:
        server.faults.append(llm_server.status(401, f"bad {SECRET}"))
        models = [parse(f"openai:tiny@{server.openai}")] * 2 + [parse("anthropic:big"), parse("command:false")]
        found = [f for f in providers.findings(models) if ":" in f.topic]
    assert [f.works for f in found] == [False, True, False, False]
    assert "set OPENAI_API_KEY to a valid one" in found[0].detail
    assert SECRET not in found[0].detail
    assert "set ANTHROPIC_API_KEY in the environment" in found[2].detail
    assert "exited with 1" in found[3].detail
    assert all(a.limit <= providers.OUTPUT for a in server.asked)
    with LlmServer() as server:
        server.faults.append(llm_server.stopped("max_tokens", "length", ""))
        (found,) = [f for f in providers.findings([parse(f"openai:tiny@{server.openai}")]) if ":" in f.topic]
    assert found.works
    assert "doctor's own limit of 256 tokens" in found.detail


def test_doctor_tries_a_folder_and_a_recording_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("_targets", "_isolation"):  # they have tests of their own
        monkeypatch.setattr(doctor, other, lambda: iter(()))
    row = {"digest": "d", "system": "s", "prompt": "p", "reply": "r", "model": "m", "usage": None}
    (tmp_path / "good").write_text(json.dumps(row) + "\n")
    (tmp_path / "bad").write_text("{}\n")
    (tmp_path / "models.toml").write_text(f'[[models]]\nmodel = "mailbox:{tmp_path}/box"\n')
    given = [f"replay:{tmp_path}/{name}" for name in ("good", "bad", "absent")] + ["mailbox:/proc/nowhere"]
    options = [word for model in given for word in ("--model", model)]
    status, out, _ = run("doctor", "--json", "--config", str(tmp_path / "models.toml"), *options)
    found = {f["topic"]: (f["works"], f["detail"]) for f in json.loads(out) if ":" in f["topic"]}
    assert status == 1
    assert [works for works, _ in found.values()] == [True, True, False, False, False]
    said = "\n".join(detail for _, detail in found.values())
    for words in ("0 prompts wait there", "1 answers to 1 prompts", "line 1, is no recorded answer", "No such file",
                  "is not writable"):  # fmt: skip
        assert words in said
    assert list((tmp_path / "box").iterdir()) == []


def test_trajectories_hold_prompt_reply_verdict_and_gain_without_secrets(
    tmp_path: Path, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with LlmServer(lambda asked: f"{SECRET}\n{widened(asked)}") as server:
        folder = begin(tmp_path / "run", double_task, [f"openai:tiny@{server.openai}"])
        drive(folder)
    status, out, _ = run("export", str(folder), "--trajectories", str(tmp_path / "t.jsonl"))
    text = (tmp_path / "t.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert status == 0
    assert f"wrote {len(rows)} answered turns" in out
    assert len(rows) == len(server.billed)
    assert SECRET not in text
    assert all(SECRET.encode() not in path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert {"request", "operator", "model", "system", "prompt", "reply", "usage", "outcome", "why"} <= set(rows[0])
    assert any(r.get("gain") and r["gain"] > 1 for r in rows)


class TestModelSettings:
    def test_a_table_becomes_a_model_and_a_price_stays_exact(self) -> None:
        table = {
            "model": "openai:x@http://h/v1",
            "price_input": 0.075,
            "price_output": "0.3",
            "max_cost": 2.5,
            "temperature": 0.2,
        }
        (model,) = settings.made([settings.ModelSettings(**table)])
        assert model.price == Price(75_000, 300_000, 75_000, 75_000)
        assert model.limits == Limits(dollars=2_500_000_000_000)
        (cached,) = settings.made([settings.ModelSettings(**table | {"model": "anthropic:x@http://h"})])
        assert cached.price.cache_write == 93_750
        assert (model.url, model.temperature) == ("http://h/v1", 0.2)
        assert settings.limits("5", None, 9, None) == Limits(None, 5 * 10**12, 9, None)

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ({"model": "openai:x", "price_input": 1}, "give price_input and price_output"),
            ({"model": "openai:x", "max_cost": -1}, "an amount of money is positive"),
            ({"model": "openai:x", "temperature": 9}, "temperature must be from 0 to 2"),
            ({"model": "openai:x", "seconds": float("nan")}, "must be positive and below"),
            ({"model": "openai:x", "output": 10**30}, "must be positive and below"),
        ],
    )
    def test_what_cannot_be_is_said(self, table: dict[str, object], words: str) -> None:
        with pytest.raises(ModelSpecError, match=words):
            settings.made([settings.ModelSettings(**table)])


class TestSearchWithModels:
    @pytest.mark.parametrize(
        ("options", "status", "said"),
        [
            (("--model", "gemini:x"), 2, "unknown provider 'gemini': expected one of anthropic, openai"),
            (("--model", "anthropic"), 2, "a model is written PROVIDER:NAME"),
            (("--model", "anthropic:x"), 1, "anthropic:x needs a key: set ANTHROPIC_API_KEY in the environment"),
            (("--model", "openai:x@http://localhost:1/v1", "--max-cost", "5"), 2, "a dollar budget needs the price of openai:x"),
            (("--model", "openai:x@http://localhost:1/v1", "--max-cost", "five"), 2, "an amount of money is dollars"),
            (("--model", "openai:x@http://localhost:1/v1", "--max-cost", "1e999999"), 2, "an amount of money is dollars"),
            (("--model", "openai:x@http://localhost:1/v1", "--max-calls", "9" * 40), 2, "less than or equal to"),
            (("--model", "command:cat \0x"), 2, "holds a NUL character"),
            (("--model", "openai:x", "--price", "openai:y=1/2"), 2, "--price is MODEL=INPUT/OUTPUT"),
            (("--model", "openai:x@http://localhost:1/v1", "--price", "openai:x@http://localhost:1/v1=1/much"), 2, "a price is dollars"),
            (("--model", "mailbox:m", "--config", "archives.toml"), 1, "/nowhere"),
            (("--port", "models.toml"), 2, "a kernel is ported by a model: name one"),
            (("--model", "mailbox:/proc/nowhere"), 1, "/proc/nowhere"),
            (("--model", "replay:absent.jsonl"), 1, "/absent.jsonl: "),
            (("--model", "command:absent-agent"), 1, "absent-agent"),
            (("--model", "command:true", "--config", "record.toml"), 1, "cannot write the recording /proc/nowhere/r"),
            (("--model", "command:true", "--config", "lessons.toml"), 1, "cannot write /proc/nowhere/l"),
            (("--model", "openai:x@http://a/v1", "--model", "openai:x@http://b/v1", "--price", "openai:x=1/2"), 2,
             "2 models have that name; write one with its @URL"),
            (("--config", "models.toml"), 2, "price"),
            (("--config", "key.toml"), 2, "`key` is the name of an environment variable"),
            (("--config", "operators.toml"), 2, "no operator 'dream' asks a model"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_asked_is_said_in_a_line_before_a_run_begins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], status: int, said: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        (tmp_path / "models.toml").write_text('[[models]]\nmodel = "openai:x@http://h/v1"\nprice_inptu = 3\n')
        (tmp_path / "key.toml").write_text(f'[[models]]\nmodel = "openai:x@http://h/v1"\nkey = "{SECRET}"\n')
        (tmp_path / "archives.toml").write_text('[llm]\narchives = ["nowhere"]\n')
        (tmp_path / "record.toml").write_text('[llm]\nrecord = "/proc/nowhere/r"\n')
        (tmp_path / "lessons.toml").write_text('[llm]\nlessons = "/proc/nowhere/l"\n')
        (tmp_path / "operators.toml").write_text('[llm]\nmodel_operators = ["dream"]\n')
        got, _, err = run("search", "softmax", "--target", "mi300", "--pool", "inline", "--run", "run", *options)
        assert got == status
        assert said in err
        assert SECRET not in err
        assert "Traceback" not in err
        assert not (tmp_path / "run").exists()

    def test_a_model_on_the_command_line_has_the_price_beside_it_or_that_of_its_table(self, tmp_path: Path) -> None:
        (tmp_path / "m.toml").write_text(
            '[[models]]\nmodel = "openai:x"\nprice_input = 1\nprice_output = 2\noutput = 99\n'
        )
        made = {}
        for prices in ((), ("openai:x=3/4",)):
            chosen = config_files.load(
                str(tmp_path / "m.toml"),
                {"models": priced(["openai:x", "openai:y@http://h/v1"], (*prices, "openai:y=0/0"))},
            )
            made[prices] = settings.made(chosen.models)
        assert [m[0].price.output for m in made.values()] == [2_000_000, 4_000_000]
        assert [(m[0].output, m[1].price) for m in made.values()] == [(99, Price(0, 0, 0, 0))] * 2

    def test_folders_and_files_of_models_are_the_same_wherever_a_run_is_resumed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        table = {"model": "replay:old.jsonl", "max_calls": 3}
        given = {"models": ["mailbox:box", table, "command:box"], "record": "r", "lessons": "~/l", "archives": ["a"]}
        chosen = config_files.load(None, given)
        assert [m.model for m in chosen.models] == [
            f"mailbox:{tmp_path}/box",
            f"replay:{tmp_path}/old.jsonl",
            "command:box",
        ]
        assert (chosen.record, chosen.archives) == (f"{tmp_path}/r", (f"{tmp_path}/a",))
        assert chosen.lessons == f"{Path.home()}/l"
        monkeypatch.chdir("/")
        assert config_files.load(None, chosen.model_dump()) == chosen

    @pytest.mark.parametrize("name", config_files.names())
    def test_the_commented_options_of_a_shipped_configuration_are_the_defaults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        text = (Path(config.__file__).parent.parent / "configs" / f"{name}.toml").read_text()
        plain = re.sub(r"^# (?=\[\[models|\w+ = )", "", text[text.index("[llm]") :], flags=re.MULTILINE)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "kernel.cu").write_text("__global__ void k() {}")
        (tmp_path / "all.toml").write_text(plain)
        chosen, default = config_files.load(str(tmp_path / "all.toml"), {}), config.Settings()
        given = {"record", "lessons", "archives", "port", "max_cost", "max_tokens", "max_calls"}
        assert all(getattr(chosen, n) == getattr(default, n) for n in config.ABOUT_MODELS if n not in given)
        assert all(getattr(chosen, n) for n in given)
        assert set(re.findall(r"^(\w+) = ", plain[plain.index("\n[[models") :], re.MULTILINE)) == set(
            settings.ModelSettings.model_fields
        )
