"""One program through all gates: what passes, what is refused, at which gate, and in which words."""

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fitness import evaluation as evaluations
from fitness import predict, scratch, targets
from fitness.evaluation import Basis, Evaluation, Stage
from fitness.jail import Jail, NoRoom
from fitness.judge import Judge
from fitness.walls.standing import LEVELS
from suites import Case, Input, Task

pytestmark = pytest.mark.usefixtures("shared_jails")

KERNEL = '''
import torch
import triton
import triton.language as tl


@triton.jit
def double_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=offs < n) * 2, mask=offs < n)

'''  # fmt: skip


def launcher(body: str, head: str = KERNEL) -> str:
    return head + "\ndef double(x):\n" + "".join(f"    {line}\n" for line in body.strip().splitlines())


LAUNCH = "double_kernel[(triton.cdiv(x.numel(), 256),)](out, x, x.numel(), BLOCK=256)\nreturn out"


def test_the_seed_passes_with_a_predicted_time_above_the_roofline(judge: Judge, double_task: Task) -> None:
    verdict = judge.judge(double_task.seeds[0].source)
    assert verdict.failure is None
    assert verdict.basis is Basis.PREDICTED
    assert [c.case for c in verdict.cases] == ["1M", "1M-fp16"]
    assert all(c.time_us >= c.floor_us > 0 for c in verdict.cases)
    assert all(0 <= c.error <= 1 for c in verdict.cases)
    assert verdict.kernels[0].vgprs > 0
    assert verdict.isolation == str(judge.standing)
    assert verdict.isolation.split()[0] in LEVELS


def test_a_verdict_is_a_function_of_the_source(judge: Judge, double_task: Task) -> None:
    other = Judge(double_task, "mi300")
    try:
        assert evaluations.pack(other.judge(double_task.seeds[0].source)) == evaluations.pack(
            judge.judge(double_task.seeds[0].source)
        )
    finally:
        other.close()


def test_a_program_may_have_to_pass_on_other_targets_too(double_task: Task) -> None:
    fussy = launcher('"""Refuse one chip."""\nif torch.cuda.get_device_properties(0).multi_processor_count == 104:\n'
                     '    raise RuntimeError("too few units")\nout = torch.empty_like(x)\n' + LAUNCH)  # fmt: skip
    both = Judge(double_task, "mi300", also=("mi250",))
    try:
        verdict = both.judge(double_task.seeds[0].source)
        ((name, time_us),) = verdict.elsewhere
        assert name == "mi250"
        assert time_us > 2 * verdict.score_us  # it has less than a third of the bandwidth
        assert evaluations.unpack(evaluations.pack(verdict)) == verdict
        refused = both.judge(fussy)
        assert refused.failure is not None
        assert refused.failure.message.startswith("on mi250: RuntimeError: too few units")
    finally:
        both.close()


def test_comments_and_names_do_not_make_another_program(judge: Judge, double_task: Task) -> None:
    source = double_task.seeds[0].source
    renamed = "# a new comment\n\n" + source.replace("offs", "places")
    first, second = judge.judge(source), judge.judge(renamed)
    assert first.program == second.program
    assert judge.judge(source.replace("BLOCK=128", "BLOCK=256")).program != first.program


@pytest.mark.parametrize("target", ["mi250", "gfx950", "h200"])
def test_the_same_program_is_judged_for_other_chips(target: str, one_case_task: Task) -> None:
    judge = Judge(one_case_task, target)
    try:
        verdict = judge.judge(one_case_task.seeds[0].source)
    finally:
        judge.close()
    assert verdict.passed
    assert verdict.target == target
    assert (verdict.kernels[0].sgprs is None) == (target == "h200")


