"""Says what a verdict means to whoever must act on it: a person, or an operator that repairs or improves programs.

A worked trace: `feedback(verdict, 2000)` of a program whose launcher calls `torch.exp` begins with
"FAILED at record (host-operation)", then the message, what to do, and the candidate's own lines; a program that
passed has a line for each rival, case and kernel. The text never exceeds its limit: what is long is cut in its middle.
"""

from collections.abc import Iterator

from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Mode, Resources, Stage
from suites import Task

LIMIT = 4000  # characters: about a thousand tokens
CUT = "\n[...]\n"

_ADVICE = {
    "host-operation": "rewrite the call in the line below as part of a kernel, or compute it in Python from shapes; a "
    "launcher that needs it can be judged with `--mode open` on a GPU, where its own process holds the clock",
    "autotune": "put the configurations on one kernel, all with the same runtime arguments",
    "entry": "define the launcher under exactly that name, at the top level of the file",
    "kernel": "define every @triton.jit kernel at the top level of the file",
    "argument": "pass tensors, tensor descriptors, numbers, booleans, None or tuples to kernels; `--mode open` on a "
    "GPU takes whatever Triton takes",
    "interpreter": "the kernel may be right, which a machine with a GPU can tell; or write it without this operation",
    "schema": "return what the reference returns: count, shapes, dtypes, contiguous in row-major order",
    "alias": "allocate the output and return it; inputs stay as they were",
    "timeout": "look for a loop whose end depends on data, and for tiles that compile for minutes",
    "memory": "allocate less; large tiles and fully unrolled loops also take memory while they compile",
    "resources": "smaller tiles, fewer stages or more warps leave room for one program",
    "compiler": "the line above is the first that the compiler refuses",
    "race": "two programs write one element, or one reads what another writes; let each element have one writer",
    "wrong": "look at masks, at the last tile, and at sums kept in less than float32",
    "illegal-address": "an address lies outside its buffer: check masks and pointer arithmetic",
    "misaligned": "an access is wider than its address allows: check offsets, strides and tl.multiple_of hints",
    "roofline": "part of the work is not done in every call",
    "worker-lost": "the program cost two workers their lives; smaller tiles or fewer stages may help",
}


def feedback(evaluation: Evaluation, limit: int = LIMIT, task: Task | None = None) -> str:
    """Return a verdict as text of at most `limit` characters; with its task, also the bytes each case must move."""
    lines = _failed(evaluation) if evaluation.failure is not None else _passed(evaluation, task)
    return shortened("\n".join(lines), limit)


def advice(failure: Failure) -> str | None:
    """Say what to do about a failure, where one sentence can."""
    return _ADVICE.get(failure.kind)


def shortened(text: str, limit: int) -> str:
    """Cut the middle out of a long text: how it begins and how it ends say most."""
    if len(text) <= limit:
        return text
    kept = max(0, limit - len(CUT))
    head = kept * 2 // 3
    return (text[:head] + CUT + text[len(text) - (kept - head) :])[:limit]


def _failed(e: Evaluation) -> Iterator[str]:
    f = e.failure
    if f is None:
        raise ValueError("an evaluation that passed has no failure to tell")
    where = f", case {f.case}" if f.case and f.case not in f.message else ""
    yield f"FAILED at {f.stage} ({f.kind}){where}{label(e)}: {f.message}"
    said = advice(f)
    if said:
        yield f"what to do: {said}"
    if f.trace:
        yield f.trace.rstrip() if f.stage in (Stage.MACHINE, Stage.COMPILE) else f"its own lines:\n{f.trace.rstrip()}"


def _passed(e: Evaluation, task: Task | None) -> Iterator[str]:
    yield f"passed: {score(e)} (geometric mean of {len(e.cases)} cases)"
    yield from (f"  {against(c)}" for c in e.against)
    width = max(len(c.case) for c in e.cases)
    for c in e.cases:
        least = None if task is None or task.judged_by else task.case(c.case).bytes
        yield f"  {c.case:<{width}}  {case(e, c, least)}"
    yield from (f"  {kernel(k)}" for k in e.kernels)
    yield from (f"  note: {note}" for note in e.notes)


def label(e: Evaluation) -> str:
    """Return what must stand beside every word on a program that was judged in open mode; nothing for a sealed one."""
    return f", {e.mode}" if e.mode is Mode.OPEN else ""


def score(e: Evaluation) -> str:
    """Return the geometric mean in words that say where it is from."""
    if e.mode is Mode.OPEN:
        return f"{e.mode}: {e.score_us:.2f} us on {e.device or e.target}, measured and claimed by its own process"
    if e.basis is Basis.PREDICTED:
        return f"predicted {e.score_us:.2f} us on {e.target}"
    kind = "" if e.confirmed else ", screened only and not confirmed"
    return f"measured {e.score_us:.2f} us{_within(e.interval_us)} on {e.device or e.target}{kind}"


def case(e: Evaluation, c: CaseResult, least: int | None = None) -> str:
    """Return one case's time, its share of the roofline, the bytes it must move, and its error."""
    interval = None if c.low_us is None or c.high_us is None else (c.low_us, c.high_us)
    moved = "" if least is None else f"  {least / 1e6:.1f} MB at {least / c.time_us / 1e3:.0f} GB/s"
    tuned = "".join(f"; {function}: {config}" for function, config in c.choice)
    host = "" if c.host_us is None else f"; a call takes the host {c.host_us:.1f} us{label(e)}"
    floor = f"  {c.share:>4.0%} of the roofline ({c.floor_us:.2f} us){moved}  {c.bound} bound" if c.share else ""
    error = "" if c.error is None else f"  error {c.error:.2f} of the limit"
    return f"{e.basis} {c.time_us:>10.2f} us{_within(interval)}{floor}{error}{tuned}{host}"


def kernel(k: Resources) -> str:
    """Return what the compiler made of a kernel."""
    return (
        f"kernel {k.symbol}: {k.vgprs} registers a lane, {k.spills} spilled, {k.shared_bytes} B of shared memory, "
        f"{k.occupancy} waves a scheduler, {k.matrix_ops} matrix instructions, {k.load_bytes:.1f} B an access"
    )


def against(c: Comparison) -> str:
    """Return a comparison as a gain."""
    return (
        f"{1 / c.ratio:.3f}x the {c.rival}'s speed [{1 / c.high:.3f}, {1 / c.low:.3f}], "
        f"timed beside it in {c.pairs} pairs"
    )


def _within(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
