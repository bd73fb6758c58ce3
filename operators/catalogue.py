"""The operators that come with evo-kernel, by the names that runs are frozen with."""

from collections.abc import Mapping

TUNER = "knob-tune"  # works the knobs of one structure from all that was judged of it
KNOBS = ("knob-step", "knob-cross", TUNER)  # they change numbers and leave the structure
REWRITE = "rewrite"  # changes the structure by one family of rewrites, which its intent begins with
REWRITE_CROSS = "rewrite-cross"  # applies one parent's rewrites to another, or exchanges a function
DISPATCH = "dispatch"  # a launcher that takes one parent's way or the other's by the shapes that it is given
STRUCTURAL = (REWRITE, DISPATCH)  # they change the structure, and need nothing else
ARITY: Mapping[str, int] = {
    "knob-step": 1,
    "knob-cross": 2,
    TUNER: 1,
    REWRITE: 1,
    REWRITE_CROSS: 2,
    DISPATCH: 2,
}

# those that ask a model for a program; operators/llm/operators.py makes them
MODEL_ARITY: Mapping[str, int] = {"generate": 0, "reflect": 1, "optimize": 1, "recombine": 2, "strategise": 1}
BY = " by "  # between an operator and the model that it asks


def arm(operator: str, model: str) -> str:
    """Return the name under which an operator is chosen together with a model."""
    return f"{operator}{BY}{model}" if model else operator


def parts(name: str) -> tuple[str, str]:
    """Return the operator of such a name and its model; no model for an operator that needs none."""
    operator, _, model = name.partition(BY)
    return operator, model


def arity(name: str) -> int:
    """Return how many parents an operator takes; one that comes from elsewhere takes one."""
    operator, model = parts(name)
    return MODEL_ARITY[operator] if model else ARITY.get(operator, 1)