ALLOWED = {
    "views and shapes": "y = x[:].view(-1)[3:]\nassert y.data_ptr() == x.data_ptr() + 3 * x.element_size()\nout = torch.empty((x.shape[0],), dtype=x.dtype, device=x.device).view(-1)\n" + LAUNCH,
    "zeros": "out = torch.zeros_like(x)\n" + LAUNCH,
    "a filled allocation": "out = x.new_empty(x.shape)\nout.fill_(3.0)\n" + LAUNCH,
    "device questions": (
        "p = torch.cuda.get_device_properties(x.device)\nassert p.multi_processor_count == 304 and x.is_cuda\n"
        "q = triton.runtime.driver.active.utils.get_device_properties(0)\nassert q['max_shared_mem'] == 65536\n"
        "with torch.cuda.device(x.device):\n    out = torch.empty_like(x)\n" + LAUNCH
    ),
    "host arithmetic on a host tensor": "k = int(torch.arange(3).sum())\nassert k == 3\nout = torch.empty_like(x)\n" + LAUNCH,
    "a launch of nothing": "out = torch.empty_like(x)\ndouble_kernel[(0,)](out, x, 0, BLOCK=256)\n" + LAUNCH,
    "a persistent grid": (
        "out = torch.empty_like(x)\nk = double_kernel.warmup(out, x, x.numel(), BLOCK=256, grid=(1,))\n"
        "assert k.metadata.shared == 0 and k.n_regs > 0\n" + LAUNCH
    ),
    "two launches": (
        "mid, out = torch.empty_like(x), torch.empty_like(x)\n"
        "copy_kernel[(triton.cdiv(x.numel(), 256),)](mid, x, x.numel(), BLOCK=256)\n" + LAUNCH.replace("out, x,", "out, mid,")
    ),
}  # fmt: skip

COPY = KERNEL.replace("double_kernel", "copy_kernel").replace(") * 2,", "),")


@pytest.mark.parametrize("what", ALLOWED)
def test_a_launcher_may(what: str, judge: Judge) -> None:
    verdict = judge.judge(launcher(ALLOWED[what], KERNEL + COPY))
    assert verdict.failure is None, verdict.failure


