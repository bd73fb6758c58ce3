"""Settings of a run: defaults, over them a TOML file, over that the command line; frozen into the journal."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evo_kernel.errors import ConfigError
from fitness import targets


class Settings(BaseModel):
    """Every setting, flat; SECTIONS says where each stands in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generations: int = Field(20, ge=1)
    population: int = Field(8, ge=1)
    target: str = "auto"  # this machine's GPU if it has one, else mi300
    seed: int = Field(0, ge=0, lt=2**63)
    policy: Literal["archive", "best-of-n", "tuner"] = "archive"
    history: float = Field(0.2, ge=0.0, le=1.0)  # share of parents taken from everything that ever passed
    basis: Literal["auto", "predicted", "measured", "recorded"] = "auto"  # measured on this machine's GPU of the target
    mode: Literal["sealed", "open"] = "sealed"  # open: launchers run themselves, on a GPU; nothing they say is trusted
    seconds: float = Field(30.0, gt=0.0)  # wall clock of one step of judging one candidate
    memory_gb: float = Field(6.0, gt=0.0)  # address space of one candidate beyond torch and triton
    require_isolation: Literal["process", "landlock", "namespaces"] = "process"  # refuse to judge with less
    pool: Literal["ray", "inline"] = "ray"
    workers: int = Field(0, ge=0)  # 0: one for every core
    address: str | None = None  # of a Ray cluster; None: embedded on this machine

    @field_validator("target")
    @classmethod
    def _known_target(cls, name: str) -> str:
        if name == "auto":
            return name
        try:
            return targets.find(name).name
        except targets.TargetError as error:
            raise ValueError(str(error)) from error


SECTIONS: Mapping[str, tuple[str, ...]] = {
    "search": ("generations", "population", "target", "seed", "policy", "history"),
    "judge": ("basis", "mode", "seconds", "memory_gb", "require_isolation"),
    "machine": ("pool", "workers", "address"),
}
# what a resumed run takes from the machine it is resumed on
MACHINE = (*SECTIONS["machine"], "seconds", "memory_gb", "require_isolation")


def load(file: str | None, given: Mapping[str, Any]) -> Settings:
    """Merge a file and what the command line gave; every fault is named at once."""
    values = _from_file(_locate(file)) if file else {}
    values.update({k: v for k, v in given.items() if v is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {_plain(e['msg'])} (got {e['input']!r})" for e in error.errors()]
        raise ConfigError("wrong settings: " + "; ".join(faults)) from error


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
    faults, values = [], {}
    for section, table in document.items():
        if section not in SECTIONS or not isinstance(table, dict):
            faults.append(f"unknown section [{section}]{_nearest(section, SECTIONS)}")
            continue
        for key, value in table.items():
            if key in SECTIONS[section]:
                values[key] = value
            else:
                faults.append(f"unknown key {section}.{key}{_nearest(key, SECTIONS[section])}")
    if faults:
        raise ConfigError(f"{path}: " + "; ".join(faults))
    return values


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
