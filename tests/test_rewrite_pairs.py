"""What each structural rewrite makes of a native kernel, as a difference that can be read; `tests/rewrites/` holds them.

`WRITE_REWRITES=1 pytest tests/test_rewrite_pairs.py` writes them anew: read what has changed as you would read a patch.
"""

import ast
import difflib
import importlib.util
import os
from pathlib import Path

import pytest
from triton import compile as compile_for
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fitness.judge import Judge
from operators import knobs
from operators.rewrites.families import FAMILIES
from operators.rewrites.program import apply, read
from suites import load

FOLDER = Path(__file__).parent / "rewrites"
PAIRS = {
    "rows-per-program": ("layer_norm", ()),
    "persistent-grid": ("flip", ()),
    "two-level-reduction": ("row_sum", ()),
    "split-k": ("gemm_fp16", ()),
    "one-pass-statistics": ("layer_norm", ()),
    "two-pass-statistics": ("softmax", ("one-pass-statistics",)),
    "bump-pointers": ("embedding", ()),
    "recompute-offsets": ("gemm_fp16", ()),
    "block-pointers": ("softmax", ()),
    "pointer-arithmetic": ("transpose", ("block-pointers",)),
    "tensor-descriptors": ("gemm_fp16", ()),
    "loop-over-block": ("vector_add", ()),
    "split-kernel": ("softmax", ()),
    "fuse-kernels": ("rms_norm", ("split-kernel",)),
    "accumulator-dtype": ("gemm_fp16", ()),
    "expose-knob": ("row_sum", ()),
    "full-blocks": ("gemm_fp16", ()),
    "aligned-sizes": ("layer_norm", ()),
    "blocks-by-bytes": ("gelu_mul", ()),
    "row-in-two-blocks": ("layer_norm", ()),
    "grouped-order": ("block_pointer_matmul", ()),
    "xcd-remap": ("sub", ()),
    "products-to-dot": ("multreduce_matmul", ()),
    "aligned-start": ("rms_norm", ()),
    "load-pairs": ("int4_weight_gemm", ()),
    "load-per-group": ("dequantize", ()),
}
# where no native kernel has what a rewrite looks for, one of them as somebody else may write it
WRITTEN = {"expose-knob": ("in range(0, cols, BLOCK)", "in tl.range(0, cols, BLOCK, num_stages=2)")}
HELPERS = '''import triton
import triton.language as tl


@triton.jit
def gate(x, scale: tl.constexpr, shift=1):
    """Squash what is scaled."""
    y = x * scale  # kept
    y += shift
    return y / (1.0 + tl.exp(-y))


@triton.jit
def kernel(out_ptr, x_ptr):
    offs = tl.arange(0, 128)
    y = tl.load(x_ptr + offs)
    if y:
        y = gate(y, 2)
    tl.store(out_ptr + offs, gate(y + 1, 2 + 3) * gate(y, scale=4, shift=y))


def run(out, x):
    kernel[(x.numel() // 128,)](out, x)
'''


def rewritten(source: str, name: str) -> str:
    family = next(f for f in FAMILIES if f.name == name)
    program = read(source)
    return apply(program, list(family.sites(program)))


@pytest.mark.parametrize("name", PAIRS)
def test_a_rewrite_of_a_native_kernel_is_the_one_that_was_read(name: str) -> None:
    task, earlier = PAIRS[name]
    before = load(task).seeds[0].source.replace(*WRITTEN.get(name, ("", "")))
    for family in earlier:
        before = rewritten(before, family)
    after = rewritten(before, name)
    ast.parse(after)
    shown = "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), task, name, n=1))
    file = FOLDER / f"{name}.diff"
    if os.environ.get("WRITE_REWRITES"):
        file.write_text(shown)
    assert shown == file.read_text()
    assert shown


