"""The tuner as an operator over Triton programs: a program's knobs are the space, what was judged teaches."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from archives.candidate import Candidate, fingerprint
from operators.knob_constraints import at_launches, fitting, present
from operators.knob_groups import alive, groups
from operators.knob_values import OPTIONS
from operators.knobs import Knob, find, holds, known_values, rewrite
from operators.proposal import Context, Observed, Proposal, ProposalError
from operators.tune.constraints import Constraint
from operators.tune.space import Config, Kind, Parameter, Space, SpaceError, Value
from operators.tune.starts import starts
from operators.tune.tuner import Observation, propose
from operators.uncollected import uncollected

TRIES = 4  # configurations asked for when the first gave a program that is known, or of another structure

Numbers = Mapping[str, int | None]
Stand = tuple[int | None, ...]  # of each knob


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
        """Choose a configuration that was not judged, and write it into the parent."""
        if len(parents) != 1:
            raise ValueError(f"{self.name} expected 1 parent, got {len(parents)}")
        with uncollected():
            return self._proposed(parents[0], context)

    def _proposed(self, given: Candidate, context: Context) -> Proposal:
        parent, home = given.source, given.structure
        try:
            tuning = Tuning(parent, context.backend, context.relatives, home, context.constraints, context.ran)
        except SpaceError as error:  # of a structure that the run did not begin with
            raise ProposalError(f"program {given.id} cannot be tuned: {error}") from error
        own, prior = tuning.observed(home), tuning.observed(home, others=True)
        pending = [c for c in (tuning.config(source, home) for source in context.pending) if c is not None]
        seen = {*pending, *(tuple(one.config) for one in (*own, *prior))}
        begun = (config for config in tuning.starts(context.backend) if config not in seen)
        chosen = (c for n in (1, TRIES) for c in propose(tuning.space, own, pending, context.rng, n, prior))
        for config in chain(begun, chosen):
            changes = tuning.changes(config)
            source = rewrite(parent, changes, home)
            if not context.known(fingerprint(source)) and holds(parent, changes, home):
                return Proposal(source, tuning.intent(changes), home)
        raise ProposalError(f"the tuner finds nothing new among the knobs of program {given.id}")


class Tuning:
    """One program's knobs as a space. An option that a program leaves out stands at Triton's default.

    `judged` are programs that were judged, whose values join the space; `home` is the program's structure, if known.
    Copies of a kernel that stand at equal numbers are tuned as one, and what of them `ran` in no case only with others.
    """

    def __init__(
        self, source: str, backend: str, judged: Iterable[Observed] = (), home: str = "",
        constraints: Sequence[Constraint] = (), ran: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._groups = {group[0].name: group for group in groups(find(source, backend, home), ran)}
        found = tuple(group[0] for group in self._groups.values())
        every = tuple(knob for group in self._groups.values() for knob in group)
        self._knobs = {knob.name: knob for knob in found}
        if not self._knobs:
            raise ProposalError(f"the program has no knobs on {backend} that could be tuned")
        self._names = tuple((name, knob.default) for name, knob in self._knobs.items())
        others = [(at, k) for at, group in enumerate(self._groups.values()) for k in alive(group, ran)[1:]]
        self._others, self._firsts = tuple((k.name, k.default) for _, k in others), [at for at, _ in others]
        self._judged = [(one, self._numbers(one.source, one.structure)) for one in judged]
        columns = list(zip(*(numbers for _, numbers in self._judged), strict=True)) or [()] * len(self._knobs)
        seen = (frozenset(n for n in column if n is not None) for column in columns)
        said, fits = self._conditions(at_launches(constraints, every)), self._conditions(fitting(every, backend))
        self.space = _space(tuple(map(_parameter, found, seen)), said, fits)
        self._place = [{value: at for at, value in enumerate(p.values)} for p in self.space.parameters]

    def config(self, source: str, structure: str = "") -> Config | None:
        """Return where a program stands in the space, None if a knob is missing or has a value from outside."""
        return self._config(self._numbers(source, structure))

    def starts(self, backend: str) -> Iterator[Config]:
        """Yield the legal configurations that tuning begins with."""
        now = {name: present(knob) for name, knob in self._knobs.items()}
        for values in starts(tuple(self._knobs.values()), backend):
            config = self._config(tuple({**now, **values}.values()))
            if config is not None and self.space.legal(config):
                yield config

    def observed(self, structure: str, others: bool = False) -> list[Observation]:
        """Return what was judged of a structure, or of all others, the newest word on each configuration.

        What another lacks, such as the rows of a program that had one, stands where this program has it now: by how
        much that makes all times differ is for the models to find out.
        """
        found: dict[Config, Observation] = {}
        for one, numbers in self._judged:
            if (one.structure == structure) is others:
                continue
            config = self._config(self._filled(numbers) if others else numbers)
            if config is not None:
                found[config] = Observation(config, one.time_us)
        return list(found.values())

    def changes(self, config: Config) -> dict[str, int]:
        """Return the knobs that must be written to bring the program to a configuration."""
        wanted = {name: _whole(value) for name, value in self.space.values(config).items()}
        moved = {name: value for name, value in wanted.items() if value != present(self._knobs[name])}
        return {knob.name: value for name, value in moved.items() for knob in self._groups[name]}

    def intent(self, changes: Mapping[str, int]) -> str:
        """Say what changes, such as `tuned: softmax_kernel.BLOCK 256 -> 1024`; copies that go along are not named."""
        parts = []
        for name, value in ((n, v) for n, v in changes.items() if n in self._knobs):
            before = self._knobs[name].value
            parts.append(f"{name} {'default' if before is None else before} -> {value}")
        return "tuned: " + "; ".join(parts)

    def _conditions(self, at_launches: Iterable[Constraint]) -> tuple[Constraint, ...]:
        """Return what is said of launches as conditions on the knobs that move all of their groups, each once."""
        first = {knob.name: name for name, group in self._groups.items() for knob in group}
        return tuple(dict.fromkeys(one.on(first) for one in at_launches))

    def _config(self, numbers: Stand) -> Config | None:
        found = tuple(map(dict.get, self._place, numbers))
        return None if None in found else found  # type: ignore[return-value]

    def _filled(self, numbers: Stand) -> Stand:
        """Give another structure's program this one's values for what it lacks; none where it shares no size."""
        if not any(n is not None and k.kind not in OPTIONS for n, k in zip(numbers, self._knobs.values(), strict=True)):
            return numbers
        return tuple(present(k) if n is None else n for n, k in zip(numbers, self._knobs.values(), strict=True))

    def _numbers(self, source: str, structure: str) -> Stand:
        """Return where a program stands, nowhere if copies that are one here stand apart there."""
        numbers = _stand(source, structure, self._names)
        others = _stand(source, structure, self._others) if self._others else ()
        apart = any(n is not None and n != numbers[at] for n, at in zip(others, self._firsts, strict=True))
        return (None,) * len(numbers) if apart else numbers


# Asked for every program that is learnt from, at every proposal.
@lru_cache(maxsize=4096)
def _stand(source: str, structure: str, knobs: tuple[tuple[str, int | None], ...]) -> Stand:
    """Return what a program's knobs of these names (with defaults) stand at, None for one that it does not have."""
    numbers = _matched(tuple(name for name, _ in knobs), known_values(source, structure))
    return tuple(_or(numbers[name], default) if name in numbers else None for name, default in knobs)


