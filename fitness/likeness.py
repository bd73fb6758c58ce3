"""Tells whether two tasks compute the same, whatever their names and words: by what their references make of inputs.

Both references are run here, on small inputs, as a task's file is when a person names it: trusted code only.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import suites
from suites import Input, Task
from suites.loading import TaskError

AGREEMENT = 1e-3  # of the size of a result: one reference may round to half precision where the other does not
CASES, TENSORS = 3, 4  # of a task that are tried, and the most whose order is
_WRONG = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)


def alike(task: Task) -> tuple[Task, ...]:
    """Return the native tasks that compute what a task computes; a native task has no like but itself.

    A task of another suite is compared by its text alone (operators/knowledge/sameness.py): its code is not run here.
    """
    if task.foreign:
        return ()
    return tuple(suites.load(name) for name in _alike(task.source, task.name))


@lru_cache(maxsize=32)
def _alike(text: str, name: str) -> tuple[str, ...]:
    try:
        task = suites.read(text, name)
    except TaskError:  # it needs what was there when its file was read: whoever judges by it says so
        return ()
    native = {known: suites.load(known) for known in suites.names()}
    itself = tuple(known for known, one in native.items() if one.digest == task.digest)
    return itself or tuple(known for known, one in native.items() if same(task, one))


def same(one: Task, other: Task) -> bool:
    """Tell whether two tasks compute the same on the inputs of either."""
    tensors = {sum(isinstance(a, Input) for a in t.cases[0].inputs.values()) for t in (one, other)}
    return len(tensors) == 1 and (_agrees(one, other) or _agrees(other, one))


def _agrees(one: Task, other: Task) -> bool:
    """Tell whether a task's reference gives what another's does on the other's inputs, in some order of its own."""
    from fitness import yardstick
    from suites.loading import functions
    from suites.trials import draw, trials

    theirs, ours = functions(other).reference, functions(one).reference
    orders: set[tuple[int, ...]] | None = None
    for case in other.cases[:CASES]:
        values = draw(trials(other, case, small=True)[0], 0)
        try:
            truth = yardstick.outputs(theirs(*yardstick.lifted(values).values()))
        except _WRONG:
            return False
        found = {
            order for order, given in _given(values, one)
            if (orders is None or order in orders) and _close(ours, yardstick.lifted(given), truth)
        }  # fmt: skip
        orders = found
        if not orders or not any(_varied(t) for t in truth):
            return False
    return bool(orders)


def _given(values: Mapping[str, Any], to: Task) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Give the ways to hand tensors to a task: in every order, with numbers of the same names or its own."""
    own = to.cases[0].arguments(small=True)
    tensors = [v for v in values.values() if hasattr(v, "dtype")]
    places = [name for name, argument in own.items() if isinstance(argument, Input)]
    if len(places) == len(tensors) <= TENSORS:
        for order in itertools.permutations(range(len(tensors))):
            handed = {name: tensors[at] for name, at in zip(places, order, strict=True)}
            yield order, {name: handed.get(name, values.get(name, a)) for name, a in own.items()}


def _close(reference: Any, given: Mapping[str, Any], truth: list[Any]) -> bool:
    """Tell whether a reference makes the truth of these arguments."""
    from fitness import yardstick

    try:
        made = yardstick.outputs(reference(*given.values()))
    except _WRONG:
        return False
    return [m.shape for m in made] == [t.shape for t in truth] and all(map(_near, made, truth))


def _near(made: Any, truth: Any) -> bool:
    """Tell whether two tensors of one shape agree, infinite and NaN where the other is."""
    made, truth = made.double(), truth.double()
    finite = truth.isfinite()
    if not bool((made.isfinite() == finite).all()):
        return False
    size = math.sqrt(float(truth[finite].square().sum()))
    return math.sqrt(float((made - truth)[finite].square().sum())) <= AGREEMENT * size


def _varied(truth: Any) -> bool:
    """Tell whether a result has different values: equal ones are right by chance."""
    return truth.numel() > 1 and bool((truth != truth.flatten()[0]).any())
