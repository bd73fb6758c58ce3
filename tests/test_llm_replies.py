"""Replies: what makes a program of them, and the name of every way in which one does not."""

from time import process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.llm import refusals, replies
from operators.llm.launcher import Launcher
from operators.llm.operators import strategies
from operators.proposal import ProposalError

PARENT = """import triton.language as tl


def kernel(x_ptr, n):
    a = tl.load(x_ptr)
    b = tl.load(x_ptr)
    tl.store(x_ptr, a + b)


def double(x, n=(1, 2)):
    kernel[(1,)](x, 5)
    return x
"""
CHILD = PARENT.replace("5)", "6)")
DOUBLE = Launcher("double", ("x, n=(1, 2)",))


def edit(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def whole(source: str, language: str = "python") -> str:
    return f"Some words.\n\n```{language}\n{source}\n```\n\nMore words.\n"


GOOD = {
    "a whole program": whole(CHILD),
    "a fence of no language": whole(CHILD, ""),
    "a longer fence": f"````python\n{CHILD}````",
    "windows line ends": whole(CHILD).replace("\n", "\r\n"),
    "an empty fence beside it": "```\n```\n" + whole(CHILD),
    "an edit": edit("    kernel[(1,)](x, 5)", "    kernel[(1,)](x, 6)"),
    "an edit in a fence": "```\n" + edit("    kernel[(1,)](x, 5)", "    kernel[(1,)](x, 6)") + "```",
    "two edits, the second on the first's result": edit("    kernel[(1,)](x, 5)", "    kernel[(1,)](x, 9)")
    + "and\n" + edit("    kernel[(1,)](x, 9)", "    kernel[(1,)](x, 6)"),
    "a plan beside it": '```plan\n{"title": "t", "lesson": "l"}\n```\n' + whole(CHILD),
}  # fmt: skip

BAD = {
    "missing-code": ["", "I cannot help with that.", "```\n\n```", '```plan\n{"title": "t"}\n```'],
    "two-fences": [whole(CHILD) + whole(CHILD), whole(CHILD) + edit("    return x", "    return  x")],
    "broken-fence": ["```python\n" + CHILD, "<<<<<<< SEARCH\na\n=======\nb", "<<<<<<< SEARCH\n>>>>>>> REPLACE\n",
                     "<<<<<<< SEARCH\na\n<<<<<<< SEARCH\n"],
    "no-match": [edit("    kernel[(1,)](y, 5)", "    pass"), edit("kernel[(1,)](x, 5)", "pass"), edit("", "import os"),
                 edit("    return x", "    return x + 1") + edit("    return x", "    return x")],
    "many-matches": [edit("    # twice", "    # once")],
    "unchanged": [whole(PARENT), whole(PARENT.replace("5)", "5)  # faster")), edit("    return x", "    return  x")],
    "entry-changed": [whole(CHILD.replace("def double", "def triple")), whole(CHILD.replace("x, n=", "x, m=")),
                      whole(CHILD.replace("def double(x,", "def double(x, *rest,")), whole(CHILD.replace("x, n=", "x, *, n=")),
                      whole(CHILD.replace("n=(1, 2)", "n")), whole(CHILD.replace("x, n=", "x, /, n=")), whole(CHILD + "double = print"),
                      whole(CHILD + "def double(x): return x"), whole(CHILD + "if 1:\n    from os import path as double"),
                      whole(CHILD + "class A:\n    def f(self):\n        global double")],
    "not-python": [whole(CHILD + "def ("), whole("\0" + CHILD), whole("(" * 3000)],
    "too-long": [whole(CHILD + "#" * replies.LARGEST), "x" * (replies.LONGEST + 1), edit("a", "b") * (replies.MOST + 1),
                 whole(CHILD + f"x = {'+'.join('1' * 900)}"), edit("    return x", "#" * replies.LARGEST),
                 whole(CHILD + f"X = 0x{'f' * 5000}"), whole(CHILD.replace("(1, 2)", f"0x{'f' * 5000}"))],
    "bad-plan": ['```plan\n{"title": 1}\n```\n' + whole(CHILD), "```plan\nnot json\n```\n" + whole(CHILD),
                 '```plan\n{"run": "rm -rf /"}\n```\n' + whole(CHILD), '```plan\n{}\n```\n```plan\n{}\n```\n' + whole(CHILD)],
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_reply_that_keeps_to_the_form_makes_its_program(text: str) -> None:
    assert replies.program(text, PARENT, DOUBLE).source.rstrip() == CHILD.rstrip()


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in BAD.items() for t in texts])
def test_a_reply_that_does_not_is_refused_by_name_before_it_costs_anything(name: str, text: str) -> None:
    parent = PARENT.replace("    a = ", "    # twice\n    # twice\n    a = ")
    with pytest.raises(refusals.ReplyError) as caught:
        replies.program(text, parent, DOUBLE)
    assert caught.value.name == name
    assert isinstance(caught.value, ProposalError)
    assert "\n" not in str(caught.value)


