"""Right programs that a rewrite must leave as they are: a judge without a GPU may not see what it would break."""

import pytest

from operators.rewrites.families import FAMILIES
from operators.rewrites.program import apply, read

HEAD = "import torch\nimport triton\nimport triton.language as tl\n\n\n@triton.jit\n"


def rewritten(source: str, name: str) -> str:
    family, program = next(f for f in FAMILIES if f.name == name), read(source)
    return apply(program, list(family.sites(program)))


TURNS = (
    HEAD
    + """def take(x_ptr, next_ptr, o_ptr, n, turns, BLOCK: tl.constexpr):
    for turn in range(0, turns):
        tile = tl.cdiv(n, BLOCK)
        offs = tile * BLOCK + tl.arange(0, BLOCK)
        tl.store(o_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
"""
)


@pytest.mark.parametrize(
    "value",
    [
        "tl.atomic_add(next_ptr, 1)",
        'tl.inline_asm_elementwise("mov.u32 $0, %smid;", "=r", [], tl.int32, False, 1)',
        "next_ptr.load([0])",
        "next_ptr.gather([0])",
        "tl.load(next_ptr)",
    ],
)
def test_what_has_an_effect_or_reads_memory_stays_in_its_loop(value: str) -> None:
    assert "tile = tl.cdiv(n, BLOCK)\n    for turn" in rewritten(TURNS, "hoist-invariant")
    source = TURNS.replace("tl.cdiv(n, BLOCK)", value)
    assert "    for turn in range(0, turns):\n        tile = " in rewritten(source, "hoist-invariant")


def test_what_a_descriptor_may_have_stored_is_loaded_again_and_what_it_may_load_is_stored() -> None:
    source = HEAD + """def kernel(desc, x_ptr, o_ptr):
    a = x_ptr.load([0])
    x_ptr.store([0], a + 1)
    a = x_ptr.load([0])
    tl.store(o_ptr, a)
    b = desc.load([0])
    tl.store(o_ptr, b)
"""  # fmt: skip
    assert rewritten(source, "drop-redundant") == source
    assert "tl.store(o_ptr, a)" not in rewritten(source.replace("desc.load([0])", "a + 1"), "drop-redundant")


HALVES = (
    HEAD
    + """def kernel(x_ptr, next_ptr, o_ptr, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    tile = tl.cdiv(n, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * n + offs, mask=offs < n, other=0.0)
    mean = tl.sum(total, axis=0) / n
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        tl.store(o_ptr + row * n + offs, mean + tile, mask=offs < n)


def run(x, counter):
    out = torch.empty_like(x)
    kernel[(x.shape[0],)](x, counter, out, x.shape[1], BLOCK=256)
    return out
"""
)


@pytest.mark.parametrize("value", ["tl.atomic_add(next_ptr, 1)", "tl.load(next_ptr)", "next_ptr.load([0])"])
def test_a_kernel_is_not_cut_where_both_halves_would_need_an_effect(value: str) -> None:
    assert "kernel_rest" in rewritten(HALVES, "split-kernel")
    source = HALVES.replace("tl.cdiv(n, BLOCK)", value)
    assert rewritten(source, "split-kernel") == source


def test_a_long_sum_after_an_effect_of_any_kind_is_not_dealt_out() -> None:
    assert "kernel_parts" in rewritten(HALVES, "two-level-reduction")
    source = HALVES.replace("tl.cdiv(n, BLOCK)", "tl.atomic_xor(next_ptr, 1)")
    assert rewritten(source, "two-level-reduction") == source


MOVED = (
    HEAD
    + """def kernel(x_ptr, o_ptr, n, first, BLOCK: tl.constexpr):
    for i in range(0, n, BLOCK):
        i += first
        offs = i + tl.arange(0, BLOCK)
        tl.store(o_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
"""
)


@pytest.mark.parametrize("name", ["alignment-hints", "bump-pointers"])
def test_a_loop_variable_that_the_loop_changes_tells_nothing_of_its_multiples(name: str) -> None:
    plain = MOVED.replace("        i += first\n", "")
    assert rewritten(plain, name) != plain
    assert rewritten(MOVED, name) == MOVED


