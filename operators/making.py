"""Makes the operators of a search by their names in the catalogue."""

from collections.abc import Callable, Mapping, Sequence

from operators.catalogue import DISPATCH, REWRITE, REWRITE_CROSS, TUNER
from operators.proposal import Operator


def make(names: Sequence[str]) -> tuple[Operator, ...]:
    """Return the operators of those names."""
    makers = _makers()
    return tuple(makers[name]() for name in names)


def _makers() -> Mapping[str, Callable[[], Operator]]:
    """Return what makes each operator; they load libcst, so not before they are wanted."""
    from operators.knob_operators import KnobCross, KnobStep
    from operators.rewrites.crossing import RewriteCross
    from operators.rewrites.dispatch import Dispatch
    from operators.rewrites.operator import Rewriting
    from operators.tune.operator import KnobTune

    return {
        "knob-step": KnobStep, "knob-cross": KnobCross, TUNER: KnobTune, REWRITE: Rewriting,
        REWRITE_CROSS: RewriteCross, DISPATCH: Dispatch,
    }  # fmt: skip
