"""Reads settings: from TOML files that people write or that come with evo-kernel, and from the command line."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evo_kernel import places
from evo_kernel.config import SECTIONS, Settings
from evo_kernel.errors import ConfigError

MOVED = {("search", "history"): "mechanisms"}  # keys that stood elsewhere in older files, still read there


def load(file: str | None, given: Mapping[str, Any]) -> Settings:
    """Merge a file and what the command line gave; every fault is named at once."""
    values = _from_file(_locate(file)) if file else {}
    tables = {
        t["model"]: t for t in values.get("models", ()) if isinstance(t, dict) and isinstance(t.get("model"), str)
    }
    values.update({k: v for k, v in given.items() if v is not None})
    if tables and isinstance(values["models"], (list, tuple)):  # a model named again keeps the prices of its table
        values["models"] = [_tabled(model, tables) for model in values["models"]]
    places.root(values)
    try:
        return Settings(**values)
    except ValidationError as error:
        faults = [f"{_place(e)}{_plain(e['msg'])}{_given(e)}" for e in error.errors()]
        raise ConfigError("wrong settings: " + "; ".join(faults)) from error


def _tabled(model: Any, tables: Mapping[str, dict[str, Any]]) -> Any:
    named = model.get("model") if isinstance(model, dict) else model
    known = tables.get(named, {}) if isinstance(named, str) else {}
    return {**known, **model} if isinstance(model, dict) else known or model


def names() -> list[str]:
    """List the configurations that come with evo-kernel."""
    return sorted(p.stem for p in _folder().glob("*.toml"))


def _locate(file: str) -> Path:
    """Find a file by its path, or a shipped configuration by its name."""
    for path in (Path(file), _folder() / f"{file}.toml"):
        if path.is_file():
            return path
    raise ConfigError(f"no configuration file {file!r}; give a path or one of: {', '.join(names())}")


def _folder() -> Path:
    """Return where the shipped configurations are: inside the wheel, or beside the packages in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def _from_file(path: Path) -> dict[str, Any]:
    """Read a TOML file's sections into flat values."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    faults: list[str] = []
    values: dict[str, Any] = {}
    if isinstance(document.get("models"), list):
        values["models"] = document.pop("models")
    for section, table in document.items():
        if section not in SECTIONS or not isinstance(table, dict):
            faults.append(f"unknown section [{section}]{_nearest(section, SECTIONS)}")
            continue
        for key, value in table.items():
            if key in SECTIONS[section] or (section, key) in MOVED:
                values[key] = value
            else:
                faults.append(f"unknown key {section}.{key}{_nearest(key, SECTIONS[section])}")
    if faults:
        raise ConfigError(f"{path}: " + "; ".join(faults))
    if isinstance(values.get("port"), str):
        values["port"] = text(Path(values["port"]))
    return values


def text(file: Path) -> str:
    """Read a kernel to port."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})"


def _place(fault: Any) -> str:
    """Say which setting is meant; none is where several do not go together."""
    return "".join(f"{part}: " for part in [".".join(map(str, fault["loc"]))] if part)


def _given(fault: Any) -> str:
    """Repeat what was given, but for tables of models: somebody may have put a key there."""
    return "" if fault["loc"][:1] in ((), ("models",)) else f" (got {fault['input']!r})"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
