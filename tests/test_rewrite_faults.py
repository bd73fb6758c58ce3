"""A family that raises costs a program that family; odd programs are rewritten or left alone, and the log says why."""

import ast
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from click.testing import CliRunner

from archives.candidate import Candidate, fingerprint
from evo_kernel.cli import main
from operators.proposal import Context, ProposalError
from operators.rewrites import crossing, operator, telling
from operators.rewrites.crossing import RewriteCross
from operators.rewrites.families import FAMILIES
from operators.rewrites.operator import Rewriting, look
from operators.rewrites.program import Program, Site, apply, read
from operators.uncollected import uncollected

HEAD = "import torch\nimport triton\nimport triton.language as tl\n\n\n"
ADD = '''@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n)
    y = tl.load(y_ptr + offs, mask=offs < n)
    tl.store(z_ptr + offs, tl.exp(x) / y, mask=offs < n)


'''  # fmt: skip
RUN = '''def vector_add(x, y):
    z = torch.empty_like(x)
    n = z.numel()
    add[(triton.cdiv(n, 1024),)](x_ptr=x, y_ptr=y, z_ptr=z, n=n, BLOCK=1024)
    return z
'''  # fmt: skip
PLAIN = HEAD + ADD + RUN
LINE = "add[(triton.cdiv(n, 1024),)](x_ptr=x, y_ptr=y, z_ptr=z, n=n, BLOCK=1024)"


def with_line(line: str) -> str:
    return PLAIN.replace("    tl.store(", f"    {line}\n    tl.store(")


TWICE = (
    HEAD + "if WIDE:\n" + ADD.strip().replace("@", "    @").replace("\ndef", "\n    def").replace("\n    ", "\n        ")
    + "\nelse:\n    " + ADD.strip().replace("\n", "\n    ") + "\n\n\n" + RUN
).replace("\n        def", "\n    def")  # fmt: skip
ODD = {
    "a launch in a match": PLAIN.replace(f"    {LINE}", f"    match n:\n        case 0:\n            pass\n        case _:\n            {LINE}"),
    "a number in another base": PLAIN.replace("/ y", "/ y * (0x10 / 16)"),
    "parameters by keyword alone": PLAIN.replace("add(x_ptr", "add(*, x_ptr"),
    "stages by place": with_line("for i in tl.range(0, 4, 1, 3):\n        x += y"),
    "no step": with_line("for i in range(0, 8, 0):\n        x += y"),
    "more steps than a number holds": with_line(f"for i in range({10**30}):\n        x += y"),
    "a range of nothing": with_line("for i in tl.range(num_stages=2):\n        x += y"),
    "a sum of nothing": with_line("x += tl.sum()"),
    "a block pointer without a shape": with_line("y += tl.load(tl.make_block_ptr(x_ptr, (n, n), (), (0, 0), (), (1, 0)))"),
    "a dimension with a name": with_line("y += tl.load(tl.make_block_ptr(x_ptr, (n,), (1,), (0,), (16,), (0,)), boundary_check=(BLOCK,))"),
    "a dimension that is not there": with_line("y += tl.load(tl.make_block_ptr(x_ptr, (n,), (1,), (0,), (16,), (0,)), boundary_check=1)"),
    "a name in its own sum": with_line("rows = x + rows\n    y = tl.load(x_ptr + rows[:, None] * n + rows[None, :], mask=rows[:, None] < n)"),
    "names in each other's sums": with_line("a = x + b\n    b = a + y\n    y = tl.load(x_ptr + a[:, None] * n + b[None, :], mask=a[:, None] < n)"),
    "a mask in its own value": PLAIN.replace("    x = ", "    mask = offs < n\n    mask = mask & (offs < n - 1)\n    x = ", 1).replace("mask=offs < n", "mask=mask"),
    "a mask of itself": with_line("keep = keep & (offs < n)\n    y += tl.load(x_ptr + offs, mask=keep)"),
    "a name that is itself": with_line("z = z\n    y += tl.load(x_ptr + z, mask=z < n)"),
    "more arguments than parameters": PLAIN.replace(LINE, f"add[(1,)](x, y, z, n, 16, 5, 6)\n    {LINE}"),
}  # fmt: skip
LEFT = {
    "in one line with its head": HEAD + "@triton.jit\ndef add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr): o = tl.program_id(0) * BLOCK + "
    "tl.arange(0, BLOCK); tl.store(z_ptr + o, tl.load(x_ptr + o, mask=o < n) / 3, mask=o < n)\n\n\n" + RUN,
    "or that of a loop in it": with_line("for i in range(0, n, BLOCK): x += tl.load(x_ptr + i, mask=i < n); y += x"),
    "stands in a lambda": HEAD + ADD + f"def run(x, y, z, n): {LINE}; return z\n",
    "any number of arguments, as *rest": PLAIN.replace("n, BLOCK: tl.constexpr", "n, *rest").replace("BLOCK", "16").replace("n=n, 16=1024", "n=n"),
    "defined 2 times": TWICE,
    "decorator @logged": PLAIN.replace("@triton.jit", "@logged\n@triton.jit"),
    "given to something else": PLAIN.replace("def vector_add", "add = logged(add)\n\n\ndef vector_add"),
}  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """A family with a fault: where it looks, or where it edits."""

    edits: bool = False
    name: str = "broken"
    intent: str = "raise"

    def sites(self, program: Program) -> Iterator[Site]:
        if not self.edits:
            raise IndexError("no such place")
        yield Site("a place", ((((("body", 0),)), _broken),))


