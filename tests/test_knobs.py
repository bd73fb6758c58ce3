"""Tunable numbers: which are found, what they may become, and that a rewrite touches nothing else."""

import ast
import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archives.candidate import Candidate, fingerprint
from operators import knob_values, knobs
from operators.knob_operators import DRAWS, KnobCross, KnobStep
from operators.proposal import Context, ProposalError

UNCHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # others may use the machine
ROOT = Path(__file__).parents[1]
SEEDS = sorted((ROOT / "suites" / "native").glob("*.py"))
SOFTMAX = (ROOT / "suites" / "native" / "softmax.py").read_bytes().decode()

HEAD = """\
# Größe: naïve — 数
import torch, triton
import triton.language as tl
"""

COPY = """
@triton.jit
def copy(x, y, n, BLOCK: tl.constexpr):
\to = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)  # lanes
\ttl.store(y + o, tl.load(x + o, mask=o < n, other=0), mask=o < n)
"""
LOOP = """
@triton.jit
def total(x, y, n, BLOCK: tl.constexpr, SPLIT: tl.constexpr, UNROLL: tl.constexpr = 3):
    acc = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, 4):
        acc += tl.load(x + start + tl.arange(0, BLOCK))
    tl.store(y, tl.sum(acc, axis=0))
"""
DOT = """
@triton.jit
def gemm(a, b, c, M, N, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP_M: tl.constexpr):
    tl.store(c, tl.dot(tl.load(a), tl.load(b)))
"""
OPTIONS = {"num_warps", "num_stages", "num_ctas", "waves_per_eu", "matrix_instr_nonkdim", "kpack"}


def program(launcher: str, kernel: str = COPY) -> str:
    """Put a launcher's body behind a kernel."""
    body = "".join(f"    {line}\n" for line in launcher.splitlines())
    return f"{HEAD}{kernel}\n\ndef run(x, y, n):\n{body}    return y\n"


def sizes(source: str, backend: str = "cuda") -> dict[str, int | None]:
    """Return the knobs of a program that are no options."""
    found = knobs.find(source, backend)
    return {knob.name: knob.value for knob in found if knob.name.rpartition(".")[2] not in OPTIONS}


def knob(source: str, name: str, backend: str = "cuda") -> knobs.Knob:
    return {knob.name: knob for knob in knobs.find(source, backend)}[name]


def names(source: str, backend: str) -> set[str]:
    return {knob.name for knob in knobs.find(source, backend)}


def candidate(source: str) -> Candidate:
    return Candidate(source, "seed", "", (), fingerprint(source), knobs.structure(source))


def context(seed: int = 0, known: set[str] | None = None, backend: str = "hip") -> Context:
    """Make a context in which the given fingerprints are known, or all of them for `{"all"}`."""
    seen = known or set()
    return Context(np.random.default_rng(seed), lambda f: "all" in seen or f in seen, "mi300", backend)


PROGRAMS = {
    "keyword": program("copy[(triton.cdiv(n, 256),)](x, y, n, BLOCK=256, num_warps=4)"),
    "positional": program("copy[(triton.cdiv(n, 256), 1)](x, y, n, 256)"),
    "rounded up": program("copy[(n + 255) // 256,](x, y, n, BLOCK=256)"),
    "local": program("BLOCK = 256\ngrid = (triton.cdiv(n, BLOCK),)\ncopy[grid](x, y, n, BLOCK=BLOCK)"),
    "lambda": program('copy[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, y, n, BLOCK=256, num_stages=2)'),
    "several lines": program("copy[(1,)](\n    x,  # in\n    y, n,\n    BLOCK=256,  # lanes\n    num_warps = 4,\n)"),
    "two launches": program("copy[(1,)](x, y, n, BLOCK=64)\ncopy[(1,)](x, y, n, num_warps=2, BLOCK=64)"),
    "dot": program("gemm[(1,)](x, y, y, 1, 1, 1, BLOCK_M=64, BLOCK_N=32, GROUP_M=8)", DOT),
    "loop": program("total[(n, 4)](x, y, n, BLOCK=256, SPLIT=4)", LOOP),
    "crlf": program("copy[(1,)](x, y, n, BLOCK=256)").replace("\n", "\r\n"),
    "softmax": SOFTMAX,
}  # fmt: skip
each_program = pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS.keys())


