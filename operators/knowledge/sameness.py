"""Tells a task under another name: by what its reference computes, and by the kernels that come with it."""

import ast
from functools import lru_cache

from archives.candidate import digest
from operators.knowledge.similarity import shingles
from suites.loading import parts
from suites.parsing import parse

_UNSEEN = ("cases", "held_out", "edges", "entry", "honest", "case", "edge")


def reference(task: str) -> str:
    """Return the source of a task's PyTorch reference and of what it uses, never of the cases: some stay unseen."""
    _, text = parts(task)
    named: dict[str, ast.stmt] = {}
    for node in parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = [node.name] if isinstance(node, ast.FunctionDef) else [t.id for t in targets if isinstance(t, ast.Name)]
        named |= {name: node for name in names if name not in _UNSEEN}
    wanted, found = ["reference"], set[str]()
    while wanted:
        name = wanted.pop()
        if name in named and name not in found:
            found.add(name)
            wanted += [n.id for n in ast.walk(named[name]) if isinstance(n, ast.Name)]
    chosen = sorted({named[name] for name in found}, key=lambda node: (node.lineno, node.col_offset))
    return "\n\n".join(ast.get_source_segment(text, node) or "" for node in chosen)


@lru_cache(maxsize=256)
def marks(task: str) -> frozenset[str]:
    """Return what two tasks share if they are one but for names, numbers, words and cases: of the text of one."""
    seeds, _ = parts(task)
    bags = [shingles(program) for program in (reference(task), *(seed.source for seed in seeds))]
    return frozenset(digest(repr(sorted(bag.items()))) for bag in bags if bag)
