"""Says what would do nothing in a run, and why: what somebody asks for should not be without effect in silence."""

from collections.abc import Callable, Collection, Iterable, Iterator

from evo_kernel import policies
from evo_kernel.config import Settings
from evo_kernel.errors import ConfigError
from evo_kernel.rules import MECHANISMS, Rules
from operators import catalogue
from operators.catalogue import DISPATCH, KNOBS, TUNER

PARENTS = ("history", "fallback", "broadening", "lexicase", "halving", "compromises")  # in the choice of parents
TRIALS = ("trials", "giving-up", "macro")  # what is done with new structures
OF_MODELS = ("max_calls", "max_tokens", "max_cost")  # limits of all models together


def check(settings: Settings, asked: Collection[str], say: Callable[[str], None]) -> None:
    """Say what would do nothing; refuse limits that limit nothing if `asked` for in no file."""
    _say_mechanisms(settings, say)
    found = {name: (f"{name} limits nothing: {why}", instead) for name, why, instead in _limiting_nothing(settings)}
    refused = [f"{line}; leave it out, or {instead}" for name, (line, instead) in found.items() if name in asked]
    if refused:
        raise ConfigError("; ".join(refused))
    for line, _ in found.values():
        say(line)


def _limiting_nothing(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield the limits of what a run does not use, each with the reason and with what to do instead."""
    if settings.max_gpu_seconds is not None and settings.basis != "measured":
        idle = f"times are {settings.basis}, and no GPU works for a verdict"
        yield "max_gpu_seconds", idle, "limit the evaluations or the wall time (max_minutes)"
    for name in OF_MODELS:
        if getattr(settings, name) is not None and not settings.models:
            yield name, "the run has no model that writes programs", "name a model"


def _say_mechanisms(settings: Settings, say: Callable[[str], None]) -> None:
    """Say which mechanisms somebody switched on or strengthened, perhaps in a file, that would do nothing."""
    for name, (setting, off, _) in MECHANISMS.items():
        value = getattr(settings.rules, setting)
        if value in (off, getattr(Rules(), setting)):
            continue
        reason = why(name, settings.policy, settings.rules, bool(settings.models))
        if reason is not None:
            say(f"{setting} = {str(value).lower()} does nothing: {reason}")


def check_mechanisms(settings: Settings, names: Iterable[str]) -> None:
    """Refuse mechanisms that are switched on, by their names on the command line, and would do nothing."""
    found = {name: why(name, settings.policy, settings.rules, bool(settings.models)) for name in names}
    lines = [f"--with {name} would do nothing: {reason}" for name, reason in found.items() if reason is not None]
    if lines:
        raise ConfigError("; ".join(lines))


def why(name: str, policy: str, rules: Rules, models: bool) -> str | None:
    """Return why a mechanism that is switched on would do nothing; None where it has something to do.

    `models`: whether the run has any that write programs.
    """
    made = policies.make(policy, rules)
    if name in PARENTS and name not in made.heeds and not (name == "lexicase" and _crosses(policy, rules, models)):
        return f"policy {policy} does not choose parents by it"
    if name == "crossover":
        return _uncrossed(policy, rules)
    if name in ("tuner", *TRIALS):
        return _untuned(name, policy, rules, models)
    if name == "compromises" and len(rules.objectives) < 2:
        return "it needs several objectives (--objectives latency,error)"
    return None


def _crosses(policy: str, rules: Rules, models: bool) -> bool:
    """Tell whether partners are chosen, which lexicase does too."""
    knobs = rules.crossover > 0 and _uncrossed(policy, rules) is None
    return knobs or (models and policies.make(policy, rules).crosses)


def _uncrossed(policy: str, rules: Rules) -> str | None:
    if not policies.make(policy, rules).crosses:
        return f"policy {policy} takes one parent at a time"
    if not any(catalogue.arity(name) == 2 and name != DISPATCH for name in rules.operators):
        return "no operator of the run crosses two parents"
    return None


def _untuned(name: str, policy: str, rules: Rules, models: bool) -> str | None:
    """Say why there is no tuner, or no new structure for it."""
    if not policies.make(policy, rules).tunes:
        return f"policy {policy} uses no tuner"
    if TUNER not in rules.operators:
        return f"{TUNER} is not among the run's operators"
    if name == "tuner":
        return None
    if not rules.tuner:
        return "the tuner is switched off"
    if name != "trials" and not rules.trials:
        return "trials of new structures are switched off (--with trials)"
    if name == "macro" and not models and set(rules.operators) <= set(KNOBS):
        return "no operator of the run makes new structures"
    return None
