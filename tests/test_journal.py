"""The journal: whole events or none, one writer, many readers, and clear words when it cannot be used."""

import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archives import events
from archives.candidate import Candidate
from archives.events import Extended, Judged, Proposed, Refused
from archives.journal import FILE, SCHEMA, Journal, JournalError
from fitness import evaluation as evaluations
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage

CANDIDATE = Candidate("x = 'ü'\r\n", "knob-step", "an intent", ("a", "b"), "f", "s")
PASSED = Evaluation(
    "mi300", Basis.PREDICTED, "process", None,
    (CaseResult("c", 1.5, 0.25, 0.5, "memory", (("k", "BLOCK: 4"),)),),
    (Resources("k", 1, None, None, 0, 0, 4, 8, 0, 4.0, "code"),), "program", ("a note",),
)  # fmt: skip
FAILED = Evaluation("h100", Basis.MEASURED, "process", Failure(Stage.RECORD, "timeout", "m", "t", "c"))
EVENTS = [
    Proposed(0, CANDIDATE), Judged(0, PASSED), Judged(1, FAILED), Refused(2, "knob-cross", ("a",), "why"), Extended(9),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_an_event_comes_back_as_it_was(event: events.Event) -> None:
    assert events.decode(*events.encode(event)) == event


def test_events_come_back_in_order_also_while_writing(tmp_path: Path) -> None:
    writer = Journal.create(tmp_path / "run")
    reader = Journal.read(tmp_path / "run")
    for event in EVENTS:
        writer.append(event, 0.5)
    assert list(reader.events()) == EVENTS
    assert list(reader.events(after=3)) == EVENTS[3:]
    writer.append(EVENTS[0])
    assert len(list(reader.events())) == len(EVENTS) + 1
    reader.close()
    writer.close()


def test_clock_times_are_beside_the_payload_not_in_it(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run") as journal:
        journal.append(EVENTS[1], seconds=2.5)
        ((_, event, at, seconds),) = journal.rows()
    assert (event, seconds) == (EVENTS[1], 2.5)
    assert at > 1.7e9


def test_a_journal_that_was_closed_is_free_whatever_a_child_still_holds(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "run")
    assert journal._lock is not None
    copy = os.dup(journal._lock.fileno())  # as a process has that another thread is starting
    journal.close()
    Journal.append_to(tmp_path / "run").close()
    os.close(copy)


def test_a_second_writer_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run"):
        with pytest.raises(JournalError, match=f"in use by another process .pid {os.getpid()}"):
            Journal.append_to(tmp_path / "run")
    Journal.append_to(tmp_path / "run").close()


def test_who_only_asks_whether_a_run_is_driven_keeps_no_writer_out(tmp_path: Path) -> None:
    Journal.create(tmp_path / "run").close()
    with open(tmp_path / "run" / "lock", "rb") as asked:
        fcntl.flock(asked, fcntl.LOCK_SH)
        released = threading.Timer(0.06, fcntl.flock, (asked, fcntl.LOCK_UN))
        released.start()
        Journal.append_to(tmp_path / "run").close()
        released.join()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from archives.journal import Journal\n"
        "from archives.events import Extended\n"
        "j = Journal.create(Path(sys.argv[1])); j.append(Extended(3)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    with Journal.append_to(tmp_path / "run") as journal:
        assert list(journal.events()) == [Extended(3)]


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no run folder"):
        Journal.read(tmp_path / "absent")
    with pytest.raises(JournalError, match=f"it has no {FILE}"):
        Journal.read(tmp_path)
    (tmp_path / FILE).write_text("something else entirely, long enough to be read as a header" * 9)
    with pytest.raises(JournalError, match="is not a journal"):
        Journal.append_to(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_an_event_that_somebody_took_out_is_missed(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run", [(event, 0.0) for event in EVENTS]) as journal:
        assert list(journal.events(after=3)) == EVENTS[3:]
    with sqlite3.connect(tmp_path / "run" / FILE) as database:
        database.execute("DELETE FROM events WHERE seq = 3")
    with Journal.read(tmp_path / "run") as journal, pytest.raises(JournalError, match="lacks event 3: somebody has"):
        list(journal.events())


def test_another_programs_database_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("CREATE TABLE events (seq INTEGER)")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="not a journal of evo-kernel"):
        Journal.append_to(tmp_path)


def test_a_journal_of_a_newer_version_says_what_to_do(tmp_path: Path) -> None:
    Journal.create(tmp_path / "run").close()
    connection = sqlite3.connect(tmp_path / "run" / FILE)
    connection.execute(f"PRAGMA user_version={SCHEMA + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match=r"newer evo-kernel.*upgrade"):
        Journal.read(tmp_path / "run")


def test_an_event_of_a_newer_version_is_an_error_with_its_place(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run") as journal:
        journal._connection.execute("INSERT INTO events VALUES (1, 'extended', ?, 0, 0)", (b"\x92\x63\x01",))
        with pytest.raises(JournalError, match=r"event 1: .*newer than this program"):
            list(journal.events())


def test_an_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run") as journal:
        journal.append(Extended(3))
    with pytest.raises(JournalError, match="already holds a run; resume it"):
        Journal.create(tmp_path / "run")
    with Journal.read(tmp_path / "run") as journal:
        assert list(journal.events()) == [Extended(3)]


def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "run")
    journal.append(EVENTS[0])
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count={pages + 2}")

    def fill() -> None:
        for _ in range(100):
            journal.append(Refused(1, "o", (), "x" * 4000))

    with pytest.raises(JournalError, match="free some space, then resume"):
        fill()
    journal.close()
    with Journal.append_to(tmp_path / "run") as again:
        kept = list(again.events())
        again.append(Extended(4))
        assert list(again.events()) == [*kept, Extended(4)]
    assert kept[0] == EVENTS[0]


def test_a_verdict_without_results_or_with_impossible_times_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="needs a result for every case"):
        Evaluation("mi300", Basis.PREDICTED, "process", None)
    for time in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite and positive"):
            Evaluation("mi300", Basis.PREDICTED, "process", None, (CaseResult("c", time, 0, 1, "memory"),))


def test_an_evaluation_of_a_newer_format_is_refused() -> None:
    plain = evaluations.pack(PASSED)
    with pytest.raises(ValueError, match="format 99"):
        evaluations.unpack([99, *plain[1:]])