def test_every_named_fault_has_a_reply_that_shows_it() -> None:
    named = {c.name for c in refusals.ReplyError.__subclasses__()}
    assert named == set(BAD)


@pytest.mark.parametrize(
    "text", [t for n in ("entry-changed", "too-long", "not-python") for t in BAD[n] if t[0] != "<"]
)
def test_what_is_no_program_of_the_task_is_refused_also_where_there_is_no_parent(text: str) -> None:
    with pytest.raises((refusals.EntryChanged, refusals.TooLong, refusals.NotPython)):
        replies.program(text, None, DOUBLE)


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_an_edit_moves_no_line_that_it_does_not_name(mark: str) -> None:
    parent = PARENT.replace("    a = ", f"    # one{mark}two\n    a = ")
    child = replies.program(edit("    kernel[(1,)](x, 5)", "    kernel[(1,)](x, 6)"), parent, DOUBLE).source
    assert child == parent.replace("5)", "6)")
    assert replies.apply("a\r\nb\r\n", [("b\n", f"c{mark}\nd\n")]) == f"a\r\nc{mark}\r\nd\r\n"


LINES = "a\n" * 90_000


@pytest.mark.parametrize(
    "text",
    ["```plans\n" * 100_000, edit("a", "b") * 199 + LINES, edit(LINES, "b"), edit(LINES[:90_000] + "b", ""),
     f"<<<<<<< SEARCH{' ' * 900_000}x", f"```plan\n{{\"{'x' * 900_000}\": 1}}\n```\n" + whole(CHILD)],
    ids=["fences", "edits", "large", "half", "spaces", "plan"],
)  # fmt: skip
def test_a_reply_of_a_megabyte_is_refused_in_a_moment_and_in_few_words(text: str) -> None:
    began = process_time()
    for read in (lambda: replies.program(text, LINES, DOUBLE), lambda: strategies(text)):
        with pytest.raises(refusals.ReplyError) as caught:
            read()
        assert len(str(caught.value)) <= refusals.WORDS + 4
    assert process_time() - began < 1


def test_edits_need_a_program_to_edit() -> None:
    with pytest.raises(refusals.NoMatch, match="give a whole program"):
        replies.program(edit("a", "b"), None, DOUBLE)
    assert replies.program(whole(CHILD), None, DOUBLE).source.startswith(CHILD)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["```python\n", "```\n", "<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n", CHILD,
                                 "    return x\n", "~~~\n", "```plan\n", "{}\n", "words\n", "\0", "\ud800"]), max_size=9))  # fmt: skip
def test_no_reply_at_all_makes_anything_but_a_program_or_a_named_refusal(parts: list[str]) -> None:
    try:
        made = replies.program("".join(parts), PARENT, DOUBLE).source
    except refusals.ReplyError:
        made = None
    assert made != PARENT
