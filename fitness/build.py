"""From a program's text to launch plans and machine code, in jails: needs no GPU, and may run on another machine."""

import contextlib
import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgpack

from fitness import codescan, wire, words
from fitness import plan as plans
from fitness.child import Limits
from fitness.evaluation import Failure, Resources, Stage
from fitness.gpu import machine_code
from fitness.gpu.machine_code import MachineCode
from fitness.jail import Jail, Outcome
from fitness.kernels import Kernels, Made
from fitness.plan import LaunchPlan
from fitness.targets import Target
from suites import Case, Input, Task
from suites.task import pack_arguments, pack_case, unpack_case

logger = logging.getLogger(__name__)

FORMAT = 2  # of what travels
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
    """What the jails made of a program: its plans, and its kernels by digest. `code` is empty where none runs."""

    recorded: tuple[Recorded, ...]
    edges: tuple[Recorded, ...]
    figures: dict[str, Resources]
    code: dict[str, MachineCode]
    program: str  # identity of what would run, whatever the source looked like
    source: str  # digest of the text
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purpose:
    """What plans are made for: a device (`code`), or the interpreter and a prediction."""

    code: bool
    imports: bool = True  # whether imports are held to the list of fitness/jobs/policy.py


def pack(built: Built) -> bytes:
    """Make bytes of what was built: it may travel to the machine that measures."""
    body = [
        FORMAT,
        [_pack_recorded(r) for r in built.recorded],
        [_pack_recorded(r) for r in built.edges],
        [[digest, [getattr(figures, n) for n in Resources.__slots__]] for digest, figures in built.figures.items()],
        [[digest, code.plain()] for digest, code in built.code.items()],
        built.program,
        built.source,
        built.notes,
    ]
    packed: bytes = msgpack.packb(body)
    return packed


def unpack(packed: bytes) -> Built:
    """Rebuild what was built from `pack`."""
    version, recorded, edges, figures, code, program, source, notes = wire.decode(packed)
    if version != FORMAT:
        raise ValueError(f"build format {version} is not {FORMAT}")
    return Built(
        recorded=tuple(_unpack_recorded(*r) for r in recorded),
        edges=tuple(_unpack_recorded(*r) for r in edges),
        figures={digest: Resources(*plain) for digest, plain in figures},
        code={digest: machine_code.unpack(plain) for digest, plain in code},
        program=program,
        source=source,
        notes=tuple(notes),
    )


def _pack_recorded(r: Recorded) -> list[Any]:
    return [pack_case(r.case), plans.pack(r.full), None if r.check == r.full else plans.pack(r.check)]


def _unpack_recorded(case: Any, full: Any, check: Any) -> Recorded:
    plan = plans.unpack(full)
    return Recorded(unpack_case(case), plan, plan if check is None else plans.unpack(check))


