"""Keeps what any model answered in a file, and answers from such a file: runs without keys, tests, trajectories."""

import json
import logging
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from operators.llm import errors
from operators.llm.answers import MOST
from operators.llm.errors import ModelError
from operators.llm.model import Client, Model, Prompt, Reply, Usage
from operators.llm.secrets import scrubbed

logger = logging.getLogger(__name__)


def require(file: Path) -> None:
    """Refuse a recording that cannot be written, before anything is asked."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ModelError(errors.REPLAY, f"cannot write the recording {file}: {error.strerror}") from error


class Recorder:
    """Passes prompts on and writes each answer down, one JSON object a line."""

    def __init__(self, client: Client, file: Path) -> None:
        self._client, self._file = client, file
        require(file)

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Ask the real model and write its answer down before it is used."""
        reply = await self._client.complete(prompt, seconds, key)
        u = reply.usage
        line = {
            "digest": prompt.digest, "system": prompt.system, "prompt": prompt.text, "reply": reply.text,
            "model": reply.model, "usage": None if u is None else [getattr(u, n) for n in u.__slots__],
        }  # fmt: skip
        try:
            with self._file.open("ab", buffering=0) as file:  # one write: others may write there too
                file.write(json.dumps(scrubbed(line)).encode() + b"\n")
        except OSError as error:  # the answer was paid for: the run keeps it elsewhere, and must not lose it
            logger.warning("an answer is missing in the recording %s: %s", self._file, error.strerror)
        return reply

    async def close(self) -> None:
        """Close the real model's client."""
        await self._client.close()


class ReplayClient:
    """Answers from a recording: equal prompts get the recorded answers in their order, other prompts a failure."""

    def __init__(self, model: Model) -> None:
        self._file = Path(model.name)
        self._answers: dict[str, deque[Reply]] = defaultdict(deque)
        for number, line in enumerate(self._lines(), 1):
            try:
                digest, reply = _read(json.loads(line))
                self._answers[digest].append(reply)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ModelError(
                    errors.REPLAY, f"{self._file}, line {number}, is no recorded answer: {error}"
                ) from error

    def _lines(self) -> list[str]:
        try:
            return [line for line in self._file.read_text(encoding="utf-8").split("\n") if line]
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ModelError(errors.REPLAY, f"cannot read the recording {self._file}: {why}") from error

    def check(self) -> str:
        """Say how much there is to answer from."""
        answers = sum(map(len, self._answers.values()))
        return f"can be read; it holds {answers} answers to {len(self._answers)} prompts, and answers no others"

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Give the next recorded answer to this very prompt."""
        waiting = self._answers.get(prompt.digest)
        if not waiting:
            raise ModelError(errors.REPLAY, f"{self._file} has no answer left to prompt {prompt.digest}")
        return waiting.popleft()

    async def close(self) -> None:
        """Do nothing."""


def _read(row: dict[str, Any]) -> tuple[str, Reply]:
    """Read one answer and the digest of its prompt; a ValueError, KeyError or TypeError says what is wrong."""
    texts = [row[name] for name in ("digest", "reply", "model")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("its digest, reply and model are to be texts")
    for text in texts:
        text.encode()
    counts = row["usage"]
    if counts is not None and not all(type(n) is int and 0 <= n <= MOST for n in counts):
        raise ValueError("its usage is to be null or a list of counts of tokens")
    digest, reply, model = texts
    return digest, Reply(reply, None if counts is None else Usage(*counts), model)
