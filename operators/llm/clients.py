"""The two SDKs, and nothing else imports them: a prompt goes out over HTTP, a reply or a named failure comes back.

Each takes up to two seconds to import, so it is when the first of its models is made.

The SDKs' own retries are off: operators/llm/retries.py waits and tries again, so that every attempt has its own
reservation in the budget. Replies are read as bytes up to a limit and checked here, because the SDKs build their
objects of whatever comes.
"""

import asyncio
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from operators.llm import answers, errors
from operators.llm.errors import ModelError
from operators.llm.model import Model, Prompt, Reply
from operators.llm.secrets import scrub

LARGEST = 8 << 20  # bytes of a reply
_PACKED = {"accept-encoding": "gzip, deflate"}
COMPLAINT = 1 << 16  # bytes of an answer that is an error


class AnthropicClient:
    """Anthropic's Messages API. The system text is marked for the provider's prompt cache."""

    def __init__(self, model: Model) -> None:
        import anthropic

        _silence()
        self._model, self._package = model, anthropic
        self._sdk = anthropic.AsyncAnthropic(
            api_key=_key(model), base_url=model.url, max_retries=0, timeout=model.seconds,
            http_client=anthropic.DefaultAsyncHttpxClient(**_connection()),
        )  # fmt: skip

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Send one prompt and return the answer."""
        # 1 is the API's own default: left out, it is accepted by models that take no temperature at all.
        extra = {} if self._model.temperature == 1 else {"temperature": self._model.temperature}
        stream = self._sdk.messages.with_streaming_response.create(
            model=self._model.name,
            max_tokens=self._model.output,
            system=[{"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": prompt.text}],
            extra_body=extra,
            timeout=seconds,
        )
        return answers.message(await _send(self._model, self._package, stream, seconds), self._model.label)

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()


class OpenAIClient:
    """OpenAI's chat completions, and every server that speaks them."""

    def __init__(self, model: Model) -> None:
        import openai

        _silence()
        self._model, self._package = model, openai
        self._sdk = openai.AsyncOpenAI(
            api_key=_key(model), base_url=model.url, max_retries=0, timeout=model.seconds,
            http_client=openai.DefaultAsyncHttpxClient(**_connection()),
        )  # fmt: skip

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Send one prompt and return the answer."""
        # OpenAI's own models take max_completion_tokens; servers that only speak the API know max_tokens.
        limit = "max_completion_tokens" if self._model.url is None else "max_tokens"
        extra: dict[str, Any] = {limit: self._model.output}
        if self._model.temperature != 1:
            extra["temperature"] = self._model.temperature
        stream = self._sdk.chat.completions.with_streaming_response.create(
            model=self._model.name,
            messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.text}],
            extra_body=extra,
            timeout=seconds,
        )
        return answers.completion(await _send(self._model, self._package, stream, seconds), self._model.label)

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()


def _connection() -> dict[str, Any]:
    """Say how to connect: no redirection is followed, because a key would go with it."""
    return {"verify": _trusted(), "event_hooks": _hooks(), "headers": _PACKED, "follow_redirects": False}


@cache
def _hooks() -> dict[str, list[Any]]:
    """Let the SDKs read no more than the beginning of what is no answer (they read it whole), and unpack no bombs."""
    import httpx2

    class Beginning(httpx2.AsyncByteStream):
        def __init__(self, whole: Any) -> None:
            self._whole = whole

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = COMPLAINT
            async for chunk in self._whole:
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    return

        async def aclose(self) -> None:
            await self._whole.aclose()

    async def shorten(response: Any) -> None:
        if response.headers.get("content-encoding", "").lower() not in ("gzip", "deflate"):
            response.headers.pop("content-encoding", None)  # others, which nobody asked for, unpack to a million times
        # the SDKs decode errors as it says, and `base64` or `rot13` are no ways to write a text: all is read as UTF-8
        response.headers["content-type"] = response.headers.get("content-type", "").partition(";")[0]
        if not response.is_success:
            response.stream = Beginning(response.stream)

    return {"response": [shorten]}


def _key(model: Model) -> str:
    """Read a key from the environment; servers of one's own may need none."""
    variable = model.key_variable or ""
    value = os.environ.get(variable, "").strip()
    if not value and model.url is None:
        raise ModelError(errors.KEY, f"{model.label} needs a key: set {variable} in the environment")
    if not (value.isascii() and value.isprintable()):
        raise ModelError(errors.KEY, f"{model.label}: {variable} holds characters that no key has: set it anew")
    return value or "none"


@cache
def _trusted() -> ssl.SSLContext:
    """Read the certificates that this machine trusts once, not once for every model: it takes 40 ms."""
    import httpx2

    return httpx2.create_ssl_context()


def _silence() -> None:
    """Keep `--verbose` from showing what the SDKs log at DEBUG: requests, with headers and prompts."""
    for name in ("anthropic", "openai", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _send(model: Model, sdk: Any, stream: Any, seconds: float) -> dict[str, Any]:
    """Do one HTTP exchange within a time and return the JSON object that came; both SDKs name their errors alike."""
    import httpx2

    try:
        async with asyncio.timeout(seconds), stream as response:
            kind = scrub(response.headers.get("content-type", "")).split(";")[0].strip().lower()
            body = await _read(model, response.iter_bytes())
    except (TimeoutError, sdk.APITimeoutError, httpx2.TimeoutException) as error:
        raise ModelError(errors.TIMEOUT, f"{model.label} did not finish within {seconds:g} s") from error
    except sdk.APIStatusError as error:
        raise answers.failure(model, error.status_code, error.response.headers, error.body) from None
    except sdk.APIConnectionError as error:
        raise _unreachable(model, error.__cause__) from None
    except httpx2.HTTPError as error:
        raise ModelError(errors.RESET, f"{model.label} broke off in the middle of its reply: {error}") from None
    if kind != "application/json":
        raise ModelError(errors.MALFORMED, f"{model.label} sent {kind or 'no content type'} where JSON was expected: "
                         "is the address that of an API?")  # fmt: skip
    return _json(model, body)


def _unreachable(model: Model, cause: BaseException | None) -> ModelError:
    """Tell what never left this machine from what broke off on the way."""
    import httpx2

    where = model.url or f"the API of {model.provider}"
    if isinstance(cause, (httpx2.ConnectError, httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
        return ModelError(
            errors.CONNECTION, f"{model.label}: cannot reach {where} ({cause}): check address and network"
        )
    return ModelError(errors.RESET, f"{model.label}: {where} closed the connection without a reply ({cause})")


async def _read(model: Model, chunks: AsyncIterator[bytes]) -> bytes:
    """Collect a body up to the limit."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > LARGEST:
            raise ModelError(errors.HUGE, f"{model.label} sent more than {LARGEST >> 20} MiB: the reply is dropped")
    return bytes(body)


def _json(model: Model, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise ModelError(errors.MALFORMED, f"{model.label} sent bytes that are no UTF-8") from error
    except (ValueError, RecursionError) as error:  # also for a number of more digits than Python reads
        raise ModelError(errors.MALFORMED, f"{model.label} sent malformed JSON: {error}") from error
    if not isinstance(document, dict):
        raise ModelError(errors.MALFORMED, f"{model.label} sent JSON that is no object")
    return document