class TestWhatIsFound:
    @pytest.mark.parametrize(
        "launcher",
        [
            "copy[(1,)](x, y, n, BLOCK=256)",
            "copy[(1,)](x, y, n, 256)",
            "copy[(1,)](x, y, n, *[], BLOCK=256)",
            "BLOCK = 256\ncopy[(triton.cdiv(n, BLOCK),)](x, y, n, BLOCK=BLOCK)",
            "BLOCK = 256\ncount = triton.cdiv(n, BLOCK)\nt = torch.empty(count)\ncopy[(count,)](x, y, n, BLOCK=BLOCK)",
            "B, C = 256, 1\ncopy[(C,)](x, y, n, BLOCK=B)",
            "B = 256\nassert n % B == 0\ngrid = lambda meta: (n // B,)\ncopy[grid](x, y, n, B)",
            "B = 256\ncount = int(math.ceil(n / B))\ncopy[(count,)](x, y, n, BLOCK=B)",
            "size: int = 256\ndef grid(meta):\n    return ((n + size - 1) // size,)\ncopy[grid](x, y, n, BLOCK=size)",
        ],
    )
    def test_a_constexpr_is_found_at_its_launch_or_at_the_variable_that_feeds_it(self, launcher: str) -> None:
        assert sizes(program(launcher)) == {"copy.BLOCK": 256}

    @pytest.mark.parametrize("constant", ["B = 256", "B: tl.constexpr = 256", "B = tl.constexpr(256)"])
    def test_a_module_constant_that_feeds_a_launch_is_a_knob(self, constant: str) -> None:
        source = program("copy[(triton.cdiv(n, B),)](x, y, n, BLOCK=B)", f"{constant}\n{COPY}")
        assert sizes(source) == {"copy.BLOCK": 256}

    @pytest.mark.parametrize("constant", ["BLOCK: tl.constexpr = 256", "BLOCK = tl.constexpr(256)"])
    def test_a_module_constexpr_that_a_kernel_reads_is_a_knob(self, constant: str) -> None:
        source = program("copy[(1,)](x, y, n)", f"{constant}\n{COPY.replace(', BLOCK: tl.constexpr', '')}")
        assert sizes(source) == {"copy.BLOCK": 256}

    def test_the_default_of_a_launchers_parameter_is_a_knob(self) -> None:
        source = program("copy[(1,)](x, y, n, BLOCK=size)").replace("run(x, y, n)", "run(x, y, n, size=256)")
        assert sizes(source) == {"copy.BLOCK": 256}

    def test_the_default_of_a_kernels_parameter_is_a_knob_only_where_a_launch_uses_it(self) -> None:
        assert sizes(program("total[(n,)](x, y, n, 64, SPLIT=2)", LOOP))["total.UNROLL"] == 3
        passed = sizes(program("total[(n,)](x, y, n, 64, SPLIT=2, UNROLL=n)", LOOP))
        assert "total.UNROLL" not in passed

    def test_every_number_of_every_config_is_a_knob(self) -> None:
        tuned = COPY.replace(
            "@triton.jit",
            "@triton.autotune([triton.Config({'BLOCK': 64, 'waves_per_eu': 2}, num_warps=8),\n"
            "    triton.Config({'BLOCK': 128, 'NAME': 'x'}, 4, num_stages=3)], key=['n'])\n@triton.jit",
        )
        source = program("copy[lambda meta: (1,)](x, y, n)", tuned)
        assert {k.name: k.value for k in knobs.find(source, "hip")} == {
            "configs[0].BLOCK": 64, "configs[0].num_warps": 8, "configs[0].waves_per_eu": 2,
            "configs[1].BLOCK": 128, "configs[1].num_warps": 4, "configs[1].num_stages": 3,
        }  # fmt: skip
        assert knobs.values(source)["configs[0].num_stages"] is None

    def test_heuristics_may_stand_above_a_kernel_and_what_they_set_is_no_knob(self) -> None:
        above = "@triton.heuristics({'num_warps': lambda a: 4})\n@unknown.decorator(1)\n@triton.jit"
        source = program("copy[(1,)](x, y, n, BLOCK=64)", COPY.replace("@triton.jit", above))
        assert names(source, "hip") == {"copy.BLOCK", "copy.waves_per_eu"}

    def test_the_options_that_hip_knows_are_knobs_there_and_the_last_two_only_with_a_dot(self) -> None:
        call = "copy[(1,)](x, y, n, BLOCK=64)"
        assert names(program(call), "cuda") == {"copy.BLOCK", "copy.num_warps"}
        assert names(program(call), "hip") == {"copy.BLOCK", "copy.num_warps", "copy.waves_per_eu"}
        dots = names(PROGRAMS["dot"], "hip") - names(PROGRAMS["dot"], "cuda")
        assert dots == {"gemm.waves_per_eu", "gemm.matrix_instr_nonkdim", "gemm.kpack"}

    def test_a_missing_num_stages_is_a_knob_of_kernels_with_loops(self) -> None:
        assert knob(PROGRAMS["loop"], "total.num_stages").legal == (1, 2, 4, 5)  # 3 is what cuda takes anyway
        assert knob(PROGRAMS["loop"], "total.num_stages", "hip").legal == (1, 3, 4)
        assert "copy.num_stages" not in names(PROGRAMS["keyword"], "cuda")

    def test_a_dot_in_a_function_that_the_kernel_calls_counts_as_the_kernels(self) -> None:
        helper = "\n@triton.jit\ndef mul(a, b):\n    return tl.dot(a, b)\n"
        kernel = helper + DOT.replace("tl.dot(", "mul(")
        assert "gemm.kpack" in names(program("gemm[(1,)](x, y, y, 1, 1, 1, 64, 64, 8)", kernel), "hip")

    def test_launches_of_one_kernel_are_numbered(self) -> None:
        source = program("copy[(1,)](x, y, n, BLOCK=64)\ncopy[(1,)](x, y, n, BLOCK=128, num_warps=8)")
        assert [(k.name, k.value) for k in knobs.find(source, "cuda")] == [
            ("copy.BLOCK", 64), ("copy.num_warps", None), ("copy#2.BLOCK", 128), ("copy#2.num_warps", 8),
        ]  # fmt: skip

    def test_a_variable_that_feeds_two_launches_is_one_knob(self) -> None:
        source = program("B = 64\ncopy[(1,)](x, y, n, BLOCK=B)\ncopy[(1,)](x, y, n, BLOCK=B)")
        assert sizes(source) == {"copy.BLOCK": 64}

    def test_of_several_kernels_of_one_name_the_last_counts(self) -> None:
        kernel = f"if 1:\n    pass\n{COPY.replace('BLOCK', 'TILE')}{COPY}"
        assert sizes(program("copy[(1,)](x, y, n, BLOCK=64)", kernel)) == {"copy.BLOCK": 64}


