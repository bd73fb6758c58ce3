"""A whole run, real judge and all, killed again and again at random moments: it ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from archives.events import Extended, Judged, Proposed
from archives.journal import FILE, Journal
from evo_kernel import runs
from evo_kernel.cli import main
from suites import Task

KILLS = 3
LONGEST = 4.0  # seconds before a kill in the dark: while it imports, while the judge starts, or later
PATIENCE = (
    150.0  # seconds for the next event, after which every other kill comes: on a busy machine nothing else is sure
)
EVO = [sys.executable, "-m", "evo_kernel"]
BUDGET = ["--generations", "3", "--population", "4"]


def descendants(pid: int) -> list[int]:
    """Return a process and all below it, whatever sessions they made."""
    below = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                below += descendants(int(entry.name))
    return [pid, *below]


def kill_tree(process: subprocess.Popen) -> None:
    for pid in descendants(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def payloads(folder: Path) -> list[tuple[str, bytes]]:
    with Journal.read(folder) as journal:
        return journal._connection.execute("SELECT kind, payload FROM events ORDER BY seq").fetchall()


def told_once(folder: Path) -> None:
    """Check that every verdict in the journal belongs to one proposal, and no proposal has two."""
    proposed, judged = [], []
    with Journal.read(folder) as journal:
        for event in journal.events():
            if isinstance(event, Proposed):
                proposed.append(event.number)
            elif isinstance(event, Judged):
                judged.append(event.number)
    assert len(set(proposed)) == len(proposed)
    assert len(set(judged)) == len(judged)
    assert set(judged) <= set(proposed)


def written(folder: Path) -> int:
    """Return how many events a run has."""
    return len(payloads(folder)) if (folder / FILE).exists() else 0


def wait_for_progress(process: subprocess.Popen, folder: Path, before: int) -> None:
    """Wait until a run has more events than before, or has ended."""
    deadline = time.monotonic() + PATIENCE
    while written(folder) <= before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("shared_jails")
def test_kills_at_random_moments_change_nothing(one_case_task: Task, tmp_path: Path) -> None:
    task = tmp_path / "double.py"
    task.write_text(one_case_task.source.replace(', case("1M-fp16", 1 << 20, "float16", "uniform")', ""))
    search = ["search", str(task), "--pool", "inline", "--seed", "11", "--quiet", *BUDGET]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    whole = CliRunner().invoke(main, [*search, "--run", str(tmp_path / "whole")])
    assert whole.exit_code == 0, whole.output

    folder = tmp_path / "killed"
    chance = random.Random(7)
    seen = 0
    for number in range(KILLS):
        begun = (folder / FILE).exists()
        command = ["resume", folder, "--quiet"] if begun else [*search, "--run", folder]
        process = subprocess.Popen([*EVO, *command], **quiet)
        if number % 2:
            wait_for_progress(process, folder, seen)
            time.sleep(chance.uniform(0.0, 1.0))
        else:
            time.sleep(chance.uniform(0.05, LONGEST))
        kill_tree(process)
        if (folder / FILE).exists():
            told_once(folder)
            now = written(folder)
            assert now >= seen  # nothing told is lost
            seen = now
    assert seen > 0
    last = subprocess.run([*EVO, "resume", folder, "--quiet"], capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    assert payloads(folder) == payloads(tmp_path / "whole")
    one, other = (runs.read(tmp_path / name).search.archive for name in ("whole", "killed"))
    assert one.history == other.history
    assert one.elites == other.elites


def test_a_kill_while_the_journal_is_made_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from archives.journal import Journal; "
        "from archives.events import Extended\n"
        "def first():\n"
        "    yield Extended(1), 0.0\n"
        "    os.kill(os.getpid(), 9)\n"
        "Journal.create(Path(sys.argv[1]), first())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    assert not (tmp_path / "run" / FILE).exists()
    with Journal.create(tmp_path / "run", [(Extended(2), 0.0)]) as journal:
        assert list(journal.events()) == [Extended(2)]
