"""A made-up landscape of structures and knobs whose optimum is known, to compare policies without judging kernels.

A program is a choice of rewrites, one of OPTIONS in each of SLOTS places (its structure), and KNOBS numbers of VALUES
values each. Its time is

    exp( sum of the rewrites' own gains + gains of pairs of rewrites + what its knobs lose ) microseconds

and everything in it is drawn from the landscape's seed:

- Every rewrite moves the best place of some knobs. What the knobs lose grows with their distance from the best place of
  their structure, alone and in pairs. So a good rewrite usually looks bad until its knobs are set anew.
- Deception: one option of every slot moves no knob, so it gains at once, and its own gain is the smallest; the one with
  the largest gain moves every knob.
- Failures: programs whose knobs sum to more than the structure allows fail, and FAILING of all others, by a hash.
- Noise: a verdict is the time times a log-normal factor. Quality is judged by the time without it.
- Three cases weigh the knobs differently; the score is their geometric mean.
- Error: what a rewrite gains in time it may cost in error, each option by its own factor; knobs do not matter to it.

The knobs' best places are legal, so the optimum is the smallest floor of all structures: exact, not searched for.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from archives.candidate import Candidate, digest, fingerprint
from archives.events import Event, Judged, Proposed, Refused
from evo_kernel.rules import Rules
from evo_kernel.search import Request, Search
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from operators.proposal import Context, Observed, Operator, Proposal, ProposalError
from operators.tune.operator import TRIES
from operators.tune.space import Parameter, Space
from operators.tune.tuner import Observation, propose

SLOTS, OPTIONS = 4, 4  # option 0 leaves the code as it is
KNOBS, VALUES = 6, 8
FAILING = 0.05
CASES = 3
POPULATION = 8
OPERATORS = ("knob-step", "knob-cross", "rewrite")

Config = tuple[int, ...]
SPACE = Space.product([Parameter(f"knob {n}", tuple(range(VALUES)), "ordinal") for n in range(KNOBS)])


@dataclass(frozen=True, slots=True)
class Program:
    """A structure with its knobs; as text it is a small Python file."""

    rewrites: Config
    knobs: Config

    @property
    def text(self) -> str:
        """Write it down."""
        return f"REWRITES = {self.rewrites}\nKNOBS = {self.knobs}\n"


def read(text: str) -> Program:
    """Read a program from its text."""
    rewrites, knobs = (line.split(" = (")[1].rstrip(")").split(",") for line in text.splitlines())
    return Program(tuple(map(int, rewrites)), tuple(map(int, knobs)))


class Landscape:
    """Judges programs by the formula above."""

    def __init__(self, seed: int, noise: float = 0.02) -> None:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7,)))
        self._seed, self._noise = seed, noise
        self._gains = np.sort(rng.uniform(0.05, 0.4, (SLOTS, OPTIONS)), axis=1)
        self._gains[:, 0] = 0.0  # as it is
        self._pairs = rng.normal(0, 0.05, (SLOTS, SLOTS, OPTIONS, OPTIONS))
        self._moves = rng.integers(-3, 4, (SLOTS, OPTIONS, KNOBS))
        self._moves[:, :2] = 0  # option 1, the smallest gain, moves no knob
        self._home = rng.integers(0, VALUES, KNOBS)
        self._weights = rng.uniform(0.02, 0.08, (CASES, KNOBS))
        self._couplings = rng.uniform(0, 0.03, (KNOBS, KNOBS))
        self._slack = int(rng.integers(4, 10))
        self._rounding = np.random.default_rng((seed, 8)).uniform(0, 0.55, (SLOTS, OPTIONS))
        self.optimum_us = min(self.floor_us(rewrites) for rewrites in itertools.product(range(OPTIONS), repeat=SLOTS))

    def best_place(self, rewrites: Config) -> Config:
        """Return the knobs with which a structure loses nothing."""
        moved = self._home + sum(self._moves[slot, option] for slot, option in enumerate(rewrites))
        return tuple(int(k) for k in np.clip(moved, 0, VALUES - 1))

    def time_us(self, program: Program) -> float:
        """Return the time without noise."""
        return math.exp(float(np.mean(np.log(self._cases(program)))))

    def floor_us(self, rewrites: Config) -> float:
        """Return the time of a structure whose knobs are at their best place."""
        return math.exp(self._floor(rewrites))

    def error(self, rewrites: Config) -> float:
        """Return the largest error of a structure; 1 is the limit, and no structure reaches it."""
        return 0.05 + sum(float(self._rounding[s, o] * self._gains[s, o]) for s, o in enumerate(rewrites))

    def start(self) -> Program:
        """Return the seed: no rewrite, knobs that are legal and far from their best place."""
        place = self.best_place((0,) * SLOTS)
        return Program((0,) * SLOTS, tuple(0 if k > 3 else min(k + 3, VALUES - 1) for k in place))

    def judge(self, program: Program) -> Evaluation:
        """Return a verdict; the noise belongs to the program, so that replay finds it again."""
        own = digest(f"{self._seed} {program}")
        place = self.best_place(program.rewrites)
        unlucky = int(own, 16) % 1000 < 1000 * FAILING and program.knobs != place and program != self.start()
        if unlucky or sum(program.knobs) > max(sum(place), sum(self.start().knobs)) + self._slack:
            return Evaluation("mi300", Basis.PREDICTED, "none", Failure(Stage.COMPILE, "shared", "does not fit"))
        factor = np.exp(np.random.default_rng(int(own, 16)).normal(0, self._noise, CASES))
        times = self._cases(program) * factor
        error = self.error(program.rewrites)
        cases = tuple(CaseResult(f"case {i}", float(t), error, 1e-3, "memory") for i, t in enumerate(times))
        return Evaluation("mi300", Basis.PREDICTED, "none", None, cases, (_resources(program),), own)

    def _floor(self, rewrites: Config) -> float:
        own = -sum(self._gains[slot, option] for slot, option in enumerate(rewrites))
        pairs = itertools.combinations(enumerate(rewrites), 2)
        return 4.0 + own + sum(float(self._pairs[i, j, a, b]) for (i, a), (j, b) in pairs if a and b)

    def _cases(self, program: Program) -> "np.ndarray":
        away = np.abs(np.subtract(program.knobs, self.best_place(program.rewrites)))
        coupled = float(away @ self._couplings @ away) / KNOBS
        return np.exp(self._floor(program.rewrites) + self._weights @ away + coupled)


def _resources(program: Program) -> Resources:
    """Make up what a compiler would say, so that cells differ."""
    matrix, width = int(program.rewrites[0] > 1), (4.0, 8.0, 16.0)[program.knobs[0] % 3]
    occupancy, shared = 1 + program.knobs[1], 1024 * (program.rewrites[1] > 1)
    return Resources("k", 2 ** (3 + program.knobs[2]), 30, 0, 0, shared, 4, occupancy, matrix, width, "code")


def _changed(values: Config, place: int, value: int) -> Config:
    return (*values[:place], value, *values[place + 1 :])


def _fresh(program: Program, intent: str, context: Context) -> Proposal | None:
    return None if context.known(fingerprint(program.text)) else Proposal(program.text, intent)


class Step:
    """Moves one or two knobs, mostly to a neighbour: what knob-step does to a kernel."""

    name, arity = "knob-step", 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Draw until the program is new."""
        parent, rng = read(parents[0].source), context.rng
        for _ in range(32):
            knobs = parent.knobs
            for place in rng.choice(KNOBS, 1 + int(rng.random() < 0.5), replace=False):
                here = knobs[place]
                near = [v for v in (here - 1, here + 1) if 0 <= v < VALUES]
                far = [v for v in range(VALUES) if v != here]
                choices = near if rng.random() < 0.75 else far
                knobs = _changed(knobs, int(place), choices[int(rng.integers(len(choices)))])
            if made := _fresh(Program(parent.rewrites, knobs), "step", context):
                return made
        raise ProposalError("32 steps gave nothing new")