class TestWhatIsNoKnob:
    @pytest.mark.parametrize(
        "argument",
        ["HAS_BIAS=1", "IS_CAUSAL=1", "USE_X=True", "EVEN=True", "HEAD_DIM=64", "BLOCK_DMODEL=64", "N=64",
         "DTYPE_SIZE=2", "N_COLS=1024", "NUM_BLOCKS=4", "axis=1", "EPS=1", "stride_m=1", "LIMIT=1000", "P=-1"],
    )  # fmt: skip
    def test_a_number_that_says_what_is_computed_stays(self, argument: str) -> None:
        kernel = COPY.replace("BLOCK:", f"{argument.split('=')[0]}: tl.constexpr, BLOCK:")
        assert sizes(program(f"copy[(1,)](x, y, n, {argument}, BLOCK=256)", kernel)) == {"copy.BLOCK": 256}

    def test_a_runtime_argument_stays(self) -> None:
        assert sizes(program("copy[(1,)](x, y, 1024, BLOCK=n)")) == {}

    @pytest.mark.parametrize(
        "launcher",
        [
            "B = 256\nt = x.reshape(B, -1)\ncopy[(1,)](x, y, n, BLOCK=B)",
            "B = 256\nif n < 9:\n    B = 16\ncopy[(1,)](x, y, n, BLOCK=B)",
            "B = 256\nB *= 2\ncopy[(1,)](x, y, n, BLOCK=B)",
            "B = 256\ny = y / B\ncopy[(1,)](x, y, n, BLOCK=B)",
            "B, C = 256, n\nC, B = B, C\ncopy[(1,)](x, y, n, BLOCK=B)",
            "B = 256\ndef set():\n    nonlocal B\n    B = 2\ncopy[(1,)](x, y, n, BLOCK=B)",
            "for B in (64, 256):\n    copy[(1,)](x, y, n, BLOCK=B)",
            "copy[(1,)](x, y, n, BLOCK=triton.next_power_of_2(256))",
            "other[(1,)](x, y, n, BLOCK=256)",
        ],
    )
    def test_a_variable_with_another_use_or_another_value_stays(self, launcher: str) -> None:
        assert sizes(program(launcher)) == {}

    def test_an_option_that_may_hide_in_keyword_arguments_is_not_offered_again(self) -> None:
        assert names(program("copy[(1,)](x, y, n, BLOCK=256, **options)"), "hip") == {"copy.BLOCK"}
        assert names(program("copy[(1,)](x, y, n, BLOCK=256, num_warps=warps(n))"), "cuda") == {"copy.BLOCK"}

    def test_an_option_that_is_a_parameter_of_the_kernel_can_not_be_left_out(self) -> None:
        kernel = COPY.replace("BLOCK:", "num_warps: tl.constexpr, BLOCK:")
        source = program("copy[(1,)](x, y, n, num_warps=4, BLOCK=256)", kernel)
        with pytest.raises(ValueError, match="expected a number"):
            knobs.rewrite(source, {"copy.num_warps": None})

    def test_a_program_without_kernels_has_none(self) -> None:
        assert knobs.find("import torch\n\n\ndef run(x):\n    return f[1](x, BLOCK=256)\n", "hip") == ()
        assert knobs.find("@torch.jit\ndef f(BLOCK: tl.constexpr): ...\nf[1](BLOCK=64)\n", "hip") == ()


