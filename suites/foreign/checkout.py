"""Reads files of a checkout as text, JSON and syntax trees; it never writes, and runs nothing."""

import ast
import importlib.util
import json
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from suites.foreign.loaded import SuiteError
from suites.parsing import parse

MAX_BYTES = 64 << 20  # of one file: the largest data file of a known suite has 20 MiB
_VERSION = re.compile(r"""(?:^|[\s(,])version\s*=\s*["'](?P<version>[^"']+)["']""", re.MULTILINE)


def require(root: Path, suite: str, looks_for: Iterable[str]) -> None:
    """Refuse a root that is not the suite."""
    if not root.is_dir():
        raise SuiteError(f"suite {suite}: {root} is no folder; give the root of a checkout")
    missing = next((part for part in looks_for if not (root / part).is_dir()), None)
    if missing is not None:
        raise SuiteError(f"suite {suite}: {root} is no checkout of it: looked for the folder {missing}")


def text(path: Path, most: int = MAX_BYTES) -> str:
    """Return a file's text; SuiteError says in one line why it cannot be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for somebody to write
            raise SuiteError(f"{path.name} is no file")
        if found.st_size > most:
            raise SuiteError(f"{path.name} has more than {most >> 10} KiB")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SuiteError(f"{path.name} is missing") from error
    except (OSError, ValueError) as error:  # text that is no UTF-8, and names that no file can have
        raise SuiteError(f"{path.name!r} cannot be read: {error}") from error


def part(root: Path, path: Path) -> str:
    """Return the text of one of several files that a task is made of; SuiteError names its folder too."""
    try:
        return text(path)
    except SuiteError as error:
        raise SuiteError(f"in {path.parent.relative_to(root).as_posix()}: {error}") from error


def records(path: Path, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Return a JSON list of objects that have these keys as text."""
    try:
        found = json.loads(text(path))
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{path.name} is no JSON: {error}") from error
    wanted = tuple(keys)
    if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
        raise SuiteError(f"{path.name} should be a JSON list of objects")
    for number, record in enumerate(found, 1):
        lacking = [key for key in wanted if not isinstance(record.get(key), str)]
        if lacking:
            raise SuiteError(f"{path.name}, record {number}: no text under {', '.join(lacking)}")
    return found


def version(root: Path) -> str | None:
    """Return the version that the checkout's setup.py or pyproject.toml states, without running it."""
    for name in ("pyproject.toml", "setup.py"):
        if (root / name).is_file() and (found := _VERSION.search(text(root / name))):
            return found["version"]
    return None


def unknown_version(root: Path, known: tuple[str | None, ...]) -> tuple[str, ...]:
    """Say that the checkout is of a version that the loader was not tried on, if it is, or states one unreadably."""
    try:
        stated = version(root)
    except SuiteError as error:
        return (f"its version is not known: {error}; it is read as if it were known",)
    if stated in known:
        return ()
    tried = ", ".join(v or "none stated" for v in known)
    return (f"version {stated or 'not stated'} is unknown (tried: {tried}); it is read as if it were known",)


def tree(source: str) -> ast.Module | str:
    """Return a program's tree, or in one line why there is none."""
    try:
        return parse(source)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__


def kernels(module: ast.Module) -> tuple[str, ...]:
    """List the functions at the top level that triton.jit, bare or called, decorates."""
    functions = [n for n in module.body if isinstance(n, ast.FunctionDef)]
    return tuple(f.name for f in functions if any(_is_jit(d) for d in f.decorator_list))


def _is_jit(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (isinstance(called, ast.Attribute) and called.attr == "jit") or (
        isinstance(called, ast.Name) and called.id == "jit"
    )


def absent(module: ast.Module, provided: Iterable[str] = ()) -> tuple[str, ...]:
    """List the packages that the top level imports and that are not installed here; they are looked up, not loaded."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return tuple(sorted(n for n in names - set(provided) if not _installed(n)))


def _installed(name: str) -> bool:
    """Say whether a package is here; one in memory that did not come from a file, as `__main__`, is."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:
        return True
