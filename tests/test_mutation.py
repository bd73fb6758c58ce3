"""Mutants of a task's own text: one place changed, judged by its own trials, and told apart from what is equal."""

import ast
from dataclasses import replace

import pytest

from evo_kernel import tasks
from evo_kernel.config import Settings
from fitness import grids, mutating, mutation
from fitness.mutated import held, references
from fitness.mutating import Tried, share
from fitness.mutation import AS_RIGHT, BROKEN, EQUAL, FAULTED, KILLED, SURVIVED, UNTRIED
from suites import load, names, read
from suites.loading import parts
from suites.parsing import parse

TASK = '''"""Twice the first columns of a matrix."""
from suites import Case, Input
entry = "twice"
def half(x):
    return x[:, : x.shape[1] // 2]
def reference(x):
    return half(x).float().to(x.dtype) * 2
def one(x):
    return half(x) + half(x)
def two(x):
    return (half(x).double() * 2).to(x.dtype)
honest = [one, two]
def case(name, cols):
    return Case(name, {"x": Input((4, cols))}, flops=2 * cols, bytes=24 * cols)
cases = [case("a", 64)]
held_out = [case("b", 128)]
# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def twice_kernel(out_ptr, x_ptr, width, cols, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * cols + offs, mask=offs < width)
    tl.store(out_ptr + tl.program_id(0) * width + offs, x * 2, mask=offs < width)


def twice(x):
    out = torch.empty((x.shape[0], x.shape[1] // 2), dtype=x.dtype, device=x.device)
    twice_kernel[(x.shape[0],)](out, x, out.shape[1], x.shape[1], BLOCK=64, num_warps=1)
    return out
# evo-kernel: end
'''


def said(source: str, kind: str) -> list[str]:
    every = mutation.mutants(source, lambda _: True)
    return [f"{m.was} -> {m.becomes}" for m in every if m.kind == kind]


def test_a_mutant_of_each_kind_is_made_of_a_product() -> None:
    seed = load("gemm_fp16").seeds[0].source
    every = mutation.mutants(seed, mutation.is_kernel)
    assert {m.kind for m in every} == set(mutation.KINDS) - {"exchange an operation"}  # that is for references
    assert len({m.source for m in every} | {seed}) == len(every) + 1
    for one in every:
        ast.parse(one.source)
        lines = [pair for pair in zip(seed.splitlines(), one.source.splitlines(), strict=False) if pair[0] != pair[1]]
        assert len(lines) == 1, one.said
    assert "range(0, K, BLOCK_K) -> range(0, K - BLOCK_K, BLOCK_K)" in said(seed, "skip a tile")
    assert all("ptr" not in text.split(" -> ")[0] or "load" in text for text in said(seed, "lower a precision"))


def test_a_few_of_many_are_of_every_kind_and_the_same_every_time() -> None:
    every = mutation.mutants(load("rms_norm").seeds[0].source, mutation.is_kernel)
    few = mutation.spread(every, 8)
    assert (len(few), few) == (8, mutation.spread(every, 8))
    assert {m.kind for m in few} == {m.kind for m in every}
    assert len(mutation.spread(every, 1000)) == len(every)


@pytest.mark.parametrize(
    ("was", "becomes", "state"),
    [
        ("* 2", "* 3", KILLED),
        (".float()", ".bfloat16().float()", KILLED),
        (".float()", ".double()", EQUAL),
        ("half(x).float().to(x.dtype) * 2", "-(0 - half(x) * 2)", AS_RIGHT),  # -0 in place of 0
        ("* 2", "* 2.0000002", SURVIVED),  # a rounding more
        (".float()", ".flot()", BROKEN),
        ("def reference", "def refrence", BROKEN),
    ],
)
def test_a_mutant_of_a_reference_is_killed_equal_as_right_survives_or_does_not_run(
    was: str, becomes: str, state: str
) -> None:
    task = read(TASK, "twice")
    _, text = parts(task.source)
    assert was in text
    task = replace(task, edges=())
    ((found, _),) = references(task, [text.replace(was, becomes)], held(task, 0))
    assert found == state


@pytest.mark.parametrize("name", names())
def test_every_native_reference_and_every_launcher_has_mutants_that_can_be_read(name: str) -> None:
    task = load(name)
    _, text = parts(task.source)
    every = mutation.mutants(text, lambda f: f.name in mutating._used(text))
    assert every
    for seed in task.seeds:
        launched = [m for m in mutation.of_program(seed.source) if m.launcher]
        assert {m.kind for m in launched} == {"skip a tile"}
        every += launched
    for one in every:
        ast.parse(one.source)


@pytest.mark.parametrize("name", ["embedding", "gemm_fp16", "gemm_no_scf", "transpose"])
def test_a_wrong_product_gather_or_transposition_is_killed(name: str) -> None:
    task = replace(load(name), edges=())
    _, text = parts(task.source)
    made = mutation.mutants(text, lambda f: f.name == "reference")
    assert {m.kind for m in made} == {"skip a tile", "change a constant", "lower a precision", "swap an axis"}
    found = references(task, [m.source for m in made], held(task, 0))
    assert {m.said: state for m, (state, _) in zip(made, found, strict=True) if state != KILLED} == {}


def test_products_gathers_and_transpositions_are_places_as_functions_and_as_methods() -> None:
    pairs = (
        ("torch.mm(a, b)", "((a)[..., :-16] @ (b)[..., :-16, :])"),
        ("a.matmul(b)", "((a)[..., :-16] @ (b)[..., :-16, :])"),
        ("torch.index_select(a, 0, b)", "(b - 1).clamp(min=0)"),
        ("a.index_select(0, b)", "(b - 1).clamp(min=0)"),
        ("a[b]", "b - 1"),
        ("torch.permute(a, (1, 0))", "(a).reshape((torch.permute(a, (1, 0))).shape)"),
        ("a.transpose(0, 1)", "(a).reshape((a.transpose(0, 1)).shape)"),
        ("a.mT", "a"),
    )
    for text, becomes in pairs:
        made = mutation.mutants(f"def reference(a, b):\n    return {text}\n", lambda _: True)
        assert becomes in [m.becomes for m in made], text