class TestLegalValues:
    @pytest.mark.parametrize(
        ("value", "lowest", "highest"), [(256, 16, 8192), (4096, 16, 8192), (8192, 16, 65536), (4, 1, 256)]
    )
    def test_a_size_takes_powers_of_two(self, value: int, lowest: int, highest: int) -> None:
        legal = knob(program(f"copy[(1,)](x, y, n, {value})"), "copy.BLOCK").legal
        assert (legal[0], legal[-1]) == (lowest, highest)
        assert all(small * 2 == big for small, big in pairwise(legal))

    def test_tiles_groups_and_small_numbers_have_their_own(self) -> None:
        assert knob(PROGRAMS["dot"], "gemm.BLOCK_M").legal == (16, 32, 64, 128, 256)
        assert knob(PROGRAMS["dot"], "gemm.GROUP_M").legal == (1, 2, 4, 8, 16, 32)
        assert knob(PROGRAMS["loop"], "total.SPLIT").legal == (2, 3, 4, 5, 8)

    def test_options_take_what_the_backend_takes(self) -> None:
        source = program("copy[(1,)](x, y, n, BLOCK=64, num_warps=4, num_stages=2, num_ctas=1, kpack=1)")
        assert knob(source, "copy.num_warps").legal == (1, 2, 4, 8, 16)
        assert knob(source, "copy.num_stages").legal == (1, 2, 3, 4, 5)
        assert knob(source, "copy.num_ctas").legal == (1, 2, 4)
        assert knob(source, "copy.num_stages", "hip").legal == (1, 2, 3, 4)
        assert knob(source, "copy.kpack", "hip").legal == (1, 2)
        assert "copy.kpack" not in names(source, "cuda")
        assert "copy.num_ctas" not in names(source, "hip")

    def test_the_default_is_not_offered_where_it_rules_already(self) -> None:
        left_out = knob(PROGRAMS["positional"], "copy.num_warps")
        assert (left_out.value, left_out.default, left_out.legal) == (None, 4, (1, 2, 8, 16))

    @each_program
    def test_the_present_value_is_legal_and_the_values_rise(self, source: str) -> None:
        for k in knobs.find(source, "hip"):
            assert k.value is None or k.value in k.legal
            assert list(k.legal) == sorted(set(k.legal))


