"""Asks a program of this machine: the prompt goes to its standard input, its standard output is the answer."""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal

from operators.llm import errors
from operators.llm.errors import ModelError
from operators.llm.model import Model, Prompt, Reply
from operators.llm.secrets import ended

LARGEST = 8 << 20  # bytes of an answer
GRACE = 1.0  # seconds to the end of the outputs after the command itself has ended: what it started may hold them
LOOK = 0.1  # seconds between looks
# The pipe on descriptor 3 (sh knows none beyond 9) ends when this process does, however that may be; the group of the
# command, which is all that it started and that did not leave the group, is killed then.
_KEPT = """
exec 4<&0
{ read -r nothing; kill -9 0; } <&3 >/dev/null 2>&1 4<&- &
keeper=$!
"$@" <&4 3<&- 4<&-
status=$?
exec 2>/dev/null
kill -9 $keeper
wait $keeper
exit $status
"""


class CommandClient:
    """Runs the command anew for every prompt, in a process group of its own that dies with the time limit or with us.

    It inherits this process's environment and folder: a coding agent's CLI finds its own login there.
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
        try:
            return await self._run(prompt, seconds, lives)
        finally:
            os.close(ours)
            os.close(lives)

    async def _run(self, prompt: Prompt, seconds: float, lives: int) -> Reply:
        """Run the command as long as a pipe is open."""
        starting = asyncio.ensure_future(self._started(lives))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _end(await starting)  # asyncio would kill the command alone, and wait for what it has started
            raise
        try:
            async with asyncio.timeout(seconds):
                out, err = await self._talk(process, f"{prompt.system}\n\n{prompt.text}".encode())
        except TimeoutError as error:
            raise ModelError(errors.TIMEOUT, f"{self._model.label} did not finish within {seconds:g} s") from error
        finally:
            await _end(process)
        return self._read(process.returncode, out, err)

    async def _started(self, lives: int) -> asyncio.subprocess.Process:
        """Start the command in a session of its own, so that all it starts can be ended with it."""
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", f"exec 3</proc/self/fd/{lives}\n{_KEPT}", "sh", *self._argv,
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, pass_fds=(lives,),
            )  # fmt: skip
        except OSError as error:
            raise ModelError(
                errors.COMMAND, f"cannot run {self._argv[0]!r}: {error.strerror}: is it installed?"
            ) from error

    async def _talk(self, process: asyncio.subprocess.Process, prompt: bytes) -> tuple[bytes, bytes]:
        """Write the prompt and read both outputs at once, each up to the limit."""
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
            while process.returncode is None:  # `wait` would wait for the pipes too, on some versions of Python
                await (asyncio.sleep(0.01) if talk.done() else asyncio.wait([talk], timeout=LOOK))
            await asyncio.wait([talk], timeout=GRACE)
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
    """Kill a command with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # what left the group may hold its pipes for ever
    await asyncio.sleep(0)


async def _bounded(pipe: asyncio.StreamReader, kept: bytearray) -> None:
    """Read to the end, but keep no more than one byte beyond the limit."""
    while chunk := await pipe.read(1 << 16):
        kept += chunk[: LARGEST + 1 - len(kept)]
