"""Writes the folders and files that models need as whole paths: a run may be resumed from another folder."""

from pathlib import Path
from typing import Any

from operators.llm.settings import ModelSettings

_FILES = ("record", "lessons")
_PROVIDERS = ("mailbox", "replay")  # whose names are places


def root(values: dict[str, Any]) -> None:
    """Change settings, as a person gave them, in place."""
    for name in _FILES:
        if isinstance(values.get(name), str):
            values[name] = _whole(values[name])
    if isinstance(values.get("archives"), (list, tuple)):
        values["archives"] = [_whole(one) if isinstance(one, str) else one for one in values["archives"]]
    given = values.get("models")
    if given is not None:
        values["models"] = [_rooted(model) for model in (given if isinstance(given, (list, tuple)) else (given,))]


def _rooted(model: Any) -> Any:
    """Give a model that is a folder or a file its whole path; what is no model is left to whoever checks it."""
    if isinstance(model, ModelSettings):
        return model.model_copy(update={"model": _rooted(model.model)})
    if isinstance(model, dict):
        return {**model, "model": _rooted(model["model"])} if "model" in model else model
    provider, _, place = model.partition(":") if isinstance(model, str) else ("", "", "")
    return f"{provider}:{_whole(place)}" if place and provider in _PROVIDERS else model


def _whole(place: str) -> str:
    return str(Path(place).expanduser().absolute())
