"""What other functions may do to memory, and tensors that a caller passes twice, keep rewrites away."""

import pytest

from operators.rewrites.families import FAMILIES
from operators.rewrites.program import apply, read

HEAD = "import torch\nimport triton\nimport triton.language as tl\n"
TURNS = """

@triton.jit
def take(x_ptr, next_ptr, o_ptr, n, turns, BLOCK: tl.constexpr):
    for turn in range(0, turns):
        tile = VALUE
        offs = tile * BLOCK + tl.arange(0, BLOCK)
        tl.store(o_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)
"""
SUM = """

@triton.jit
def note(p_ptr, x):
    LINE
    return x * 2.0


@triton.jit
def total(o_ptr, p_ptr, x_ptr, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        acc += note(p_ptr, tl.load(x_ptr + row * n + offs, mask=offs < n, other=0.0))
    tl.store(o_ptr + row, tl.sum(acc, axis=0))


def launch(x, p):
    o = torch.empty((x.shape[0],), dtype=torch.float32, device=x.device)
    total[(x.shape[0],)](o, p, x, x.shape[1], BLOCK=256)
    return o
"""


def rewritten(source: str, name: str) -> str:
    family, program = next(f for f in FAMILIES if f.name == name), read(source)
    made = apply(program, list(program.places(family)))
    assert not program.faults
    return made


@pytest.mark.parametrize(
    ("more", "value", "moves"),
    [
        ("from triton.language.extra import libdevice", "libdevice.rint(n)", True),
        ("try:\n    from triton.language.extra import libdevice\nexcept ImportError:\n"
         "    from triton.language.extra.cuda import libdevice", "libdevice.rint(n)", True),
        ("import math", "math.ceil(n)", True),
        ("", "tl.math.ceil(n)", True),
        ("", "n.to(tl.int32)", True),
        ("import counters", "counters.following(next_ptr)", False),
        ("import kernels.counters as counters", "counters.following(next_ptr)", False),
        ("from . import counters", "counters.following(next_ptr)", False),
        ("from counters import following", "following(next_ptr)", False),
        ("try:\n    import triton.counters as math\nexcept ImportError:\n    import counters as math", "math.ceil(n)", False),
        ("counters = torch.ops.mine", "counters.following(next_ptr)", False),
    ],
)  # fmt: skip
def test_a_call_of_another_module_stays_in_its_loop_where_nobody_knows_what_it_does(
    more: str, value: str, moves: bool
) -> None:
    made = rewritten(HEAD + more + TURNS.replace("VALUE", value), "hoist-invariant")
    assert (f"    tile = {value}\n    for turn" in made) == moves


@pytest.mark.parametrize(
    ("line", "splits"), [("y = x", True), ("tl.store(p_ptr, 1)", False), ("tl.atomic_add(p_ptr, 1)", False)]
)
def test_a_loop_whose_helper_writes_is_not_dealt_out(line: str, splits: bool) -> None:
    source = HEAD + SUM.replace("LINE", line)
    assert (rewritten(source, "two-level-reduction") != source) == splits


PAIR = """

@triton.jit
def square(x_ptr, t_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(t_ptr + offs, tl.load(x_ptr + offs, mask=offs < n) + 1.0, mask=offs < n)
    tl.store(y_ptr + offs, tl.load(x_ptr + offs, mask=offs < n) * 2.0, mask=offs < n)


@triton.jit
def shift(x_ptr, t_ptr, o_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + offs, tl.load(x_ptr + AT, mask=offs < n) + tl.load(t_ptr + offs, mask=offs < n), mask=offs < n)


def launch(PARAMETERS):
    n = x.numel()
    t = torch.empty((n,), dtype=x.dtype, device=x.device)
    s = torch.empty((n,), dtype=x.dtype, device=x.device)
    MADE
    square[(triton.cdiv(n, 256),)](x, t, TO, n, BLOCK=256)
    shift[(triton.cdiv(n, 256),)](x, t, out, n, BLOCK=256)
"""


@pytest.mark.parametrize(
    ("parameters", "made", "to", "at", "joins"),
    [
        ("x", "out = torch.empty_like(x)", "s", "n - 1 - offs", True),
        ("x, y", "out = torch.empty_like(x)", "s", "n - 1 - offs", True),
        ("x, out", "pass", "s", "n - 1 - offs", True),  # the first kernel writes what the launcher made
        ("x, y", "out = torch.empty_like(x)", "y", "n - 1 - offs", False),  # y may be x
        ("x, y", "out = torch.empty_like(x)", "y", "offs", True),  # and then each program has its own
        ("x, z", "y, out = z.view(-1), torch.empty_like(x)", "y", "n - 1 - offs", False),
    ],
)
def test_kernels_stay_apart_where_a_caller_may_pass_one_tensor_for_what_both_reach(
    parameters: str, made: str, to: str, at: str, joins: bool
) -> None:
    source = PAIR.replace("PARAMETERS", parameters).replace("MADE", made).replace("TO", to).replace("AT", at)
    assert ("def square_fused" in rewritten(HEAD + source, "fuse-kernels")) == joins


FLIP = """

@triton.jit
def flip(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + offs, tl.load(x_ptr + AT, mask=offs < n), mask=offs < n)


def launch(PARAMETERS):
    MADE
    flip[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK=1024)
"""


@pytest.mark.parametrize(
    ("parameters", "made", "at", "parts"),
    [
        ("x", "y = torch.empty_like(x)", "n - 1 - offs", True),
        ("x, y", "pass", "offs", True),
        ("x, y", "pass", "n - 1 - offs", False),  # of f(x, x) a part would load what an earlier one stored
        ("x", "y = x.view(-1)", "n - 1 - offs", False),
    ],
)
def test_a_block_stays_whole_where_its_parts_may_load_what_others_stored(
    parameters: str, made: str, at: str, parts: bool
) -> None:
    source = HEAD + FLIP.replace("PARAMETERS", parameters).replace("MADE", made).replace("AT", at)
    assert ("PARTS" in rewritten(source, "loop-over-block")) == parts


PASSES = """

@triton.jit
def powers(o_ptr, x_ptr, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    peak = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * n + offs, mask=offs < n, other=float("-inf"))
        peak = tl.maximum(peak, x)
    top = tl.max(peak, axis=0)
    LINE
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * n + offs, mask=offs < n, other=float("-inf"))
        total += tl.exp(x - top)
    tl.store(o_ptr + row, tl.sum(total, axis=0))
"""


@pytest.mark.parametrize(("line", "joins"), [("half = top * 0.5", True), ("tl.store(x_ptr + row * n, top)", False)])
def test_passes_are_not_joined_over_a_store_between_them(line: str, joins: bool) -> None:
    source = HEAD + PASSES.replace("LINE", line)
    assert (rewritten(source, "one-pass-statistics") != source) == joins
