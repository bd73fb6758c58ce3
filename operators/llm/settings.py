"""What a person writes about models in a configuration file or on the command line, checked and made into Models."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from operators.llm.model import LARGEST, PICO, Limits, Model, ModelSpecError, Price, parse

MOST = 1 << 50  # of anything that is counted: a journal holds no larger numbers than 64 bits
# TOML has floats; written out again they are the decimals that the person wrote
Money = Annotated[str, BeforeValidator(lambda value: str(value))]


class ModelSettings(BaseModel):
    """One `[[models]]` table. Prices are dollars per million tokens, limits are for this model in the whole run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str  # PROVIDER:NAME, or PROVIDER:NAME@URL for a server of one's own
    price_input: Money | None = None
    price_output: Money | None = None
    price_cache_read: Money | None = None  # None: what input costs
    price_cache_write: Money | None = None  # None: what input costs, of Anthropic 1.25 times that
    max_tokens: int | None = Field(default=None, ge=1, le=MOST)
    max_cost: Money | None = None  # dollars
    max_calls: int | None = Field(default=None, ge=1, le=MOST)
    max_minutes: float | None = Field(default=None, gt=0.0)  # of the run's wall time: afterwards it is not asked
    requests_per_minute: int | None = Field(default=None, ge=1, le=MOST)  # attempts that are sent in any 60 seconds
    tokens_per_minute: int | None = Field(
        default=None, ge=1, le=MOST
    )  # as many as those may use at most, then as they used
    temperature: float = 1.0
    output: int = 16_000  # most tokens of one answer
    seconds: float | None = None  # of one attempt; None: 600, and a month of a mailbox
    concurrency: int = 4  # calls at once
    key: str | None = None  # environment variable with the key; None: ANTHROPIC_API_KEY or OPENAI_API_KEY


def made(settings: Sequence[ModelSettings | str]) -> tuple[Model, ...]:
    """Return the models of a run; raises ModelSpecError for what cannot be."""
    models = tuple(_made(ModelSettings(model=s) if isinstance(s, str) else s) for s in settings)
    names = Counter(m.label for m in models)
    told = tuple(replace(m, apart=names[m.label] > 1) for m in models)
    for label, count in Counter(m.label for m in told).items():
        if count > 1:
            raise ModelSpecError(f"the model {label} is given twice")
    return told


def priced(models: Sequence[str], given: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read `MODEL=INPUT/OUTPUT` as settings for each model that it names, of a run's models as they were written."""
    names = Counter(model.partition("@")[0] for model in models)
    known = {m.partition("@")[0]: m for m in models if names[m.partition("@")[0]] == 1} | {m: m for m in models}
    found = {}
    for one in given:
        model, _, amounts = one.rpartition("=")
        read, slash, written = amounts.partition("/")
        if names[model] > 1 and model not in models:
            raise ModelSpecError(f"--price {model}: {names[model]} models have that name; write one with its @URL")
        if model not in known or not slash:
            raise ModelSpecError(
                f"--price is MODEL=INPUT/OUTPUT, in dollars per million tokens, with MODEL as in --model; got {one!r}"
            )
        Price.per_million(read, written)
        found[known[model]] = {"price_input": read, "price_output": written}
    return found


def repriced(settings: Sequence[ModelSettings], prices: Mapping[str, Mapping[str, str]]) -> tuple[ModelSettings, ...]:
    """Return the models with other prices, where there are any; those of a cache go with them."""
    cache = {"price_cache_read": None, "price_cache_write": None}
    return tuple(s.model_copy(update={**cache, **prices[s.model]}) if s.model in prices else s for s in settings)


def limits(max_cost: str | None, max_tokens: int | None, max_calls: int | None, seconds: float | None) -> Limits:
    """Return the limits of a whole run, from dollars, tokens, calls and seconds."""
    return Limits(max_tokens, None if max_cost is None else pico(max_cost), max_calls, seconds)


def pico(amount: str) -> int:
    """Turn dollars into 10^-12 dollars."""
    try:
        exact = Decimal(amount) * PICO
    except ArithmeticError as error:
        raise ModelSpecError(f"an amount of money is dollars, such as 5 or 0.50; got {amount!r}") from error
    if not exact.is_finite() or not 0 < exact <= LARGEST or exact != int(exact):
        raise ModelSpecError(f"an amount of money is positive and at most a million dollars; got {amount!r}")
    return int(exact)


def _made(s: ModelSettings) -> Model:
    named = parse(s.model)
    if (s.price_input is None) != (s.price_output is None):
        raise ModelSpecError(f"model {s.model}: give price_input and price_output, or neither")
    price = None
    if s.price_input is not None and s.price_output is not None:
        price = Price.per_million(s.price_input, s.price_output, s.price_cache_read, s.price_cache_write)
        if s.price_cache_write is None and named.provider == "anthropic":  # whose prompts are marked for the cache
            price = replace(price, cache_write=-(-price.input * 5 // 4))
    own = Limits(s.max_tokens, None if s.max_cost is None else pico(s.max_cost), s.max_calls,
                 None if s.max_minutes is None else 60 * s.max_minutes)  # fmt: skip
    return Model(named.provider, named.name, named.url, price, own, s.temperature, s.output,
                 named.seconds if s.seconds is None else s.seconds, s.concurrency, s.key, s.requests_per_minute,
                 s.tokens_per_minute)  # fmt: skip
