"""The compiler's figures: read right, and the same when compilation is split in two."""

import functools
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompiledKernel

from fitness import elf, resources, targets
from fitness.build import Builder, Purpose, Refusal
from fitness.child import Limits, Report
from fitness.jail import Jail
from fitness.jobs import disassembly
from fitness.jobs.compile import compile_kernels
from fitness.jobs.frontend import lower
from fitness.kernels import Kernels
from suites import load


@triton.jit
def copy(out, x, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + offs, tl.load(x + offs, mask=offs < n), mask=offs < n)


@triton.jit
def row_softmax(out, x, n, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    v = tl.load(x + tl.program_id(0) * n + offs, mask=offs < n, other=float("-inf"))
    e = tl.exp(v - tl.max(v, 0))
    tl.store(out + tl.program_id(0) * n + offs, e / tl.sum(e, 0), mask=offs < n)


@triton.jit
def matmul(out, a, b, k, BLOCK: tl.constexpr):
    r = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, k, 32):
        c = start + tl.arange(0, 32)
        acc += tl.dot(tl.load(a + r[:, None] * k + c[None, :]), tl.load(b + c[:, None] * BLOCK + r[None, :]))
    tl.store(out + r[:, None] * BLOCK + r[None, :], acc.to(tl.float16))


@triton.jit
def cast_matmul(out, a, b, k, BLOCK: tl.constexpr):
    """Casts the left tile between its load and the product, so that a Hopper chip's matrix units take it from registers."""
    rows, cols = tl.arange(0, 64), tl.arange(0, BLOCK)
    acc = tl.zeros((64, BLOCK), tl.float32)
    for start in range(0, k, 64):
        c = start + tl.arange(0, 64)
        left = tl.load(a + rows[:, None] * k + c[None, :]).to(tl.float16)
        acc = tl.dot(left, tl.load(b + c[:, None] * BLOCK + cols[None, :]), acc)
    tl.store(out + rows[:, None] * BLOCK + cols[None, :], acc.to(tl.float16))