class TestRewrites:
    @each_program
    @settings(deadline=None, max_examples=25, suppress_health_check=UNCHECKED)
    @given(data=st.data())
    def test_any_legal_change_is_lossless_stable_and_reversible(self, source: str, data: st.DataObject) -> None:
        found = knobs.find(source, "hip")
        changed = data.draw(st.lists(st.sampled_from(found), unique=True, min_size=1))
        changes = {k.name: data.draw(st.sampled_from(k.legal)) for k in changed}
        new = knobs.rewrite(source, changes)
        compile(new, "program.py", "exec")
        assert knobs.values(new) == {**knobs.values(source), **changes}
        assert list(knobs.values(new)) == list(knobs.values(source))
        assert [k.name for k in knobs.find(new, "hip")] == [k.name for k in found]
        home = knobs.structure(source)
        assert knobs.structure(new) == home
        assert knobs.holds(source, changes, home)
        assert knobs.rewrite(source, changes, home) == new
        assert knobs.values(new, home) == knobs.values(new)
        assert knobs.find(new, "hip", home) == knobs.find(new, "hip")
        again = {k.name: data.draw(st.sampled_from(k.legal)) for k in changed}
        assert knobs.rewrite(new, again, home) == knobs.rewrite(new, again)
        assert knobs.rewrite(new, {k.name: k.value for k in changed}) == source
        if all(k.value is not None for k in changed):
            assert re.sub(r"\b\d\w*", "0", new) == re.sub(r"\b\d\w*", "0", source)

    @each_program
    def test_setting_what_is_set_changes_nothing(self, source: str) -> None:
        assert knobs.rewrite(source, {}) == source
        assert knobs.rewrite(source, knobs.values(source)) == source

    @pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name)
    def test_every_seed_is_read_without_loss_and_every_kernel_has_knobs(self, path: Path) -> None:
        source = path.read_bytes().decode()
        assert knobs.rewrite(source, {}) == source
        assert bool(knobs.find(source, "hip")) == ("@triton.jit" in source)

    @pytest.mark.long
    def test_every_file_of_triton_is_read_without_loss(self) -> None:
        spec = find_spec("triton")
        assert spec is not None
        assert spec.origin is not None
        paths = sorted(Path(spec.origin).parent.rglob("*.py"))
        assert paths
        for path in paths:
            source = path.read_bytes().decode()
            knobs.find(source, "cuda")
            assert knobs.rewrite(source, {}) == source

    def test_a_missing_option_joins_the_call(self) -> None:
        new = knobs.rewrite(PROGRAMS["positional"], {"copy.num_warps": 8, "copy.waves_per_eu": 2})
        assert "(x, y, n, 256, num_warps=8, waves_per_eu=2)\n" in new

    def test_a_missing_option_joins_before_a_trailing_comma(self) -> None:
        source = program("copy[(1,)](\n    x, y, n,\n    BLOCK=256,  # lanes\n)")
        new = knobs.rewrite(source, {"copy.num_warps": 8})
        assert "        BLOCK=256, num_warps=8,  # lanes\n    )" in new

    def test_a_missing_option_joins_a_config_and_an_empty_call(self) -> None:
        tuned = "@triton.autotune([triton.Config({'BLOCK': 64})], key=['n'])\n@triton.jit"
        source = program("copy[(1,)](x, y, n)", COPY.replace("@triton.jit", tuned))
        assert "Config({'BLOCK': 64}, num_warps=8)" in knobs.rewrite(source, {"configs[0].num_warps": 8})
        assert "copy[(1,)](num_warps=8)" in knobs.rewrite(program("copy[(1,)]()"), {"copy.num_warps": 8})

    def test_an_option_leaves_its_call_with_its_comma_and_comments_stay(self) -> None:
        without = {"copy.num_warps": None}
        assert "(x, y, n, BLOCK=256)\n" in knobs.rewrite(PROGRAMS["keyword"], without)
        first = program("copy[(1,)](num_warps=4, x=x, y=y, n=n, BLOCK=64)")
        assert "copy[(1,)](x=x, y=y, n=n, BLOCK=64)" in knobs.rewrite(first, without)
        lines = knobs.rewrite(PROGRAMS["several lines"], without)
        assert "# in\n" in lines
        assert "# lanes\n" in lines
        assert "num_warps" not in lines
        compile(lines, "program.py", "exec")

    def test_equal_numbers_of_one_launch_move_together(self) -> None:
        new = knobs.rewrite(PROGRAMS["keyword"], {"copy.BLOCK": 1024})
        assert "copy[(triton.cdiv(n, 1024),)](x, y, n, BLOCK=1024, num_warps=4)" in new
        new = knobs.rewrite(PROGRAMS["rounded up"], {"copy.BLOCK": 64})
        assert "copy[(n + 63) // 64,](x, y, n, BLOCK=64)" in new
        new = knobs.rewrite(PROGRAMS["loop"], {"total.SPLIT": 8})
        assert "total[(n, 8)](x, y, n, BLOCK=256, SPLIT=8)" in new

    def test_a_variable_beside_an_equal_number_in_the_grid_moves_with_it(self) -> None:
        source = program("B = 256\ncopy[((n + 255) // B,)](x, y, n, BLOCK=B)")
        assert "((n + 127) // B,)" in knobs.rewrite(source, {"copy.BLOCK": 128})

    def test_two_sizes_that_one_number_of_the_grid_may_mean_are_one_knob(self) -> None:
        kernel = COPY.replace("BLOCK:", "BLOCK_N: tl.constexpr, BLOCK:")
        source = program("copy[(triton.cdiv(n, 64),)](x, y, n, BLOCK_N=64, BLOCK=64)", kernel)
        assert sizes(source) == {"copy.BLOCK_N": 64}
        assert "cdiv(n, 32),)](x, y, n, BLOCK_N=32, BLOCK=32)" in knobs.rewrite(source, {"copy.BLOCK_N": 32})

    def test_a_divisor_goes_with_a_size_and_a_count_with_a_split(self) -> None:
        source = program("total[(triton.cdiv(n, 8), 8)](x, y, n, BLOCK=8, SPLIT=8, UNROLL=8)", LOOP)
        assert "(triton.cdiv(n, 4), 8)](x, y, n, BLOCK=4, " in knobs.rewrite(source, {"total.BLOCK": 4})
        assert "(triton.cdiv(n, 8), 4)](x, y, n, BLOCK=8, SPLIT=4, " in knobs.rewrite(source, {"total.SPLIT": 4})
        assert "(triton.cdiv(n, 8), 8)]" in knobs.rewrite(source, {"total.UNROLL": 4})

    def test_a_place_of_a_shape_is_not_tied_to_an_equal_number(self) -> None:
        source = program("total[(x.shape[2], x.size(2))](x, y, n, BLOCK=64, SPLIT=2)", LOOP)
        assert "(x.shape[2], x.size(2))" in knobs.rewrite(source, {"total.SPLIT": 4})

    def test_a_number_in_another_notation_stays_as_it_is_until_it_changes(self) -> None:
        source = program("copy[(1,)](x, y, n, BLOCK=(0x1_00), num_warps=0b100)")
        new = knobs.rewrite(source, {"copy.BLOCK": 256, "copy.num_warps": 8})
        assert "BLOCK=(0x1_00), num_warps=8)" in new
        assert "BLOCK=(512), num_warps=0b100)" in knobs.rewrite(source, {"copy.BLOCK": 512})

    def test_a_knob_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"copy\.TILE"):
            knobs.rewrite(PROGRAMS["keyword"], {"copy.TILE": 1})
        with pytest.raises(ValueError, match="expected a number"):
            knobs.rewrite(PROGRAMS["keyword"], {"copy.BLOCK": None})


