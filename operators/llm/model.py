"""What is said to a model and what it says back, as plain data, and who says it."""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from operators.llm.secrets import SECRET, holder

PICO = 10**12  # of a dollar: the price of one token is a whole number of these
LARGEST = 10**6 * PICO  # the most money that is written anywhere: sums of it fit into 64 bits


class ModelSpecError(ValueError):
    """A model is named or priced in a way that cannot be used; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the provider counts them. `input` holds what was neither read from nor put into a cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __post_init__(self) -> None:
        if min(self.input, self.output, self.cache_read, self.cache_write) < 0:
            raise ValueError(f"tokens cannot be negative: {self}")

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))

    @property
    def tokens(self) -> int:
        """All tokens, read or written."""
        return self.input + self.output + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in 10^-12 dollars each, so that sums are exact."""

    input: int
    output: int
    cache_read: int
    cache_write: int

    @classmethod
    def per_million(
        cls, input: str, output: str, cache_read: str | None = None, cache_write: str | None = None
    ) -> "Price":
        """Read dollars per million tokens; what is not given of the cache costs what input costs."""
        return cls(_pico(input), _pico(output), _pico(cache_read or input), _pico(cache_write or input))

    def of(self, usage: Usage) -> int:
        """Return what a call cost, in 10^-12 dollars."""
        return (
            usage.input * self.input + usage.output * self.output
            + usage.cache_read * self.cache_read + usage.cache_write * self.cache_write
        )  # fmt: skip

    def most(self, input_tokens: int, output_tokens: int) -> int:
        """Return the most that a call of so many tokens can cost."""
        return input_tokens * max(self.input, self.cache_read, self.cache_write) + output_tokens * self.output


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be used in all; None is no limit. Dollars are 10^-12 dollars, seconds are wall time."""

    tokens: int | None = None
    dollars: int | None = None
    calls: int | None = None
    seconds: float | None = None


PROVIDERS = ("anthropic", "openai", "command", "mailbox", "replay")
UNCOUNTED = ("command", "mailbox", "replay")  # whose tokens nobody counts: they are budgeted by calls
SECONDS = 600.0  # that one attempt may take
PATIENCE = {"mailbox": 30 * 86400.0}  # where people answer


@dataclass(frozen=True, slots=True)
class Model:
    """One model that may be asked. `name` is what its provider calls it, a command line, a folder or a file.

    `output` is the most tokens it may answer with, `seconds` the most one attempt may take.
    """

    provider: str
    name: str
    url: str | None = None
    price: Price | None = None
    limits: Limits = field(default=Limits())
    temperature: float = 1.0
    output: int = 16_000
    seconds: float = SECONDS
    concurrency: int = 4
    key: str | None = None  # the environment variable that holds the key; None: the provider's usual one
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    apart: bool = False  # another model of this run has the same provider and name, on another server

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise ModelSpecError(f"unknown provider {self.provider!r}: expected one of {', '.join(PROVIDERS)}")
        if self.provider == "command" and (variable := holder(self.name)) is not None:
            raise ModelSpecError(
                f"the command holds the value of {variable}, and commands are kept with a run: let it read that "
                f"variable, as command:sh -c 'agent --api-key \"${variable}\"' does if your shell does not fill it in"
            )
        if self.url is not None and (variable := holder(urlsplit(self.url).path)) is not None:
            raise ModelSpecError(
                f"the address of {self.provider}:{self.name} holds the value of {variable}, and addresses are kept "
                "with a run: use one without a key, which is sent from the environment"
            )
        if "\0" in self.name:
            raise ModelSpecError(f"a {self.provider} model's name holds a NUL character: leave it out")
        if not self.name:
            raise ModelSpecError(f"a model is written {self.provider}:NAME; no name came after the colon")
        if not all(0 < value < 10**9 for value in (self.output, self.seconds, self.concurrency)):
            raise ModelSpecError(f"model {self.label}: output, seconds and concurrency must be positive and below 10^9")
        if not 0 <= self.temperature <= 2:
            raise ModelSpecError(f"model {self.label}: temperature must be from 0 to 2; got {self.temperature:g}")
        if self.provider == "anthropic" and self.url is None and self.temperature > 1:
            raise ModelSpecError(f"model {self.label}: Anthropic's temperature is at most 1; got {self.temperature:g}")
        if self.key is not None and not SECRET.fullmatch(self.key):
            # its value is not repeated: it may be the key itself, and only such variables are kept out of all files
            raise ModelSpecError(
                f"model {self.label}: `key` is the name of an environment variable that ends in _KEY, _TOKEN, _SECRET, "
                "_PASSWORD or _CREDENTIALS; the key itself stands in that variable"
            )

    @property
    def label(self) -> str:
        """The model's name in tables and in the record of a run, with the address where only that tells it."""
        return f"{self.provider}:{self.name}" + (f"@{self.url}" if self.apart and self.url else "")

    @property
    def counted(self) -> bool:
        """Whether its tokens are counted, by the provider or by what was reserved."""
        return self.provider not in UNCOUNTED

    def most(self, prompt: "Prompt") -> int:
        """Return the most tokens that one attempt can use; 0 where nobody counts them."""
        return prompt.most_tokens + self.output if self.counted else 0

    @property
    def key_variable(self) -> str | None:
        """The environment variable that must hold the key; None where no key is needed."""
        if self.key is not None or self.provider not in ("anthropic", "openai"):
            return self.key
        return f"{self.provider.upper()}_API_KEY"


