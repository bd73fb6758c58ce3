"""Writes nodes of a program as text, as libcst does and some ten times faster.

What a rewrite writes is mostly names, calls, sums and the heads of functions and loops. Each kind of node named here is
written by its own few words; whatever holds another one is left to libcst.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import libcst as cst

from operators.remembering import remembered

_PLAIN = cst.Module([])
_WORDS = {cst.Name, cst.Integer, cst.Float, cst.SimpleString}
_ENDED = {cst.Arg, cst.Element, cst.SubscriptElement}  # alone they have a comma, which what is around them writes here
_DEFAULT = cst.MaybeSentinel.DEFAULT


class Unknown(Exception):
    """A node that libcst must write."""


@remembered
def code(node: cst.CSTNode) -> str:
    """Return a node's text."""
    try:
        return _PEN.text(node) if type(node) not in _ENDED else _PLAIN.code_for_node(node)
    except Unknown:
        return _PLAIN.code_for_node(node)


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes at some indentation; Unknown is raised for what it cannot write."""

    indent: str
    newline: str

    def text(self, node: Any) -> str:
        """Return the text of an expression or a small statement."""
        if type(node) in _WORDS and not node.lpar:
            return str(node.value)
        write = _WRITERS.get(type(node))
        if write is None:
            return _in_one_line(node)
        text = write(self, node)
        if getattr(node, "lpar", ()):
            opened = "".join([f"({self.space(p.whitespace_after)}" for p in node.lpar])
            text = opened + text + "".join([f"{self.space(p.whitespace_before)})" for p in node.rpar])
        return text

    def space(self, node: Any) -> str:
        """Return the text of space."""
        if type(node) is cst.SimpleWhitespace:
            return node.value
        if type(node) is not cst.ParenthesizedWhitespace:
            raise Unknown
        last = f"{self.indent if node.indent else ''}{node.last_line.value}"
        return f"{self.end(node.first_line)}{self.above(node.empty_lines)}{last}"

    def end(self, node: Any) -> str:
        """Return the end of a line: space, a comment and a line break."""
        comment = "" if node.comment is None else node.comment.value
        newline = self.newline if node.newline.value is None else node.newline.value
        return f"{node.whitespace.value}{comment}{newline}"

    def above(self, lines: Sequence[Any]) -> str:
        """Return lines of comments and empty ones."""
        return "".join([f"{self.indent if one.indent else ''}{self.end(one)}" for one in lines])

    def line(self, node: cst.SimpleStatementLine) -> str:
        """Return the text of a line of one statement, and of what stands above it."""
        if len(node.body) != 1:
            raise Unknown
        text = f"{self.indent}{self.text(node.body[0])}{self.end(node.trailing_whitespace)}"
        return f"{self.above(node.leading_lines)}{text}"

    def head(self, node: Any) -> str:
        """Return the text of a compound statement before its block, which is an indented one."""
        if not isinstance(getattr(node, "body", None), cst.IndentedBlock):  # that of a match are its cases
            raise Unknown
        if type(node) is cst.FunctionDef:
            text = self._function(node)
        elif type(node) is cst.If:
            text = f"if{self.space(node.whitespace_before_test)}{self.text(node.test)}"
            text += self.space(node.whitespace_after_test)
        elif type(node) is cst.For and node.asynchronous is None:
            text = f"for{self.space(node.whitespace_after_for)}{self.text(node.target)}"
            text += f"{self.space(node.whitespace_before_in)}in{self.space(node.whitespace_after_in)}"
            text += f"{self.text(node.iter)}{self.space(node.whitespace_before_colon)}"
        elif type(node) is cst.Else:
            text = f"else{self.space(node.whitespace_before_colon)}"
        else:
            raise Unknown
        above = f"{self.above(node.leading_lines)}{self._decorators(node)}"
        return f"{above}{self.indent}{text}:{self.end(node.body.header)}"

    def _decorators(self, node: Any) -> str:
        if type(node) is not cst.FunctionDef:
            return ""
        written = [
            f"{self.above(d.leading_lines)}{self.indent}@{self.space(d.whitespace_after_at)}{self.text(d.decorator)}"
            f"{self.end(d.trailing_whitespace)}"
            for d in node.decorators
        ]
        return "".join(written) + self.above(node.lines_after_decorators)

    def _function(self, node: cst.FunctionDef) -> str:
        params = node.params
        if node.asynchronous or node.returns or params.posonly_params or params.star_kwarg or node.type_parameters:
            raise Unknown
        starred = type(params.star_arg) is cst.ParamStar
        if not starred and (params.star_arg is not _DEFAULT or params.kwonly_params):
            raise Unknown
        star = f"*{self._comma(params.star_arg.comma)}" if type(params.star_arg) is cst.ParamStar else ""
        first = self._parameters(params.params, more=starred)
        inside = f"{self.space(node.whitespace_before_params)}{first}{star}{self._parameters(params.kwonly_params)}"
        name = f"{self.space(node.whitespace_after_def)}{node.name.value}{self.space(node.whitespace_after_name)}"
        return f"def{name}({inside}){self.space(node.whitespace_before_colon)}"

    def _parameters(self, params: Sequence[cst.Param], more: bool = False) -> str:
        found = []
        for at, one in enumerate(params):
            if one.star not in ("", _DEFAULT) or (one.default is not None and one.equal is _DEFAULT):
                raise Unknown
            found.append(one.name.value)
            if one.annotation is not None:
                found.append(self._annotation(one.annotation))
            if one.default is not None:
                found.append(f"{self._around('=', one.equal)}{self.text(one.default)}")
            last = at == len(params) - 1 and not more
            found.append(("" if last else ", ") if one.comma is _DEFAULT else self._comma(one.comma))
            found.append(self.space(one.whitespace_after_param))
        return "".join(found)

    def _annotation(self, node: cst.Annotation) -> str:
        before = "" if node.whitespace_before_indicator is _DEFAULT else self.space(node.whitespace_before_indicator)
        return f"{before}:{self.space(node.whitespace_after_indicator)}{self.text(node.annotation)}"

    def _around(self, token: str, node: Any) -> str:
        before, after = node.whitespace_before, node.whitespace_after
        if type(before) is type(after) is cst.SimpleWhitespace:
            return f"{before.value}{token}{after.value}"
        return f"{self.space(node.whitespace_before)}{token}{self.space(node.whitespace_after)}"

    def _comma(self, node: Any) -> str:
        if node is _DEFAULT:
            raise Unknown
        return self._around(",", node)

    def _operator(self, node: Any) -> str:
        return self._around(_token(type(node)), node)  # type: ignore[arg-type]

    def _items(self, items: Any) -> str:
        """Write elements of a sequence, with the commas that libcst would put where none is said."""
        last, found = len(items) - 1, []
        for at, item in enumerate(items):
            found.append(self.text(item))
            default = item.comma is _DEFAULT
            found.append((", " if at != last else "") if default else self._comma(item.comma))
        return "".join(found)

    def _argument(self, node: Any) -> str:
        star = f"{node.star}{self.space(node.whitespace_after_star)}"
        if node.keyword is None:
            return f"{star}{self.text(node.value)}"
        equal = " = " if node.equal is _DEFAULT else self._around("=", node.equal)
        return f"{star}{node.keyword.value}{equal}{self.text(node.value)}"

    def _call(self, node: Any) -> str:
        inside, last = [self.space(node.whitespace_before_args)], len(node.args) - 1
        for at, one in enumerate(node.args):
            inside.append(self._argument(one))
            default = one.comma is _DEFAULT
            inside.append((", " if at != last else "") if default else self._comma(one.comma))
            inside.append(self.space(one.whitespace_after_arg))
        return f"{self.text(node.func)}{self.space(node.whitespace_after_func)}({''.join(inside)})"

    def _tuple(self, node: Any) -> str:
        if len(node.elements) == 1 and node.elements[0].comma is _DEFAULT:
            return f"{self.text(node.elements[0])},"
        return self._items(node.elements)

    def _bracketed(self, node: Any, items: Any) -> str:
        inside = f"{self.space(node.lbracket.whitespace_after)}{self._items(items)}"
        return f"[{inside}{self.space(node.rbracket.whitespace_before)}]"

    def _subscript(self, node: Any) -> str:
        return f"{self.text(node.value)}{self.space(node.whitespace_after_value)}{self._bracketed(node, node.slice)}"

    def _slice(self, node: Any) -> str:
        if node.step is not None or node.second_colon is not _DEFAULT:
            raise Unknown
        lower, upper = ("" if end is None else self.text(end) for end in (node.lower, node.upper))
        return f"{lower}{self._around(':', node.first_colon)}{upper}"

    def _index(self, node: Any) -> str:
        if node.star:
            raise Unknown
        return self.text(node.value)

    def _unary(self, node: Any) -> str:
        sign = _SIGNS[type(node.operator)]
        return f"{sign}{self.space(node.operator.whitespace_after)}{self.text(node.expression)}"

    def _comparison(self, node: Any) -> str:
        rest = [f"{self._operator(c.operator)}{self.text(c.comparator)}" for c in node.comparisons]
        return f"{self.text(node.left)}{''.join(rest)}"

    def _assign(self, node: Any) -> str:
        targets = [
            f"{self.text(t.target)}{self.space(t.whitespace_before_equal)}={self.space(t.whitespace_after_equal)}"
            for t in node.targets
        ]
        return f"{''.join(targets)}{self.text(node.value)}{_unfollowed(node)}"

    def _lambda(self, node: Any) -> str:
        params = node.params
        if any((params.posonly_params, params.kwonly_params, params.star_kwarg)) or params.star_arg is not _DEFAULT:
            raise Unknown
        if node.whitespace_after_lambda is _DEFAULT or not params.params:
            raise Unknown
        given = f"{self.space(node.whitespace_after_lambda)}{self._parameters(params.params)}"
        return f"lambda{given}{self._around(':', node.colon)}{self.text(node.body)}"

    def _generator(self, node: Any) -> str:
        each = node.for_in
        if each.ifs or each.inner_for_in is not None or each.asynchronous is not None:
            raise Unknown
        target = f"for{self.space(each.whitespace_after_for)}{self.text(each.target)}"
        within = (
            f"{self.space(each.whitespace_before_in)}in{self.space(each.whitespace_after_in)}{self.text(each.iter)}"
        )
        return f"{self.text(node.elt)}{self.space(each.whitespace_before)}{target}{within}"

    def _return(self, node: Any) -> str:
        if node.value is None or node.whitespace_after_return is _DEFAULT:
            raise Unknown
        return f"return{self.space(node.whitespace_after_return)}{self.text(node.value)}{_unfollowed(node)}"


@cache
def _token(kind: Any) -> str:
    """Return what an operator of one word looks like."""
    word = _PLAIN.code_for_node(kind()).strip()
    if " " in word:
        raise Unknown
    return word


def _in_one_line(node: cst.CSTNode) -> str:
    """Have libcst write an expression, where it needs not know how far what is around it is indented."""
    if not isinstance(node, cst.BaseExpression) or type(node) is cst.StarredElement:
        raise Unknown
    text = _PLAIN.code_for_node(node)
    if "\n" in text or "\r" in text:
        raise Unknown
    return text


def _unfollowed(node: Any) -> str:
    if node.semicolon is not _DEFAULT:
        raise Unknown
    return ""


def _value(pen: Pen, node: Any) -> str:
    return str(node.value)


def _binary(pen: Pen, node: Any) -> str:
    return f"{pen.text(node.left)}{pen._operator(node.operator)}{pen.text(node.right)}"


_PEN = Pen("", "\n")
_SIGNS = {cst.Minus: "-", cst.Plus: "+", cst.Not: "not", cst.BitInvert: "~"}
_WRITERS: dict[type, Callable[[Pen, Any], str]] = {
    **dict.fromkeys(_WORDS, _value),
    cst.Attribute: lambda pen, n: f"{pen.text(n.value)}{pen._around('.', n.dot)}{pen.text(n.attr)}",
    cst.BinaryOperation: _binary,
    cst.BooleanOperation: _binary,
    cst.UnaryOperation: Pen._unary,
    cst.Comparison: Pen._comparison,
    cst.Call: Pen._call,
    cst.Tuple: Pen._tuple,
    cst.List: lambda pen, n: pen._bracketed(n, n.elements),
    cst.Element: lambda pen, n: pen.text(n.value),
    cst.Subscript: Pen._subscript,
    cst.SubscriptElement: lambda pen, n: pen.text(n.slice),
    cst.Index: Pen._index,
    cst.Slice: Pen._slice,
    cst.Assign: Pen._assign,
    cst.AugAssign: lambda pen, n: f"{pen.text(n.target)}{pen._operator(n.operator)}{pen.text(n.value)}{_unfollowed(n)}",
    cst.Lambda: Pen._lambda,
    cst.GeneratorExp: Pen._generator,
    cst.Return: Pen._return,
    cst.Expr: lambda pen, n: f"{pen.text(n.value)}{_unfollowed(n)}",
}
