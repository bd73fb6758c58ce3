"""Two launches become one only where no program needs what another one does in the first of them."""

import pytest

from operators.rewrites.families import FAMILIES
from operators.rewrites.program import apply, read

SOURCE = """import torch
import triton
import triton.language as tl


@triton.jit
def square(x_ptr, t_ptr, n, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    offs = pid * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n, other=0.0)
    tl.store(t_ptr + offs, x * x, mask=offs < n)


@triton.jit
def differ(t_ptr, x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    number = tl.program_id(0)
    places = number * BLOCK + tl.arange(0, BLOCK)
    here = tl.load(t_ptr + places, mask=places < n, other=0.0)
    tl.store(out_ptr + places, here + 1, mask=places < n)


def launch(x):
    n = x.numel()
    out = torch.empty_like(x)
    t = torch.empty((n,), dtype=torch.float32, device=x.device)
    square[(triton.cdiv(n, 256),)](x, t, n, BLOCK=256)
    differ[(triton.cdiv(n, 256),)](t, x, out, n, BLOCK=256)
    return out
"""
SLOTS = SOURCE.replace(
    "tl.store(t_ptr + offs, x * x, mask=offs < n)", "total = tl.sum(x * x, axis=0)\n    STORES"
).replace("here = tl.load(t_ptr + places, mask=places < n, other=0.0)", "LOADS")


def fused(source: str) -> str:
    family, program = next(f for f in FAMILIES if f.name == "fuse-kernels"), read(source)
    return apply(program, list(family.sites(program)))


def slots(stores: str, loads: str) -> str:
    return SLOTS.replace("STORES", stores).replace("LOADS", loads)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # a neighbour's element, a sum over all before, elements that other programs store, more lanes
        ("t_ptr + places,", "t_ptr + places - 1,"),
        ("    here = tl", "    here = 0.0\n    for i in range(number):\n        here += tl.load(t_ptr + i)\n    here += tl"),
        ("t_ptr + places,", "t_ptr + n - 1 - places,"),
        ("here = tl.load(t_ptr + places, mask=places < n, other=0.0)", "here = tl.load(t_ptr + places)"),
        ("t_ptr + offs, x * x, mask=offs < n", "t_ptr + offs, x * x, mask=(offs < n) & (x > 0)"),
        ("    tl.store(t_ptr", "    if n > 5:\n        tl.store(t_ptr"),
        # a place that differs from program to program only where memory says so, or that no program has alone
        ("t_ptr + offs,", "t_ptr + offs + tl.load(x_ptr).to(tl.int32),"),
        ("t_ptr + offs, x * x", "t_ptr + tl.arange(0, BLOCK), x * x"),
        # what all programs add to, what a helper may do, blocks of another size
        ("tl.store(t_ptr + offs, x * x, mask=offs < n)", "tl.atomic_add(t_ptr + offs, x * x, mask=offs < n)"),
        ("here + 1,", "here + elsewhere(t_ptr, places),"),
        ("n, BLOCK=256)\n    return", "n, BLOCK=512)\n    return"),
        # memory that the first reads and the second writes, by its own name and by that of a view
        ("tl.store(out_ptr + places", "tl.store(x_ptr + places + 1, here, mask=places < n)\n    tl.store(out_ptr + places"),
        ("out = torch.empty_like(x)", "out = x.view(-1).flip(0)"),
        # more than a kernel takes
        ("(x, t, n, BLOCK=256)", "(x, t, n, 256, 1)"),
        # a parameter that the first kernel changes
        ("    x = tl.load", "    n -= 1\n    x = tl.load"),
    ],
)  # fmt: skip
def test_kernels_stay_apart_where_programs_share_what_they_write(old: str, new: str) -> None:
    assert old in SOURCE
    assert "square_fused" in fused(SOURCE)
    assert fused(SOURCE.replace(old, new)) == SOURCE.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mask=places < n, other=0.0", "mask=(places < n) & (places > 0), other=0.0"),
        ("t_ptr + offs, x * x, mask=offs < n", "t_ptr + offs, x * x"),
        ("tl.store(out_ptr + places, here + 1", "tl.store(x_ptr + places, here"),
    ],
)
def test_a_program_that_needs_only_what_it_wrote_waits_for_all_its_threads(old: str, new: str) -> None:
    after = fused(SOURCE.replace(old, new))
    assert "square_fused" in after
    assert after.count("tl.debug_barrier()") == 1


def test_numbers_that_a_program_keeps_for_itself_stay_in_registers() -> None:
    stores = "tl.store(t_ptr + pid * 2 + 0, total)\n    tl.store(t_ptr + pid * 2 + 1, 0.0)"
    loads = "here = tl.load(t_ptr + number * 2 + 0) + places"
    apart = slots(stores, loads).replace("number", "pid")
    assert "square_fused" in fused(apart)
    assert "debug_barrier" in fused(apart)
    kept = apart.replace("pid * 2 + 0) + places", "pid * 2 + 0)")
    assert "here = total" in fused(kept)
    assert "debug_barrier" not in fused(kept)
    beyond = apart.replace("pid * 2 + 1", "pid * 2 + 2")
    assert fused(beyond) == beyond


def test_a_number_that_changes_after_it_was_stored_is_loaded_and_not_taken_from_its_name() -> None:
    source = slots("tl.store(t_ptr + pid, total)\n    total = total * 2", "here = tl.load(t_ptr + pid)")
    after = fused(source.replace("number", "pid"))
    assert "square_fused" in after
    assert "here = total" not in after
    assert "debug_barrier" in after


def test_what_the_launcher_returns_is_stored_though_the_second_kernel_has_it() -> None:
    source = slots("tl.store(t_ptr + pid, total)", "here = tl.load(t_ptr + pid)").replace("number", "pid")
    assert "tl.store(t_ptr" not in fused(source).partition("def square_fused")[2]
    after = fused(source.replace("return out", "return out, t")).partition("def square_fused")[2]
    assert "tl.store(t_ptr + pid, total)" in after
    assert "here = total" in after
    source = source.replace("(t_ptr + pid", "(row + pid").replace(
        "    pid = tl.program_id(0)", "    row = t_ptr + 0\n    pid = tl.program_id(0)"
    )
    assert "tl.store(row + pid, total)" in fused(source.replace("return out", "return out, t"))
