"""Every way in which a server may fail to answer, with what must come of it: tests of the caller and of whole searches."""

import llm_server as faults

from operators.llm import errors

# name, what the server does, kind of the failure, tries made with three allowed, what the message must say
MATRIX = [
    ("429", faults.status(429), errors.RATE, 3, "asks to slow down"),
    ("429 with Retry-After", faults.status(429, retry_after="1"), errors.RATE, 3, "asks to slow down"),
    ("429 with a Retry-After of hours", faults.status(429, retry_after="7200"), errors.RATE, 1, "slow down"),
    ("429 with a Retry-After that is no time", faults.status(429, retry_after="soon"), errors.RATE, 3, "slow down"),
    ("408", faults.status(408), errors.SERVER, 3, "gave up waiting"),
    ("500", faults.status(500), errors.SERVER, 3, "HTTP 500"),
    ("503", faults.status(503), errors.SERVER, 3, "HTTP 503"),
    ("529", faults.status(529), errors.SERVER, 3, "overloaded"),
    ("reset mid-body", faults.reset_mid_body, errors.RESET, 3, "broke off"),
    ("hung up", faults.hang_up, errors.RESET, 3, "closed the connection"),
    ("slow drip", faults.drip, errors.TIMEOUT, 3, "did not finish within 0.5 s"),
    ("timeout", faults.silence, errors.TIMEOUT, 3, "did not finish within 0.5 s"),
    ("empty reply", faults.stopped("end_turn", "stop", ""), errors.EMPTY, 1, "empty answer"),
    ("truncated by max tokens", faults.stopped("max_tokens", "length"), errors.TRUNCATED, 1, "raise its output limit"),
    ("refusal", faults.stopped("refusal", "content_filter"), errors.REFUSED, 1, "declined"),
    ("unknown stop reason", faults.stopped("lunch", "lunch"), errors.STOPPED, 1, "'lunch'"),
    ("malformed JSON", faults.raw(b'{"id": '), errors.MALFORMED, 3, "malformed JSON"),
    ("JSON that is no object", faults.raw(b"[1, 2]"), errors.MALFORMED, 3, "no object"),
    ("no content in it", faults.raw(b'{"id": "x"}'), errors.MALFORMED, 3, "without a"),
    ("negative token counts", faults.raw(b'{"usage": {"input_tokens": -5, "prompt_tokens": -5}}'), errors.MALFORMED, 3, "no counts"),
    ("wrong content type", faults.raw(b"<html>login</html>", "text/html"), errors.MALFORMED, 3, "text/html"),
    ("empty body", faults.raw(b""), errors.MALFORMED, 3, "malformed JSON"),
    ("huge reply", faults.endless, errors.HUGE, 1, "more than 8 MiB"),
    ("invalid UTF-8", faults.raw(b'{"id": "\xff\xfe"}'), errors.MALFORMED, 3, "no UTF-8"),
    ("wrong model name", faults.status(404, "model: tiny", "not_found_error"), errors.MODEL, 1, "check the model's name"),
    ("bad key", faults.status(401, f"invalid key {faults.SECRET}", "authentication_error"), errors.KEY, 1, "API_KEY to a valid one"),
    ("key without the right", faults.status(403), errors.KEY, 1, "does not allow this key"),
    ("quota exhausted", faults.status(429, "quota", "insufficient_quota"), errors.QUOTA, 1, "no credit left"),
    ("credit exhausted", faults.status(400, "Your credit balance is too low"), errors.QUOTA, 1, "no credit left"),
    ("prompt too large", faults.status(413), errors.REQUEST, 1, "lower the context size"),
    ("redirection", faults.status(307, location="http://127.0.0.1:9/elsewhere"), errors.REQUEST, 1, "give the address http://127.0"),
    ("endless error", faults.endless_error, errors.REQUEST, 1, "HTTP 400"),
    *((f"charset {c}", faults.charset(c), errors.REQUEST, 1, "odd") for c in ("base64", "rot13", "undefined", "idna")),
    ("bad request", faults.status(400, "max_tokens: too many"), errors.REQUEST, 1, "max_tokens: too many"),
]  # fmt: skip
