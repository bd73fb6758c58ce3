"""Parses Python text, one program at a time.

Python 3.11 counts how deep it is in a tree once for all threads. A thread that another one interrupts while it builds
a tree (the collector may do that) then fails with "SystemError: AST constructor recursion depth mismatch".
"""

import ast
import threading

_ONE_AT_A_TIME = threading.Lock()


def parse(source: str, name: str = "<unknown>") -> ast.Module:
    """Return the tree of a program, whichever thread asks; raises what `ast.parse` raises."""
    with _ONE_AT_A_TIME:
        return ast.parse(source, name)
