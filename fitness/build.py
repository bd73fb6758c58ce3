"""From a program's text to launch plans and machine code, in jails: needs no GPU, and may run on another machine."""

import contextlib
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fitness import plan as plans
from fitness import wire
from fitness.child import Limits
from fitness.evaluation import Failure, Resources, Stage
from fitness.gpu import machine_code
from fitness.gpu.machine_code import MachineCode
from fitness.jail import ISOLATION, Jail, Outcome
from fitness.plan import LaunchPlan
from fitness.targets import Target
from suites import Case
from suites.task import pack_arguments, pack_case, unpack_case

REMEMBERED = 4096  # compiled kernels kept, each some kilobytes
FORMAT = 1
MAX_PLAN_BYTES = 24 << 30  # what the buffers of one case may need


class Refusal(Exception):
    """Carries a failure out of a gate."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Recorded:
    """One case's plan at the timed size, and the plan the interpreter checks."""

    case: Case
    full: LaunchPlan
    check: LaunchPlan


@dataclass(frozen=True, slots=True)
class Built:
    """What the jails made of a program: its plan for every case, and its kernels by digest."""

    recorded: tuple[Recorded, ...]
    figures: dict[str, Resources]
    code: dict[str, MachineCode]
    program: str  # identity of what would run, whatever the source looked like
    notes: tuple[str, ...]


def pack(built: Built) -> bytes:
    """Make bytes of what was built: it may travel to the machine that measures."""
    return wire.encode(
        [
            FORMAT,
            [[pack_case(r.case), plans.pack(r.full), None if r.check is r.full else plans.pack(r.check)]
             for r in built.recorded],
            [[digest, [getattr(figures, n) for n in Resources.__slots__]] for digest, figures in built.figures.items()],
            [[digest, code.plain()] for digest, code in built.code.items()],
            built.program,
            list(built.notes),
        ]
    )  # fmt: skip


def unpack(packed: bytes) -> Built:
    """Rebuild what was built from `pack`."""
    (body,) = wire.Frames(wire.MAX_FRAME).feed(packed)
    version, recorded, figures, code, program, notes = wire.decode(body)
    if version != FORMAT:
        raise ValueError(f"build format {version} is not {FORMAT}")
    return Built(
        recorded=tuple(_unpack_recorded(*r) for r in recorded),
        figures={digest: Resources(*plain) for digest, plain in figures},
        code={digest: machine_code.unpack(plain) for digest, plain in code},
        program=program,
        notes=tuple(notes),
    )


def _unpack_recorded(case: Any, full: Any, check: Any) -> Recorded:
    plan = plans.unpack(full)
    return Recorded(unpack_case(case), plan, plan if check is None else plans.unpack(check))