DECORATED = {
    "a helper function": KERNEL.replace("@triton.jit\ndef double", "@triton.jit\ndef two(v):\n    return v * 2\n\n\n@triton.jit\ndef double").replace(
        "tl.load(x_ptr + offs, mask=offs < n) * 2", "two(tl.load(x_ptr + offs, mask=offs < n))"
    ),
    "heuristics": KERNEL.replace("@triton.jit", "@triton.heuristics({'EVEN': lambda a: a['n'] % 256 == 0})\n@triton.jit").replace(
        "BLOCK: tl.constexpr", "EVEN: tl.constexpr, BLOCK: tl.constexpr"
    ),
    "a module constant": KERNEL.replace("@triton.jit", "FACTOR = tl.constexpr(2)\n\n\n@triton.jit").replace("* 2,", "* FACTOR,"),
    "annotations in quotes": KERNEL.replace("BLOCK: tl.constexpr", "BLOCK: 'tl.constexpr'"),
    "a dtype as constexpr": KERNEL.replace("BLOCK: tl.constexpr", "BLOCK: tl.constexpr, T: tl.constexpr = tl.float32").replace(
        "mask=offs < n) * 2", "mask=offs < n).to(T) * 2"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DECORATED)
def test_a_kernel_may_use(what: str, judge: Judge) -> None:
    verdict = judge.judge(launcher("out = torch.empty_like(x)\n" + LAUNCH, DECORATED[what]))
    assert verdict.failure is None, verdict.failure


REFUSED = {
    "computes on the host": ("return x * 2", Stage.RECORD, "host-operation", "aten.mul"),
    "makes a tensor of values": ("torch.tensor([1], device='cuda')\n", Stage.RECORD, "host-operation", "makes or moves a tensor"),
    "reads a value": ("float(x[0])\n", Stage.RECORD, "host-operation", "(torch.Tensor.__float__)"),
    "returns its input": ("out = torch.empty_like(x)\n" + LAUNCH.replace("return out", "return x"), Stage.RECORD, "alias", "input"),
    "returns nothing": ("out = torch.empty_like(x)\n" + LAUNCH.replace("return out", "return"), Stage.RECORD, "schema", "NoneType"),
    "returns another dtype": ("out = torch.empty_like(x, dtype=torch.float64)\n" + LAUNCH, Stage.CORRECTNESS, "schema", "float64"),
    "returns another shape": (
        "out = torch.empty((x.numel(), 1), dtype=x.dtype, device=x.device)\n" + LAUNCH, Stage.CORRECTNESS, "schema", "expected float32",
    ),
    "returns one output too many": (
        "out = torch.empty_like(x)\n" + LAUNCH.replace("return out", "return out, out"), Stage.CORRECTNESS, "schema", "got 2",
    ),
    "passes a host tensor": (
        "out = torch.empty(x.shape, dtype=x.dtype)\n" + LAUNCH, Stage.RECORD, "argument", "make it on the input's device",
    ),
    "writes a value": ("out = torch.empty_like(x)\nout[0] = 1\n" + LAUNCH, Stage.RECORD, "host-operation", "aten.index_put_"),
    "never launches": ("return torch.empty_like(x)", Stage.RECORD, "dead-output", "nothing computes it"),
    "only fills": ("return torch.ones_like(x)", Stage.RECORD, "dead-output", "nothing computes it"),
    "keeps a tensor for the next call": (
        "global KEPT\nout = KEPT = globals().get('KEPT', torch.empty_like(x))\n" + LAUNCH, Stage.RECORD, "stale", "earlier call",
    ),
    "keeps a tensor and reads it": (
        "global KEPT\nKEPT = globals().get('KEPT', x)\nout = torch.empty_like(x)\n" + LAUNCH.replace("out, x,", "out, KEPT[:],"),
        Stage.RECORD, "stale", "earlier call",
    ),
    "counts its calls": (
        "global CALLS\nCALLS = globals().get('CALLS', 0) + 1\nout = torch.empty_like(x)\n" + LAUNCH.replace("256)", "128 << (CALLS > 2))"),
        Stage.RECORD, "unstable", "called again",
    ),
    "looks at the mode of autograd": (
        "out = torch.empty_like(x)\n" + LAUNCH.replace("256)", "256 if torch.is_grad_enabled() else 512)"), Stage.RECORD, "unstable", "called again",
    ),
    "patches torch": ("out = torch.empty_like(x)\ntorch.allclose = lambda *a, **k: True\n" + LAUNCH, Stage.RECORD, "tampering", "torch.allclose"),
    "patches the recorder": (
        "out = torch.empty_like(x)\ntype(x).__repr__ = lambda self: ''\n" + LAUNCH, Stage.RECORD, "tampering", "Recorded.__repr__",
    ),
    "patches Triton": ("out = torch.empty_like(x)\ntriton.testing.do_bench = min\n" + LAUNCH, Stage.RECORD, "tampering", "do_bench"),
    "makes a stream": ("out = torch.empty_like(x)\nwith torch.cuda.stream(torch.cuda.Stream()):\n    pass\n" + LAUNCH, Stage.RECORD, "host-operation", "Stream"),
    "makes an event": ("out = torch.empty_like(x)\ntorch.cuda.Event(enable_timing=True)\n" + LAUNCH, Stage.RECORD, "host-operation", "torch.cuda.Event"),
    "captures a graph": ("out = torch.empty_like(x)\ng = torch.cuda.CUDAGraph()\n" + LAUNCH, Stage.RECORD, "host-operation", "CUDAGraph"),
    "launches half the grid": (
        "out = torch.empty_like(x)\n" + LAUNCH.replace("triton.cdiv(x.numel(), 256)", "2"), Stage.CORRECTNESS, "wrong", "not finite",
    ),
    "leaves the unwritten half zero": (
        "out = torch.zeros_like(x)\n" + LAUNCH.replace("triton.cdiv(x.numel(), 256)", "2"), Stage.CORRECTNESS, "wrong", "times the limit",
    ),
    "raises": ("raise ValueError('no')", Stage.RECORD, "exception", "ValueError: no"),
    "asks for negative programs": ("out = torch.empty_like(x)\ndouble_kernel[(-1,)](out, x, 1, BLOCK=256)\n" + LAUNCH, Stage.RECORD, "grid", "non-negative"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_launcher_is_refused_that(what: str, judge: Judge) -> None:
    body, stage, kind, words = REFUSED[what]
    failure = judge.judge(launcher(body)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (stage, kind), failure
    assert words in failure.message


WRONG = {
    "is off by a little": ("* 2,", "* 2.0001,", "wrong"),
    "adds instead of multiplying": ("* 2,", "+ 2,", "wrong"),
    "forgets its mask": (", mask=offs < n)\n", ")\n", "out-of-bounds"),
    "writes into its input": ("tl.store(out_ptr", "tl.store(x_ptr + offs, offs * 1.0, mask=offs < n)\n    tl.store(out_ptr", "input-changed"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_kernel_is_refused_that(what: str, judge: Judge) -> None:
    old, new, kind = WRONG[what]
    head, tail = KERNEL.rsplit(old, 1)
    failure = judge.judge(launcher("out = torch.empty_like(x)\n" + LAUNCH, head + new + tail)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.CORRECTNESS, kind), failure
    assert failure.case == "1M"


LEFT_OUT = {
    "only small grids are whole": (LAUNCH.replace("triton.cdiv(x.numel(), 256)", "triton.cdiv(x.numel(), 256) if x.numel() < 9999 else 1"), "store"),
    "it reads one block for all": (
        "out = torch.empty_like(x)\nn = x.numel()\n"
        "same_kernel[(triton.cdiv(n, 256),)](out, x, n, n > 9999, BLOCK=256)\nreturn out", "move",
    ),
}  # fmt: skip

SAME = KERNEL.replace("double_kernel", "same_kernel").replace("n, BLOCK", "n, large, BLOCK").replace(
    "tl.load(x_ptr + offs, mask=offs < n)", "tl.load(x_ptr + offs, mask=(offs < n) & (large == 0), other=0.0)"
)  # fmt: skip


@pytest.mark.parametrize("what", LEFT_OUT)
def test_work_left_out_at_the_timed_size_is_seen_though_the_small_size_is_right(what: str, judge: Judge) -> None:
    body, word = LEFT_OUT[what]
    body = body if "empty_like" in body else "out = torch.empty_like(x)\n" + body
    failure = judge.judge(launcher(body, KERNEL + SAME)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.CORRECTNESS, "incomplete"), failure
    assert f"programs {word} about" in failure.message


IDLE = {
    "but the first": "tl.program_id(0) == 0",
    "but the first, the middle and the last": "tl.program_id(0) % (tl.num_programs(0) // 2) == 0",
    "of every second place": "tl.program_id(0) % 2 == 0",
    "where it does not read zeros": "tl.load(x_ptr + offs, mask=offs < n) == 0",
}


@pytest.mark.parametrize("what", IDLE)
def test_at_the_timed_size_every_program_must_work_and_not_those_alone_that_someone_might_look_at(
    what: str, judge: Judge
) -> None:
    head, tail = KERNEL.rsplit("mask=offs < n", 1)
    kernel = f"{head}mask=(offs < n) & ((n < 9999) | ({IDLE[what]})){tail}"
    failure = judge.judge(launcher("out = torch.empty_like(x)\n" + LAUNCH, kernel)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.CORRECTNESS, "incomplete"), failure
    assert "programs store about" in failure.message


def test_programs_of_which_many_have_nothing_to_do_are_no_fault(judge: Judge) -> None:
    wide = LAUNCH.replace("triton.cdiv(x.numel(), 256)", "6 * triton.cdiv(x.numel(), 256)")
    verdict = judge.judge(launcher("out = torch.empty_like(x)\n" + wide))
    assert verdict.passed, verdict.failure


FORGED = ("b'\\x07'", "msgpack.packb(['stage'])", "msgpack.packb(['result', 5])", "msgpack.packb(['result', []])",
          "msgpack.packb(['foo'])", "msgpack.packb(['failure', 'x'])", "b'\\xc1'",
          "b'\\x92\\xa6result\\x81\\x80\\xc0'",  # a map whose key is a map
          "b'\\x92\\xa6result\\x81\\x91\\x81\\xc0\\xc0\\xc0'", "b'\\x92\\xa6result' + b'\\x91' * 1022 + b'\\xc0'",
          "b'\\x92\\xa6result\\xc7\\x0c\\xff' + b'\\xff' * 12")  # fmt: skip


@pytest.mark.parametrize("body", FORGED)
def test_a_forged_answer_is_the_candidates_failure(body: str, judge: Judge) -> None:
    forge = (
        f"import os, msgpack, struct\nbody = {body}\n"
        "for d in range(3, 64):\n    try: os.write(d, struct.pack('>Q', len(body)) + body)\n    except OSError: pass\n"
    )
    assert judge.standing.level, "both servers have said who they are"
    pids = judge.pids()
    failure = judge.judge(forge + launcher("out = torch.empty_like(x)\n" + LAUNCH)).failure
    assert failure is not None
    assert failure.stage in (Stage.IMPORT, Stage.RECORD), failure
    assert failure.kind in ("malformed", "output"), failure
    assert judge.pids() == pids, "the fork server lives on"


def test_a_plan_that_launches_nothing_has_a_time(double_task: Task) -> None:
    target = targets.find("mi300")
    assert predict.total_us([], Case("tiny", {"x": Input((1,))}, 1, 8), target) > 0


IMPORTS = {
    "import os": ("line 1", "`os`"),
    "import numpy as np": ("line 1", "`numpy`"),
    "import torch.utils.cpp_extension": ("line 1", "`torch.utils.cpp_extension`"),
    "from torch import multiprocessing": ("line 1", "`torch.multiprocessing`"),
    "from torch.nn import init": ("line 1", "`torch.nn.init`"),
    "from . import thing": ("line 1", "`.`"),
    "import math\nimport importlib": ("line 2", "`importlib`"),
    "os = __import__('os')": ("line 1", "`__import__`"),
    "run = exec": ("line 1", "`exec`"),
    "text = open('/etc/hostname').read()": ("line 1", "`open`"),
}


@pytest.fixture(scope="module")
def sealed(double_task: Task):
    judge = Judge(double_task, "h200")
    yield judge
    judge.close()


@pytest.mark.parametrize("line", IMPORTS)
def test_a_sealed_program_may_not_import(line: str, sealed: Judge) -> None:
    failure = sealed.judge(f"{line}\n" + launcher("out = torch.empty_like(x)\n" + LAUNCH)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.STATIC, "import"), failure
    assert all(word in failure.message for word in IMPORTS[line])


def test_a_name_that_a_function_binds_is_no_built_in_function(sealed: Judge) -> None:
    bound = "\ndef same(input, *open):\n    return [input for eval in open if eval] or (lambda exec: exec)(input)\n\n"
    assert sealed.judge(launcher("x = same(x)\nout = torch.empty_like(x)\n" + LAUNCH, KERNEL + bound)).passed
    unbound = bound.replace("*open", "*other")
    failure = sealed.judge(launcher("x = same(x)\nout = torch.empty_like(x)\n" + LAUNCH, KERNEL + unbound)).failure
    assert failure is not None
    assert "`open`" in failure.message


def test_a_sealed_program_may_import_what_computes(sealed: Judge) -> None:
    head = (
        "from __future__ import annotations\nimport math, functools, warnings\nfrom collections.abc import Callable\n"
        "from dataclasses import dataclass\nfrom typing import Any\nimport torch.nn.functional as F\nfrom torch import nn, Tensor\n"
        "from triton import jit, cdiv\nfrom triton.language.extra import libdevice\nfrom triton.runtime import driver\n"
    )
    verdict = sealed.judge(head + launcher("out = torch.empty_like(x)\n" + LAUNCH))
    assert verdict.passed, verdict.failure


CODE = {
    "makes a pointer out of a number": ("    out_ptr = (out_ptr.to(tl.int64) + (n >> 30) * 8).to(tl.pointer_type(out_ptr.dtype.element_ty))\n", "a number into a pointer"),
    "reads a clock": (
        "    now = tl.inline_asm_elementwise('mov.u64 $0, %globaltimer;', '=l', [], dtype=tl.int64, is_pure=False, pack=1)\n    n += (now & 0).to(tl.int32)\n",
        "%globaltimer",
    ),
    "calls another library": ("    n += steal(n)\n", "steal"),
    "multiplies in TF32": (
        "    r = tl.arange(0, 16)\n    a = tl.load(x_ptr + r[:, None] * 16 + r[None, :])\n    n += tl.sum(tl.sum(tl.dot(a, a), 1), 0).to(tl.int32)\n",
        "input_precision='ieee'",
    ),
}  # fmt: skip


STEAL = """

@tl.core.extern
def steal(value, _semantic=None):
    kinds = {(tl.int32,): ("steal", tl.int32)}
    return tl.core.extern_elementwise("mine", "/tmp/mine.bc", [value], kinds, is_pure=False, _semantic=_semantic)
"""


@pytest.mark.parametrize("what", CODE)
def test_code_is_refused_that(what: str, sealed: Judge) -> None:
    lines, words = CODE[what]
    failure = sealed.judge(
        launcher(
            "out = torch.empty_like(x)\n" + LAUNCH,
            KERNEL.replace("as tl\n", "as tl\n" + STEAL).replace("    offs =", lines + "    offs ="),
        )
    ).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.COMPILE, "code"), failure
    assert failure.message.startswith("kernel double_kernel ")
    assert words in failure.message


ALLOWED_CODE = {
    "a function of the device library": ("import triton.language as tl", "import triton.language as tl\nfrom triton.language.extra import libdevice", "libdevice.fma(x, 2.0, 0.0)"),
    "a dot in float32": ("import triton.language as tl", "import triton.language as tl", "x * 2 + tl.sum(tl.sum(tl.dot(tl.zeros((16, 16), tl.float32), tl.zeros((16, 16), tl.float32), input_precision='ieee'), 1), 0)"),
}  # fmt: skip


@pytest.mark.parametrize("what", ALLOWED_CODE)
def test_code_is_read_and_compiled_that_uses(what: str, sealed: Judge) -> None:
    old, new, expression = ALLOWED_CODE[what]
    body = KERNEL.replace(old, new).replace(
        "tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=offs < n) * 2,",
        "x = tl.load(x_ptr + offs, mask=offs < n).to(tl.float32)\n    tl.store(out_ptr + offs, " + expression + ",",
    )
    failure = sealed.judge(launcher("out = torch.empty_like(x)\n" + LAUNCH, body)).failure
    assert failure is None or failure.stage is Stage.CORRECTNESS, failure  # the interpreter has no device library


def test_where_nothing_can_be_written_no_program_is_failed(
    judge: Judge, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = launcher("raise OSError(28, 'No space left on device')\n" + LAUNCH)
    failure = judge.judge(wrong).failure
    assert failure is not None
    assert "No space left" in failure.message
    monkeypatch.setattr(scratch, "ROOM", 1 << 62)
    with pytest.raises(NoRoom, match=r"in /.* \(File too large\): make room, or name another"):
        judge.judge(wrong + "# again\n")
    assert judge.judge(double_task.seeds[0].source).passed
    monkeypatch.setattr(scratch, "ROOM", 16 << 20)
    for harm in ("a folder that is gone", "an inode too few", "over its quota"):
        with monkeypatch.context() as patch:
            cannot_write(patch, harm)
            with pytest.raises(NoRoom, match="make room, or name another folder"):
                judge.judge(wrong + f"# {harm}\n")
    assert judge.judge(wrong + "# again\n").failure is not None


def cannot_write(patch: pytest.MonkeyPatch, harm: str) -> None:
    def fail(number: int) -> Callable[..., None]:
        def refuse(*args: object, **named: object) -> None:
            raise OSError(number, os.strerror(number))

        return refuse

    if harm == "a folder that is gone":
        patch.setattr(tempfile, "tempdir", "/nonexistent")
    elif harm == "an inode too few":
        patch.setattr(tempfile, "TemporaryFile", fail(errno.ENOSPC))
    else:
        patch.setattr(os, "posix_fallocate", fail(errno.EDQUOT))


def test_who_left_more_than_is_deleted_at_once_may_have_filled_the_disk_and_fails(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = launcher("raise OSError(28, 'No space left on device')\n" + LAUNCH)
    assert judge.judge(wrong + "# first\n").failure is not None
    answer = Jail._await
    monkeypatch.setattr(Jail, "_await", lambda jail, seconds: [*answer(jail, seconds)[:-1], str(tmp_path / "left")])
    monkeypatch.setattr(scratch, "ROOM", 1 << 62)
    failure = judge.judge(wrong + "# second\n").failure
    assert failure is not None
    assert "No space left" in failure.message


def test_static_checks_name_what_is_missing(judge: Judge) -> None:
    assert "`double` is not defined" in str(judge.judge(KERNEL).failure)
    assert "no @triton.jit function" in str(judge.judge("def double(x):\n    return x\n").failure)
    assert judge.judge("x" * (300 << 10)).failure.kind == "size"


def test_a_kernel_inside_a_function_is_refused_with_the_reason(judge: Judge) -> None:
    nested = "import torch, triton, triton.language as tl\n@triton.jit\ndef other(x):\n    pass\n\ndef make():\n" + "".join(
        f"    {line}\n" for line in KERNEL.split("tl\n", 1)[1].splitlines()
    ) + "    return double_kernel\n"  # fmt: skip
    failure = judge.judge(launcher("double_kernel = make()\nout = torch.empty_like(x)\n" + LAUNCH, nested)).failure
    assert failure is not None
    assert failure.stage is Stage.RECORD
    assert "must be defined at the top level" in failure.message


TUNED = KERNEL.replace(
    "@triton.jit",
    "@triton.autotune(configs=[triton.Config({'BLOCK': b}, num_warps=w) for b, w in ((32, 1), (1024, 4), (64, 8))], key=['n'])\n"
    "@triton.jit",
)
TUNED_LAUNCH = "out = torch.empty_like(x)\ndouble_kernel[lambda m: (triton.cdiv(x.numel(), m['BLOCK']),)](out, x, x.numel())\nreturn out"


def test_autotune_configurations_are_variants_and_the_best_predicted_is_chosen(judge: Judge) -> None:
    verdict = judge.judge(launcher(TUNED_LAUNCH, TUNED))
    assert verdict.passed, verdict.failure
    (function, label) = verdict.cases[0].choice[0]
    assert function == "double_kernel"
    assert "BLOCK: 1024" in label
    fixed = judge.judge(
        launcher(
            "out = torch.empty_like(x)\n"
            + LAUNCH.replace("256", "1024").replace("BLOCK=1024", "BLOCK=1024, num_warps=4")
        )
    )
    assert verdict.cases[0].time_us == fixed.cases[0].time_us


def test_a_wrong_kernel_is_not_saved_by_autotune(judge: Judge) -> None:
    failure = judge.judge(launcher(TUNED_LAUNCH, TUNED.replace("* 2,", "* 3,"))).failure
    assert failure is not None
    assert failure.stage is Stage.CORRECTNESS


def test_a_kernel_too_large_for_the_chip_is_refused_at_compile(double_task: Task) -> None:
    matrix = Case("m", {"x": Input((256, 256), "float16")}, 1, 1 << 20, {"x": Input((16, 16), "float16")})
    source = """
import torch, triton, triton.language as tl

@triton.jit
def square_kernel(out, x, n, B: tl.constexpr, STAGES: tl.constexpr):
    r = tl.arange(0, B)
    acc = tl.zeros((B, B), tl.float32)
    for k in tl.range(0, n, 128, num_stages=STAGES):
        c = k + tl.arange(0, 128)
        m = (r[:, None] < n) & (c[None, :] < n)
        a = tl.load(x + r[:, None] * n + c[None, :], mask=m, other=0.0)
        b = tl.load(x + c[:, None] * n + r[None, :], mask=(c[:, None] < n) & (r[None, :] < n), other=0.0)
        acc += tl.dot(a, b)
    tl.store(out + r[:, None] * n + r[None, :], acc.to(tl.float16), mask=(r[:, None] < n) & (r[None, :] < n))

def double(x):
    out = torch.empty_like(x)
    square_kernel[(1,)](out, x, x.shape[0], B=256, STAGES=4, num_warps=8)
    return out
"""
    text = double_task.source.replace("return x * 2", "return x @ x")
    judge = Judge(replace(double_task, cases=(matrix,), source=text), "mi300")
    try:
        failure = judge.judge(source).failure
    finally:
        judge.close()
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.COMPILE, "resources")
    assert "of 65536" in failure.message


def test_more_work_is_predicted_to_take_longer(judge: Judge, double_task: Task) -> None:
    def time(source: str) -> float:
        verdict: Evaluation = judge.judge(source)
        assert verdict.passed, verdict.failure
        return verdict.score_us

    seed = double_task.seeds[0].source
    wide = seed.replace("BLOCK=128", "BLOCK=1024")
    assert time(wide) < time(seed)  # wider accesses, fewer programs
    more = "x = tl.where(tl.load(x_ptr + (offs + i * BLOCK) % n, mask=offs < n) == 12345.0, 0.0, x)"
    twice = seed.replace("    tl.store(", f"    for i in range(8):\n        {more}\n    tl.store(")
    assert time(twice) > time(seed)


def test_a_failure_survives_the_wire(judge: Judge) -> None:
    verdict = judge.judge(launcher("raise ValueError('no')"))
    assert evaluations.unpack(evaluations.pack(verdict)) == verdict
