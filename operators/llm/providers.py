"""Finds the client of a model; SDKs are imported when the first of their models is."""

from operators.llm import errors
from operators.llm.errors import ModelError
from operators.llm.model import Client, Model


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
