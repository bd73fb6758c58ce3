"""Mutants of a task's own text: one place changed, judged by its own trials, and told apart from what is equal."""

import ast
from dataclasses import replace

import pytest

from evo_kernel import tasks
from evo_kernel.config import Settings
from fitness import mutating, mutation
from fitness.mutating import AS_RIGHT, BROKEN, EQUAL, KILLED, SURVIVED, Tried, held, references, share
from suites import load, read
from suites.loading import parts

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


def test_equal_ones_those_as_right_and_those_that_do_not_run_are_no_evidence_for_a_task() -> None:
    mutant = mutation.mutants(parts(TASK)[1], lambda f: f.name == "reference")[0]
    states = [KILLED] * 3 + [SURVIVED] + [EQUAL] * 5 + [AS_RIGHT] * 4 + [BROKEN] * 7
    assert share([Tried("reference", mutant, state, "") for state in states]) == 0.75


def test_what_the_task_does_not_kill_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(mutating, "WANTED", 1.01)  # what no task reaches
    assert not tasks.mutate(read(TASK, "twice"), Settings(target="mi300"), 2)
    told = capsys.readouterr().out
    assert "equal     plain, drop a mask, line 9:" in told  # what is read beyond the end is never stored
    assert "mutants of twice: " in told
    assert "add cases, edges or distributions" in told
