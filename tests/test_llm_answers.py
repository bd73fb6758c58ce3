"""What a server may answer: every oddity is a refusal with a name, and no part of a key is ever repeated."""

import pytest

from operators.llm import answers, clients, errors, refusals
from operators.llm.errors import ModelError
from operators.llm.model import ModelSpecError, parse
from operators.llm.secrets import ended, scrub, scrubbed

MODEL = parse("openai:tiny@http://localhost:1/v1")
KEY = "sk-leaky-0123456789"


@pytest.mark.parametrize("value", [f"{KEY}\n", f" {KEY} ", f"{KEY}\n{KEY}2", f'{KEY}"x'])
def test_a_key_is_taken_out_however_it_is_written(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    for text in (value, value.strip(), repr(value), f"Illegal header value {f'Bearer {value}'.encode()!r}"):
        assert KEY not in scrub(f"it said: {text}")


def test_a_masked_or_cut_key_is_taken_out_and_a_word_or_a_number_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MENU_KEY", "escape")
    monkeypatch.setenv("PIN_TOKEN", "123456")
    assert scrub(f"key:{KEY[:8]}********{KEY[-4:]}. a ** b") == "key:[secret]. a ** b"
    assert ended(f"saw {KEY[:9]}") == "saw "
    assert scrubbed({"escape": [KEY, 123456, "escape 123456"]}) == {"escape": ["[secret]", 123456, "escape [secret]"]}
    with pytest.raises(ModelSpecError, match="holds the value of OPENAI_API_KEY") as raised:
        parse(f"command:agent --api-key {KEY}")
    assert KEY not in str(raised.value)


def test_a_key_where_a_message_is_cut_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for before in range(270, 300):
        error = answers.failure(MODEL, 400, {}, {"error": {"message": "x" * before + KEY}})
        assert KEY[:8] not in str(error)


@pytest.mark.parametrize("value", ["sk-leaky-\u20191", "sk-leaky-\x00", "a\tb"])
def test_a_key_that_no_header_can_hold_is_refused_without_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value.replace("\x00", "\x01"))
    with pytest.raises(ModelError, match="holds characters that no key has") as raised:
        clients._key(MODEL)
    assert raised.value.kind is errors.KEY


@pytest.mark.parametrize(
    "text", ["Mon, 01 Jan 2024 00:00:00 +99999999999999", "Mon, 01 Jan 99999 00:00:00 GMT", "soon"]
)
def test_a_date_that_is_none_is_no_reason_to_wait(text: str) -> None:
    assert answers.failure(MODEL, 429, {"retry-after": text}, None).after is None


def completion(text: str, tokens: object) -> dict:
    return {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": 1},
    }


def test_half_of_a_pair_becomes_a_character_that_files_can_hold() -> None:
    reply = answers.completion(completion("a \ud800 b", 3), "tiny")
    assert reply.text == "a ? b"


@pytest.mark.parametrize("tokens", [10**30, -1, 1.5, True])
def test_counts_that_are_none_are_refused(tokens: object) -> None:
    with pytest.raises(ModelError, match="no counts"):
        answers.completion(completion("a", tokens), "tiny")


def test_a_number_of_too_many_digits_is_malformed_json() -> None:
    with pytest.raises(ModelError, match="malformed JSON"):
        clients._json(MODEL, b'{"n": ' + b"9" * 6000 + b"}")


def test_what_a_terminal_would_obey_is_in_no_message() -> None:
    said = "\ud800 \x1b[2J\x1b]0;title\x07\x00 plain\x9b1m\u202e\nwords"
    assert str(ModelError(errors.SERVER, said)) == str(refusals.ReplyError(said)) == "? plain words"


def test_a_long_word_of_a_server_is_cut_in_every_message() -> None:
    for document in ({"choices": [{"message": {}, "finish_reason": "x" * 10**6}]}, completion("a", "9" * 10**6)):
        with pytest.raises(ModelError) as raised:
            answers.completion(document, "tiny")
        assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("address", ["http://host:notaport/v1", "http://[::1", "http://", "http://host:99999"])
def test_an_address_that_is_none_is_one_line(address: str) -> None:
    with pytest.raises(ModelSpecError, match="is no address"):
        parse(f"openai:x@{address}")