def _broken(node: object) -> object:
    raise KeyError("no such edit")


def candidate(source: str) -> Candidate:
    return Candidate(source, "seed", "", (), fingerprint(source), "s")


def context(seed: int = 0) -> Context:
    return Context(np.random.default_rng(seed), lambda mark: False, "h200", "cuda")


@pytest.fixture(autouse=True)
def _nothing_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_told", set())
    read.cache_clear()


@pytest.mark.parametrize("source", [*ODD.values(), *LEFT.values()], ids=[*ODD, *LEFT])
def test_no_family_raises_on_an_odd_program(source: str) -> None:
    program = read(source)
    for family in FAMILIES:
        sites = list(family.sites(program))
        for some in ([sites] if sites else []) + [[one] for one in sites]:
            ast.parse(apply(program, some))


@pytest.mark.parametrize("source", ODD.values(), ids=ODD)
def test_an_odd_line_costs_a_program_few_families(source: str) -> None:
    program = read(source)
    assert not program.alone
    assert sum(bool(program.places(family)) for family in FAMILIES) > 5


@pytest.mark.parametrize("why", LEFT)
def test_a_kernel_of_which_is_not_known_what_runs_is_left_alone_with_the_reason(
    why: str, caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    program = read(LEFT[why])
    assert why in program.alone["add"]
    assert not any(program.places(family) for family in FAMILIES)
    for _ in range(2):
        with pytest.raises(ProposalError, match="leave the kernel add alone: "):
            Rewriting().propose([candidate(LEFT[why])], context())
    (said,) = caplog.messages
    assert why in said
    file = tmp_path / "odd.py"
    file.write_text(LEFT[why])
    shown = CliRunner().invoke(main, ["rewrites", str(file)])
    assert shown.exit_code == 0
    assert why in shown.stderr
    assert "no family of rewrites applies" in shown.stdout


def test_what_calls_a_function_that_is_not_known_is_left_alone_and_what_does_not_is_rewritten() -> None:
    helper = "@logged\n@triton.jit\ndef twice(x):\n    return x + x\n\n\n"
    calling = ADD.replace("def add(", "def calls(").replace("tl.exp(x)", "twice(x)")
    program = read(HEAD + helper + calling + ADD + RUN)
    assert set(program.alone) == {"twice", "calls"}
    assert set(program.kernels) == {"add"}
    assert any(program.places(family) for family in FAMILIES)


@pytest.mark.parametrize("decorators", [
    "@triton.jit", "@jit", "@triton.jit(do_not_specialize=['n'])", "@staticmethod\n@triton.jit",
    "@triton.heuristics({'BLOCK': lambda a: 16})\n@triton.jit", "@triton.autotune(configs=[], key=['n'])\n@triton.jit",
])  # fmt: skip
def test_decorators_of_triton_are_known(decorators: str) -> None:
    assert not read(PLAIN.replace("@triton.jit", decorators)).alone


@pytest.mark.parametrize("edits", [False, True])
def test_a_family_that_raises_is_left_out_and_named_once(edits: bool, caplog: pytest.LogCaptureFixture) -> None:
    rewriting = Rewriting((Broken(edits), *FAMILIES))
    made = [rewriting.propose([candidate(PLAIN)], context(seed)) for seed in range(20)]
    assert {proposal.intent.partition(":")[0] for proposal in made} <= {family.name for family in FAMILIES}
    (said,) = caplog.messages
    assert candidate(PLAIN).id in said
    assert "a fault of this rewrite: broken raised " in said
    assert ("KeyError: 'no such edit'" if edits else "IndexError: no such place") in said
    assert made == [rewriting.propose([candidate(PLAIN)], context(seed)) for seed in range(20)]


def test_an_interrupt_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Broken):
        def sites(self, program: Program) -> Iterator[Site]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rewriting((Interrupted(),)).propose([candidate(PLAIN)], context())


@pytest.mark.parametrize("edits", [False, True])
def test_a_fault_ends_neither_a_look_ahead_nor_a_crossing(
    edits: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operator, "FAMILIES", (Broken(edits), *FAMILIES))
    assert len(list(look(PLAIN))) == len(FAMILIES) + 1
    monkeypatch.setitem(crossing.BY_NAME, "broken", Broken(edits))
    lineages = ((), ("broken: raise (a place)", "exp-to-exp2: as powers of two (a place)"))
    other = PLAIN.replace("tl.exp(x)", "tl.exp2(x)")
    made = RewriteCross().propose([candidate(PLAIN), candidate(other)], replace(context(), lineages=lineages))
    assert "exp2" in made.source
    assert [m for m in caplog.messages if "a fault of this rewrite: broken" in m] == caplog.messages != []