@triton.jit
def running_sum(out, x, n, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(out + offs, tl.cumsum(tl.load(x + offs, mask=offs < n, other=0.0), 0), mask=offs < n)


@triton.jit
def crowded(out, x, n, BLOCK: tl.constexpr):
    """Holds a tile too large for the registers, so that the compiler spills."""
    r = tl.arange(0, BLOCK)
    tile = tl.load(x + r[:, None] * BLOCK + r[None, :])
    total = tl.sum(tile, 1)
    tl.store(out + r[:, None] * BLOCK + r[None, :], tl.exp(tile) * total[:, None] + tl.trans(tile))


FP32, FP16 = {"out": "*fp32", "x": "*fp32", "n": "i32", "BLOCK": "constexpr"}, "*fp16"
KERNELS = {
    "copy": (copy, FP32, 1024, {"num_warps": 4}),
    "softmax": (row_softmax, FP32, 4096, {"num_warps": 8}),
    "matmul": (
        matmul, {"out": FP16, "a": FP16, "b": FP16, "k": "i32", "BLOCK": "constexpr"}, 128, {"num_warps": 4},
    ),
    "running sum": (running_sum, FP32, 2048, {"num_warps": 4}),
    "spilling": (crowded, FP32, 256, {"num_warps": 4}),
}  # fmt: skip
CHIPS = {
    "gfx90a": GPUTarget("hip", "gfx90a", 64),
    "gfx942": GPUTarget("hip", "gfx942", 64),
    "sm_90": GPUTarget("cuda", 90, 32),
}


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def source(name: str) -> tuple[ASTSource, dict[str, int]]:
    function, signature, block, options = KERNELS[name]
    attributes = {(i,): [["tt.divisibility", 16]] for i, t in enumerate(signature.values()) if t.startswith("*")}
    return ASTSource(function, signature, {"BLOCK": block}, attributes), options


@functools.cache
def compiled(name: str, chip: str) -> CompiledKernel:
    """Compile a kernel in one step, once for all tests: the one that spills takes seconds."""
    src, options = source(name)
    return triton.compile(src, target=CHIPS[chip], options=options)


def notes(binary: bytes) -> dict:
    """Read the AMD metadata note of a code object: what the runtime itself reads before a launch."""
    for name, offset, size in elf.sections(binary):
        if name == ".note":
            name_size, body_size, _ = struct.unpack_from("<III", binary, offset)
            start = offset + 12 + -(-name_size // 4) * 4
            assert start + body_size <= offset + size
            return msgpack.unpackb(binary[start : start + body_size])["amdhsa.kernels"][0]
    raise AssertionError("no note section")


@pytest.mark.parametrize("target", ["h200", "mi300"])
def test_equal_code_is_one_program_whatever_text_it_was_made_from_and_when(target: str) -> None:
    task = load("vector_add")
    source = task.seeds[0].source
    swapped = source.replace("mask = offs < n - start", "mask = n - start > offs")
    other = source.replace("mask=mask)\n", 'mask=mask, cache_modifier=".cg")\n', 1)
    assert source not in (swapped, other)
    builts = []
    for number, text in enumerate((source, swapped, other)):
        builder = Builder(task, targets.find(target), Limits(), Purpose(code=True))
        builts.append(builder.build(text, task.cases, ()))
        builder.close()
        time.sleep(1.1 if number == 0 else 0.0)  # seconds are what a binary tells of when its text was written
    first, second, third = ({f.code for f in b.figures.values()} for b in builts)
    assert first == second != third
    assert builts[0].program == builts[1].program != builts[2].program


@pytest.mark.parametrize("chip", ["gfx90a", "gfx942"])
@pytest.mark.parametrize("name", KERNELS)
def test_amd_figures_are_those_in_the_code_object(name: str, chip: str) -> None:
    made = compiled(name, chip)
    read = resources.read(made.asm, made.metadata._asdict(), "k", CHIPS[chip])
    note = notes(made.asm["hsaco"])
    assert (read.vgprs, read.sgprs, read.agprs) == (
        note[".vgpr_count"],
        note[".sgpr_count"],
        note.get(".agpr_count", 0),
    )
    assert read.spills == note[".vgpr_spill_count"] + note[".sgpr_spill_count"]
    assert read.shared_bytes == note[".group_segment_fixed_size"] or read.shared_bytes == made.metadata.shared
    text = made.asm["amdgcn"]
    assert read.matrix_ops == len([x for x in text.splitlines() if x.strip().startswith("v_mfma")])
    assert (read.matrix_ops > 0) == (name == "matmul")
    assert (read.spills > 0) == (name == "spilling")
    # LLVM's own estimate, from registers and LDS at the wave count it assumes; ours may not promise more
    llvm = int(re.findall(r"; Occupancy: (\d+)", text)[-1])
    assert read.occupancy <= llvm


@pytest.mark.parametrize("name", KERNELS)
def test_nvidia_figures_are_those_cuobjdump_prints(name: str, tmp_path: Path) -> None:
    made = compiled(name, "sm_90")
    read = resources.read(made.asm, made.metadata._asdict(), "k", CHIPS["sm_90"])
    cubin = tmp_path / "k.cubin"
    cubin.write_bytes(made.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    text = subprocess.run([tool, "--dump-resource-usage", cubin], capture_output=True, text=True, check=True).stdout
    printed = {k: int(v) for k, v in re.findall(r"(REG|STACK|SHARED):(\d+)", text)}
    assert (read.vgprs, read.spills) == (printed["REG"], -(-printed["STACK"] // 4))
    assert (read.matrix_ops > 0) == (name == "matmul")
    assert (read.spills > 0) == (name == "spilling")


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", [name for name in KERNELS if name != "spilling"])  # which takes longest, and is as any
def test_code_made_from_the_text_in_between_is_the_same_to_the_byte(name: str, chip: str, tmp_path: Path) -> None:
    src, options = source(name)
    path = tmp_path / "between.ttir"
    path.write_text(lower(src, CHIPS[chip], options))
    two_steps = triton.compile(str(path), target=CHIPS[chip], options=options)
    # source locations are left out on the way: compare the instructions, which hold none
    one_step = compiled(name, chip)
    assert instructions(two_steps.asm) == instructions(one_step.asm)
    assert two_steps.metadata.shared == one_step.metadata.shared


def instructions(asm: dict) -> list[str]:
    text = asm["amdgcn"] if "amdgcn" in asm else asm["ptx"]
    lines = (re.sub(r"\s*(;|//).*", "", x).strip() for x in text.splitlines())
    debug = re.compile(
        r"\.(loc|file|section|b8|b32|b64|byte|ascii|asciz|long|short|uleb|quad|Ltmp|Lfunc|Linfo|Lsec)|[.$]L\w*:?$|\{|\}"
    )
    return [x for x in lines if x and not debug.match(x) and "debug" not in x and not re.match(r"[.$]?L?tmp\d+:", x)]


def test_occupancy_follows_registers_lds_and_slots() -> None:
    mi300, h100 = targets.find("mi300"), targets.find("h100")
    assert resources.occupancy(mi300, 64, 0, 4) == 8
    assert resources.occupancy(mi300, 128, 0, 4) == 4
    assert resources.occupancy(mi300, 129, 0, 4) == 3
    assert resources.occupancy(mi300, 32, 65536, 4) == 1
    assert resources.occupancy(mi300, 32, 65537, 4) == 0
    assert resources.occupancy(mi300, 512, 0, 8) == 0  # eight waves, two on each scheduler, but registers for one
    assert resources.occupancy(h100, 32, 0, 4) == 16
    assert resources.occupancy(h100, 128, 0, 4) == 4
    assert resources.occupancy(h100, 255, 0, 8) == 2


@pytest.mark.parametrize("alias", targets.ALIASES)
def test_every_alias_names_a_chip(alias: str) -> None:
    assert targets.find(alias.upper()).name == targets.ALIASES[alias]


def test_an_unknown_chip_is_told_the_nearest() -> None:
    with pytest.raises(targets.TargetError, match="did you mean gfx942"):
        targets.find("gfx943")


SPELT = {
    "a pointer from a number in escaped letters": '%q = "tt.int\\5Fto_ptr"(%c) : (i64) -> !tt.ptr<i32>',
    "another dialect's pointer from a number": "%q = llvm.inttoptr %c : i64 to !llvm.ptr",
    "another dialect's assembly": 'llvm.inline_asm has_side_effects "nop", "" : () -> ()',
    "plain assembly": (
        '%q = tt.elementwise_inline_asm "mov.u32 $0, %clock;" {constraints = "=r,r", packed_element = 1 : i32, '
        "pure = true} %one : i32 -> i32"
    ),
}


@pytest.mark.parametrize("what", ["nothing", *SPELT])
def test_code_is_read_as_the_compiler_reads_it(what: str, jails: Callable[[str], Jail]) -> None:
    ttir = (
        "module {\n  tt.func public @k(%p: !tt.ptr<i32>) attributes {noinline = false} {\n"
        "    %one = arith.constant 1 : i32\n    %c = arith.constant 4096 : i64\n"
        f"    {SPELT.get(what, '')}\n    tt.store %p, %one : !tt.ptr<i32>\n    tt.return\n  }}\n}}\n"
    )
    payload = {"target": ["cuda", 90, 32], "kernels": [["k", "k", ttir, [], True]]}
    outcome = jails("compiled").run("compile", payload, Limits())
    assert outcome.kind == (None if what == "nothing" else "code"), outcome.message


def cast_product(stages: int) -> dict:
    """Return what a jail is asked: to compile cast_matmul at 64x16x64 with these stages."""
    signature = {"out": FP16, "a": "*i8", "b": FP16, "k": "i32", "BLOCK": "constexpr"}
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(4)}
    options = {"num_warps": 4, "num_stages": stages}
    ttir = lower(ASTSource(cast_matmul, signature, {"BLOCK": 16}, aligned), CHIPS["sm_90"], options)
    kernels = [["digest", "cast_matmul", ttir, list(options.items()), True]]
    return {"target": ["cuda", 90, 32], "kernels": kernels, "code": True}


def test_a_product_whose_left_tile_is_overwritten_while_it_runs_is_refused(jails: Callable[[str], Jail]) -> None:
    outcome = jails("compiled").run("compile", cast_product(stages=2), Limits())
    if tuple(int(n) for n in triton.__version__.split(".")[:2]) >= (3, 9):  # which gives two turns registers each
        assert outcome.kind is None, outcome.message
    else:
        assert (outcome.stage, outcome.kind) == ("compile", "code"), outcome.message
        assert "overwrites R" in outcome.message


def test_the_same_product_in_one_stage_passes_and_says_so_where_nothing_can_read_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = Report(os.open(os.devnull, os.O_WRONLY))
    [[_, _, code, note]] = compile_kernels(cast_product(stages=1), report)
    assert code
    assert note == ""
    monkeypatch.setattr(disassembly, "TOOL", tmp_path / "nvdisasm")
    [[_, _, same, note]] = compile_kernels(cast_product(stages=1), report)
    assert same == code
    assert "was not checked" in note
    assert "no nvdisasm" in note


@pytest.mark.parametrize(("alone", "answers"), [(True, ["first"]), (False, ["first", "second"])])
def test_nothing_more_is_compiled_for_a_program_with_a_kernel_that_cannot_run(
    alone: bool, answers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read = resources.read
    monkeypatch.setattr(resources, "read", lambda *given: replace(read(*given), occupancy=0))
    payload = cast_product(stages=1)
    ((_, symbol, ttir, options, _),) = payload["kernels"]
    payload["kernels"] = [[name, symbol, ttir, options, alone] for name in ("first", "second")]
    made = compile_kernels(payload, Report(os.open(os.devnull, os.O_WRONLY)))
    assert [digest for digest, *_ in made] == answers


def test_a_program_too_large_for_a_chip_is_refused_whoever_compiled_its_kernel_before() -> None:
    task, kernels = load("vector_add"), Kernels()
    source = task.seeds[0].source
    builders = [Builder(task, targets.find("h200"), Limits(), Purpose(code=True), kernels=kernels) for _ in range(2)]
    built = builders[0].build(source, task.cases, ())
    kernels.add({d: (replace(f, occupancy=0), None, "") for d, f in built.figures.items()})
    with pytest.raises(Refusal, match="kernel add_kernel cannot run on h200"):
        builders[1].build(source, task.cases, ())
    for builder in builders:
        builder.close()
