"""Reads what the two APIs answer: a document becomes a Reply, a refusal becomes a ModelError of a known kind."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from operators.llm import errors
from operators.llm.errors import Kind, ModelError
from operators.llm.model import Model, Reply, Usage
from operators.llm.secrets import ended, scrub

_STATUS: Mapping[int, tuple[Kind, str]] = {
    400: (errors.REQUEST, "refuses the request"),
    401: (errors.KEY, "refuses the key; set {key} to a valid one"),
    402: (errors.QUOTA, "says that the account has no credit left; top it up or use another model"),
    403: (errors.KEY, "does not allow this key to use the model; set {key} to one that may"),
    404: (errors.MODEL, "knows no such model or address; check the model's name and the address"),
    408: (errors.SERVER, "gave up waiting"),
    413: (errors.REQUEST, "finds the prompt too large; lower the context size"),
    429: (errors.RATE, "asks to slow down"),
    529: (errors.SERVER, "is overloaded"),
}
MOST = 1 << 40  # tokens of one answer; a server that says more counts something else
_BROKE = ("insufficient_quota", "billing_hard_limit_reached", "billing_error", "credit balance")


def failure(model: Model, status: int, headers: Mapping[str, str], body: object) -> ModelError:
    """Turn an HTTP status into a kind; messages name what to do."""
    said = _said(body)
    kind, words = _STATUS.get(status, (errors.SERVER if status >= 500 else errors.REQUEST, "failed"))
    if any(mark in said for mark in _BROKE):
        kind, words = _STATUS[402]
    if 300 <= status < 400:
        where = scrub(headers.get("location", "it means"))[:200]
        words = "sends elsewhere, where no key is taken: give the address " + where.replace("{", "{{").replace(
            "}", "}}"
        )
    words = words.format(key=model.key_variable)
    detail = f": {ended(said)[:300]}" if said else ""  # cut first, a part of a key would be left
    return ModelError(kind, f"{model.label} {words} (HTTP {status}){detail}", _after(headers))


def _said(body: object) -> str:
    """Find the message and code in an error's body, whatever its form."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        parts = (inner.get(name) for name in ("type", "code", "message"))
        return ", ".join(dict.fromkeys(str(p) for p in parts if p))
    return "" if inner is None else str(inner)


def _after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, in seconds or as a date, or its millisecond form."""
    text, scale = headers.get("retry-after-ms"), 1000.0
    if text is None:
        text, scale = headers.get("retry-after"), 1.0
    if text is None:
        return None
    try:
        seconds = float(text) / scale
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, ArithmeticError):
            return None
    return max(0.0, seconds) if seconds == seconds else None


def message(document: dict[str, Any], label: str) -> Reply:
    """Read a message of Anthropic's API."""
    counted = document.get("usage")
    usage = _usage(
        label, counted, input="input_tokens", output="output_tokens",
        cache_read="cache_read_input_tokens", cache_write="cache_creation_input_tokens",
    )  # fmt: skip
    blocks = document.get("content")
    if not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
        raise ModelError(errors.MALFORMED, f"{label} sent a message without a list of blocks", usage=usage)
    # the same block twice is one answer sent twice, not an answer of twice the length
    texts = dict.fromkeys(b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str))
    good = {"end_turn": None, "stop_sequence": None, "max_tokens": errors.TRUNCATED, "refusal": errors.REFUSED,
            "model_context_window_exceeded": errors.TRUNCATED}  # fmt: skip
    return _checked(label, "".join(texts), document.get("stop_reason"), good, usage)


def completion(document: dict[str, Any], label: str) -> Reply:
    """Read a completion of OpenAI's API; cached tokens are part of its count of prompt tokens."""
    counted = document.get("usage")
    usage = _usage(label, counted, input="prompt_tokens", output="completion_tokens")
    details = counted.get("prompt_tokens_details") if isinstance(counted, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if usage is not None and isinstance(cached, int) and 0 < cached <= usage.input:
        usage = Usage(usage.input - cached, usage.output, cached)
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ModelError(errors.MALFORMED, f"{label} sent a completion without a choice", usage=usage)
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise ModelError(errors.MALFORMED, f"{label} sent a choice without a message", usage=usage)
    if message.get("refusal"):
        raise ModelError(errors.REFUSED, f"{label} declined to answer", usage=usage)
    text = message.get("content")
    good = {"stop": None, "length": errors.TRUNCATED, "content_filter": errors.REFUSED}
    return _checked(label, text if isinstance(text, str) else "", choices[0].get("finish_reason"), good, usage)


def _checked(label: str, text: str, stop: object, good: Mapping[str, Kind | None], usage: Usage | None) -> Reply:
    """Refuse an answer that did not end as an answer ends."""
    if not isinstance(stop, str) or stop not in good:
        raise ModelError(errors.STOPPED, f"{label} stopped for a reason not known here: {stop!r}", usage=usage)
    kind = good[stop]
    if kind is errors.TRUNCATED:
        raise ModelError(
            kind, f"{label} ran out of tokens before it was done ({stop}): raise its output limit", usage=usage
        )
    if kind is not None:
        raise ModelError(kind, f"{label} declined to answer ({stop})", usage=usage)
    if not text.strip():
        raise ModelError(errors.EMPTY, f"{label} sent an empty answer", usage=usage)
    # half of a pair that stands for one character is none that a file can hold
    return Reply(text.encode(errors="replace").decode(), usage, label)


def _usage(label: str, counted: object, **names: str) -> Usage | None:
    """Read token counts; a server that counts nothing gives None, one that miscounts is refused."""
    if not isinstance(counted, dict):
        return None
    values = {ours: counted.get(theirs) or 0 for ours, theirs in names.items()}
    if any(type(v) is not int or not 0 <= v <= MOST for v in values.values()):
        raise ModelError(errors.MALFORMED, f"{label} sent token counts that are no counts: {values}")
    return Usage(**values)