class TestStructure:
    def test_programs_that_differ_in_numbers_options_comments_and_order_of_options_are_one(self) -> None:
        one = program("copy[(1,)](x, y, n, BLOCK=256, num_warps=4)")
        other = program("copy[(1,)](x, y, n, num_stages=2, BLOCK=16,)  # hm")
        assert knobs.structure(one) == knobs.structure(other)

    @pytest.mark.parametrize(
        "other", ["copy[(2,)](x, y, n, BLOCK=256)", "copy[(1,)](y, x, n, BLOCK=256)", "copy[(1,)](x, y, n, BLOCK=n)"]
    )  # fmt: skip
    def test_programs_that_differ_in_more_are_not(self, other: str) -> None:
        assert knobs.structure(program("copy[(1,)](x, y, n, BLOCK=256)")) != knobs.structure(program(other))

    def test_programs_with_other_ties_are_not(self) -> None:
        kernel = COPY.replace("BLOCK:", "BLOCK_N: tl.constexpr, BLOCK:")
        call = "copy[(triton.cdiv(n, 64),)](x, y, n, BLOCK_N={}, BLOCK=64)"
        assert knobs.structure(program(call.format(64), kernel)) != knobs.structure(program(call.format(32), kernel))

    def test_what_a_change_makes_of_the_structure_is_told_without_parsing(self) -> None:
        kernel = COPY.replace("BLOCK:", "BLOCK_N: tl.constexpr, BLOCK:")
        source = program("copy[(triton.cdiv(n, 64), triton.cdiv(n, 32))](x, y, n, BLOCK_N=32, BLOCK=64)", kernel)
        home = knobs.structure(source)
        changes = [{"copy.BLOCK_N": value} for value in (16, 32, 64, 3)]
        told = [knobs.holds(source, change, home) for change in changes]
        assert told == [knobs.structure(knobs.rewrite(source, change)) == home for change in changes]
        assert set(told) == {True, False}

    def test_without_knobs_it_is_the_fingerprint(self) -> None:
        for source in ("x = 1\n", "def f(:\n", ""):
            assert knobs.structure(source) == fingerprint(source)


def test_how_many_elements_share_a_scale_is_no_choice() -> None:
    found = names((ROOT / "suites" / "native" / "dequantize.py").read_text(), "cuda")
    assert "dequantize_kernel.BLOCK" in found
    assert "dequantize_kernel.GROUP" not in found


def test_rows_of_a_program_are_few_whatever_they_stand_at() -> None:
    for value in (4, 64):
        sort = knob_values.kind("ROWS_PER_PROGRAM", value, ranged=True, dots=False)
        assert knob_values.legal(sort, value, "cuda", None) == (1, 2, 4, 8, 16, 32, 64)