@pytest.mark.parametrize("name", ["i", "STEP"])
def test_offsets_are_not_computed_from_a_loop_variable_or_step_that_the_loop_changes(name: str) -> None:
    plain = HEAD + """def kernel(x_ptr, o_ptr, n, STEP):
    total = 0.0
    for i in range(0, n, STEP):
        total += tl.load(x_ptr)
        x_ptr += 4
    tl.store(o_ptr, total)
"""  # fmt: skip
    source = plain.replace("    x_ptr += 4\n", f"    x_ptr += 4\n        {name} = 1\n")
    assert rewritten(plain, "recompute-offsets") != plain
    assert rewritten(source, "recompute-offsets") == source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # an integer above 2^24, a float of 64 bits, a number of the type that memory has, with and without a step
        ("(BLOCK,), tl.float32)", "(BLOCK,), tl.int32)"),
        ("(BLOCK,), tl.float32)", "(BLOCK,), tl.float64)"),
        ("tl.sum(total, axis=0) / n", "tl.sum(tl.load(x_ptr + row * n + tl.arange(0, BLOCK)), axis=0)"),
        ("tl.sum(total, axis=0) / n", "tl.maximum(tl.sum(total, axis=0), tl.sum(tl.load(x_ptr + tl.arange(0, 2)), axis=0))"),
        ("    mean =", "    total = total.to(x_ptr.dtype.element_ty)\n    mean ="),
    ],
)  # fmt: skip
def test_a_kernel_is_cut_only_where_float32_holds_what_is_left_to_the_second_half(old: str, new: str) -> None:
    before = HALVES.replace(" / n\n", "\n") if "int32" in new else HALVES
    assert "kernel_rest" in rewritten(before, "split-kernel")
    source = before.replace(old, new)
    assert source != before
    assert rewritten(source, "split-kernel") == source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(BLOCK,), tl.float32)", "(BLOCK,), tl.float16)"),
        ("(BLOCK,), tl.float32)", "(BLOCK,), tl.int32)"),  # the sum of which is divided
        ("tl.sum(total, axis=0) / n", "tl.rsqrt(tl.sum(total * total, axis=0).to(tl.float32) + n)"),
        ("    mean =", "    total = tl.where(total > n, total * 2, 0.5)\n    mean ="),
    ],
)
def test_a_kernel_is_cut_where_float32_holds_what_is_left(old: str, new: str) -> None:
    assert old in HALVES
    assert "kernel_rest" in rewritten(HALVES.replace(old, new), "split-kernel")


ROWS = (
    HEAD
    + """def gather(table, idx_ptr, out, width, shift, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.load(idx_ptr + row).to(tl.int64)
    from_row = table + at * width
    for start in range(0, width, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        tl.store(out + row * width + cols, tl.load(from_row + cols, mask=cols < width), mask=cols < width)


def run(table, idx, shift):
    made = torch.empty((idx.shape[0], table.shape[1]), dtype=table.dtype, device=table.device)
    gather[(idx.shape[0],)](table, idx, made, table.shape[1], shift, BLOCK=128)
    return made
"""
)
READER = """def reader(first, step):
    return tl.load(first + step)


@triton.jit
def gather("""


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (("from_row = table + at * width", "from_row = table + width + at * width"),),
        (("from_row = table + at * width", "from_row = tl.multiple_of(tl.where(row > 0, table, table) + at, 2)"),),
        (("def gather(", READER), ("tl.load(from_row + cols, mask=cols < width)", "reader(table, cols)")),
        (("at * width", "at + shift"), ("made, table.shape[1], shift", "made, table.shape[1], table.stride(0)")),
    ],
)
def test_offsets_are_narrow_where_every_tensor_is_small_whatever_a_kernel_calls_it(
    changes: tuple[tuple[str, str], ...],
) -> None:
    source = ROWS
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    assert "for t in (table, idx, made,)) < 2**30" in rewritten(source, "narrow-offsets")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("table + at * width", "table + at + shift"),  # either may be the pointer
        ("at * width", "at * width + tl.load(idx_ptr).to(tl.pointer_type(tl.float32))"),
        ("tl.load(from_row + cols,", "elsewhere(table + shift + cols,"),
        ("(table, idx, made", "(table + 1, idx, made"),
    ],
)
def test_offsets_stay_wide_where_a_pointer_cannot_be_told(old: str, new: str) -> None:
    assert old in ROWS
    assert rewritten(ROWS.replace(old, new), "narrow-offsets") == ROWS.replace(old, new)
