"""What is below a node is told of a tree's own order as it is of the node alone."""

import sys

import libcst as cst
import pytest

from operators import walking
from operators.program_tree import parse
from suites import load, names


@pytest.mark.parametrize("name", names())
def test_nodes_below_one_are_the_same_whether_its_tree_was_gone_through_or_not(name: str) -> None:
    for seed in load(name).seeds:
        known, alone = parse(seed.source).module, cst.parse_module(seed.source)
        assert [_shown(n) for n in walking.descend(known)] == [_shown(n) for n in walking.descend(alone)]
        for one, other in zip(walking.descend(known), walking.descend(alone), strict=True):
            assert walking.size(one) == walking.size(other) == len(walking.descend(other))
            assert [_shown(n) for n in walking.descend(one)] == [_shown(n) for n in walking.descend(other)]


def test_nodes_below_one_of_a_parsed_tree_are_not_gone_through_again() -> None:
    tree = parse(load(names()[0]).seeds[0].source)
    found = []
    sys.setprofile(lambda frame, event, what: found.append(frame.f_code.co_name) if event == "call" else None)
    try:
        for function, _ in tree.functions:
            walking.descend(function.body)
            walking.of_kind(function.body, cst.Call)
    finally:
        sys.setprofile(None)
    assert "_steps" not in found


def test_trees_that_are_forgotten_are_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "REMEMBERED", 10)
    monkeypatch.setattr(walking, "_known", {})
    modules = [parse(f"x = {i} + y * ({i} - z)\nf(x)\n").module for i in range(90_000, 90_003)]
    assert len(walking._known) < 20
    assert len({tuple(map(_shown, walking.descend(module))) for module in modules}) == 3
    assert {len(walking.descend(module)) for module in modules} == {walking.size(modules[0])}


def test_blocks_are_found_without_going_through_expressions() -> None:
    source = (
        "def f(x):\n  for i in x:\n    if a: b\n    elif c:\n      d\n    else:\n      while e:\n        g\n"
        "  try:\n    with h:\n      i\n  except j:\n    k\n  else:\n    l\n  finally:\n    m\n"
        "  try:\n    n\n  except* o:\n    p\n  match q:\n    case r:\n      s\nclass t:\n  def u(): v\n"
    )
    tree = parse(source)
    found = list(walking.blocks(tree.module))
    assert [block for _, block in found] == list(walking.of_kind(tree.module, cst.IndentedBlock))
    assert all(tree.at(path) is block and tree.path(block) == path for path, block in found)


def _shown(node: cst.CSTNode) -> str:
    return f"{type(node).__name__} {getattr(node, 'value', '') if isinstance(node, (cst.Name, cst.Integer)) else ''}"
