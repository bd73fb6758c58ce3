"""What is sent to the device, without one: where buffers lie, how arguments are encoded, whose plan is refused."""

import itertools
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fitness import plan as plans
from fitness import targets
from fitness.build import Builder, Purpose, Refusal
from fitness.child import Limits
from fitness.evaluation import CaseResult
from fitness.gpu import arena, discover, machine_code, streaming
from fitness.gpu.calibration import Calibration
from fitness.gpu.hearing import Program
from fitness.gpu.machine_code import BadPlan, MachineCode
from fitness.measure import MeasuringJudge
from fitness.plan import Buffer, KernelSpec, Launch, LaunchPlan, Pointer, Variant, View
from fitness.race import Resolved, Times
from fitness.roofline import SLACK, of_sheet, roofline
from fitness.verification import edges, huge
from suites import Case, Input, Task, load, read

KERNEL = KernelSpec(
    "k", "k", (("p", "float32"), ("n", "i32"), ("x", "fp32"), ("one", "constexpr")), (), (), "module {}"
)
ROOT = Path(__file__).parent.parent
PLAN = LaunchPlan(
    buffers=(Buffer(4000, "float32", "x"), Buffer(100, "float32"), Buffer(0, "int32")),
    launches=(Launch((Variant(KERNEL, (8, 1, 1)),), (("p", Pointer(1, 16)), ("n", -7), ("x", 1.5), ("one", 1))),),
    outputs=(View(1, 0, (25,), (1,), "float32"),),
)
CODE = MachineCode("k", b"", 128, 0, 1, False, (0, 0), (8, 4, 4, 8, 8))


def test_every_body_lies_between_two_red_zones_and_nothing_lies_between_zones() -> None:
    place = arena.place(PLAN, 1000)
    bodies = [(b, b + buffer.bytes) for b, buffer in zip(place.bodies, PLAN.buffers, strict=True)]
    zones = [(o, o + n) for o, n in place.guards]
    assert all(end <= start or stop <= begin for begin, end in bodies for start, stop in zones if begin < end)
    stretches = sorted([s for s in bodies if s[0] < s[1]] + zones)
    assert all(start <= end for (_, end), (start, _) in itertools.pairwise(stretches)), "a place to keep something in"
    assert all(b % arena.ALIGNMENT == 0 for b in place.bodies)
    for body, buffer in zip(place.bodies, PLAN.buffers, strict=True):
        assert {(body - arena.GUARD, arena.GUARD), (body + buffer.bytes, arena.BEHIND)} <= set(place.guards)
    assert place.end >= max(end for _, end in stretches)


def test_arguments_are_encoded_as_the_machine_code_wants_them() -> None:
    encoded = machine_code.arguments(PLAN.launches[0], CODE, [0x1000, 0x2000, 0x3000], (0xAA, 0xBB))
    assert encoded == [
        struct.pack("<Q", 0x2010), struct.pack("<i", -7), struct.pack("<f", 1.5), struct.pack("<Q", 0xAA),
        struct.pack("<Q", 0xBB),
    ]  # fmt: skip


def test_a_plan_that_passes_other_arguments_than_the_code_takes_is_refused() -> None:
    with pytest.raises(BadPlan, match="takes"):
        machine_code.arguments(PLAN.launches[0], replace(CODE, parameters=(8, 8, 4, 8, 8)), [0, 0, 0], (0, 0))
    wrong = replace(PLAN.launches[0], arguments=(("p", Pointer(1, 16)), ("n", 1 << 40), ("x", 1.5)))
    with pytest.raises(BadPlan, match="cannot be passed"):
        machine_code.arguments(wrong, CODE, [0, 0, 0], (0, 0))