def test_a_helper_is_written_out_with_names_of_its_own() -> None:
    after = rewritten(HELPERS, "inline-helper").partition("def kernel")[2]
    assert "gate(" not in after.partition("def run")[0]
    assert (
        """
    if y:
        gate_shift = 1
        gate_y = y * 2  # kept
        gate_y += gate_shift
        y = (gate_y / (1.0 + tl.exp(-gate_y)))
"""
        in after
    )
    assert "gate_x_1 = (y + 1)" in after
    assert "gate_y_1 = gate_x_1 * (2 + 3)  # kept" in after
    assert "gate_y_2 += y" in after


def test_a_kernel_whose_helper_is_written_out_is_right(judge: Judge) -> None:
    seed = judge.task.seeds[0].source
    helper = "@triton.jit\ndef twice(x, factor: tl.constexpr = 2):\n    y = x * factor\n    return y\n\n\n"
    before = seed.replace("@triton.jit\n", f"{helper}@triton.jit\n", 1).replace("offs, x * 2,", "offs, twice(x),")
    after = rewritten(before, "inline-helper")
    assert "twice(x)," in before
    assert "twice(x)," not in after
    assert judge.judge(after).passed


def test_a_size_that_a_kernel_holds_becomes_a_knob_together_with_its_grid() -> None:
    after = rewritten(HELPERS, "expose-knob")
    assert {k.name: k.value for k in knobs.find(after, "cuda")}["kernel.BLOCK"] == 128
    moved = knobs.rewrite(after, {"kernel.BLOCK": 256})
    assert "BLOCK: tl.constexpr = 256" in moved
    assert "x.numel() // 256" in moved


@pytest.mark.parametrize(
    ("name", "task", "wanted"),
    [
        ("rows-per-program", "flip", {"flip_kernel.BLOCK", "flip_kernel.ROWS_PER_PROGRAM"}),
        ("persistent-grid", "gemm_fp16", {"gemm_kernel.BLOCK_M", "gemm_kernel.PROGRAMS_PER_UNIT"}),
        ("two-level-reduction", "row_sum", {"row_sum_kernel_parts.BLOCK", "row_sum_kernel_parts.SPLITS"}),
        ("split-k", "gemm_fp16", {"gemm_kernel_parts.BLOCK_M", "gemm_kernel_parts.SPLITS", "gemm_kernel.BLOCK_M"}),
        ("loop-over-block", "vector_add", {"add_kernel.BLOCK", "add_kernel.PARTS"}),
        ("full-blocks", "gemm_fp16", {"gemm_kernel.BLOCK_M", "gemm_kernel.BLOCK_K", "gemm_kernel.num_warps"}),
        ("aligned-sizes", "gemm_fp16", {"gemm_kernel.BLOCK_M", "gemm_kernel.BLOCK_K", "gemm_kernel.num_warps"}),
        ("blocks-by-bytes", "flip", {"flip_kernel.BLOCK", "flip_kernel#2.BLOCK", "flip_kernel#2.num_warps"}),
        ("row-in-two-blocks", "softmax", {"softmax_kernel_two.num_warps", "softmax_kernel.BLOCK"}),
        # kernels that ask for their number twice, a part that is a column, a size that a launch passes by place
        ("persistent-grid", "dot", {"dot_kernel.BLOCK_K", "dot_kernel.PROGRAMS_PER_UNIT"}),
        ("rows-per-program", "dequantize", {"dequantize_kernel.BLOCK", "dequantize_kernel.ROWS_PER_PROGRAM"}),
        ("two-level-reduction", "load_reduce", {"load_reduce_kernel_parts.BLOCK_M", "load_reduce_kernel_parts.SPLITS"}),
        ("split-k", "chained_matmul", {"chained_matmul_kernel_parts.SPLITS", "chained_matmul_kernel.BLOCK_N"}),
        ("products-to-dot", "multreduce_matmul", {"multreduce_matmul_kernel.BLOCK_M"}),
        ("aligned-start", "softmax", {"softmax_kernel.BLOCK", "softmax_kernel_aligned.BLOCK"}),
        ("tensor-descriptors", "gemm_fp16", {"gemm_kernel.BLOCK_M", "gemm_kernel_tiled.BLOCK_K"}),
    ],
)  # fmt: skip
def test_what_a_rewrite_chooses_and_what_was_free_before_are_knobs(name: str, task: str, wanted: set[str]) -> None:
    after = rewritten(load(task).seeds[0].source, name)
    assert wanted <= {knob.name for knob in knobs.find(after, "cuda")}