class Builder:
    """Records and compiles one program after another for one launcher and one target."""

    def __init__(self, entry: str, target: Target, limits: Limits, code: bool, jail: Jail | None = None) -> None:
        self._entry, self._target, self._limits, self._code = entry, target, limits, code
        self._jail = jail or Jail("compiled")
        self._jail.start()
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._kernels: OrderedDict[str, tuple[Resources, MachineCode | None]] = OrderedDict()

    @property
    def isolation(self) -> str:
        """What confines a candidate here."""
        return ISOLATION

    @property
    def pid(self) -> int | None:
        """The fork server, for those who watch or kill it."""
        return self._jail.pid

    def close(self) -> None:
        """End the fork server."""
        self._jail.close()

    def build(self, source: str, cases: tuple[Case, ...]) -> Built:
        """Record and compile a program; Refusal says why it cannot be."""
        check_text(source)
        self.seconds = {}
        with timed(self.seconds, Stage.RECORD), _malformed(Stage.RECORD):
            recorded, notes = self._record(source, cases)
        with timed(self.seconds, Stage.COMPILE), _malformed(Stage.COMPILE):
            kernels = self._compile(recorded)
        figures = {d: f for d, (f, _) in kernels.items()}
        code = {d: c for d, (_, c) in kernels.items() if c is not None}
        return Built(recorded, figures, code, identity(recorded, figures), notes)

    def _record(self, source: str, cases: tuple[Case, ...]) -> tuple[tuple[Recorded, ...], tuple[str, ...]]:
        """Run the launcher in the jail and take its plans."""
        target = self._target
        payload = {
            "source": source,
            "entry": self._entry,
            "target": [target.backend, target.arch, target.wave],
            "sheet": {k: v for k, v in asdict(target).items() if k != "matrix_tflops"},
            "cases": [
                [c.name, pack_arguments(c.inputs), None if c.small is None or self._code else pack_arguments(c.small)]
                for c in cases
            ],
        }
        outcome = self._jail.run("record", payload, self._limits)
        recorded, notes = [], []
        for case, (_, full, check, said) in zip(cases, value(outcome, Stage.RECORD), strict=True):
            one = Recorded(case, plans.unpack(full), plans.unpack(check))
            size = max(one.full.bytes, one.check.bytes)
            if size > MAX_PLAN_BYTES:
                message = f"the launcher allocates {size / 2**30:.1f} GiB; at most {MAX_PLAN_BYTES >> 30} are allowed"
                raise Refusal(Failure(Stage.RECORD, "memory", message, case=case.name))
            recorded.append(one)
            notes += said
        return tuple(recorded), tuple(dict.fromkeys(notes))

    def _compile(self, recorded: tuple[Recorded, ...]) -> dict[str, tuple[Resources, MachineCode | None]]:
        """Compile what is new, in a child that never saw the candidate."""
        wanted = {v.kernel.digest: v.kernel for r in recorded for launch in r.full.launches for v in launch.variants}
        missing = {d: k for d, k in wanted.items() if d not in self._kernels}
        found = {d: self._kernels[d] for d in wanted if d in self._kernels}
        if missing:
            target = self._target
            kernels = [[d, k.symbol, k.ttir, k.options] for d, k in missing.items()]
            payload = {"target": [target.backend, target.arch, target.wave], "kernels": kernels, "code": self._code}
            outcome = self._jail.run("compile", payload, self._limits)
            for digest, figures, code in value(outcome, Stage.COMPILE):
                found[digest] = (Resources(*figures), None if code is None else machine_code.unpack(code))
                self._kernels[digest] = found[digest]
            while len(self._kernels) > REMEMBERED:
                self._kernels.popitem(last=False)
        alone = all(len(launch.variants) == 1 for r in recorded for launch in r.full.launches)
        for digest, (figures, _) in found.items():
            if figures.occupancy == 0 and alone:
                raise Refusal(Failure(Stage.COMPILE, "resources", self._too_large(wanted[digest].symbol, figures)))
        return found

    def _too_large(self, symbol: str, figures: Resources) -> str:
        return (
            f"kernel {symbol} cannot run on {self._target.name}: one program needs {figures.shared_bytes} bytes of LDS "
            f"(of {self._target.shared}), {figures.vgprs} registers a lane and {figures.waves_per_program} waves"
        )


@contextlib.contextmanager
def timed(seconds: dict[str, float], gate: str) -> Iterator[None]:
    """Note how long a gate took, also when it refuses."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[str(gate)] = time.monotonic() - started


@contextlib.contextmanager
def _malformed(stage: Stage) -> Iterator[None]:
    """Charge an answer of the wrong form to the candidate: only one that forges its channel can bring that about."""
    try:
        yield
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise Refusal(Failure(stage, "malformed", f"the child's answer is malformed: {error}")) from error


def check_text(source: str) -> None:
    """Refuse what no file and no wire can hold."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise Refusal(Failure(Stage.STATIC, "syntax", f"the program is not valid Unicode text: {error}")) from error


def value(outcome: Outcome, default: Stage) -> Any:
    """Return a job's value, or raise its failure at the stage the child had reached."""
    if outcome.kind is None:
        return outcome.value
    name, _, case = (outcome.stage or default.value).partition(":")
    stage = Stage(name) if name in set(Stage) else default
    trace = _clean(outcome.trace or outcome.log)
    raise Refusal(Failure(stage, outcome.kind, _clean(outcome.message), trace, case or None))


def _clean(text: str) -> str:
    """Take out what differs from run to run: scratch folders and addresses."""
    return re.sub(r"0x[0-9a-f]{6,}", "0x...", re.sub(r"/\S*?/evo-\w+/\w+/home/", "", text))


def identity(recorded: tuple[Recorded, ...], figures: dict[str, Resources]) -> str:
    """Identify what would run: launches, arguments and machine code."""
    codes = [[figures[v.kernel.digest].code for launch in r.full.launches for v in launch.variants] for r in recorded]
    text = repr([[r.case.name, r.full.shape_digest, r.check.shape_digest] for r in recorded]) + repr(codes)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