def test_a_launcher_launches_one_program_less_and_leaves_the_last_partial_tile_out() -> None:
    made = [m for m in mutation.of_program(load("vector_add").seeds[0].source) if m.launcher]
    less = "(triton.cdiv(n, meta['BLOCK'])) - 1"
    assert [(m.kind, m.becomes) for m in made] == [("skip a tile", less), ("skip a tile", "((n) // (meta['BLOCK']))")]


def test_too_few_programs_are_run_as_the_launcher_says(capsys: pytest.CaptureFixture) -> None:
    found = mutating.mutate(read(TASK, "twice"), "mi300", 40, say=print)
    (one,) = [t for t in found.tried if t.mutant.launcher]
    assert (one.state, one.mutant.said) == (KILLED, "skip a tile, line 15: x.shape[0] -> (x.shape[0]) - 1")
    assert found.made == len(found.tried)
    assert f"reference: {sum(t.of == 'reference' for t in found.tried)} of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "states"),
    [
        (4, [KILLED]),
        (1, [UNTRIED]),  # without its one program it launches nothing, whatever the data
    ],
)
def test_a_launcher_of_too_few_programs_is_held_against_cases_where_it_launches_some(
    rows: int, states: list[str], capsys: pytest.CaptureFixture
) -> None:
    task = read(TASK.replace("(4, cols)", f"({rows}, cols)"), "twice")
    assert [t.state for t in mutating.mutate(task, "mi300", 40).tried if t.mutant.launcher] == states
    tasks.mutate(task, Settings(target="mi300"), 40)
    said = "untried   plain, skip a tile, line 15: x.shape[0] -> (x.shape[0]) - 1 ("
    assert (said in capsys.readouterr().out) == (UNTRIED in states)


def test_a_program_too_few_that_wrote_nothing_new_is_no_kill() -> None:
    ahead = TASK.replace(
        "tl.program_id(0)", "tl.minimum(tl.program_id(0), 3)"
    )  # the fifth writes the fourth's row again
    task = read(ahead.replace("[(x.shape[0],)]", "[(x.shape[0] + 1,)]"), "twice")
    found = [t for t in mutating.mutate(task, "mi300", 40).tried if t.mutant.launcher]
    assert [(t.state, t.detail) for t in found] == [
        (EQUAL, "in all trials; it launches fewer in 2 of 2 cases and edges")
    ]


def test_what_only_writes_outside_is_counted_apart_from_what_gives_wrong_values(capsys: pytest.CaptureFixture) -> None:
    found = mutating.mutate(read(TASK, "twice"), "mi300", 40)
    faults = {t.mutant.said.partition(":")[0]: t.detail for t in found.tried if t.state == FAULTED}
    outside = "the kernel writes outside an allocation of 512 bytes"
    assert faults == {"drop a mask, line 10": outside, "change a constant, line 10": outside}
    assert share(found.tried) == 1.0
    assert tasks.mutate(read(TASK, "twice"), Settings(target="mi300"), 40)
    assert "9 killed by their values, 2 by a fault alone, 0 survived" in capsys.readouterr().out


def test_where_no_mutant_counts_there_is_no_share(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert share([]) is None
    monkeypatch.setattr(mutating, "mutate", lambda *_: mutating.Outcome((), 72))
    assert tasks.mutate(read(TASK, "twice"), Settings(target="mi300"), 40)
    told = capsys.readouterr().out
    assert "0 of 72 tried (the others with a larger --most than 40)" in told
    assert "this says nothing about the task's cases" in told
    assert "%" not in told


def test_equal_ones_those_as_right_and_those_that_do_not_run_are_no_evidence_for_a_task() -> None:
    mutant = mutation.mutants(parts(TASK)[1], lambda f: f.name == "reference")[0]
    states = [KILLED] * 2 + [FAULTED] + [SURVIVED] + [EQUAL] * 5 + [AS_RIGHT] * 4 + [BROKEN] * 7
    assert share([Tried("reference", mutant, state, "") for state in states]) == 0.75


def test_what_the_task_does_not_kill_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(mutating, "WANTED", 1.01)  # what no task reaches
    assert not tasks.mutate(read(TASK, "twice"), Settings(target="mi300"), 2)
    told = capsys.readouterr().out
    assert "equal     plain, drop a mask, line 9:" in told  # what is read beyond the end is never stored
    assert "mutants of twice: 4 of " in told
    assert "larger --most than 2)" in told
    assert "add cases, edges or distributions" in told


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ('triton.cdiv(n, y=meta["BLOCK"])', ["(triton.cdiv(n, y=meta['BLOCK'])) - 1", "((n) // (meta['BLOCK']))"]),
        ("triton.cdiv(*ab)", ["(triton.cdiv(*ab)) - 1"]),
        ("triton.cdiv(n + 1, 2 * 128)", ["(triton.cdiv(n + 1, 2 * 128)) - 1", "((n + 1) // (2 * 128))"]),
    ],
)
def test_a_grid_is_made_too_small_whatever_its_arguments_look_like(size: str, found: list[str]) -> None:
    (launcher,) = parse(f"def launch(n):\n    kernel[({size},)](n)").body
    assert isinstance(launcher, ast.FunctionDef)
    assert [text for _, _, text in grids.changes(launcher)] == found