class Builder:
    """Records and compiles one program after another for one task and one target."""

    def __init__(self, task: Task, target: Target, limits: Limits, purpose: Purpose, jail: Jail | None = None,
                 kernels: Kernels | None = None) -> None:  # fmt: skip
        self._task, self._target, self._limits, self._purpose = task, target, limits, purpose
        self.jail = jail or Jail("compiled")
        self.jail.start()
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._kernels = kernels or Kernels()

    @property
    def pid(self) -> int | None:
        """The fork server, for those who watch or kill it."""
        return self.jail.pid

    def close(self) -> None:
        """End the fork server."""
        self.jail.close()

    def build(self, source: str, cases: tuple[Case, ...], edges: tuple[Case, ...]) -> Built:
        """Record and compile a program; Refusal says why it cannot be."""
        _check_text(source)
        self.seconds = {}
        with timed(self.seconds, Stage.RECORD), understood(Stage.RECORD):
            recorded, small, notes = self._record(source, cases, edges)
        with timed(self.seconds, Stage.COMPILE), understood(Stage.COMPILE):
            kernels = self._compile((*recorded, *small))
        figures = {d: f for d, (f, _, _) in kernels.items()}
        code = {d: c for d, (_, c, _) in kernels.items() if c is not None}
        notes = words.notes((*notes, *(note for _, _, note in kernels.values() if note)))
        return Built(recorded, small, figures, code, _identity(recorded, small, figures), digest(source), notes)

    def _record(self, source: str, cases: tuple[Case, ...], edges: tuple[Case, ...]
                ) -> tuple[tuple[Recorded, ...], tuple[Recorded, ...], tuple[str, ...]]:  # fmt: skip
        """Run the launcher in the jail and take its plans of cases and edges."""
        target, code = self._target, self._purpose.code
        payload = {
            "source": source,
            "entry": self._task.entry,
            "imports": self._purpose.imports,
            "in_place": self._task.in_place,
            "target": [target.backend, target.arch, target.wave],
            "sheet": {k: v for k, v in asdict(target).items() if k != "matrix_tflops"},
            "cases": [_case(c, code) for c in cases] + [_edge(e, code) for e in edges],
        }
        answers = value(self.jail.run("record", payload, self._limits), Stage.RECORD, self._task)
        every, notes = [], []
        for case, (_, full, check, said) in zip((*cases, *edges), answers, strict=True):
            small = _fitting(plans.unpack(check), case, small=not code)
            timed = small if full is None else _fitting(plans.unpack(full), case, small=False)
            every.append(Recorded(case, timed, small))
            notes += said[: words.NOTES]
        return tuple(every[: len(cases)]), tuple(every[len(cases) :]), words.notes(notes)

    def _compile(self, recorded: tuple[Recorded, ...]) -> dict[str, Made]:
        """Read the code, then compile what is new, in a child that never saw the candidate; with the child's notes."""
        launches = [launch for r in recorded for launch in r.full.launches]
        wanted = {v.kernel.digest: v.kernel for x in launches for v in x.variants if v.kernel.ttir is not None}
        objection = codescan.objection(wanted.values(), self._task.tf32)
        if objection:
            raise Refusal(Failure(Stage.COMPILE, "code", words.message(objection)))
        alone = dict.fromkeys(x.chosen.kernel.digest for x in launches if len(x.variants) == 1)
        found = self._kernels.of(wanted)
        missing = {d: k for d, k in wanted.items() if d not in found}
        if missing and not self._hopeless(alone, found):
            target = self._target
            payload = {
                "target": [target.backend, target.arch, target.wave],
                "kernels": [[d, k.symbol, k.ttir, k.options, d in alone] for d, k in missing.items()],
                "code": self._purpose.code,
                "tf32": self._task.tf32,
            }
            outcome = self.jail.run("compile", payload, self._limits)
            made = {
                key: (Resources(*figures), None if code is None else machine_code.unpack(code), str(note))
                for key, figures, code, note in value(outcome, Stage.COMPILE, self._task)
            }
            self._kernels.add(made)
            found |= made
        for key in self._hopeless(alone, found):
            raise Refusal(Failure(Stage.COMPILE, "resources", self._too_large(wanted[key].symbol, found[key][0])))
        if set(found) != set(wanted):
            raise ValueError("the compiler answered for other kernels")
        return found

    @staticmethod
    def _hopeless(alone: Iterable[str], found: Mapping[str, Made]) -> list[str]:
        """List the kernels that must run and cannot, as no other configuration stands in for them."""
        return [d for d in alone if d in found and found[d][0].occupancy == 0]

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
def understood(stage: Stage) -> Iterator[None]:
    """Refuse an answer that has the wrong form: only a candidate that forges its channel can bring that about."""
    try:
        yield
    except (wire.WireError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        logger.debug("malformed answer", exc_info=True)
        message = words.message(f"the child's answer is malformed: {error}")
        raise Refusal(Failure(stage, "malformed", message)) from error


def _case(case: Case, code: bool) -> list[object]:
    """Say what is recorded of a case: the timed size, and the interpreter's where it is used."""
    small = None if code or case.small is None else pack_arguments(case.small)
    return [case.name, pack_arguments(case.inputs), small]


def _edge(edge: Case, code: bool) -> list[object]:
    """Say what is recorded of an edge: one size, with machine code or without."""
    if code:
        return [edge.name, pack_arguments(edge.inputs), None]
    return [edge.name, None, pack_arguments(edge.arguments(small=True))]


def _fitting(plan: LaunchPlan, case: Case, small: bool) -> LaunchPlan:
    """Refuse a plan that needs more memory than any may; a forged one may have other inputs than the case."""
    if plan.bytes > MAX_PLAN_BYTES:
        message = f"the launcher allocates {plan.bytes / 2**30:.1f} GiB; at most {MAX_PLAN_BYTES >> 30} GiB are allowed"
        raise Refusal(Failure(Stage.RECORD, "memory", message, case=case.name))
    given = [(n, a.storage) for n, a in case.arguments(small).items() if isinstance(a, Input)]
    if [(b.input, b.bytes) for b in plan.buffers[: len(given)]] != given or any(
        b.input is not None for b in plan.buffers[len(given) :]
    ):
        raise ValueError("a plan's inputs are not the case's")
    return plan


def _check_text(source: str) -> None:
    """Refuse what no file and no wire can hold."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise Refusal(Failure(Stage.STATIC, "syntax", f"the program is not valid Unicode text: {error}")) from error


def value(outcome: Outcome, gate: Stage, task: Task) -> Any:
    """Return a job's value, or raise its failure at the stage the child had reached."""
    if outcome.kind is None:
        return outcome.value
    raise Refusal(words.failure(outcome, gate, task))


def digest(source: str) -> str:
    """Identify a text."""
    return hashlib.sha256(source.encode(errors="replace")).hexdigest()[:16]


def _identity(recorded: tuple[Recorded, ...], edges: tuple[Recorded, ...], figures: dict[str, Resources]) -> str:
    """Identify what would run: launches, arguments and machine code."""
    every = (*recorded, *edges)
    codes = [
        [figures[v.kernel.digest].code for x in r.full.launches for v in x.variants if v.kernel.digest in figures]
        for r in every
    ]
    shapes = [[r.case.name, r.full.shape_digest, r.check.shape_digest] for r in every]
    return hashlib.sha256((repr(shapes) + repr(codes)).encode()).hexdigest()[:16]
