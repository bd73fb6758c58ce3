"""The tuner as an operator over Triton programs: a program's knobs are the space, what was judged teaches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from archives.candidate import Candidate, fingerprint
from operators.knobs import Knob, find, rewrite, structure, values
from operators.proposal import Context, Observed, Proposal, ProposalError
from operators.tune.outlook import hopeless
from operators.tune.space import Config, Kind, Parameter, Space, Value
from operators.tune.tuner import Observation, propose

TRIES = 4  # configurations asked for when the first gave a program that is known, or of another structure

Numbers = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class KnobTune:
    """Sets all knobs of a program to what promises most, from every program of its structure and of its relatives."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "knob-tune"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Choose a configuration that was not judged, and write it into the parent; give up a hopeless structure."""
        if len(parents) != 1:
            raise ValueError(f"{self.name} expected 1 parent, got {len(parents)}")
        tuning = Tuning(parents[0].source, context.backend, (o.source for o in context.relatives))
        own = tuning.observations(o for o in context.relatives if o.structure == parents[0].structure)
        prior = tuning.observations(o for o in context.relatives if o.structure != parents[0].structure)
        if context.best_us is not None and hopeless(tuning.space, own, context.best_us, context.rng):
            raise ProposalError(f"after {len(own)} programs the structure has no hope of coming near the run's best")
        pending = [c for c in map(tuning.config, context.pending) if c is not None]
        for count in (1, TRIES):
            for config in propose(tuning.space, own, pending, context.rng, count, prior):
                changes = tuning.changes(config)
                source = rewrite(parents[0].source, changes)
                if structure(source) == parents[0].structure and not context.known(fingerprint(source)):
                    return Proposal(source, tuning.intent(changes))
        raise ProposalError(f"the tuner finds nothing new among the knobs of program {parents[0].id}")


class Tuning:
    """One program's knobs as a space. An option that a program leaves out stands at Triton's default."""

    def __init__(self, source: str, backend: str, others: Iterable[str] = ()) -> None:
        self._knobs = {knob.name: knob for knob in find(source, backend)}
        if not self._knobs:
            raise ProposalError(f"the program has no knobs on {backend} that could be tuned")
        seen: dict[str, set[int]] = {name: set() for name in self._knobs}
        for other in others:
            numbers = _matched(self._knobs, values(other))
            for name in seen:
                number = self._number(name, numbers)
                if number is not None:
                    seen[name].add(number)
        self.space = _space(tuple(_parameter(knob, seen[name]) for name, knob in self._knobs.items()))
        self._place = [{value: at for at, value in enumerate(p.values)} for p in self.space.parameters]

    def config(self, source: str) -> Config | None:
        """Return where a program stands in the space, None if a knob is missing or has a value from outside."""
        numbers = _matched(self._knobs, values(source))
        found = [place.get(self._number(n, numbers)) for n, place in zip(self._knobs, self._place, strict=True)]
        return tuple(at for at in found if at is not None) if None not in found else None

    def observations(self, observed: Iterable[Observed]) -> list[Observation]:
        """Return what was judged as observations of this space, the newest word on each configuration."""
        found: dict[Config, Observation] = {}
        for one in observed:
            config = self.config(one.source)
            if config is not None:
                found[config] = Observation(config, one.time_us)
        return list(found.values())

    def changes(self, config: Config) -> dict[str, int]:
        """Return the knobs that must be written to bring the program to a configuration."""
        wanted = {name: _whole(value) for name, value in self.space.values(config).items()}
        return {n: v for n, v in wanted.items() if v != _effective(self._knobs[n].value, self._knobs[n])}

    def intent(self, changes: Mapping[str, int]) -> str:
        """Say what changes, such as `tuned: softmax_kernel.BLOCK 256 -> 1024`."""
        parts = []
        for name, value in changes.items():
            before = self._knobs[name].value
            parts.append(f"{name} {'default' if before is None else before} -> {value}")
        return "tuned: " + "; ".join(parts)

    def _number(self, name: str, numbers: Numbers) -> int | None:
        return _effective(numbers[name], self._knobs[name]) if name in numbers else None


def _matched(knobs: Mapping[str, Knob], numbers: Numbers) -> dict[str, int | None]:
    """Give another program's numbers the names of these knobs: a kernel that was renamed keeps its options' names."""
    found = {name: number for name, number in numbers.items() if name in knobs}
    for name in knobs.keys() - found.keys():
        same = [other for other in numbers if other.rpartition(".")[2] == name.rpartition(".")[2]]
        if len(same) == 1:
            found[name] = numbers[same[0]]
    return found


def _effective(value: int | None, knob: Knob) -> int | None:
    return knob.default if value is None else value


def _parameter(knob: Knob, seen: set[int]) -> Parameter:
    """Return a knob's legal values, those of the programs seen, and its default."""
    present = _effective(knob.value, knob)
    numbers = sorted({*knob.legal, *seen} | ({present} if present is not None else set()))
    powers = all(n > 0 and n & (n - 1) == 0 for n in numbers)
    kind: Kind = "power-of-two" if powers else "ordinal"
    return Parameter(knob.name, tuple(numbers), kind)


@lru_cache(maxsize=16)
def _space(parameters: tuple[Parameter, ...]) -> Space:
    return Space.product(parameters)


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a knob's value must be a whole number, got {value!r}")
    return value
