"""Operators over programs that are nothing but a configuration: a text of constants, judged by looking them up.

    '''convolution on MI250X: one configuration of its table.'''
    block_size_x = 64
    block_size_y = 4

They step, cross and tune as the operators over Triton programs do, and answer to the same names.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from archives.candidate import Candidate, fingerprint
from operators.proposal import Context, Observed, Proposal, ProposalError
from operators.tune.space import Config, Space
from operators.tune.tuner import Observation, propose
from suites.parsing import parse

DRAWS = 32
JUMP = 0.25  # chance that a step goes to any value, not to a neighbouring one
BOTH = 0.5  # chance that a step changes two parameters


class Programs:
    """Writes configurations of one space as programs, and reads them back."""

    def __init__(self, space: Space, title: str) -> None:
        self.space, self.title = space, title
        self._place = [{value: at for at, value in enumerate(p.values)} for p in space.parameters]
        self._seen: dict[str, Config] = {}  # what was read once: the tuner asks for all of it at every proposal

    def write(self, config: Config) -> str:
        """Return the program of a configuration."""
        lines = [f"{name} = {value!r}" for name, value in self.space.values(config).items()]
        return "\n".join([f'"""{self.title}: one configuration of its table."""', *lines, ""])

    def read(self, source: str) -> Config:
        """Return the configuration of a program; ValueError says why it is none."""
        if source not in self._seen:
            self._seen[source] = self._parsed(source)
        return self._seen[source]

    def _parsed(self, source: str) -> Config:
        found = {}
        for node in parse(source).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = ast.literal_eval(node.value)
        names = [p.name for p in self.space.parameters]
        if list(found) != names:
            raise ValueError(f"expected values of {', '.join(names)}; got {', '.join(found) or 'none'}")
        places = [place.get(found[name]) for name, place in zip(names, self._place, strict=True)]
        if None in places:
            raise ValueError(f"a value of {found} is not in the table")
        return tuple(at for at in places if at is not None)

    def proposal(self, config: Config, intent: str, parent: Candidate) -> Proposal:
        """Return a proposal; all configurations of a table are one structure."""
        return Proposal(self.write(config), intent, parent.structure)


def fresh(programs: Programs, config: Config, context: Context) -> bool:
    """Tell whether a configuration is legal and new."""
    return programs.space.legal(config) and not context.known(fingerprint(programs.write(config)))


@dataclass(frozen=True, slots=True)
class TableStep:
    """Moves one or two parameters of a configuration, mostly to a neighbouring value."""

    programs: Programs

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "knob-step"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Change a configuration until it is legal and new."""
        before = self.programs.read(parents[0].source)
        for _ in range(DRAWS):
            after = self._moved(before, context.rng)
            if after != before and fresh(self.programs, after, context):
                return self.programs.proposal(after, "step", parents[0])
        raise ProposalError(f"{DRAWS} draws around {before} gave nothing legal and new")

    def _moved(self, config: Config, rng: np.random.Generator) -> Config:
        after = list(config)
        count = min(len(after), 2 if rng.random() < BOTH else 1)
        for place in sorted(rng.choice(len(after), count, replace=False)):
            last = len(self.programs.space.parameters[place].values) - 1
            if rng.random() < JUMP:
                after[place] = int(rng.integers(last + 1))
            else:
                after[place] = min(max(after[place] + int(rng.choice((-1, 1))), 0), last)
        return tuple(after)


@dataclass(frozen=True, slots=True)
class TableCross:
    """Takes each parameter from either of two configurations."""

    programs: Programs

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "knob-cross"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 2

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Mix two configurations until the mix is legal and new."""
        one, other = (self.programs.read(p.source) for p in parents)
        for _ in range(DRAWS):
            take = context.rng.random(len(one)) < 0.5
            mix = tuple(b if t else a for a, b, t in zip(one, other, take, strict=True))
            if mix not in (one, other) and fresh(self.programs, mix, context):
                return self.programs.proposal(mix, "cross", parents[0])
        raise ProposalError("the mixes drawn of two configurations are all known or illegal")


@dataclass(frozen=True, slots=True)
class TableTune:
    """Asks the tuner, with everything that was judged."""

    programs: Programs

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "knob-tune"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Propose the most promising configuration that was not judged."""
        pending = [self.programs.read(source) for source in context.pending]
        observed = self._observations(context.relatives)
        for config in propose(self.programs.space, observed, pending, context.rng, 1):
            if fresh(self.programs, config, context):
                return self.programs.proposal(config, "tuned", parents[0])
        raise ProposalError("every configuration of the table was proposed")

    def _observations(self, observed: Iterable[Observed]) -> list[Observation]:
        return [Observation(self.programs.read(o.source), o.time_us) for o in observed]
