"""Makes one line that a file, a table and a terminal can hold of whatever a server, a command or a model said."""

import re

# what moves a cursor or renames a window, whole: only its first character is a control character
_ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b.?")


def plain(text: str) -> str:
    """Return a text without control characters, with single spaces; half of a pair of surrogates becomes `?`."""
    whole = _ESCAPE.sub("", text.encode(errors="replace").decode())
    return " ".join("".join(c for c in whole if c.isprintable() or c.isspace()).split())
