"""A loopback server that speaks Anthropic's and OpenAI's API, answers as a test says, and misbehaves when told to."""

import json
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

SECRET = "sk-test-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came over the wire."""

    api: str  # anthropic or openai
    system: str
    text: str
    limit: int
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Billed:
    """What the server counted for one answer that it sent."""

    input: int
    output: int
    cached: int
    model: str = ""


Fault = Callable[["Handler", Asked], None]


@dataclass
class LlmServer:
    """Serves on a free port until it is closed. `faults` are used up one a request before anything is answered."""

    answer: Callable[[Asked], str] = lambda asked: "ok"
    delay: float = 0.0
    faults: deque[Fault] = field(default_factory=deque)
    faulty: dict[str, Fault] = field(default_factory=dict)  # by model, for ever
    asked: list[Asked] = field(default_factory=list)
    billed: list[Billed] = field(default_factory=list)
    most_at_once: int = 0
    sent: int = 0  # bytes of endless errors
    broken: list[BaseException | None] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._lock, self._now = threading.Lock(), 0
        self._http = _Server(("127.0.0.1", 0), Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if self.broken:
            raise AssertionError("the server itself failed") from self.broken[0]

    @property
    def anthropic(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def openai(self) -> str:
        return f"{self.anthropic}/v1"

    def take(self, asked: Asked) -> Fault | None:
        """Return what goes wrong with a request: with all of its model, or with the next of any."""
        with self._lock:
            self.asked.append(asked)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            if asked.body["model"] in self.faulty:
                return self.faulty[asked.body["model"]]
            return self.faults.popleft() if self.faults else None

    def left(self) -> None:
        with self._lock:
            self._now -= 1

    def bill(self, asked: Asked, text: str) -> Billed:
        """Count a token for four bytes, the system text from cache the second time, the output up to its limit."""
        with self._lock:
            cached = len(asked.system) // 4 if any(a.system == asked.system for a in self.asked[:-1]) else 0
            bill = Billed(
                len(asked.system) // 4 + len(asked.text) // 4 - cached, min(asked.limit, len(text) // 4), cached,
                asked.body["model"],
            )  # fmt: skip
            self.billed.append(bill)
            return bill


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 128
    owner: LlmServer

    def handle_error(self, *_: object) -> None:
        """Keep what went wrong here; clients of these tests hang up on purpose."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.owner.broken.append(error)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        owner = self.server.owner
        size = int(self.headers["content-length"])
        sent = self.rfile.read(size)
        if len(sent) < size:
            return  # who asked was killed while asking
        body = json.loads(sent)
        asked = _asked(self.path, body, {k.lower(): v for k, v in self.headers.items()})
        fault = owner.take(asked)
        try:
            if fault is not None:
                fault(self, asked)
                return
            time.sleep(owner.delay)
            text = owner.answer(asked)
            self.send(200, document(asked, text, owner.bill(asked, text)))
        finally:
            owner.left()

    def send(self, status: int, body: Any, kind: str = "application/json", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _asked(path: str, body: dict[str, Any], headers: dict[str, str]) -> Asked:
    if path.endswith("/messages"):
        system = "".join(b["text"] for b in body["system"])
        return Asked("anthropic", system, body["messages"][0]["content"], body["max_tokens"], body, headers)
    system, text = (m["content"] for m in body["messages"])
    limit = body.get("max_tokens") or body["max_completion_tokens"]
    return Asked("openai", system, text, limit, body, headers)


def document(asked: Asked, text: str, bill: Billed, stop: str | None = None, blocks: int = 1) -> dict[str, Any]:
    """Return an answer in the form of the API that was asked."""
    if asked.api == "anthropic":
        usage = {"input_tokens": bill.input, "output_tokens": bill.output, "cache_read_input_tokens": bill.cached}
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": asked.body["model"],
            "content": [{"type": "text", "text": text}] * blocks, "stop_reason": stop or "end_turn", "usage": usage,
        }  # fmt: skip
    total = bill.input + bill.cached
    usage = {"prompt_tokens": total, "completion_tokens": bill.output, "total_tokens": total + bill.output,
             "prompt_tokens_details": {"cached_tokens": bill.cached}}  # fmt: skip
    choice = {"index": 0, "finish_reason": stop or "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": asked.body["model"],
            "choices": [choice] * blocks, "usage": usage}  # fmt: skip


def charset(name: str) -> Fault:
    """Answer with an error that says it is written in an encoding."""
    return lambda handler, asked: handler.send(400, b"odd \xff", f"text/plain; charset={name}")


def status(code: int, message: str = "no", kind: str = "error", **headers: str) -> Fault:
    """Answer with an error status."""

    def fault(handler: Handler, asked: Asked) -> None:
        body = {"type": "error", "error": {"type": kind, "message": message, "code": kind}}
        handler.send(code, body, **headers)

    return fault


def raw(body: bytes, kind: str = "application/json") -> Fault:
    """Answer 200 with these bytes."""
    return lambda handler, asked: handler.send(200, body, kind)


def stopped(anthropic: str, openai: str, text: str = "half an ans") -> Fault:
    """Answer with another reason to stop, and bill for it."""

    def fault(handler: Handler, asked: Asked) -> None:
        bill = handler.server.owner.bill(asked, text)
        handler.send(200, document(asked, text, bill, anthropic if asked.api == "anthropic" else openai))

    return fault


def doubled(text: str) -> Fault:
    """Send the same block, or choice, twice."""

    def fault(handler: Handler, asked: Asked) -> None:
        handler.send(200, document(asked, text, handler.server.owner.bill(asked, text), blocks=2))

    return fault


def reset_mid_body(handler: Handler, asked: Asked) -> None:
    """Promise a body, send its beginning, and reset the connection."""
    _begin(handler, 1000)
    handler.wfile.write(b'{"id": "half')
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def hang_up(handler: Handler, asked: Asked) -> None:
    """Close the connection without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def drip(handler: Handler, asked: Asked) -> None:
    """Send a byte now and then: each one resets a timeout between bytes, none ends the reply."""
    _begin(handler, 10_000)
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


def silence(handler: Handler, asked: Asked) -> None:
    """Say nothing for longer than anybody waits."""
    time.sleep(1.0)


def endless(handler: Handler, asked: Asked) -> None:
    """Send a reply of hundreds of megabytes."""
    _begin(handler, 1 << 30)
    for _ in range(1 << 10):
        handler.wfile.write(b"x" * (1 << 20))


def endless_error(handler: Handler, asked: Asked) -> None:
    """Refuse in hundreds of megabytes."""
    _begin(handler, 1 << 30, 400)
    for _ in range(1 << 10):
        handler.wfile.write(f"{len(asked.body)} ".encode() * (1 << 18))
        handler.server.owner.sent += 1 << 19


def _begin(handler: Handler, length: int, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(length))
    handler.end_headers()
    handler.wfile.flush()
