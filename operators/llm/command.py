"""Asks a program of this machine: the prompt goes to its standard input, its standard output is the answer."""

import asyncio
import contextlib
import os
import shlex
import shutil
import sys
from typing import BinaryIO

from operators.llm import errors, keeper
from operators.llm.errors import ModelError
from operators.llm.model import Model, Prompt, Reply
from operators.llm.secrets import ended

LARGEST = 8 << 20  # bytes of an answer
PATIENCE = 1.0  # seconds for the keeper to end what the command started, before it is done from here
LOOK = 0.1  # seconds between looks


class CommandClient:
    """Runs the command anew for every prompt, below a keeper that ends all that it started, with it or with us.

    It inherits this process's environment and folder: a coding agent's CLI finds its own login there. What outlives a
    call is another user's, or was started by a command that killed its keeper.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        try:
            self._argv = shlex.split(model.name)
        except ValueError as error:
            raise ModelError(errors.COMMAND, f"the command {model.name!r} cannot be read: {error}") from error
        if not self._argv or shutil.which(self._argv[0]) is None:
            raise ModelError(errors.COMMAND, f"cannot run {''.join(self._argv[:1])!r}: is it installed?")

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Run the command once."""
        lives, ours = os.pipe()
        with open(ours, "wb", buffering=0) as hold:
            process = await self._begun(lives, hold)
            try:
                async with asyncio.timeout(seconds):
                    out, err = await self._talk(process, f"{prompt.system}\n\n{prompt.text}".encode(), hold)
            except TimeoutError as error:
                raise ModelError(errors.TIMEOUT, f"{self._model.label} did not finish within {seconds:g} s") from error
            finally:
                hold.close()
                await _end(process)
        return self._read(process.returncode, out, err)

    async def _begun(self, lives: int, hold: BinaryIO) -> asyncio.subprocess.Process:
        """Start the command; cancelled meanwhile, end it."""
        starting = asyncio.ensure_future(self._started(lives))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            hold.close()
            with contextlib.suppress(ModelError):
                await _end(await starting)
            raise
        finally:
            os.close(lives)

    async def _started(self, lives: int) -> asyncio.subprocess.Process:
        """Start the keeper with the command, in a session of its own: a terminal's signals do not reach it."""
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", keeper.__file__, str(lives), *self._argv,
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, pass_fds=(lives,),
            )  # fmt: skip
        except OSError as error:
            raise ModelError(errors.COMMAND, f"cannot run {self._argv[0]!r}: {error.strerror}") from error

    async def _talk(self, process: asyncio.subprocess.Process, prompt: bytes, hold: BinaryIO) -> tuple[bytes, bytes]:
        """Write the prompt and read both outputs at once, each up to the limit; tell the keeper when they end."""
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the command was started without pipes")

        async def write(pipe: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):  # a command may answer without reading all
                pipe.write(prompt)
                await pipe.drain()
            pipe.close()

        out, err = bytearray(), bytearray()
        talk = asyncio.gather(write(process.stdin), _bounded(process.stdout, out), _bounded(process.stderr, err))
        try:
            while process.returncode is None and not talk.done():
                await asyncio.wait([talk], timeout=LOOK)
            with contextlib.suppress(BrokenPipeError):
                hold.write(b".")
            await _left(process)
            await asyncio.wait([talk], timeout=LOOK)
        finally:
            talk.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await talk
        return bytes(out), bytes(err)

    def _read(self, status: int | None, out: bytes, err: bytes) -> Reply:
        label = self._model.label
        if status != 0:
            last = (ended(err.decode(errors="replace")).strip().splitlines() or ["nothing on stderr"])[-1]
            raise ModelError(errors.EXIT, f"{label} exited with {status}: {last[:300]}; run it by hand to see why")
        if len(out) > LARGEST:
            raise ModelError(errors.HUGE, f"{label} wrote more than {LARGEST >> 20} MiB: the answer is dropped")
        try:
            text = out.decode()
        except UnicodeDecodeError as error:
            raise ModelError(errors.MALFORMED, f"{label} wrote bytes that are no UTF-8") from error
        if not text.strip():
            raise ModelError(errors.EMPTY, f"{label} wrote nothing to its standard output")
        return Reply(text, None, label)

    async def close(self) -> None:
        """Do nothing: no process outlives its answer."""


async def _end(process: asyncio.subprocess.Process) -> None:
    """See that a keeper ends, whose pipe is closed, with all below it: the command may have stopped it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await _left(process)
    if process.returncode is None:
        await asyncio.to_thread(keeper.end, process.pid)
        process.kill()
        await _left(process)
    process._transport.close()  # type: ignore[attr-defined]  # what could not be killed may hold its pipes for ever
    await asyncio.sleep(0)


async def _left(process: asyncio.subprocess.Process) -> None:
    """Wait for a process alone: `wait` would wait for its pipes too, on some versions of Python."""
    while process.returncode is None:
        await asyncio.sleep(LOOK / 10)


async def _bounded(pipe: asyncio.StreamReader, kept: bytearray) -> None:
    """Read to the end, but keep no more than one byte beyond the limit."""
    while chunk := await pipe.read(1 << 16):
        kept += chunk[: LARGEST + 1 - len(kept)]
