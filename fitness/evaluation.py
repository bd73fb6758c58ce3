"""What judging says about a program: passed with times, or failed at one stage for one reason."""

import math
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any

FORMAT = 2


class Stage(StrEnum):
    """The gates in order of rising cost; a failure belongs to the one it happened at."""

    STATIC = "static"
    IMPORT = "import"
    RECORD = "record"
    COMPILE = "compile"
    CORRECTNESS = "correctness"
    PREDICT = "predict"
    TIMING = "timing"
    MACHINE = "machine"  # the candidate cost a worker its life, twice


class Basis(StrEnum):
    """Where times come from. No two of them are compared or printed in one column."""

    PREDICTED = "predicted"
    MEASURED = "measured"
    RECORDED = "recorded"  # looked up in a table that somebody measured elsewhere: only for replays of landscapes


class Mode(StrEnum):
    """Where a candidate's launcher runs: recorded and replayed by the judge, or itself in the timed process."""

    SEALED = "sealed"
    OPEN = "untrusted-host"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a candidate was refused: ready to be read by a person or a repair operator."""

    stage: Stage
    kind: str  # syntax, refused, exception, timeout, memory, output, crash, exit, compiler, wrong, schema, ...
    message: str
    trace: str = ""
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What the compiler made of one kernel; None where the target has no such figure."""

    symbol: str
    vgprs: int  # per lane; accumulation registers included on AMD
    sgprs: int | None
    agprs: int | None
    spills: int  # registers a lane spilled to memory; on cuda the words of its stack, where arrays may be too
    shared_bytes: int  # LDS or shared memory of one program
    waves_per_program: int
    occupancy: int  # waves a scheduler can hold, limited by registers, LDS and slots
    matrix_ops: int  # MFMA, or wgmma and mma.sync, instructions in the code
    load_bytes: float  # mean bytes a lane moves per global memory instruction
    code: str  # digest of the machine code


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One public case: its time in microseconds and how far the output was from the truth."""

    case: str
    time_us: float
    error: float | None  # largest of the rule's ratios; 1.0 is the limit. None: a test said right, and no more
    floor_us: float | None  # roofline of this case on this target; None where nobody knows its least work
    bound: str  # what the time is made of: memory, cache, matrix, vector, issue, launch; empty where there is no floor
    choice: tuple[tuple[str, str], ...] = ()  # autotune configuration per kernel
    low_us: float | None = None  # a measured time's 95% interval
    high_us: float | None = None
    samples: int = 0  # of a measured time
    host_us: float | None = None  # one call's own time on the host, as a program in open mode claims it

    @property
    def share(self) -> float | None:
        """The share of the roofline that it reaches; None where there is none."""
        return None if self.floor_us is None else self.floor_us / self.time_us


@dataclass(frozen=True, slots=True)
class Comparison:
    """A program's time over a rival's, measured in the same rounds: 0.5 is twice as fast. 95% interval."""

    rival: str  # baseline or incumbent
    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict on one program for one task and target. `failure` is None when every gate was passed."""

    target: str
    basis: Basis
    isolation: str
    failure: Failure | None
    cases: tuple[CaseResult, ...] = ()
    kernels: tuple[Resources, ...] = ()
    program: str | None = None  # digest of plan and machine code: equal programs are measured once
    notes: tuple[str, ...] = ()
    mode: Mode = Mode.SEALED
    device: str | None = None  # that measured it
    confirmed: bool = False  # timed in fresh processes; only such times are published
    against: tuple[Comparison, ...] = ()
    elsewhere: tuple[tuple[str, float], ...] = ()  # predicted score on other targets, by name

    def __post_init__(self) -> None:
        if self.failure is None and not self.cases:
            raise ValueError("an evaluation that passed needs a result for every case")
        for c in self.cases:
            if not 0 < c.time_us < math.inf:
                raise ValueError("times must be finite and positive")

    @property
    def passed(self) -> bool:
        """Whether every gate was passed."""
        return self.failure is None

    @property
    def roofline(self) -> float | None:
        """The share of the roofline that it reaches: the geometric mean over the cases; None where one has none."""
        shares = [c.share for c in self.cases]
        known = [share for share in shares if share]
        return math.exp(sum(map(math.log, known)) / len(known)) if len(known) == len(shares) else None

    @property
    def score_us(self) -> float:
        """Geometric mean of the case times, in microseconds; only a passed evaluation has one."""
        if self.failure is not None:
            raise ValueError("a failed evaluation has no score")
        return math.exp(sum(math.log(c.time_us) for c in self.cases) / len(self.cases))

    @property
    def interval_us(self) -> tuple[float, float] | None:
        """95% interval of a measured score: the cases' half-widths, as logarithms, add in squares."""
        if self.failure is not None or any(c.low_us is None or c.high_us is None for c in self.cases):
            return None
        below = math.sqrt(sum(math.log(c.time_us / (c.low_us or c.time_us)) ** 2 for c in self.cases))
        above = math.sqrt(sum(math.log((c.high_us or c.time_us) / c.time_us) ** 2 for c in self.cases))
        n = len(self.cases)
        return self.score_us * math.exp(-below / n), self.score_us * math.exp(above / n)

    def ratio_to(self, rival: str) -> Comparison | None:
        """Return the comparison with a rival, if there was one."""
        return next((c for c in self.against if c.rival == rival), None)


_CASE, _KERNEL, _RIVAL = (attrgetter(*kind.__slots__) for kind in (CaseResult, Resources, Comparison))


def pack(e: Evaluation) -> list[Any]:
    """Turn an evaluation into plain lists for the wire and the journal."""
    f = e.failure
    failure = None if f is None else [f.stage.value, f.kind, f.message, f.trace, f.case]
    cases, kernels, against = [*map(_CASE, e.cases)], [*map(_KERNEL, e.kernels)], [*map(_RIVAL, e.against)]
    return [FORMAT, e.target, e.basis.value, e.isolation, failure, cases, kernels, e.program, list(e.notes),
            e.mode.value, e.device, e.confirmed, against, [*map(list, e.elsewhere)]]  # fmt: skip


def unpack(plain: Any) -> Evaluation:
    """Rebuild an evaluation from `pack`; format 1 had no measured times."""
    if plain[0] not in (1, FORMAT):
        raise ValueError(f"evaluation format {plain[0]} is not one of 1 to {FORMAT}")
    target, basis, isolation, f, cases, kernels, program, notes, *measured = plain[1:]
    mode, device, confirmed, against, *newer = measured or (Mode.SEALED, None, False, ())
    return Evaluation(
        target=target,
        basis=Basis(basis),
        isolation=isolation,
        failure=None if f is None else Failure(Stage(f[0]), f[1], f[2], f[3], f[4]),
        cases=tuple([_case(*c) for c in cases]),
        kernels=tuple([Resources(*r) for r in kernels]),
        program=program,
        notes=tuple(notes),
        mode=Mode(mode),
        device=device,
        confirmed=confirmed,
        against=tuple(Comparison(*a) for a in against),
        elsewhere=tuple((name, time_us) for name, time_us in (newer[0] if newer else ())),
    )


def _case(case: str, time_us: float, error: float | None, floor_us: float | None, bound: str, choice: Any, *rest: Any
          ) -> CaseResult:  # fmt: skip
    return CaseResult(case, time_us, error, floor_us, bound, tuple((k, v) for k, v in choice) if choice else (), *rest)
