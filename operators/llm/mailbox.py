"""Asks through a folder: `NNN.prompt.md` appears, `NNN.answer.md` is awaited. Anyone may answer, at any time.

A prompt's first line is its key, `<!-- evo-kernel RUN/REQUEST/TURN/DIGEST -->`. A search that was killed finds its own
prompt by that key and goes on waiting; it never asks the same thing twice. Numbers and answers are claimed with hard
links, which fail when the name exists, so several searches and several answering processes may share one folder.

An answer is bound to its prompt: a number is never given to a prompt while an answer of that number lies there, and an
answer that begins with a key counts for the prompt of that key alone; one for another prompt is put aside. Whoever
answers by hand writes the file under another name and renames it, or simply writes it: an answer counts once it is not
empty and has not changed for `QUIET` seconds, whatever its time stamp says. A prompt that somebody takes away can still
be answered while its search runs; a search that starts again finds only what lies there, and asks it anew.
"""

import asyncio
import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from operators.llm import errors
from operators.llm.errors import ModelError
from operators.llm.folder import Sighting, draft, read, sighted
from operators.llm.model import Model, Prompt, Reply

QUIET = 0.5  # seconds an answer must rest
LOOK = 0.1  # seconds between looks
NUMBERS = ".numbers"  # every number that was ever given, one a line: none is given again once its files are gone
_NAME = re.compile(r"([0-9]{3,})\.(prompt|answer)\.md")
# whoever answers may put a mark of byte order, blank lines or the opening of a fence before it
_KEY = re.compile(
    r"\ufeff?\s{0,99}(?P<fence>(?:(?:`{3,}|~{3,})[^\n]*\n)?)\s{0,99}<!-- evo-kernel (?P<key>\S{1,300}) -->\s*\n?"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A prompt as it lies in the folder."""

    number: int
    key: str  # empty where a person put a file there
    text: str


class MailboxClient:
    """Puts prompts into a folder and waits for their answers."""

    def __init__(self, model: Model, quiet: float = QUIET, look: float = LOOK) -> None:
        self._model, self._quiet, self._look = model, quiet, look
        self._folder = Path(model.name)
        self._numbers: dict[str, int] = {}  # key -> number, of prompts seen in the folder
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft(self._folder, ""):
                pass
        except OSError as error:
            raise ModelError(
                errors.MAILBOX, f"the mailbox {self._folder} is not writable: {error.strerror}; give another folder"
            ) from error

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Find this prompt in the folder, or put it there, and wait for its answer."""
        whole = re.sub(r"[^\w.:/-]", "_", f"{key}/{prompt.digest}" if key else prompt.digest)
        end, seen = time.monotonic() + seconds, Sighting()
        while True:
            number = self._place(whole, prompt)
            path = self._folder / f"{number:03}.answer.md"
            seen = sighted(path, seen)
            if seen.rested(self._quiet) and (text := self._answer(path, whole)) is not None:
                return Reply(text, None, self._model.label)
            if time.monotonic() >= end:
                raise ModelError(errors.TIMEOUT, f"nobody wrote {path} within {seconds:g} s; it stays open")
            await asyncio.sleep(self._look)

    def _answer(self, path: Path, key: str) -> str | None:
        """Return an answer to this prompt; put one to another prompt aside."""
        try:
            text = read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelError(errors.MALFORMED, f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ModelError(errors.MALFORMED, f"{path} {error}") from error
        named = _KEY.match(text)
        if named is None or named["key"] == key:
            return text if named is None else named["fence"] + text[named.end() :]
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name.removesuffix('.md')}-of-another-{time.time_ns()}.md"))
        return None

    def _place(self, key: str, prompt: Prompt) -> int:
        """Return the number of a prompt; whoever takes the folder away ends this mailbox, not the run."""
        try:
            if self._folder.is_dir():
                return self._post(key, prompt)
            why = "it is gone"
        except OSError as error:
            why = str(error.strerror)
        raise ModelError(errors.MAILBOX, f"the mailbox {self._folder} cannot be used: {why}; make it again and resume")

    def _post(self, key: str, prompt: Prompt) -> int:
        """Return the number of the prompt with this key, after writing it if there is none."""
        number = self._numbers.get(key)
        # whoever answers may take the prompt away; only where another prompt has its number it is written again
        if number is None or _key(self._folder / f"{number:03}.prompt.md") not in ("", key):
            self._numbers = {found: n for n, _, path in _files(self._folder) if (found := _key(path))}
        if key not in self._numbers:
            self._numbers[key] = self._write(f"<!-- evo-kernel {key} -->\n\n{prompt.system}\n\n{prompt.text}\n")
        return self._numbers[key]

    def _write(self, text: str) -> int:
        """Give a prompt the next number that neither a prompt nor an answer has; it appears whole."""
        try:
            with draft(self._folder, text) as written:
                first = max((n for n, _, _ in _files(self._folder)), default=0)
                for number in itertools.count(max(first, _last(self._folder)) + 1):
                    with (self._folder / NUMBERS).open("a", encoding="utf-8") as given:
                        given.write(f"{number}\n")
                    with contextlib.suppress(FileExistsError):
                        os.link(written, self._folder / f"{number:03}.prompt.md")
                        return number
        except OSError as error:
            raise ModelError(
                errors.MAILBOX, f"cannot write into the mailbox {self._folder}: {error.strerror}"
            ) from error
        raise AssertionError("counting ends at a free number")

    def check(self) -> str:
        """Try to claim a name as prompts and answers do, and say how many prompts wait."""
        try:
            with draft(self._folder, "") as one, draft(self._folder, "") as other:
                other.unlink()
                os.link(one, other)
        except OSError as error:
            raise ModelError(
                errors.MAILBOX, f"the mailbox {self._folder} takes no hard links: {error.strerror}; give another folder"
            ) from error
        waiting = len(unanswered(self._folder))
        return f"can be written to; {waiting} prompts wait there for an answer: whether anybody answers is not known"

    async def close(self) -> None:
        """Leave the folder as it is: answers may come later."""


def unanswered(folder: Path) -> list[Letter]:
    """List the prompts without an answer, oldest first."""
    found = []
    for number, kind, path in sorted(_files(folder)):
        if kind == "prompt" and not os.path.lexists(folder / f"{number:03}.answer.md"):
            with contextlib.suppress(OSError, ValueError):  # taken away meanwhile, or no prompt of ours
                found.append(Letter(number, _key(path), read(path)))
    return found


def answer(folder: Path, letter: Letter, text: str) -> bool:
    """Write an answer whole, unless somebody has; return whether this one was written."""
    bound = f"<!-- evo-kernel {letter.key} -->\n{text}" if letter.key else text
    with draft(folder, bound) as written:
        try:
            os.link(written, folder / f"{letter.number:03}.answer.md")
        except FileExistsError:
            return False
    return True


def _files(folder: Path) -> Iterator[tuple[int, str, Path]]:
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            yield int(match[1]), match[2], path


def _last(folder: Path) -> int:
    """Return the highest number that was given in a folder, whatever is left there of it."""
    try:
        lines = read(folder / NUMBERS).split()
    except (FileNotFoundError, ValueError):  # also where somebody else put something of that name there
        return 0
    return max((int(line) for line in lines if len(line) < 20 and line.isascii() and line.isdigit()), default=0)


def _key(path: Path) -> str:
    """Read the key of a prompt or an answer; what is not there, or has none, gives an empty one."""
    try:
        match = _KEY.match(read(path, most=400, cut=True))
    except (OSError, ValueError):
        return ""
    return match["key"] if match else ""