class Cross:
    """Takes each knob from either of two programs of one structure: what knob-cross does."""

    name, arity = "knob-cross", 2

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Draw until the program is new."""
        one, other = (read(p.source) for p in parents)
        for _ in range(32):
            take = context.rng.random(KNOBS) < 0.5
            knobs = tuple(b if t else a for a, b, t in zip(one.knobs, other.knobs, take, strict=True))
            if made := _fresh(Program(one.rewrites, knobs), "cross", context):
                return made
        raise ProposalError("32 mixes gave nothing new")


class Rewrite:
    """Changes one rewrite and keeps the knobs: what a model does to a kernel."""

    name, arity = "rewrite", 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Draw until the program is new."""
        parent, rng = read(parents[0].source), context.rng
        for _ in range(32):
            slot, option = int(rng.integers(SLOTS)), int(rng.integers(OPTIONS))
            if made := _fresh(Program(_changed(parent.rewrites, slot, option), parent.knobs), "rewrite", context):
                return made
        raise ProposalError("32 rewrites gave nothing new")


class Tune:
    """The tuner that kernels get, over this landscape's knobs: other structures' programs are its prior."""

    name, arity = "knob-tune", 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Do as `operators/tune/operator.py` does to a kernel."""
        parent = read(parents[0].source)
        own = [_observation(o) for o in context.relatives if o.structure == parents[0].structure]
        prior = [_observation(o) for o in context.relatives if o.structure != parents[0].structure]
        pending = [read(source).knobs for source in context.pending]
        for count in (1, TRIES):
            for knobs in propose(SPACE, own, pending, context.rng, count, prior):
                if made := _fresh(Program(parent.rewrites, knobs), "tuned", context):
                    return made
        raise ProposalError("the tuner finds nothing new")


def _observation(observed: Observed) -> Observation:
    return Observation(read(observed.source).knobs, observed.time_us)


def operators(names: Sequence[str]) -> dict[str, Operator]:
    """Return operators of this landscape by name."""
    known: tuple[Operator, ...] = (Step(), Cross(), Rewrite(), Tune())
    return {o.name: o for o in known if o.name in names}


def candidate(program: Program, operator: str, intent: str, parents: tuple[str, ...]) -> Candidate:
    """Make a candidate of a program."""
    text = program.text
    return Candidate(text, operator, intent, parents, fingerprint(text), digest(str(program.rewrites)))


def answer(search: Search, request: Request, known: dict[str, Operator]) -> Event:
    """Ask an operator; return what it gave, or that it gave nothing."""
    parents = tuple(p.id for p in request.parents)
    context = Context(request.rng, search.known, "mi300", "hip", request.relatives, request.pending)
    try:
        made = known[request.operator].propose(request.parents, context)
    except ProposalError as error:
        return Refused(request.number, request.operator, parents, str(error))
    return Proposed(request.number, candidate(read(made.source), request.operator, made.intent, parents))


def begin(policy: str, rules: Rules, budget: int, seed: int) -> Search:
    """Return a search for one landscape, before its first event."""
    return Search(seed, POPULATION, max(1, budget // POPULATION), policy, rules)


def drive(search: Search, landscape: Landscape) -> Iterator[Event]:
    """Drive a search to its end, giving every event after it was told."""
    known = operators(search.rules.operators)
    event: Event = Proposed(0, candidate(landscape.start(), "seed", "start", ()))
    while True:
        search.tell(event)
        yield event
        if isinstance(event, Proposed):
            event = Judged(event.number, landscape.judge(read(event.candidate.source)))
        elif requests := search.ask(1):
            event = answer(search, requests[0], known)
        else:
            return


def quality(search: Search, landscape: Landscape) -> float:
    """Return the optimum within reach over the true time of what a search found: 1 is perfect."""
    assert search.archive.best is not None
    reach = (
        landscape.optimum_us if "rewrite" in search.rules.operators else landscape.floor_us(landscape.start().rewrites)
    )
    return reach / landscape.time_us(read(search.archive[search.archive.best].candidate.source))


def tradeoff(search: Search, landscape: Landscape) -> float:
    """Return the share reached of what is better than the start in log-time and error: 1 is perfect."""
    start = landscape.start()
    corner = (math.log(landscape.time_us(start)), 1.0)
    found = [read(search.archive[i].candidate.source) for i in search.archive.history]
    points = [(math.log(landscape.time_us(p)), landscape.error(p.rewrites)) for p in found]
    every = itertools.product(range(OPTIONS), repeat=SLOTS)
    best = [(math.log(landscape.floor_us(r)), landscape.error(r)) for r in every]
    return _area(points, corner) / _area(best, corner)


def _area(points: list[tuple[float, float]], corner: tuple[float, float]) -> float:
    """Return the area between some points and a corner that is worse than all that counts."""
    total, lowest = 0.0, corner[1]
    for time, error in sorted(points):
        if time < corner[0] and error < lowest:
            total += (corner[0] - time) * (lowest - error)
            lowest = error
    return total
