"""Makes a task of ours of a program, Triton or plain PyTorch, and of the calls that a suite's test makes of it.

The program itself is the oracle, as in the suite's own harness: results are right that are as it makes them.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from suites.foreign.drawn import Undrawable, like
from suites.foreign.modelled import Unturnable
from suites.foreign.text import Parts
from suites.task import Argument, Case, Input

ENTRY = "evo_{function}"
ABOUT = """{name} of {suite}: what the test of the suite calls `{function}` for.

The suite's own kernel says what is right: there is no other reference. `{entry}({names})` calls it as the test does;
{told}. {instruction}"""
PLAIN = """{name} of {suite}: what the test of the suite calls `{function}` for.

`{entry}({names})` is to compute what this does of the same arguments; {told}. {instruction}

{source}"""
WAYS = ("in_float64", "plainly", "laid_out_otherwise")  # in which a reference computes the same otherwise
OF_KERNELS = ("in_float64", "in_smaller_blocks")
CASES = 4
TRIED = 3  # forms of calls, the most frequent first
SLOWEST = 3.0  # seconds of one call: limits take a dozen


def parts(suite: str, name: str, source: str, instruction: str, calls: Sequence[Any], plain: bool = False) -> Parts:
    """Return what the task of a program is made of; Unturnable or Undrawable says why there is none.

    `plain`: it is a PyTorch function, and no kernel comes with it.
    """
    why: list[Exception] = []
    for same in _alike(_quick([c for c in calls if plain or c.launches]), plain)[:TRIED]:
        try:
            return _parts(suite, name, source, instruction, _drawable(same), plain)
        except (Unturnable, Undrawable) as error:
            why.append(error)
    raise why[0]


def _parts(suite: str, name: str, source: str, instruction: str, same: Sequence[Any], plain: bool) -> Parts:
    """Make a task of calls of one form."""
    same = _as_given(same)
    first = same[0]
    given = _drawn(first)
    if not any(isinstance(a, Input) for a in given.values()):
        raise Unturnable(f"`{first.function}` takes no tensor: it has no inputs to draw")
    constants = {n: v for n, v in first.arguments.items() if n not in given}
    results = _results(first)
    entry = ENTRY.format(function=first.function.strip("_"))
    adapter = _adapter(entry, first, list(given), results)
    cases = tuple(_cases(same, results))
    maker = f"functions.{'Function' if plain else 'Program'}"
    made = f"{maker}({source!r}, {adapter!r}, {entry!r}, {_dtypes(given)!r})"
    told = f"it changes {', '.join(first.changed)} in place" if first.changed else "no argument is changed"
    told += "".join(f", `{n}` is {v!r}" for n, v in constants.items())
    said = {"name": name, "suite": suite, "function": first.function, "instruction": instruction, "told": told}
    about = (PLAIN if plain else ABOUT).format(entry=entry, names=", ".join(given), source=source.strip(), **said)
    told_in_place = [f"in_place = {list(first.changed)!r}"] if first.changed else []
    options = (*([] if plain else ["interpreted = True"]), *told_in_place)
    held = cases[CASES - 1 :] if len(cases) >= CASES else cases[-1:] if len(cases) > 1 else ()
    public = cases[: len(cases) - len(held)]
    ways = WAYS if plain else OF_KERNELS
    honest = {way: f"functions.{way}(theirs, *given)" for way in ways} if _wide(given) else {}
    seed = "" if plain else f"{source.rstrip()}\n\n\n{adapter}"
    return Parts(about, entry, made, public, held or (replace(cases[0], name="again"),), honest, seed, options)


def _quick(calls: Sequence[Any]) -> list[Any]:
    """Return the calls that the interpreter makes soon enough to make them many times."""
    quick = [c for c in calls if c.seconds <= SLOWEST]
    if calls and not quick:
        least = min(c.seconds for c in calls)
        raise Unturnable(
            f"a call of its test takes {least:.0f} s under the interpreter, at most {SLOWEST:.0f} are allowed"
        )
    return quick


def _passed(value: Any) -> bool:
    """Whether an argument can be one of a case; the others are constants."""
    return isinstance(value, (torch.Tensor, float)) or (isinstance(value, int) and not isinstance(value, bool))


def _drawable(same: Sequence[Any]) -> list[Any]:
    """Return the calls whose values we can draw; Undrawable where there is none."""
    kept, why = [], Undrawable("no call")
    for call in same:
        try:
            _drawn(call)
            kept.append(call)
        except Undrawable as error:
            why = error
    if not kept:
        raise why
    return kept


def _as_given(same: Sequence[Any]) -> list[Any]:
    """Return calls without what all of them leave to its default, and with the names that all of them write.

    What a test never gives a program need not take, and what it gives by place may have another name there.
    """
    left = frozenset.intersection(*(c.left for c in same))
    marks = {n: mark for n, mark in same[0].marks.items() if all(n in c.marks for c in same)}
    given = [{n: v for n, v in c.arguments.items() if n not in left} for c in same]
    return [replace(c, arguments=arguments, marks=marks) for c, arguments in zip(same, given, strict=True)]


def _drawn(call: Any) -> dict[str, Argument]:
    """Return a call's arguments as inputs that are like them."""
    return {
        n: _unordered(like(v, n), v, n) if isinstance(v, torch.Tensor) else v
        for n, v in call.arguments.items() if _passed(v)
    }  # fmt: skip