class TestUnreadableSources:
    @pytest.mark.parametrize(
        "source",
        ["def f(:", "x = '", "\0", "\ufeffx = 1", "\x0cx = 1\n", "x = '\ud800'", "[" * 100_000, "-" * 5_000 + "1",
         "x = " + "1 + " * 20_000 + "1", "if x:\n\ty\n        z\n", "# coding: latin-1\nx = 'é'\n", "# coding: no\n"],
        ids=range(12),
    )  # fmt: skip
    def test_they_have_no_knobs(self, source: str) -> None:
        assert knobs.find(source, "hip") == ()
        assert knobs.values(source) == {}
        assert knobs.rewrite(source, {}) == source

    def test_the_reason_is_logged_at_debug_level(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("DEBUG", logger="operators.knobs"):
            knobs.find("def broken(:  # once\n", "hip")
        assert "cannot be read" in caplog.text

    @settings(deadline=None, suppress_health_check=UNCHECKED)
    @given(
        st.sampled_from(sorted(PROGRAMS)), st.integers(0), st.integers(0, 40), st.text("(),=[]*#'\n\t 1aBé", max_size=8)
    )
    def test_a_damaged_program_is_no_error(self, name: str, start: int, length: int, middle: str) -> None:
        source = PROGRAMS[name]
        start %= len(source)
        damaged = source[:start] + middle + source[start + length :]
        for k in knobs.find(damaged, "hip"):
            ast.parse(knobs.rewrite(damaged, {k.name: k.legal[0]}))
        assert knobs.rewrite(damaged, {}) == damaged
        assert knobs.structure(damaged)

    @settings(deadline=None, suppress_health_check=UNCHECKED)
    @given(st.text())
    def test_any_text_is_no_error(self, source: str) -> None:
        assert knobs.find(source, "hip") == ()
        assert knobs.structure(source) == fingerprint(source)

    def test_a_long_program_is_no_error(self) -> None:
        source = SOFTMAX + "\n".join(f"def f{i}(x):\n    return [x * {i}, 256]\n" for i in range(1700))
        assert len(source.splitlines()) > 5_000
        assert len(knobs.find(source, "hip")) == 4


class TestKnobStep:
    def test_it_changes_one_or_two_knobs_to_legal_values_and_says_which(self) -> None:
        before, counts = knobs.values(SOFTMAX), set()
        for seed in range(40):
            proposal = KnobStep().propose([candidate(SOFTMAX)], context(seed))
            after = knobs.values(proposal.source)
            changed = [k for k in knobs.find(SOFTMAX, "hip") if after[k.name] != before[k.name]]
            assert all(after[k.name] in k.legal for k in changed)
            assert len(changed) == proposal.intent.count("->")
            counts.add(len(changed))
        assert counts == {1, 2}

    def test_without_jumps_it_moves_to_a_neighbour_counted_from_the_default(self) -> None:
        near = {"BLOCK": {128, 512}, "num_warps": {2, 8}, "num_stages": {1, 3}, "waves_per_eu": {1}}
        seen: set[tuple[str, int | None]] = set()
        for seed in range(80):
            new = KnobStep(jump=0.0).propose([candidate(SOFTMAX)], context(seed)).source
            seen |= set(knobs.values(new).items()) - set(knobs.values(SOFTMAX).items())
        assert seen == {(f"softmax_kernel.{key}", value) for key, values in near.items() for value in values}

    @pytest.mark.long
    def test_with_jumps_it_reaches_every_legal_value(self) -> None:
        seen = {
            knobs.values(KnobStep(jump=1.0).propose([candidate(SOFTMAX)], context(seed)).source)["softmax_kernel.BLOCK"]
            for seed in range(120)
        }
        assert seen == set(knob(SOFTMAX, "softmax_kernel.BLOCK").legal)

    def test_the_intent_names_the_launch_once(self) -> None:
        intents = [KnobStep().propose([candidate(SOFTMAX)], context(seed)).intent for seed in range(60)]
        pattern = r"softmax_kernel\.\w+ (\d+|default) -> \d+(; \w+ (\d+|default) -> \d+)?"
        assert all(re.fullmatch(pattern, intent) for intent in intents)
        assert any("default -> " in intent for intent in intents)

    def test_the_same_seed_gives_the_same_program(self) -> None:
        for seed in range(5):
            first = KnobStep().propose([candidate(SOFTMAX)], context(seed))
            assert first == KnobStep().propose([candidate(SOFTMAX)], context(seed))

    def test_it_draws_again_until_the_program_is_new_and_gives_up_when_nothing_is(self) -> None:
        known: set[str] = {fingerprint(SOFTMAX)}
        for seed in range(30):
            source = KnobStep().propose([candidate(SOFTMAX)], context(seed, known)).source
            assert fingerprint(source) not in known
            known.add(fingerprint(source))
        with pytest.raises(ProposalError, match="nothing new"):
            KnobStep().propose([candidate(SOFTMAX)], context(0, {"all"}))

    def test_a_program_without_knobs_gets_no_proposal(self) -> None:
        with pytest.raises(ProposalError, match="no knobs on cuda"):
            KnobStep().propose([candidate("x = 1\n")], context(backend="cuda"))

    def test_it_keeps_the_structure_even_where_two_sizes_could_become_equal(self) -> None:
        kernel = COPY.replace("BLOCK:", "BLOCK_N: tl.constexpr, BLOCK:")
        source = program("copy[(triton.cdiv(n, 64), triton.cdiv(n, 32))](x, y, n, BLOCK_N=32, BLOCK=64)", kernel)
        for seed in range(60):
            new = KnobStep().propose([candidate(source)], context(seed)).source
            assert knobs.structure(new) == knobs.structure(source)

    @pytest.mark.parametrize("count", [0, 2])
    def test_another_number_of_parents_is_an_error(self, count: int) -> None:
        with pytest.raises(ValueError, match="expected 1 parents"):
            KnobStep().propose([candidate(SOFTMAX)] * count, context())


class TestKnobCross:
    OTHER = knobs.rewrite(SOFTMAX, {"softmax_kernel.BLOCK": 1024, "softmax_kernel.num_warps": 8})

    def cross(self, first: str, second: str, seed: int = 0, known: set[str] | None = None) -> str:
        return KnobCross().propose([candidate(first), candidate(second)], context(seed, known)).source

    def test_each_differing_knob_comes_from_either_parent_and_neither_parent_comes_back(self) -> None:
        seen = set()
        for seed in range(20):
            got = knobs.values(self.cross(SOFTMAX, self.OTHER, seed))
            seen.add((got["softmax_kernel.BLOCK"], got["softmax_kernel.num_warps"]))
        assert seen == {(256, 8), (1024, 4)}

    def test_an_option_that_one_parent_leaves_out_can_come_and_go(self) -> None:
        other = knobs.rewrite(self.OTHER, {"softmax_kernel.num_warps": None, "softmax_kernel.waves_per_eu": 2})
        seen = set()
        for seed in range(40):
            got = knobs.values(self.cross(SOFTMAX, other, seed))
            seen.add((got["softmax_kernel.num_warps"], got["softmax_kernel.waves_per_eu"]))
        assert seen == {(4, None), (4, 2), (None, None), (None, 2)}

    def test_many_differing_knobs_are_drawn_from_both_parents(self) -> None:
        names = [k.name for k in knobs.find(PROGRAMS["dot"], "hip")]
        other = knobs.rewrite(PROGRAMS["dot"], {k.name: k.legal[0] for k in knobs.find(PROGRAMS["dot"], "hip")})
        assert 2 ** len(names) > DRAWS
        got = knobs.values(self.cross(PROGRAMS["dot"], other))
        mine, theirs = knobs.values(PROGRAMS["dot"]), knobs.values(other)
        assert all(got[name] in (mine[name], theirs[name]) for name in names)
        assert {got[name] == mine[name] for name in names} == {True, False}

    def test_every_mix_is_tried_before_it_gives_up(self) -> None:
        known: set[str] = set()
        for _ in range(2):
            known.add(fingerprint(self.cross(SOFTMAX, self.OTHER, 0, known)))
        assert len(known) == 2
        with pytest.raises(ProposalError, match="all known"):
            self.cross(SOFTMAX, self.OTHER, 0, known)

    def test_programs_of_other_structure_do_not_cross(self) -> None:
        with pytest.raises(ProposalError, match="differ in more than knobs"):
            self.cross(SOFTMAX, PROGRAMS["keyword"])

    def test_less_than_two_differences_make_no_mix(self) -> None:
        with pytest.raises(ProposalError, match="differ in 0 knobs"):
            self.cross(SOFTMAX, SOFTMAX)
        with pytest.raises(ProposalError, match="differ in 1 knobs"):
            self.cross(SOFTMAX, knobs.rewrite(SOFTMAX, {"softmax_kernel.BLOCK": 64}))

    def test_the_same_seed_gives_the_same_program(self) -> None:
        assert self.cross(SOFTMAX, self.OTHER, 3) == self.cross(SOFTMAX, self.OTHER, 3)

    @pytest.mark.parametrize("count", [1, 3])
    def test_another_number_of_parents_is_an_error(self, count: int) -> None:
        with pytest.raises(ValueError, match="expected 2 parents"):
            KnobCross().propose([candidate(SOFTMAX)] * count, context())
