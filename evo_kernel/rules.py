"""What a search is made of beside its policy: its mechanisms with their strengths, and when it ends early."""

from dataclasses import dataclass

from operators.catalogue import KNOBS, STRUCTURAL

OPERATORS = (*STRUCTURAL, *KNOBS)  # of a search that names none; a run keeps what it was begun with
ASKING = ("generate", "reflect", "optimize", "recombine", "strategise")


@dataclass(frozen=True, slots=True)
class Rules:
    """The mechanisms of a run. False or 0 switches one off; benchmarks/policies.py compares them."""

    operators: tuple[str, ...] = OPERATORS
    history: float = 0.0  # share of parents from everything that ever passed
    fallback: bool = False  # parents come from history where the operators have nothing new beside the best
    broadening: bool = False  # more of history when nothing has improved for long
    crossover: float = 0.0  # share of requests that cross two parents, where the bandit does not choose
    tuner: float = 0.5  # share of the knob operators' requests that go to the tuner, which also has all trials
    trials: int = 0  # evaluations that a new structure is tuned for before it is judged; 0: it is judged as it came
    trial_patience: int = 0  # programs in a row that bring a trial nothing, after which it ends; 0: it does not
    giving_up: float = 1.3  # a new structure slower than the run's best by this factor gets no trial, or no more of it
    macro: bool = False  # what a rewrite or a model made is tuned at once, and judged with its trial as one proposal
    lexicase: float = 0.0  # share of parents from the Pareto front; partners are chosen so too
    bandit: bool = False  # operators are chosen by what they gained for what they cost; on where a run has models
    halving: bool = False  # several lines of descent, the worse half given up at 25, 50 and 75% of the budget
    lines: int = 4  # of descent: for halving, islands and restarts
    migration: int = 40  # evaluations between the moves of islands' best
    max_perf_debug_num: int = 5  # failures in a row before `restarts`, `sequential` and `reflect` begin anew
    compromises: float = 0.3  # share of parents that NSGA-II chooses where a run has several objectives
    objectives: tuple[str, ...] = ("latency",)  # and "error", "portability": the front and NSGA-II weigh all
    model_operators: tuple[str, ...] = ASKING  # operators that ask models, where a run has any
    model_share: float = 0.5  # share of requests that ask them, or with the bandit of the budget that waits for them
    port: str | None = None  # the text of a kernel in another language: each model is first asked to port it
    evaluation_dollars: float = 0.01  # what the bandit takes one evaluation to be worth, against the price of a call


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a search before its evaluations are used up; None is no limit. Those of models end asking them."""

    max_minutes: float | None = None
    max_gpu_seconds: float | None = None
    stop_at_roofline: float | None = None
    stop_after_stagnation: int | None = None
    max_cost: str | None = None  # dollars, as a person writes them
    max_tokens: int | None = None
    max_calls: int | None = None


MECHANISMS = {
    # name on the command line -> (setting, off, on)
    "history": ("history", 0.0, 0.2),
    "fallback": ("fallback", False, True),
    "broadening": ("broadening", False, True),
    "crossover": ("crossover", 0.0, 0.3),
    "tuner": ("tuner", 0.0, 0.5),
    "trials": ("trials", 0, 8),
    "giving-up": ("giving_up", 0.0, 1.3),
    "macro": ("macro", False, True),
    "lexicase": ("lexicase", 0.0, 0.1),
    "bandit": ("bandit", False, True),
    "halving": ("halving", False, True),
    "compromises": ("compromises", 0.0, 0.3),
}


def switched(names_off: tuple[str, ...], names_on: tuple[str, ...]) -> dict[str, float | bool]:
    """Return the settings that switch mechanisms off and on, by their names on the command line."""
    off = {MECHANISMS[name][0]: MECHANISMS[name][1] for name in names_off}
    return off | {MECHANISMS[name][0]: MECHANISMS[name][2] for name in names_on}
