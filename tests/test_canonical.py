"""Programs without what does not matter are written as `ast.dump` writes them, whatever was written before."""

import ast

import pytest

from archives import canonical
from archives.dumping import dumped
from suites import load, names
from suites.parsing import parse

ODD = [
    "", "x", "x = None, True, False, ..., b'\\x00', 1j, 1e400, 0x10, 'ä', u'u', 'a' 'b'\n", "(y := f(*a, *b, k=1, **c))\n",
    "lambda a, /, b=1, *c, d, e=None, **f: (yield)\n", "f'{x!r:>{w}} {y=} {{}}' f'' 'b' if 0 else f'ä'\n",
    "match x:\n  case {'a': 1, **rest}: pass\n  case [1, *_] | A(b, c=2) as d if d: pass\n  case None | -1: pass\n",
    "async def f() -> int:\n  async for x in y: await z\n  async with a as b, c: return [i async for i in j if k]\n",
    "from . import a as b\nfrom .. c import *\nimport d.e\nglobal g, h\ndel x, y[0], z.w\n",
    "try:\n  raise A from B\nexcept (A, B) as e: pass\nelse: x\nfinally: y\n", "try: x\nexcept* A: y\n",
    "@d\nclass A(B, metaclass=C):\n  x: int = 1\n  y: 'str'\n  def f(self): ...\n", "assert a, b\nx @= ~y\nx[1:2, ::3, ...]\n",
    "{**a, 'b': c}, {1, 2}, {i: j for i in k for l in m}, (), [], {}\na < b <= c is not d not in e\n",
    "while a:\n  if b: break\n  else: continue\nelse: c\nwith (a as b, c): pass\nx = 1 # type: int\nprint(x); x,\n",
]  # fmt: skip
# lines that are statements elsewhere, here within texts, brackets and longer statements, or after others
WITHIN = [
    'x = """\ny = 1\nf(x)\n"""\ny = 1\n', "g(\ny = 1\n)\ny = 1\n", "(\ny = 1\n)\n", "(\nf(x)\n)\nf(x)\n", "y = \\\nf(x)\n",
    'def g():\n  """Says\n  y = 1\n  """\n  y = 1\n', "def g():\n  'x'\n  f(x)\n", "a; \\\ny = 1\n", "if a: \\\ny = 1\n",
    "try:\n  y = 1\nfinally:\n  f(x)\n", "match a:\n  case b:\n    y = 1\n", "if a:\n\ty = 1 \n\x0c\ty = 1 # why\n",
    "for i in a:\n  y = 1\n  f(x)\nelse:\n  y = 1; f(x)\n  y = 1;\n", "y = 1\r\nf(x)\r\n", "y = 1\rf(x)", "y = 1\n  f(x)\n", "f(x",
    "def g():\n  y = 1\n    f(x)\n", "return\ny = 1\n", "def g():\n  return\n  y = 1\n", "ä = 1\nif a: y = 1\n",
    # several below one another, and heads that begin alike
    "if a: \\\n  y = 1\n  f(x)\n", 'x = """\ny = 1\nf(x)\na\n"""\n', "(\ny = 1\nf(x)\n)\n", "[\na\nf(x)\n]\n", "a; \\\ny = 1\nf(x)\n",
    "if a:\n  y = 1\n  f(x)\n  a\nelse:\n  f(x)\n  y = 1\ny = 1\nf(x)\n\n\na\n", "if a:\n\ty = 1\n\tf(x)\n        a\n",
    "for i in (a):\n  y = 1\nfor i in (a, b):\n  y = 1\nfor i in (a).b: y = 1\nfor i in (a)(b):\n  y = 1\n",
    # lines and heads that are there twice, and are statements in one place only
    "b = 2\nb = 2\n(\nb = 2\n)\n", "g(\nb = 2\n)\ng(\nb = 2\n)\nb = 2\n", "x = \\\nb\nb\nb\nx = \\\nb\n", "b; c\nb; c\nb # d\nb # d\n",
    'x = """\nif b:\nb\n"""\nif b:\n  b\nif b:\n  b\nelse:\n  b\nelif b:\n  b\n', "while b:\n  c\n  c\nwhile b:\n  c\n  ...\n  ...\n",
    "for i in b:\n  c\nfor i in b:\n  c\nelse:\n  c\ntry:\n  for i in b:\n    c\nfinally: c\n", "if b:\nif b:\n  c\n", "if (b:\nif (b:\n",
    "def g():\n  'b'\n  'b'\n  if b:\n    'b'\n", "if b:\n  c\nif b: \\\n  c\n", "[d\nfor i in b\nif b]\nif b:\n  if b:\n    c\n  c\n",
    "x = {b\n:\nc}\nif b:\n  x = {b\n:\nc}\nif b:\n  match b:\n    case c:\n      if b:\n        c\n",
    "if (a): y = 1\nif (a\n): y = 1\nwhile {a:\nb}: y = 1\nwhile {a:\nc}: y = 1\nif a:\n  b\nelif a: c\nelif b:\n  y = 1\n",
]  # fmt: skip


