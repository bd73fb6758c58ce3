"""A program the search has seen, and the two identities that tell whether it has been seen before."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from archives.canonical import canonical


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program with its origin. `structure` is its fingerprint with the tunable numbers taken out.

    `id` is the hash of the source: equal programs are one program. It is asked for many times, and made once.
    """

    source: str
    operator: str
    intent: str
    parents: tuple[str, ...]
    fingerprint: str
    structure: str
    id: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", digest(self.source))


def digest(text: str) -> str:
    """Return 16 hex digits that stand for a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


# An operator asks whether its program is new, and so does whoever takes it.
@lru_cache(maxsize=64)
def fingerprint(source: str) -> str:
    """Hash a program with comments, docstrings and formatting taken out; unparsable text is hashed as it is."""
    try:
        return digest(canonical(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return digest(source)