def parse(spec: str) -> Model:
    """Read `PROVIDER:NAME`, or `PROVIDER:NAME@URL` for a server of one's own."""
    provider, colon, name = spec.partition(":")
    if not colon:
        known = ", ".join(f"{p}:..." for p in PROVIDERS)
        raise ModelSpecError(f"a model is written PROVIDER:NAME ({known}); got {spec!r}")
    url = None
    if provider in ("anthropic", "openai") and "@" in name:
        name, _, url = name.partition("@")
        if not url.startswith(("http://", "https://")):
            raise ModelSpecError(f"after @ comes an address that begins with http:// or https://; got {url!r}")
        if "@" in url:
            raise ModelSpecError("an address may not hold a user name or password: put the key into the environment")
        try:
            whole = bool(urlsplit(url).hostname) and (urlsplit(url).port or 1) > 0
        except ValueError:
            whole = False
        if not whole:
            raise ModelSpecError(f"{url!r} is no address: write http://HOST:PORT/PATH")
        if "?" in url or "#" in url:
            raise ModelSpecError("an address ends before any ? or #: a key belongs into the environment")
    return Model(provider, name, url, seconds=PATIENCE.get(provider, SECONDS))


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model sees: `system` is the same for many calls and may be cached by the provider."""

    system: str
    text: str

    @property
    def digest(self) -> str:
        """Identity of the text."""
        return hashlib.sha256(f"{len(self.system)}\n{self.system}{self.text}".encode()).hexdigest()[:16]

    @property
    def most_tokens(self) -> int:
        """A number of tokens that this prompt cannot exceed: no token is less than a byte, and some frame it."""
        return len(self.system.encode()) + len(self.text.encode()) + 64


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered; `usage` is None where the provider counts nothing (a command, a mailbox)."""

    text: str
    usage: Usage | None
    model: str


class Client(Protocol):
    """One model behind whatever it takes to reach it."""

    async def complete(self, prompt: Prompt, seconds: float, key: str = "") -> Reply:
        """Send a prompt once and return the answer within so many seconds, or raise ModelError.

        `key` names the question: providers that keep questions (a mailbox) never keep two with one key.
        """

    async def close(self) -> None:
        """Give up connections."""


@runtime_checkable
class Unasked(Protocol):
    """A client whose way can be tried without a question: nobody may be there to answer one."""

    def check(self) -> str:
        """Try it and say what is there, or raise ModelError."""


def dollars(pico: int) -> str:
    """Write an amount as dollars with four decimals, rounded up, so that nothing paid reads as free."""
    return f"${-(-pico // 10**8) / 10**4:.4f}"


def _pico(per_million: str) -> int:
    """Turn dollars per million tokens into 10^-12 dollars per token."""
    try:
        exact = Decimal(per_million) * (PICO // 10**6)
    except ArithmeticError as error:
        raise ModelSpecError(
            f"a price is dollars per million tokens, such as 3 or 0.25; got {per_million!r}"
        ) from error
    if not exact.is_finite() or not 0 <= exact <= LARGEST or exact != int(exact):
        raise ModelSpecError(f"a price is not negative and has at most six decimals; got {per_million!r}")
    return int(exact)