def _matched(knobs: Collection[str], numbers: Numbers) -> dict[str, int | None]:
    """Give another program's numbers the names of these knobs: a kernel that was renamed keeps its options' names."""
    found = {name: number for name, number in numbers.items() if name in knobs}
    for name in set(knobs) - found.keys():
        same = [other for other in numbers if other.rpartition(".")[2] == name.rpartition(".")[2]]
        if len(same) == 1:
            found[name] = numbers[same[0]]
    return found


def _or(value: int | None, default: int | None) -> int | None:
    return default if value is None else value


def _parameter(knob: Knob, seen: frozenset[int]) -> Parameter:
    """Return a knob's legal values, those of the programs seen, and its default."""
    now = present(knob)
    numbers = sorted({*knob.legal, *seen} | ({now} if now is not None else set()))
    powers = all(n > 0 and n & (n - 1) == 0 for n in numbers)
    kind: Kind = "power-of-two" if powers else "ordinal"
    return Parameter(knob.name, tuple(numbers), kind)


@lru_cache(maxsize=16)
def _space(parameters: tuple[Parameter, ...], said: tuple[Constraint, ...], fits: tuple[Constraint, ...]) -> Space:
    """Return what meets a person's constraints and fits; where nothing does both, a person's word counts."""
    try:
        return Space.product(parameters, (*said, *fits))
    except SpaceError:
        return Space.product(parameters, said)


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a knob's value must be a whole number, got {value!r}")
    return value
