"""Takes keys out of every text that is kept, shown or sent: the values of environment variables named like secrets.

A variable is one of these when its name ends in KEY, TOKEN, SECRET, PASSWORD or CREDENTIALS. A value shorter than 6
characters is none, nor is a plain word shorter than 8 (`KEYBOARD_KEY=escape`), unless the variable is a provider's own:
ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or OPENAI_API_KEY.
"""

import json
import os
import re

SECRET = re.compile(r"\w*(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)", re.IGNORECASE)
_PROVIDERS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY")
_SHORTEST, _WORD = 6, 8  # characters: a shorter value would be found everywhere
_MASK = re.compile(r"\*+|\.{3,}|…+|•+")
_PART = 3  # characters of a key that a server may show on each side of a mask


def scrub(text: str) -> str:
    """Take secrets out of a text, however they are written there, also with their middle masked."""
    forms = _forms()
    for value in forms:
        text = text.replace(value, "[secret]")
    return _unmasked(text, forms) if forms else text


def scrubbed(value: object) -> object:
    """Take secrets out of the texts in plain data; keys and numbers stay as they are."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {name: scrubbed(inner) for name, inner in value.items()}
    return [scrubbed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def ended(text: str) -> str:
    """Scrub a text that was cut off somewhere, where it may end with the beginning of a key."""
    text = scrub(text)
    longest = max((_shared(text, form) for form in _forms()), default=0)
    return text[: len(text) - longest]


def holder(text: str) -> str | None:
    """Name the variable whose secret stands in a text."""
    return next((name for name, value in _values().items() if any(form in text for form in _written(value))), None)


def _values() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items()
        if SECRET.fullmatch(name) and (name in _PROVIDERS or len(value) >= _WORD or not value.isalpha())
    }  # fmt: skip


def _forms() -> list[str]:
    """Return all that secrets may look like, the longest first."""
    return sorted({form for value in _values().values() for form in _written(value)}, key=len, reverse=True)


def _written(value: str) -> set[str]:
    """Return the ways in which a value may be written that are long enough to be looked for."""
    forms = (value, value.strip(), *value.split(), repr(value)[1:-1], json.dumps(value)[1:-1])
    return {form for form in forms if len(form) >= _SHORTEST}


def _unmasked(text: str, forms: list[str]) -> str:
    """Take out what begins and ends as a key does, with a mask between."""
    parts, done = [], 0
    for mask in _MASK.finditer(text):
        before, after = text[done : mask.start()][-200:], text[mask.end() : mask.end() + 200]
        for form in forms:
            head, tail = _shared(before, form), _shared(form, after)
            if head and tail:
                parts += [text[done : mask.start() - head], "[secret]"]
                done = mask.end() + tail
                break
    return "".join([*parts, text[done:]])


def _shared(first: str, second: str) -> int:
    """Return how many characters at the end of one text are the beginning of the other, if enough to matter."""
    return next((n for n in range(min(len(first), len(second)), _PART - 1, -1) if first.endswith(second[:n])), 0)