@pytest.mark.parametrize("source", ODD)
def test_a_tree_is_written_as_python_writes_it(source: str) -> None:
    tree = ast.parse(source)
    assert dumped(tree) == ast.dump(tree)
    for node in ast.walk(tree):
        assert dumped(node) == ast.dump(node)
    for node in tree.body:
        given = {"targets": "here"} if isinstance(node, ast.Assign) else {}
        assert dumped(node, given).startswith("Assign(targets=here, value=" if given else ast.dump(node))


def test_every_seed_is_written_as_python_writes_it() -> None:
    for name in names():
        for seed in load(name).seeds:
            tree = ast.parse(seed.source)
            assert dumped(tree) == ast.dump(tree)


@pytest.mark.parametrize("source", [*WITHIN, *ODD])
def test_a_program_of_known_lines_is_what_it_is_of_new_ones(source: str) -> None:
    canonical.forget()
    new = _written(source)
    canonical.forget()
    for line in ("y = 1\nf(x)\na\nreturn\n'x'\n", *ODD):
        canonical.canonical(line)
    assert _written(source) == new
    assert _written(f"{source}\ny = 1\nz = 3") == _plain(f"{source}\ny = 1\nz = 3")
    assert new == _plain(source)


def test_a_line_that_is_known_is_read_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = "def f(x):\n" + "".join(f"    x{i} = tl.load(x + {i}, mask=x < {i})\n" for i in range(50))
    canonical.forget()
    canonical.canonical(kernel)
    read: list[str] = []
    monkeypatch.setattr(canonical, "parse", lambda text: read.append(text) or parse(text))
    changed = (
        kernel.replace("x + 7,", "x + 8,").replace("    x", "        x").replace("def f(x):", "def f(x):\n    if x:")
    )
    assert canonical.canonical(changed) == ast.dump(ast.parse(changed))
    assert "".join(read).count("tl.load") == 1


def test_a_new_line_or_head_that_is_there_often_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = "    for i in range(x, 9):\n        y = tl.load(x + i)\n        if y < 1:\n            tl.store(x, y)\n"
    kernel = "def f(x):\n" + 20 * loop
    canonical.forget()
    canonical.canonical("y = 1\n")
    read: list[str] = []
    monkeypatch.setattr(canonical, "parse", lambda text: read.append(text) or parse(text))
    assert canonical.canonical(kernel) == ast.dump(ast.parse(kernel))
    (text,) = read
    assert [text.count(one) for one in ("tl.load", "tl.store", "range(x, 9)", "y < 1")] == [1, 1, 1, 1]


def _written(source: str) -> str:
    try:
        return canonical.canonical(source)
    except SyntaxError:
        return "wrong"


def _plain(source: str) -> str:
    """Write a program with Python's own words, docstrings left out."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return "wrong"
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return f"Module(body=[{', '.join(map(ast.dump, tree.body))}], type_ignores=[])"
