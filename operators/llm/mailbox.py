"""Asks through a folder: `NNN.prompt.md` appears, `NNN.answer.md` is awaited. Anyone may answer, at any time.

A prompt's first line names its key, `<!-- evo-kernel KEY -->`. A search that was killed finds its own prompt by that
key and goes on waiting; it never asks the same thing twice. Numbers and answers are claimed with hard links, which
fail when the name exists, so several searches and several answering processes may share one folder.

Whoever answers by hand writes the file under another name and renames it, or simply writes it: an answer counts once
it is not empty and has not changed for `QUIET` seconds.
"""

import asyncio
import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from operators.llm import errors
from operators.llm.errors import ModelError
from operators.llm.model import Model, Prompt, Reply

QUIET = 0.5  # seconds an answer must rest
LOOK = 0.1  # seconds between looks
_PROMPT = re.compile(r"(\d{3,})\.prompt\.md")
_KEY = re.compile(r"<!-- evo-kernel ([^ ]+) -->")


class MailboxClient:
    """Puts prompts into a folder and waits for their answers."""

    def __init__(self, model: Model, quiet: float = QUIET, look: float = LOOK) -> None:
        self._model, self._quiet, self._look = model, quiet, look
        self._folder = Path(model.name)
        self._numbers: dict[str, int] = {}  # key -> number, of every prompt seen in the folder
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ModelError(
                errors.MAILBOX, f"the mailbox {self._folder} is not writable: {error.strerror}; give another folder"
            ) from error

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Find this prompt in the folder, or put it there, and wait for its answer."""
        number = self._post(key or prompt.digest, prompt)
        path = self._folder / f"{number:03}.answer.md"
        end = time.monotonic() + seconds
        while (text := self._answer(path)) is None:
            if time.monotonic() >= end:
                raise ModelError(errors.TIMEOUT, f"nobody wrote {path} within {seconds:g} s; it stays open")
            await asyncio.sleep(self._look)
        return Reply(text, None, self._model.label)

    def _answer(self, path: Path) -> str | None:
        """Return an answer that is whole."""
        try:
            before = path.stat()
            if before.st_size == 0 or time.time() - before.st_mtime < self._quiet:
                return None
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(errors.MALFORMED, f"{path} cannot be read: {error}; write it again as UTF-8") from error

    def _post(self, key: str, prompt: Prompt) -> int:
        """Return the number of the prompt with this key, after writing it if there is none."""
        safe = re.sub(r"[^\w.:/-]", "_", key)
        if safe not in self._numbers:
            self._numbers = {k: n for n, k in _keys(self._folder)}
        if safe not in self._numbers:
            text = f"<!-- evo-kernel {safe} -->\n\n{prompt.system}\n\n{prompt.text}\n"
            self._numbers[safe] = self._write(text)
        return self._numbers[safe]

    def _write(self, text: str) -> int:
        """Give a prompt the next free number; it appears whole."""
        try:
            with _draft(self._folder, text) as draft:
                first = max((n for n, _ in _prompts(self._folder)), default=0) + 1
                for number in itertools.count(first):
                    with contextlib.suppress(FileExistsError):
                        os.link(draft, self._folder / f"{number:03}.prompt.md")
                        return number
        except OSError as error:
            raise ModelError(
                errors.MAILBOX, f"cannot write into the mailbox {self._folder}: {error.strerror}"
            ) from error
        raise AssertionError("counting ends at a free number")

    async def close(self) -> None:
        """Leave the folder as it is: answers may come later."""


def unanswered(folder: Path) -> list[tuple[int, str]]:
    """List the numbers and texts of prompts without an answer, oldest first."""
    found = [(n, p) for n, p in _prompts(folder) if not (folder / f"{n:03}.answer.md").exists()]
    return [(n, p.read_text(encoding="utf-8")) for n, p in sorted(found)]


def answer(folder: Path, number: int, text: str) -> bool:
    """Write an answer whole, unless somebody has; return whether this one was written."""
    with _draft(folder, text) as draft:
        try:
            os.link(draft, folder / f"{number:03}.answer.md")
        except FileExistsError:
            return False
    return True


@contextlib.contextmanager
def _draft(folder: Path, text: str) -> Iterator[Path]:
    """Write a text under a name that nobody reads, and take the name away afterwards."""
    draft = folder / f".draft-{os.getpid()}-{time.monotonic_ns()}"
    draft.write_text(text, encoding="utf-8")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _prompts(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.iterdir():
        match = _PROMPT.fullmatch(path.name)
        if match:
            yield int(match[1]), path


def _keys(folder: Path) -> Iterator[tuple[int, str]]:
    """Read the key of every prompt; what people put there without one is left alone."""
    for number, path in _prompts(folder):
        with path.open(encoding="utf-8", errors="replace") as file:
            match = _KEY.match(file.readline())
        if match:
            yield number, match[1]