def test_the_command_names_a_family_that_raises_and_lists_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(operator, "FAMILIES", (Broken(), *FAMILIES))
    file = tmp_path / "mine.py"
    file.write_text(PLAIN)
    shown = CliRunner().invoke(main, ["rewrites", str(file)])
    assert shown.exit_code == 1
    assert "exp-to-exp2 " in shown.stdout
    assert shown.stderr.startswith("Error: a fault of this rewrite: broken raised IndexError: no such place at ")
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize("bound", [
    "from triton.language import math\n", "import numpy as math\n", "import math\nmath = tl.math\n",
    "from triton.language import *\n",
])  # fmt: skip
def test_sizes_are_not_said_to_be_aligned_by_a_module_that_is_not_pythons_math(bound: str) -> None:
    family = next(f for f in FAMILIES if f.name == "aligned-sizes")
    assert not list(family.sites(read(bound + PLAIN)))
    assert not list(family.sites(read(PLAIN.replace("    z =", "    math = x.math\n    z ="))))
    for known in ("", "import math\n"):
        program = read(known + PLAIN)
        made = apply(program, list(family.sites(program)))
        assert made.count("import math\n") == 1
        assert "math.gcd(n, 16)" in made


def test_a_program_that_python_cannot_read_is_said_to_be_so() -> None:
    with contextlib.suppress(StopIteration):
        next(look("def ("))
    with pytest.raises(ProposalError, match="cannot be rewritten: SyntaxError"):
        Rewriting().propose([candidate("def (")], context())


def test_a_program_of_too_many_lines_is_skipped_with_a_reason_that_the_log_shows_once(
    caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    parents = [candidate(PLAIN + "# a line\n" * count) for count in (5000, 5001)]
    for parent in parents:
        assert list(look(parent.source)) == []
        with pytest.raises(ProposalError, match="cannot be rewritten: it has more than 2,000 lines"):
            Rewriting().propose([parent], context())
    with pytest.raises(ProposalError, match="cannot be crossed: it has more than 2,000 lines"):
        RewriteCross().propose(parents, context())
    (said,) = caplog.messages
    assert said == f"program {parents[0].id} cannot be rewritten: it has more than 2,000 lines"
    file = tmp_path / "long.py"
    file.write_text(parents[0].source)
    shown = CliRunner().invoke(main, ["rewrites", str(file)])
    assert (shown.exit_code, shown.output) == (
        1,
        "evo-kernel: the program cannot be rewritten: it has more than 2,000 lines\n",
    )
    assert Rewriting().propose([candidate(PLAIN + "# a line\n" * 1000)], context())


@pytest.mark.parametrize("chain", ["m0 = offs < n|m{i} = m{j} & m{j}|y = tl.load(x_ptr + offs, mask=m{n})",
                                   "m0 = n + 1|m{i} = m{j} + m{j}|y = tl.load(x_ptr + offs, mask=offs < m{n})",
                                   "m0 = offs|m{i} = m{j} + m{j}|y = tl.load(x_ptr + m{n}[:, None] * n + m{n}[None, :], mask=offs[:, None] < n)"])  # fmt: skip
def test_names_that_read_one_another_twice_are_not_looked_through_twice_as_often_each(chain: str) -> None:
    first, each, last = chain.split("|")
    lines = [first, *(each.format(i=i + 1, j=i) for i in range(60)), last.format(n=60)]
    program = read(with_line("\n    ".join(lines)))
    began = time.process_time()
    assert sum(bool(program.places(family)) for family in FAMILIES) > 3
    assert time.process_time() - began < 5
    assert not program.faults


def test_what_two_families_look_through_grows_with_the_lines_and_not_with_their_square() -> None:
    spent = []
    for times in (10, 25, 100):  # the first warms up: what is done once in a process is in it
        rows = [
            f"    acc{i} = tl.zeros((BLOCK,), dtype=tl.float32)\n    for i{i} in range(0, n, BLOCK):\n"
            f"        acc{i} += tl.load(x_ptr + i{i} + offs, mask=i{i} + offs < n, other=0.0)\n"
            f"    s{i + 1} = (s{i} + s{i}) * tl.sum(acc{i}, axis=0)\n    w{i + 1} = w{i} * s{i + 1}\n"
            for i in range(times)
        ]
        lines = f"    s0 = n + 1\n    w0 = offs * 2\n{''.join(rows)}    tl.store("
        program = read(PLAIN.replace("    tl.store(", lines).replace("/ y", f"/ w{times}"))
        with uncollected():  # as proposals are; a collection takes longer the more tests went before
            began = time.process_time()
            for name in ("split-kernel", "row-in-two-blocks"):
                program.places(next(f for f in FAMILIES if f.name == name))
            spent.append(time.process_time() - began)
        assert not program.faults
    assert spent[2] < 10 * spent[1] + 0.5  # of the square it would be 16 times, and seconds
