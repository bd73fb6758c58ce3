"""What is sent to the device, without one: where buffers lie, how arguments are encoded, whose plan is refused."""

import itertools
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fitness import plan as plans
from fitness import targets
from fitness.build import Builder, Purpose, Refusal
from fitness.child import Limits
from fitness.evaluation import CaseResult
from fitness.gpu import arena, discover, fills, machine_code, streaming
from fitness.gpu.calibration import Calibration
from fitness.gpu.hearing import Program
from fitness.gpu.machine_code import BadPlan, MachineCode
from fitness.jail import Jail
from fitness.judge import Judge
from fitness.kernels import Kernels
from fitness.measure import MeasuringJudge
from fitness.passed import Descriptor, Group, Pointer
from fitness.plan import Buffer, KernelSpec, Launch, LaunchPlan, Variant, View
from fitness.race import Resolved, Times
from fitness.roofline import SLACK, of_sheet, roofline
from fitness.verification import edges, huge
from suites import Case, Input, Task, load, read
from suites.task import ITEM_BYTES

pytestmark = pytest.mark.usefixtures("shared_jails")

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


def test_the_members_of_a_tuple_are_passed_one_by_one() -> None:
    kernel = replace(KERNEL, signature=(("both", ("float32", ("i32", "constexpr"))), ("x", "fp32")))
    group = Group((Pointer(1, 16), Group((-7, 1), "Sizes")))
    launch = Launch((Variant(kernel, (8, 1, 1)),), (("both", group), ("x", 1.5)))
    plan = replace(PLAN, launches=(launch,))
    assert plans.unpack(plans.pack(plan)) == plan
    assert launch.pointers == [Pointer(1, 16)]
    encoded = machine_code.arguments(launch, CODE, [0x1000, 0x2000, 0x3000], (0xAA, 0xBB))
    assert encoded[:3] == [struct.pack("<Q", 0x2010), struct.pack("<i", -7), struct.pack("<f", 1.5)]
    short = replace(launch, arguments=(("both", Group((Pointer(1, 16),))), ("x", 1.5)))
    with pytest.raises(ValueError, match="argument 2"):
        machine_code.arguments(short, CODE, [0, 0, 0], (0, 0))
    outside = replace(launch, arguments=(("both", Group((Pointer(9, 0), Group((-7, 1))))), ("x", 1.5)))
    with pytest.raises(ValueError, match="lies outside"):
        plans.unpack(plans.pack(replace(plan, launches=(outside,))))


class Maps:
    """Says what would be encoded, in as many bytes as a device takes."""

    def tensor_map(self, layout: Sequence[int], address: int, one: Descriptor) -> bytes:
        return struct.pack("<3I5Q", *layout[:3], address, *layout[3:], *one.shape).ljust(128, b"\0")


def test_a_descriptor_is_passed_as_a_map_of_the_devices_or_in_its_parts(double_task: Task) -> None:
    both = Descriptor(Pointer(0, 32), "float32", (30, 64), (64, 1), (1, 16), nan=True)
    kernel = replace(KERNEL, signature=(("both", "tensordesc<fp32[1, 16]>"), ("n", "i32")))
    launch = Launch((Variant(kernel, (8, 1, 1)),), (("both", both), ("n", 5)))
    plan = replace(PLAN, launches=(launch,))
    assert plans.unpack(plans.pack(plan)) == plan
    assert launch.pointers == [Pointer(0, 32)]
    shape, strides = [struct.pack("<i", n) for n in (30, 64)], [struct.pack("<q", n) for n in (64, 1)]
    behind = [*shape, *strides, struct.pack("<i", 5)]
    parts = [struct.pack("<Q", 4128), *(struct.pack("<q", n) for n in (30, 64, 64, 1)), b"\1"]
    code = replace(CODE, parameters=tuple(map(len, (*parts, *behind))))
    assert machine_code.arguments(launch, code, [4096], (0, 0)) == [*parts, *behind]
    code = replace(CODE, parameters=(128, *map(len, behind)), descriptors=((3, 4, 7, 1, 16),))
    encoded = machine_code.arguments(launch, code, [4096], (0, 0), Maps())
    assert struct.unpack_from("<3I5Q", encoded[0]) == (3, 4, 7, 4128, 1, 16, 30, 64)
    assert encoded[1:] == behind
    with pytest.raises(BadPlan, match="does not fit"):
        machine_code.arguments(launch, replace(code, descriptors=((3, 4, 7, 16),)), [4096], (0, 0), Maps())
    for wrong in (replace(both, shape=(30,)), replace(both, dtype="fp4"), replace(both, pointer=Pointer(0, 9999))):
        forged = replace(plan, launches=(replace(launch, arguments=(("both", wrong), ("n", 5))),))
        with pytest.raises(ValueError, match=r"no dtype|lies outside"):
            plans.unpack(plans.pack(forged))


def test_machine_code_of_a_kernel_that_takes_tuples_or_descriptors_is_passed_what_it_wants() -> None:
    task = replace(load("vector_add"), edges=())
    count = task.cases[0].bytes // 3 // 4  # of float32, three vectors
    for target, file in itertools.product(("h200", "mi300"), ("46_tuples_of", "49_host_tensor")):
        (path,) = (ROOT / "tests/honest").glob(f"{file}*.py")
        builder = Builder(task, targets.find(target), Limits(), Purpose(code=True))
        built = builder.build(path.read_text(encoding="utf-8"), task.cases[:1], ())
        launch = built.recorded[0].full.launches[0]
        code = built.code[launch.chosen.kernel.digest]
        encoded = machine_code.arguments(launch, code, [1, 2, 3], (0, 0), Maps())
        if file.startswith("46"):
            assert encoded[:4] == [*[struct.pack("<Q", p) for p in (3, 1, 2)], struct.pack("<i", count)]
        else:
            assert len(code.descriptors) == (3 if target == "h200" else 0)
            assert all(layout[1] == 4 and layout[3:] == (1, 128) for layout in code.descriptors)


