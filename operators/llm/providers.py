"""Finds the client of a model; SDKs are imported when the first of their models is."""

from typing import Protocol, runtime_checkable

from operators.llm import errors
from operators.llm.errors import ModelError
from operators.llm.model import Model, Prompt, Reply


class Client(Protocol):
    """One model behind whatever it takes to reach it."""

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Send a prompt once and return the answer within so many seconds, or raise ModelError.

        `key` names the question: providers that keep questions (a mailbox) never keep two with one key.
        """

    async def close(self) -> None:
        """Give up connections."""


@runtime_checkable
class Unasked(Protocol):
    """A client whose way can be tried without a question: nobody may be there to answer one."""

    def check(self) -> str:
        """Try it and say what is there, or raise ModelError."""


def client(model: Model) -> Client:
    """Return the client of a model; raises ModelError where one cannot be made."""
    if model.provider == "command":
        from operators.llm.command import CommandClient

        return CommandClient(model)
    if model.provider == "mailbox":
        from operators.llm.mailbox import MailboxClient

        return MailboxClient(model)
    if model.provider == "replay":
        from operators.llm.recording import ReplayClient

        return ReplayClient(model)
    from operators.llm import clients

    try:
        return clients.AnthropicClient(model) if model.provider == "anthropic" else clients.OpenAIClient(model)
    except ImportError as error:
        raise ModelError(
            errors.REQUEST, f"{model.label} needs the package {model.provider}: pip install 'evo-kernel[llm]' ({error})"
        ) from error
