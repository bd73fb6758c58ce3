"""Writes the text of a task of ours from what was found of a foreign one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from suites.task import Argument, Case, Input


@dataclass(frozen=True, slots=True)
class Parts:
    """What a task's text is made of. `maker` is the expression whose value computes the reference."""

    about: str
    entry: str
    maker: str
    cases: tuple[Case, ...]
    held_out: tuple[Case, ...]
    honest: Mapping[str, str]  # name, and the expression of its result in terms of `given`
    seed: str = ""
    options: tuple[str, ...] = ()  # lines such as `atomics = True`


def written(parts: Parts) -> str:
    """Return the text of a task file."""
    names = ", ".join(parts.cases[0].inputs)
    lines = [
        quoted(parts.about), "import torch", "", "from suites import Case, Input",
        "from suites.foreign import functions", "", f"entry = {parts.entry!r}", *parts.options,
        *([] if parts.seed else ["seedless = True"]),
        f"theirs = {parts.maker}", "", "", f"def reference({names}):", f"    return theirs({names})", "", "",
    ]  # fmt: skip
    for name, result in parts.honest.items():
        lines += [f"def {name}({names}):", f"    given = ({names},)", f"    return {result}", "", ""]
    lines += [f"honest = [{', '.join(parts.honest)}]", f"cases = {_listed(parts.cases)}"]
    lines += [f"held_out = {_listed(parts.held_out)}"]
    if parts.seed:
        lines += ["", "# evo-kernel: seed theirs", parts.seed.rstrip(), "# evo-kernel: end"]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Write a text as a literal that reads as it does."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{escaped}\n"""' if escaped.endswith('"') else f'"""{escaped}"""'


def limited(cases: Iterable[Case], trials: Sequence[str]) -> tuple[Case, ...]:
    """Return cases whose inputs take these distributions alone in trials, where they may take any."""

    def one(argument: Argument) -> Argument:
        free = isinstance(argument, Input) and argument.floating and argument.trials is None
        return replace(argument, trials=tuple(trials)) if free and isinstance(argument, Input) else argument

    def every(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
        return {name: one(a) for name, a in arguments.items()}

    return tuple(replace(c, inputs=every(c.inputs), small=None if c.small is None else every(c.small)) for c in cases)


def _listed(cases: Iterable[Case]) -> str:
    return "\n".join(["[", *(f"    {case!r}," for case in cases), "]"])