@pytest.mark.parametrize(
    ("name", "task", "old", "new"),
    [
        # a row's end that differs from row to row, and an operation that joins rows
        ("rows-per-program", "layer_norm", "range(0, cols, BLOCK)", "range(0, cols - row, BLOCK)"),
        ("rows-per-program", "row_sum", "tl.sum(total, axis=0)", "tl.cumsum(total, axis=0)"),
        ("persistent-grid", "flip", "    mask = offs < cols\n", "    if row < 0:\n        return\n    mask = offs < cols\n"),
        ("persistent-grid", "flip", "flip_kernel[grid]", "flip_kernel[(rows, triton.cdiv(cols, 256))]"),
        ("two-level-reduction", "row_sum", "tl.sum(total, axis=0)", "tl.sum(total * total, axis=0)"),
        ("two-level-reduction", "row_sum", "tl.zeros((BLOCK,), tl.float32)", "tl.full((BLOCK,), 1.0, tl.float32)"),
        ("split-k", "gemm_fp16", "a_ptrs += BLOCK_K * stride_ak", "a_ptrs += left * stride_ak"),
        ("one-pass-statistics", "softmax", "    norm = tl.sum(total, axis=0)", "    norm = tl.sum(total * peak, axis=0)"),
        ("recompute-offsets", "gemm_fp16", "    c_ptrs = c_ptr +", "    a_ptrs += b_ptrs\n    c_ptrs = c_ptr +"),
        ("block-pointers", "vector_add", "mask = offs < n - start", "mask = offs <= n - start"),
        # numbers of 64 bits, which block pointers and descriptors do not take
        ("block-pointers", "transpose", "tl.program_id(0)", "tl.program_id(0).to(tl.int64)"),
        ("tensor-descriptors", "gemm_fp16", "tl.program_id(0)", "tl.load(a_ptr).to(tl.int64)"),
        ("split-kernel", "rms_norm", "square, axis=0)", "square, axis=0, keep_dims=True)"),
        ("loop-over-block", "vector_add", "z = x.to(tl.float32)", "z = tl.sum(x, axis=0) + x.to(tl.float32)"),
        # an end that is no block's, offsets with gaps, a launch that hides what it passes
        ("full-blocks", "vector_add", "mask = offs < n - start", "mask = offs <= n - start"),
        ("full-blocks", "row_sum", "start + tl.arange(0, BLOCK)", "start + 2 * tl.arange(0, BLOCK)"),
        ("aligned-sizes", "row_sum", "(out, x, x.stride(0), cols, ", "(*(out, x, x.stride(0), cols), "),
        ("blocks-by-bytes", "gelu_mul", 'triton.cdiv(n, meta["BLOCK"])', "(n + 255) // 256"),
        ("row-in-two-blocks", "row_sum", "tl.sum(total, axis=0)", "tl.cumsum(total, axis=0)"),
        ("row-in-two-blocks", "row_sum", "total += ", "total += BLOCK * "),
        # a product that is read again, a factor that changes before the sum, a sum over what one factor has not
        ("products-to-dot", "multreduce_matmul", "tl.sum(products, axis=2)", "tl.sum(products, axis=2) + tl.max(products)"),
        ("products-to-dot", "multreduce_matmul", "        acc += tl", "        a = b\n        acc += tl"),
        ("products-to-dot", "multreduce_matmul", "axis=2", "axis=1"),
        ("split-k", "int8_gemm_scaled", "tl.int32)\n", "tl.int64)\n"),
        ("split-k", "gemm_fp16", "b_ptr", "parts_ptr"),
        ("two-level-reduction", "load_reduce", "tl.max(largest, axis=1)", "tl.max(largest, axis=0)"),
        # something else than zero beyond the end, a mask that is no end, elements with gaps
        ("tensor-descriptors", "batched_vecmat", "mask=mask, other=0.0", "mask=mask, other=1.0"),
        ("tensor-descriptors", "batched_vecmat", "(offs_k[None, :] < K)", "(offs_k[None, :] <= K)"),
        ("tensor-descriptors", "batched_vecmat", "rows + offs_k[None, :]", "rows + 2 * offs_k[None, :]"),
        # a second load that is no neighbour, a mask that tells neighbours apart
        ("load-pairs", "int4_weight_gemm", "2 * offs[None, :] + 1", "2 * offs[None, :] + 3"),
        ("load-pairs", "int4_weight_gemm", "mask=inside_m", "mask=inside_m & (offs[None, :] < M)"),
        # an address or a mask that differs within a group
        ("load-per-group", "int4_weight_gemm", "wide_n[:, None] * (K // GROUP) + (2", "offs[None, :] * (K // GROUP) + (2"),
        ("load-per-group", "dequantize", "mask = offs < cols", "mask = (offs & 1) < cols"),
        # a row's length that is more than its end, a row that is no product
        ("aligned-start", "row_sum", "total += tl", "total += cols * tl"),
        ("aligned-start", "row_sum", "x_ptr + row * x_stride", "x_ptr + row + x_stride"),
    ],
)  # fmt: skip
def test_what_would_change_the_meaning_is_no_place_for_a_rewrite(name: str, task: str, old: str, new: str) -> None:
    source = load(task).seeds[0].source
    assert source.count(old) >= 1
    assert rewritten(source, name) != source
    assert rewritten(source.replace(old, new), name) == source.replace(old, new)


