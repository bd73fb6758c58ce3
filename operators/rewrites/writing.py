"""Writes out a changed program: statements that nobody touched are copied from its text, the others are made anew.

libcst makes the text of a long kernel in tens of milliseconds, and a rewrite changes few of its lines. Python's own
parser says on which lines each statement stands. Where both parsers do not agree on every line of a program, nothing
of it is copied.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import libcst as cst

from operators.outline import Lines
from operators.program_tree import Tree
from operators.remembering import remembered
from operators.rewrites.printing import Pen, Unknown

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)")  # str.splitlines knows other ends, which are none in Python
_SPACE = re.compile(r"[ \t\f]*")
_OPENED = (cst.FunctionDef, cst.For, cst.While, cst.With, cst.If)  # compound statements that are copied in parts


class _Disagree(Exception):
    """Two parsers do not agree where a statement stands."""


class Span(NamedTuple):
    """The lines of a statement, with the comments above it and those at its end, and how far it is indented."""

    begin: int
    end: int
    indent: str


@dataclass(slots=True)
class Text:
    """A program's lines, and which of them are whose; no statement has a span where that is not certain.

    `spans` are by what `id` says of a statement, which is its own as long as its module is here.
    """

    module: cst.Module
    lines: list[str]
    spans: dict[int, Span] = field(default_factory=dict)

    def of(self, span: Span) -> str:
        """Return the text of some lines."""
        return "".join(self.lines[span.begin : span.end])

    def parts(self) -> list[str]:
        """Cut the text into what comes before its statements, each statement, and what comes after."""
        module = self.module
        if self.spans or not module.body:
            found = [self.spans[id(s)] for s in module.body]
            begin = found[0].begin if found else len(self.lines)
            end = found[-1].end if found else begin
            return ["".join(self.lines[:begin]), *map(self.of, found), "".join(self.lines[end:])]
        statements = [module.code_for_node(statement) for statement in module.body]
        header = "".join(module.code_for_node(line) for line in module.header)
        return [header, *statements, "".join(self.lines)[len(header) + sum(map(len, statements)) :]]

    def written(self, statement: Any) -> str:
        """Return the text of a statement of the module, one that was changed or is new."""
        try:
            return self._statement(statement, "")
        except Unknown:
            return self.module.code_for_node(statement)

    def _statement(self, node: Any, indent: str) -> str:
        """Copy a statement that stands in the text as it is here, or write it."""
        span = self.spans.get(id(node))
        if span is not None and span.indent == indent:
            return self.of(span)
        if span is not None and span.end == span.begin + 1 and type(node) is cst.SimpleStatementLine:
            return indent + self.lines[span.begin][len(span.indent) :]
        pen = Pen(indent, self.module.default_newline)
        if type(node) is cst.SimpleStatementLine:
            return pen.line(node)
        text = pen.head(node)
        inner = indent + (self.module.default_indent if node.body.indent is None else node.body.indent)
        text += "".join([self._statement(one, inner) for one in node.body.body]) + Pen(inner, "").above(
            node.body.footer
        )
        if getattr(node, "orelse", None) is None:
            return text
        if not isinstance(node.orelse, cst.Else):
            raise Unknown
        return text + self._statement(node.orelse, indent)


@remembered
def text_of(source: str, tree: Tree) -> Text:
    """Find out which lines of a program are whose in one tree of it; another tree has other nodes."""
    module = tree.module
    whole = source if source.endswith(("\n", "\r")) else source + module.default_newline
    text = Text(module, _LINES.findall(whole))
    try:
        spans = dict(_spans(module.body, tree.outline, text.lines, len(module.header)))
        last = spans[id(module.body[-1])].end if module.body else len(module.header)
        if last + len(module.footer) == len(text.lines):
            text.spans.update(spans)
    except (_Disagree, IndexError):
        pass
    return text


def _spans(block: Sequence[Any], trees: Sequence[Lines], lines: Sequence[str], begin: int | None
           ) -> Iterator[tuple[int, Span]]:  # fmt: skip
    """Give the span of every statement of a block and below it; they follow each other without a gap."""
    at = 0
    for statement in block:
        simple = type(statement) is cst.SimpleStatementLine
        until = at + (len(statement.body) if simple else 1)
        own, at = trees[at:until], until
        first = own[0].first - 1
        start, end = first - len(statement.leading_lines), own[-1].last + (0 if simple else _footer(statement))
        if begin not in (None, start) or start < 0:
            raise _Disagree
        yield id(statement), Span(start, end, _SPACE.match(lines[first])[0])  # type: ignore[index]
        begin = end
        if not simple and isinstance(statement, _OPENED):
            yield from _below(statement, own[0], lines)
    if at < len(trees):
        raise _Disagree


def _below(node: Any, tree: Any, lines: Sequence[str]) -> Iterator[tuple[int, Span]]:
    """Give the spans within a compound statement, an `elif` or an `else`."""
    if isinstance(node.body, cst.IndentedBlock):
        yield from _spans(node.body.body, tree.body, lines, None)
    if isinstance(getattr(node, "orelse", None), cst.If):
        yield from _below(node.orelse, tree.orelse[0], lines)
    elif isinstance(getattr(node, "orelse", None), cst.Else) and isinstance(node.orelse.body, cst.IndentedBlock):
        yield from _spans(node.orelse.body.body, tree.orelse, lines, None)


def _footer(node: Any) -> int:
    """Count the lines of comments that end a statement, after the last one within it."""
    if type(node) is cst.SimpleStatementLine:
        return 0
    for name in ("finalbody", "orelse", "handlers", "cases", "body"):
        last = getattr(node, name, None)
        if last is None:
            continue
        if type(last) is cst.IndentedBlock:
            return len(last.footer) + _footer(last.body[-1])
        if isinstance(last, (list, tuple)) and last and name != "body":
            return _footer(last[-1])
        if isinstance(last, cst.CSTNode):
            return _footer(last)
    return len(getattr(node, "footer", ()))