def _alike(calls: Sequence[Any], plain: bool) -> list[list[Any]]:
    """Return the calls of one function whose arguments differ in sizes and numbers alone, by form: most calls first.

    PyTorch takes any number of dimensions; of its calls the largest comes first in each form.
    """
    if not calls:
        launching = "" if plain else " that launches a kernel"
        raise Unturnable(f"its test calls no function at the program's top level{launching}")
    groups: dict[Any, list[Any]] = {}
    for call in calls:
        form = (call.function, *(_kind(n, v, plain) for n, v in call.arguments.items()), call.changed)
        groups.setdefault(form, []).append(call)
    found = sorted(groups.values(), key=lambda group: (-len(group), bool(group[0].changed)))
    return [sorted(group, key=_size, reverse=True) for group in found] if plain else found


def _size(call: Any) -> int:
    return sum(v.numel() for v in call.arguments.values() if isinstance(v, torch.Tensor))


def _kind(name: str, value: Any, plain: bool) -> tuple[str, ...]:
    if isinstance(value, torch.Tensor):
        return name, str(value.dtype), "" if plain else str(value.dim())
    return (name, type(value).__name__) if _passed(value) else (name, repr(value)[:200])


def _results(call: Any) -> tuple[int, ...] | None:
    """Return the places of tensors among what a call returns; none: what it changed is the result. None: one tensor."""
    made = call.result
    if isinstance(made, torch.Tensor):
        return None
    found = (
        tuple(n for n, t in enumerate(made) if isinstance(t, torch.Tensor) and not _handed_back(call, t))
        if isinstance(made, (tuple, list))
        else ()
    )
    if not found and not call.changed:
        raise Unturnable(f"`{call.function}` returns {type(made).__name__} and changes no argument")
    return found


def _handed_back(call: Any, result: torch.Tensor) -> bool:
    """Whether a result is an argument that the call did not change, or a part of one: nothing computed it."""
    kept = [t for n, t in call.tensors.items() if n not in call.changed]
    return any(t.untyped_storage().data_ptr() == result.untyped_storage().data_ptr() for t in kept)


def _adapter(entry: str, call: Any, given: Sequence[str], results: tuple[int, ...] | None) -> str:
    """Write the launcher that calls the program's own function as the test does."""
    said = []
    for name, value in call.arguments.items():
        if name not in given and not _literal(value):
            raise Unturnable(f"`{call.function}` is given {type(value).__name__} as `{name}`, which no case can hold")
        said.append(call.marks.get(name, "") + (name if name in given else repr(value)))
    lines = [f"def {entry}({', '.join(given)}):", f"    made = {call.function}({', '.join(said)})"]
    if results is None:
        lines.append("    return made")
    elif results:
        lines.append(f"    return {', '.join(f'made[{n}]' for n in results)}{',' if len(results) == 1 else ''}")
    else:
        lines.append(f"    return {', '.join(call.changed)}{',' if len(call.changed) == 1 else ''}")
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> bool:
    """Whether a value can be written as it is: also torch's own dtypes."""
    if isinstance(value, torch.dtype):
        return True
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError):
        return False


def _cases(calls: Sequence[Any], results: tuple[int, ...] | None) -> list[Case]:
    """Write a case for every other set of shapes and numbers."""
    found: list[Case] = []
    for call in calls:
        arguments = _drawn(call)
        if any(c.inputs == arguments for c in found):
            continue
        elements, written = _written(call, results)
        if written:
            name = "x".join(map(str, next((a.shape for a in arguments.values() if isinstance(a, Input)), ())))
            found.append(Case(f"{len(found) + 1}-{name or 'scalar'}", arguments, elements, written))
    if not found:
        raise Unturnable("no call of its test has a result with elements")
    return found


def _written(call: Any, results: tuple[int, ...] | None) -> tuple[int, int]:
    """Return how many elements, and bytes, a call writes at least: of an argument that it changes those that differ."""
    places = {call.tensors[n].data_ptr(): n for n in call.changed}
    made = [call.result] if results is None else [call.result[n] for n in results]
    if not made:
        made = [call.tensors[n] for n in call.changed]
    counts = [call.wrote[places[t.data_ptr()]] if t.data_ptr() in places else t.numel() for t in made]
    return sum(counts), sum(count * t.element_size() for count, t in zip(counts, made, strict=True))


def _unordered(found: Input, values: torch.Tensor, name: str) -> Input:
    """Return an input of whole numbers with the range that was seen; Undrawable where they are in an order."""
    if found.distribution != "indices" or found.dtype == "bool":
        return found
    flat, low = values.flatten().long(), int(values.min()) if values.numel() else 0
    if flat.numel() > 3 and bool((flat[1:] >= flat[:-1]).all()) and bool((flat != flat[0]).any()):
        raise Undrawable(f"`{name}` holds whole numbers in order, which our draws are not")
    if flat.numel() > 7 and flat.unique().numel() == flat.numel() and int(flat.max()) < 4 * flat.numel():
        raise Undrawable(f"`{name}` holds whole numbers that are all different, which our draws are not")
    return replace(found, low=max(0, low))


def _dtypes(given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(a.dtype if isinstance(a, Input) else "" for a in given.values())


def _wide(given: Mapping[str, Any]) -> bool:
    return any(isinstance(a, Input) and a.floating for a in given.values())