class Host:
    """Memory of this process that is filled and copied as a device's is."""

    def __init__(self, size: int) -> None:
        self.bytes = bytearray(size)

    def set8(self, address: int, value: int, size: int) -> None:
        self.bytes[address : address + size] = bytes([value]) * size

    def set16(self, address: int, value: int, count: int) -> None:
        self.bytes[address : address + 2 * count] = struct.pack("<H", value) * count

    def set32(self, address: int, value: int, count: int) -> None:
        self.bytes[address : address + 4 * count] = struct.pack("<I", value) * count

    def copy(self, to: int, source: int, size: int) -> None:
        assert to >= source + size, "what overlaps cannot be copied in one"
        self.bytes[to : to + size] = self.bytes[source : source + size]


@pytest.mark.parametrize("dtype", sorted(ITEM_BYTES))
def test_an_allocation_is_filled_on_the_device_as_torch_fills_it(dtype: str) -> None:
    kind = getattr(torch, dtype)
    for value, count in ((-1, 1), (0, 7), (-0.0, 5), (3, 301), (2.5, 8), (2**53 + 1 if dtype == "int64" else 1, 77)):
        wanted = torch.full(
            (count,),
            value if kind.is_floating_point else int(value) & 127 if dtype == "uint8" else int(value),
            dtype=kind,
        )
        fill = value if kind.is_floating_point else wanted[0].item()
        size = count * ITEM_BYTES[dtype]
        host = Host(size + 32)
        fills.step(host, Buffer(size, dtype, None, fill), 16)()
        assert bytes(host.bytes[16 : 16 + size]) == wanted.view(torch.uint8).numpy().tobytes()
        assert not any(host.bytes[:16])
        assert not any(host.bytes[16 + size :])


def _called(plan: LaunchPlan, **names: object) -> Launch:
    kernel = replace(KERNEL, **names)  # type: ignore[arg-type]
    return replace(plan.launches[0], variants=(Variant(kernel, (8, 1, 1)),))


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
    "a kernel's name that steers a terminal": lambda p: replace(p, launches=(_called(p, symbol="k\x1b[2J"),)),
    "a kernel's name without end": lambda p: replace(p, launches=(_called(p, function="k" * 300),)),
    "a type of several lines": lambda p: replace(p, launches=(_called(p, signature=(("p", "float32\n"),)),)),
    "a configuration that turns the text": lambda p: replace(
        p, launches=(replace(p.launches[0], variants=(Variant(KERNEL, (8, 1, 1), "BLOCK: 8\u202e"),)),)
    ),
    "an argument in words": lambda p: replace(p, launches=(replace(p.launches[0], arguments=(("n", "many"),)),)),
    "memory of negative size": lambda p: replace(p, buffers=(Buffer(-1, "float32", "x"), *p.buffers[1:])),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_plan_is_refused(what: str) -> None:
    assert plans.unpack(plans.pack(PLAN)) == PLAN
    with pytest.raises(ValueError, match=r"lies outside|out of range|no size|not printable|nor a number"):
        plans.unpack(plans.pack(FORGED[what](PLAN)))


@pytest.mark.parametrize(("target", "pointers"), [("h200", 3), ("mi300", 3), ("mi250", 3)])
def test_machine_code_says_what_a_launch_must_pass(target: str, pointers: int, double_task: Task) -> None:
    builder = Builder(double_task, targets.find(target), Limits(), Purpose(code=True))
    built = builder.build(double_task.seeds[0].source, double_task.cases, ())
    for one in built.recorded:
        launch = one.full.launches[0]
        code = built.code[launch.chosen.kernel.digest]
        assert code.binary[:4] == b"\x7fELF"
        assert code.threads == 4 * targets.find(target).wave
        encoded = machine_code.arguments(launch, code, [4096] * len(one.full.buffers), (0, 0))
        assert [len(e) for e in encoded] == list(code.parameters)
        assert len(encoded) >= pointers


def test_builders_that_share_kernels_compile_each_once(double_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    run = Jail.run
    monkeypatch.setattr(Jail, "run", lambda jail, what, *rest: (asked.append(what), run(jail, what, *rest))[1])
    kernels = Kernels()
    one, other, alone = (
        Builder(double_task, targets.find("h200"), Limits(), Purpose(code=True), kernels=k)
        for k in (kernels, kernels, None)
    )
    source = double_task.seeds[0].source
    built = [b.build(source, double_task.cases, ()) for b in (one, other, alone)]
    assert asked == ["record", "compile", "record", "record", "compile"]
    assert built[0] == built[1]
    assert built[0].program == built[2].program
    for builder in (one, other, alone):
        builder.close()


def test_huge_edges_are_for_those_who_ask_and_have_the_memory() -> None:
    task = load("vector_add")
    assert not {e.name for e in edges(task)} & {e.name for e in huge(task, 35 << 30)}
    assert huge(task, 35 << 30)
    assert huge(task, 11 << 30) == ()


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
    assert len(builder.build(task.seeds[0].source, task.cases, ()).code) == 2  # a reader and a writer


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


def test_no_candidate_is_imported_where_it_is_judged(judge: Judge, double_task: Task) -> None:
    assert judge.judge(double_task.seeds[0].source + "# nobody else judges this text\n").passed
    assert "candidate" not in sys.modules
    files = [name for name, m in list(sys.modules.items()) if str(getattr(m, "__file__", "")).endswith("candidate.py")]
    assert set(files) <= {"archives.candidate"}
