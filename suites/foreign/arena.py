"""AgentKernelArena checkouts: the tasks that ask for a faster Triton kernel in place of a Triton kernel.

A task is a folder with a config.yaml that names the file to replace and the commands that test it. Two forms of test
are known: a script beside the file, and tests by pytest behind the program in the file itself.
"""

import ast
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from suites.foreign import arena_timing, checkout
from suites.foreign.loaded import Loaded, SuiteError
from suites.foreign.programs import OWN, halves

_FOLDER = "tasks/triton2triton"
_LISTS = ("source_file_path", "target_kernel_functions", "correctness_command")
_COUNT = 165
_MOST = 256 << 10  # bytes of a config.yaml: the longest known has 10 KiB, and reading a MiB takes 5 seconds
# what PyYAML raises: of a month 13, of values that hold nothing, of numbers too large for a float or for a letter
_UNREAD = (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, ArithmeticError)


class AgentKernelArena:
    """Tasks below tasks/triton2triton, by the config.yaml of each."""

    name = "agent-kernel-arena"
    about = "AgentKernelArena's triton2triton tasks: 118 of vLLM, 30 of the ROCm benchmark, 17 more"
    looks_for: tuple[str, ...] = (_FOLDER,)

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield the tasks by their folders."""
        checkout.require(root, self.name, self.looks_for)
        for config in sorted((root / _FOLDER).rglob("config.yaml")):
            if config.parent != root / _FOLDER:
                yield _task(root, config)

    def notes(self, root: Path) -> tuple[str, ...]:
        """Name folders without a config.yaml, and an odd number of tasks."""
        folders = [p.parent for p in (root / _FOLDER).rglob("config.yaml") if p.parent != root / _FOLDER]
        found = (
            [f"it has {len(folders)} tasks; the version that was tried has {_COUNT}"] if len(folders) != _COUNT else []
        )
        beside = {p for folder in folders for p in folder.parent.iterdir() if p.is_dir()}
        inner = {up for folder in folders for up in folder.parents} | set(folders)
        bare = sorted(p.relative_to(root / _FOLDER).as_posix() for p in beside - inner)
        return (*found, *(f"{_FOLDER}/{p} has no config.yaml and is no task" for p in bare))


def _task(root: Path, config: Path) -> Loaded:
    """Read one task; whatever is wrong with it is its problem."""
    folder = config.parent
    name = folder.relative_to(root / _FOLDER).as_posix()
    group = name.rpartition("/")[0]
    task = Loaded(name, (folder / "config.yaml").relative_to(root).as_posix(), style="script", group=group or None)
    try:
        stated = _config(config)
        task = _whole(task, folder, stated)
    except SuiteError as error:
        return replace(task, problem=str(error))
    try:
        return _timed(root, task, stated)
    except SuiteError as error:
        return replace(task, untimed=str(error))


def _config(file: Path) -> dict[str, Any]:
    """Return what a config.yaml states, with every list of texts looked at."""
    text = checkout.text(file, _MOST)
    try:
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise SuiteError("its config.yaml has an alias (*name), which is not read: a few can stand for any amount")
        stated = yaml.safe_load(text)
    except _UNREAD as error:
        raise SuiteError(f"its config.yaml is no YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(stated, dict):
        raise SuiteError("its config.yaml states nothing")
    for key in _LISTS:
        value = stated.get(key)
        if not (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
            raise SuiteError(f"its config.yaml has no list of texts under {key}: is it of a newer version?")
    return stated


def _whole(task: Loaded, folder: Path, stated: dict[str, Any]) -> Loaded:
    """Read the program and its test."""
    sources, commands = stated["source_file_path"], stated["correctness_command"]
    if len(sources) != 1 or len(commands) != 1:
        raise SuiteError("it has several files to replace or several commands that test it")
    prompt = stated.get("prompt")
    told = prompt.get("instructions") if isinstance(prompt, dict) else None
    instruction = told if isinstance(told, str) else ""
    task = replace(task, entries=tuple(stated["target_kernel_functions"]), instruction=instruction, place=sources[0])
    program = checkout.text(_below(folder, sources[0]))
    words = _words(commands[0])
    if words[:1] == ["pytest"]:
        source, tests, *trees = halves(program)
        needs = sorted({n for tree in trees for n in checkout.absent(tree, OWN)})
        return replace(task, style="pytest", source=source, tests=tests, needs=tuple(needs), command=("pytest",))
    if len(words) < 2 or words[0] not in ("python", "python3") or not words[1].endswith(".py"):
        raise SuiteError(f"its correctness_command is of no known form: {commands[0][:100]}")
    return _script(task, folder, program, tuple(words[1:]))


def _words(command: str) -> list[str]:
    """Return a command's words."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise SuiteError(f"its correctness_command is no command: {error}") from error


def _script(task: Loaded, folder: Path, program: str, command: tuple[str, ...]) -> Loaded:
    """Take a test that is a script, with what other Python lies in the task's folder."""
    paths = [p for p in sorted(folder.rglob("*.py")) if p.relative_to(folder).as_posix() != task.place]
    files = tuple((p.relative_to(folder).as_posix(), checkout.text(p)) for p in paths)
    if command[0] not in dict(files):
        raise SuiteError(f"{command[0]} is missing")
    own = {*OWN, Path(task.place).stem, *(Path(path).stem for path, _ in files)}
    trees = []
    for where, text in ((task.place, program), *files):
        tree = checkout.tree(text)
        if isinstance(tree, str):
            raise SuiteError(f"{where} cannot be parsed: {tree}")
        trees.append(tree)
    own |= {name for tree in trees for name in _registered(tree)}
    needs = tuple(sorted({name for tree in trees for name in checkout.absent(tree, own)}))
    return replace(task, source=program, tests=dict(files)[command[0]], files=files, command=command, needs=needs)


def _registered(tree: ast.Module) -> Iterator[str]:
    """Yield the packages that a file makes itself: it sets `sys.modules[...]`, to names that a list of texts holds."""
    nodes = list(ast.walk(tree))
    targets = [t for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Subscript)]
    if any(ast.unparse(target.value) == "sys.modules" for target in targets):
        held = [e for n in nodes if isinstance(n, (ast.List, ast.Tuple)) for e in n.elts if isinstance(e, ast.Constant)]
        yield from (e.value.split(".")[0] for e in held if isinstance(e.value, str))


def _timed(root: Path, task: Loaded, stated: dict[str, Any]) -> Loaded:
    """Add how the arena takes a task's times, where that is of a known form."""
    words = arena_timing.command(stated)
    if task.style == "pytest":
        return replace(task, timing=arena_timing.pytest_timer(root) if words[:1] == ("pytest",) else ())
    if len(words) < 2 or words[1] not in dict(task.files):
        return task
    timing = arena_timing.filled(root, words[1], dict(task.files)[words[1]])
    return task if timing is None else replace(task, timing=timing, timed=words[1:])


def _below(folder: Path, path: str) -> Path:
    """Return a file of the task's folder; SuiteError for one that lies elsewhere."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise SuiteError(f"its config.yaml names a file outside its folder: {path!r}")
    return folder / path
