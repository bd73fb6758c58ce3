"""Writes prompts from the templates in prompts/, within a size: what is worth least is left out first.

What must be there (the task, the program, its failure) stands in the template as it is. Everything else is an Extra
with a worth; the least worthy goes until the prompt fits. The same brief gives the same prompt, byte for byte.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from fitness.feedback import feedback, shortened
from operators.knowledge import sameness, sheets
from operators.llm import briefing, launcher
from operators.llm.briefing import Brief, Tried
from operators.llm.model import Prompt
from operators.llm.secrets import scrub

FOLDER = Path(__file__).parent / "prompts"
SIZE = 60_000  # characters of a prompt: about 15,000 tokens
PROGRAM = 20_000  # characters of one program that are shown
_JUDGE = re.compile(
    r'^ *File "[^"]*/fitness/[^"]*", line .*\n(?:    .*\n?)*', re.MULTILINE
)  # frames that are not the program's
SHOWN = 8  # programs of history with their code


@dataclass(frozen=True, slots=True)
class Extra:
    """Something a prompt can do without: in `group`, worth `worth`."""

    group: str
    worth: float
    value: Any


def write(template: str, brief: Brief, extras: Iterable[Extra], size: int = SIZE, **values: Any) -> Prompt:
    """Render an operator's prompt; the system text holds rules, chip and task, and is the same all run long."""
    parameters = next(iter(launcher.of(brief.task).forms), "")
    system = _render(
        "system.md.j2", brief=brief, task=brief.task, sheet=sheets.sheet(brief.target), parameters=parameters
    )
    text = fitted(
        lambda kept: _render(f"{template}.md.j2", brief=brief, task=brief.task, extra=_grouped(kept), **values),
        list(extras), size - len(system),
    )  # fmt: skip
    return Prompt(scrub(system), scrub(text))


def fitted(render: Callable[[Sequence[Extra]], str], extras: list[Extra], size: int) -> str:
    """Render with as many extras as fit, leaving out the least worthy first; at the last cut the middle out."""
    ranked = sorted(range(len(extras)), key=lambda i: (-extras[i].worth, i))
    fits, fails = 0, len(extras) + 1
    while fails - fits > 1:  # the longest run of worthiest extras that fits
        middle = (fits + fails) // 2
        if len(render([extras[i] for i in sorted(ranked[:middle])])) <= size:
            fits = middle
        else:
            fails = middle
    return shortened(render([extras[i] for i in sorted(ranked[:fits])]), max(size, 1000))


def history(brief: Brief, shown: int = SHOWN) -> list[Extra]:
    """Give what passed, best last; the fastest are worth most and come with their code."""
    ordered = [t for t in briefing.best_last(brief.passed) if t.id not in {p.id for p in brief.parents}]
    first = len(ordered) - shown
    return [Extra("history", 0.5 + 0.4 * i / len(ordered), (t, i >= first)) for i, t in enumerate(ordered)]


def knowledge(brief: Brief, code: str) -> list[Extra]:
    """Give know-how that matters for this code, the most like proven kernel of another task, and lessons."""
    fitting = sheets.matching(code, brief.target)
    found = [Extra("knowhow", 0.45 - 0.02 * i, t) for i, t in enumerate(fitting)]
    example = brief.library.nearest(code, brief.task) or brief.library.nearest(brief.task.source, brief.task)
    if example is not None:
        found.append(Extra("example", 0.4, example))
    found += [Extra("lessons", 0.6 - 0.01 * i, lesson) for i, lesson in enumerate(brief.lessons)]
    found += [Extra("worked", 0.7 - 0.01 * i, line) for i, line in enumerate(briefing.worked(brief.passed, 6))]
    return found


def mistakes(brief: Brief, source: str, count: int = 5) -> list[Extra]:
    """Give failures of programs like this one, and replies that made no program."""
    alike = briefing.recall(brief.failed, source, count)
    found = [Extra("failures", 0.8 - 0.05 * i, t) for i, t in enumerate(alike)]
    return found + [Extra("refused", 0.95, words) for words in brief.refused[-3:]]


def contrast(brief: Brief) -> list[Extra]:
    """Give the difference between the slowest and the fastest program that are near relatives."""
    times = {t.id: t for t in brief.passed}
    pairs = [(times[t.parents[0]], t) for t in brief.passed if t.parents and t.parents[0] in times]
    pairs = [(a, b) for a, b in pairs if a.evaluation.score_us != b.evaluation.score_us]
    if not pairs:
        return []
    old, new = max(pairs, key=lambda p: (abs(p[0].evaluation.score_us / p[1].evaluation.score_us - 1), p[1].id))
    slow, fast = sorted((old, new), key=lambda t: -t.evaluation.score_us)
    lines = difflib.unified_diff(slow.source.splitlines(), fast.source.splitlines(), "slow", "fast", lineterm="", n=2)
    return [Extra("contrast", 0.75, (slow, fast, shortened("\n".join(lines), 4000)))]


def _grouped(extras: Sequence[Extra]) -> dict[str, list[Any]]:
    """Gather what is kept by group, each group in the order in which it was given."""
    names = ("history", "knowhow", "example", "lessons", "worked", "failures", "refused", "contrast")
    return {name: [e.value for e in extras if e.group == name] for name in names}


def fenced(text: str, language: str = "") -> str:
    """Put a text into a fence that it cannot end: longer than any run of backticks in it."""
    runs = [len(run) for run in "".join(c if c == "`" else " " for c in text).split()]
    marks = "`" * max(3, *(n + 1 for n in runs)) if runs else "```"
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def verdict(tried: Tried, brief: Brief, limit: int = 3000) -> str:
    """Return a verdict in words; of a trace, the lines of the program alone."""
    e = tried.evaluation
    if e.failure is not None and _JUDGE.search(e.failure.trace):
        e = replace(e, failure=replace(e.failure, trace=_JUDGE.sub("", e.failure.trace)))
    return feedback(e, limit, brief.task)


def _render(name: str, **values: Any) -> str:
    return _templates().get_template(name).render(values).rstrip() + "\n"


@cache
def _templates() -> jinja2.Environment:
    """Load the templates. What tasks, programs and verdicts say is only ever a value in them, never a template."""
    loader = jinja2.FileSystemLoader(FOLDER)
    found = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                               autoescape=False, keep_trailing_newline=True)  # fmt: skip
    found.filters |= {
        "fenced": fenced, "verdict": verdict, "described": briefing.described,
        "program": lambda source, language="python": fenced(shortened(source, PROGRAM), language),
    }  # fmt: skip
    found.globals |= {"reference": lambda task: sameness.reference(task.source), "stronger": briefing.stronger}
    return found