FORGED = {
    "an output behind its buffer": lambda p: replace(p, outputs=(View(1, 4, (25,), (1,), "float32"),)),
    "an output before its buffer": lambda p: replace(p, outputs=(View(1, -4, (1,), (1,), "float32"),)),
    "an output of another buffer": lambda p: replace(p, outputs=(View(7, 0, (1,), (1,), "float32"),)),
    "a pointer behind its buffer": lambda p: replace(
        p, launches=(replace(p.launches[0], arguments=(("p", Pointer(1, 104)),)),)
    ),
    "a pointer into nothing": lambda p: replace(
        p, launches=(replace(p.launches[0], arguments=(("p", Pointer(-1, 0)),)),)
    ),
    "a grid no device takes": lambda p: replace(
        p, launches=(replace(p.launches[0], variants=(Variant(KERNEL, (1, 70000, 1)),)),)
    ),
    "an output at half a byte": lambda p: replace(p, outputs=(View(1, 0.5, (1,), (1,), "float32"),)),
    "an output between two elements": lambda p: replace(p, outputs=(View(1, 2, (1,), (1,), "float32"),)),
    "a shape that is no whole number": lambda p: replace(p, outputs=(View(1, 0, (8.0,), (1,), "float32"),)),
    "memory of negative size": lambda p: replace(p, buffers=(Buffer(-1, "float32", "x"), *p.buffers[1:])),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_plan_is_refused(what: str) -> None:
    assert plans.unpack(plans.pack(PLAN)) == PLAN
    with pytest.raises(ValueError, match=r"lies outside|out of range|no size"):
        plans.unpack(plans.pack(FORGED[what](PLAN)))


@pytest.mark.parametrize(("target", "pointers"), [("h200", 3), ("mi300", 3), ("mi250", 3)])
def test_machine_code_says_what_a_launch_must_pass(target: str, pointers: int, double_task: Task) -> None:
    builder = Builder(double_task, targets.find(target), Limits(), Purpose(code=True))
    try:
        built = builder.build(double_task.seeds[0].source, double_task.cases, ())
    finally:
        builder.close()
    for one in built.recorded:
        launch = one.full.launches[0]
        code = built.code[launch.chosen.kernel.digest]
        assert code.binary[:4] == b"\x7fELF"
        assert code.threads == 4 * targets.find(target).wave
        encoded = machine_code.arguments(launch, code, [4096] * len(one.full.buffers), (0, 0))
        assert [len(e) for e in encoded] == list(code.parameters)
        assert len(encoded) >= pointers


def test_huge_edges_are_for_those_who_ask_and_have_the_memory() -> None:
    task = load("vector_add")
    assert not {e.name for e in edges(task)} & {e.name for e in huge(task, 141 << 30)}
    assert huge(task, 141 << 30)
    assert huge(task, 16 << 30) == ()


DEVICE = "A Device / 1"


def test_a_calibration_is_kept_for_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = targets.find("h200")
    plain = Calibration.of(DEVICE, target)
    assert not plain.measured
    kept = replace(plain, measured=True, null=0.004, memory_gbs=4200.0, matrix_tflops={"float16": 740.0})
    place = kept.store()
    assert place.is_relative_to(tmp_path)
    assert Calibration.of(DEVICE, target) == kept
    assert not Calibration.of("another", target).measured
    place.write_text("{")
    assert Calibration.of(DEVICE, target) == plain


MEASURED = Calibration(
    "measured", targets.find("h200"), True, memory_gbs=4000.0, matrix_tflops={"float16": 800.0, "tf32": 500.0}
)
SHEET = Calibration("not measured", targets.find("h200"), False)


@pytest.mark.parametrize(
    ("task", "memory", "matrix"), [("vector_add", 4000, 0), ("row_sum", 4000, 0), ("gemm_fp16", 0, 800)]
)
def test_what_is_printed_as_the_roofline_is_what_refuses(task: str, memory: int, matrix: int) -> None:
    case = load(task).cases[0]
    least = roofline(case, MEASURED.ceilings)
    assert least.time_us == pytest.approx(case.bytes / (memory * 1e3) if memory else case.flops / (matrix * 1e6))
    # seven tenths of a memory-bound roofline, which writes in the cache once excused; a product at the sheet's rate
    for share, refused in (
        (0.71, True),
        (0.8, True),
        (1 - 1.01 * SLACK, True),
        (1 - 0.99 * SLACK, False),
        (1.0, False),
    ):
        assert least.beaten(share * least.time_us) is refused
    told = least.refusal(case, 0.71 * least.time_us, "measured", "part of the work is left out")
    for number in (
        f"{0.71 * least.time_us:.2f} us",
        f"{least.time_us:.2f} us",
        f"{memory or matrix} ",
        "measured here",
        "5%",
    ):
        assert number in told.message
    assert roofline(case, SHEET.ceilings).time_us < least.time_us
    assert "doctor --calibrate" in roofline(case, SHEET.ceilings).advice


def test_a_program_that_leaves_out_a_third_of_its_bytes_is_refused_by_the_roofline_it_is_told() -> None:
    case = load("vector_add").cases[0]
    least = roofline(case, MEASURED.ceilings)
    judge = SimpleNamespace(calibration=MEASURED, device="measured")
    one = Resolved(case, Program(PLAN, {}), (), 0.1, 1.0)

    def judged(share: float) -> CaseResult:
        return MeasuringJudge._case(judge, one, Times([share * least.time_us] * 8, {}))  # type: ignore[arg-type]

    with pytest.raises(Refusal, match=f"roofline of this case on measured, {least.time_us:.2f} us"):
        judged(0.66)  # one of the two inputs is never read
    assert judged(1.02).floor_us == pytest.approx(least.time_us, rel=1e-5)


def test_a_product_of_float32_may_be_made_of_faster_ones() -> None:
    x = Input((64, 64))
    case = Case("64", {"x": x, "y": x}, flops=1 << 40, bytes=3 * x.bytes)
    assert roofline(case, MEASURED.ceilings).time_us == pytest.approx((1 << 40) / 500e6)
    assert roofline(case, of_sheet(targets.find("mi300"))).time_us == pytest.approx((1 << 40) / (1307.4 / 2 * 1e6))


def test_what_calibrates_memory_has_code_for_a_device() -> None:
    task = read(streaming.SPREAD, "calibration")
    builder = Builder(task, targets.find("h200"), Limits(), Purpose(code=True))
    try:
        assert len(builder.build(task.seeds[0].source, task.cases, ()).code) == 2  # a reader and a writer
    finally:
        builder.close()


def test_amd_chips_are_read_from_the_kernel_drivers_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (version, name) in enumerate((("0", "cpu"), ("90402", "mi300x"), ("90010", ""), ("110000", "rx"))):
        node = tmp_path / str(number)
        node.mkdir()
        (node / "properties").write_text(
            f"cpu_cores_count 0\ngfx_target_version {version}\nlocation_id {number * 256}\ndomain 1\n"
        )
        (node / "name").write_text(name + "\n")
    monkeypatch.setattr(discover, "_KFD", tmp_path)
    found = discover._amd()
    assert [(g.arch, g.target.name if g.target else None, g.index) for g in found] == [
        ("gfx942", "mi300", 0), ("gfx90a", "mi250", 1), ("gfx1100", None, 2),
    ]  # fmt: skip
    assert [g.slot for g in found] == ["00000001:01:00.0", "00000001:02:00.0", "00000001:03:00.0"]


def test_the_process_that_runs_machine_code_loads_neither_torch_nor_triton() -> None:
    code = "import sys, fitness.gpu.bench; print([m for m in ('torch', 'triton', 'candidate') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_no_candidate_is_imported_where_it_is_judged(double_task: Task) -> None:
    code = (
        "import sys\nfrom conftest import SCALE\nfrom fitness.judge import Judge\nfrom suites import read\n"
        "task = read(SCALE, 'double')\njudge = Judge(task, 'mi300')\nverdict = judge.judge(task.seeds[0].source)\n"
        "print(verdict.passed, 'candidate' in sys.modules, any('candidate.py' in str(getattr(m, '__file__', '')) for m in "
        "list(sys.modules.values())))\njudge.close()"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False", "False"], done.stderr[-2000:]