@pytest.mark.parametrize(
    ("name", "task", "sizes"),
    [
        ("full-blocks", "vector_add", {}),
        ("aligned-sizes", "row_sum", {"COLS_UNIT": 8, "X_STRIDE_UNIT": 8}),
        ("aligned-start", "row_sum", {}),
    ],
)
def test_where_16_divides_no_size_a_rewrite_makes_loads_wide(
    name: str, task: str, sizes: dict[str, int], tmp_path: Path
) -> None:
    before = load(task).seeds[0].source
    assert "ld.global.v4" not in ptx(before, tmp_path / "before.py", {})
    assert "ld.global.v4" in ptx(rewritten(before, name), tmp_path / "after.py", sizes)


@pytest.mark.parametrize("task", ["gemm_fp16", "block_pointer_matmul"])
def test_described_tiles_are_fetched_by_the_copy_engine(task: str, tmp_path: Path) -> None:
    before = load(task).seeds[0].source
    sizes = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64}
    assert "cp.async.bulk.tensor" not in ptx(before, tmp_path / "before.py", sizes)
    text = ptx(rewritten(before, "tensor-descriptors"), tmp_path / "after.py", sizes)
    assert text.count("cp.async.bulk.tensor.2d.shared") >= 2
    assert "wgmma" in text


def ptx(source: str, file: Path, sizes: dict[str, int]) -> str:
    """Compile the kernel of a program, or its changed copy, for float16 and sizes of which nothing is known."""
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kernel = [value for name, value in vars(module).items() if name.endswith(("_kernel", "_aligned", "_tiled"))][-1]
    given = {"BLOCK": 1024, **sizes} if "BLOCK" in kernel.arg_names else sizes
    kinds = {p: "constexpr" if p in given else "*fp16" if "ptr" in p else "i32" for p in kernel.arg_names}
    attrs = {(n,): [["tt.divisibility", 16]] for n, p in enumerate(kernel.arg_names) if "ptr" in p}
    constants = {(kernel.arg_names.index(p),): value for p, value in given.items()}
    return compile_for(ASTSource(kernel, kinds, constants, attrs), target=GPUTarget("cuda", 90, 32)).asm["ptx"]
