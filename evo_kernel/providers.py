"""What `doctor` says of models: one cheap try of each that is named, and why it failed if it did."""

import asyncio
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from evo_kernel.gpus import Finding
from operators.llm import errors
from operators.llm.errors import ModelError
from operators.llm.model import Model, Prompt, Unasked, dollars
from operators.llm.providers import client

CHECK = Prompt("Answer with one word.", "Say ready.")
SECONDS = 60.0
OUTPUT = 256  # tokens: some models think before they say a word


def findings(models: Sequence[Model]) -> Iterator[Finding]:
    """Try each model once; with none named, say what could be used."""
    for package, key in (("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")):
        installed = importlib.util.find_spec(package) is not None
        state = f"{key} {'set' if os.environ.get(key) else 'not set'}"
        detail = f"{'installed' if installed else 'not installed'}, {state}; try one: doctor --model {package}:NAME"
        yield Finding(f"model {package}", None, detail)
    for model in models:
        yield _try(replace(model, output=min(model.output, OUTPUT)))


def _try(model: Model) -> Finding:
    topic = f"model {model.label}"

    async def ask() -> Finding:
        connected = client(model)
        if isinstance(connected, Unasked):
            return Finding(topic, True, connected.check())
        try:
            reply = await connected.complete(CHECK, min(model.seconds, SECONDS), "doctor")
        finally:
            await connected.close()
        counted = "tokens not counted" if reply.usage is None else f"{reply.usage.tokens} tokens"
        cost = f", {dollars(model.price.of(reply.usage))}" if model.price and reply.usage else ""
        return Finding(topic, True, f"answers ({counted}{cost})")

    try:
        return asyncio.run(ask())
    except ModelError as error:
        if error.kind is errors.TRUNCATED:  # it thought longer than this small limit, which a search does not have
            return Finding(topic, True, f"answers (cut off at doctor's own limit of {model.output} tokens)")
        return Finding(topic, False, f"{error.kind.name}: {error}")
