"""What the settings of a run are, where each stands in a file, and what older runs were begun with."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evo_kernel.rules import Limits, Rules
from fitness import targets
from operators import catalogue
from operators.llm.settings import MOST, ModelSettings, Money, made, pico
from operators.tune.constraints import read as read_constraint


class Settings(BaseModel):
    """Every setting, flat; SECTIONS says where each stands in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generations: int = Field(20, ge=1)
    population: int = Field(8, ge=1)
    target: str = "auto"  # this machine's GPU if it has one, else mi300
    seed: int = Field(0, ge=0, lt=2**63)
    policy: Literal["archive", "best-of-n", "sequential", "restarts", "islands"] = "archive"
    operators: tuple[str, ...] = Field(Rules().operators, min_length=1)
    objectives: tuple[Literal["latency", "error", "portability"], ...] = ("latency",)
    constraints: tuple[str, ...] = ()  # on knobs, such as "BLOCK_M * BLOCK_N <= 16384"
    prior: bool = True  # begin with what searches of other tasks saw of rewrites on the target, if it was measured
    also: tuple[str, ...] = ()  # targets on which a program must pass too, and is predicted
    # mechanisms: 0 or false switches one off; evo_kernel/rules.py says what each is
    history: float = Field(Rules().history, ge=0.0, le=1.0)
    fallback: bool = Rules().fallback
    broadening: bool = Rules().broadening
    crossover: float = Field(Rules().crossover, ge=0.0, lt=1.0)
    tuner: float = Field(Rules().tuner, ge=0.0, le=1.0)
    trials: int = Field(Rules().trials, ge=0)
    trial_patience: int = Field(Rules().trial_patience, ge=0)
    giving_up: float = Field(Rules().giving_up, ge=0.0)
    macro: bool = Rules().macro
    lexicase: float = Field(Rules().lexicase, ge=0.0, le=1.0)
    bandit: bool = Rules().bandit  # left out: true where models are named and none is recorded
    halving: bool = Rules().halving
    compromises: float = Field(Rules().compromises, ge=0.0, le=1.0)
    lines: int = Field(Rules().lines, ge=1, le=1000)
    migration: int = Field(Rules().migration, ge=1)
    max_perf_debug_num: int = Field(Rules().max_perf_debug_num, ge=1)
    # budgets beside the evaluations; None is no limit
    max_minutes: float | None = Field(None, gt=0.0)
    max_gpu_seconds: float | None = Field(None, gt=0.0)
    stop_at_roofline: float | None = Field(None, gt=0.0, le=1.0)
    stop_after_stagnation: int | None = Field(None, ge=1)
    # models that write programs; without any, nothing else here about them counts
    models: tuple[ModelSettings, ...] = ()
    model_operators: tuple[str, ...] = Field(Rules().model_operators, min_length=1)
    model_share: float = Field(Rules().model_share, ge=0.0, le=1.0)
    evaluation_dollars: float = Field(Rules().evaluation_dollars, gt=0.0)
    conversations: int = Field(4, ge=1, le=256)  # with all models together, at once
    context: int = Field(60_000, ge=4000)  # characters of one prompt
    record: str | None = None  # file of all answers, which `replay:FILE` gives again
    lessons: str | None = None  # file of what was learnt, kept across tasks and runs; None: nothing is
    archives: tuple[str, ...] = ()  # folders of runs whose best kernels are examples too
    port: str | None = None  # the text of a kernel in another language that `generate` ports
    max_cost: Money | None = None  # dollars
    max_tokens: int | None = Field(None, ge=1, le=MOST)
    max_calls: int | None = Field(None, ge=1, le=MOST)
    # auto: measured where the target is this machine's GPU; recorded: only in replays of tables
    basis: Literal["auto", "predicted", "measured", "recorded"] = "auto"
    mode: Literal["sealed", "open"] = "sealed"  # open: launchers run themselves, on a GPU; nothing they say is trusted
    seconds: float = Field(30.0, gt=0.0)  # of one step of judging one candidate, but those without a processor
    memory_gb: float = Field(6.0, gt=0.0)  # address space of one candidate beyond torch and triton
    require_isolation: Literal["process", "landlock", "namespaces"] = "process"  # refuse to judge with less
    pool: Literal["ray", "inline"] = "ray"
    workers: int = Field(0, ge=0)  # 0: one for every core
    judges: int = Field(
        1, ge=1, le=16
    )  # on each GPU: of the Ray pool, or of as many runs with the inline pool; they take turns
    address: str | None = None  # of a Ray cluster; None: embedded on this machine

    @model_validator(mode="after")
    def _choosing(self) -> Self:
        """Have the bandit choose among operators and models, unless somebody says otherwise.

        What is recorded and replayed is drawn by lot: answers from a file cost nothing, so a bandit would ask others.
        """
        if "bandit" not in self.model_fields_set:
            again = self.record is not None or any(m.model.startswith("replay:") for m in self.models)
            object.__setattr__(self, "bandit", bool(self.models) and not again)
        return self

    @field_validator("target")
    @classmethod
    def _known_target(cls, name: str) -> str:
        if name == "auto":
            return name
        try:
            return targets.find(name).name
        except targets.TargetError as error:
            raise ValueError(str(error)) from error

    @field_validator("giving_up")
    @classmethod
    def _beyond_the_best(cls, given: float) -> float:
        if 0 < given < 1:
            raise ValueError("expected how many times the best's time is too slow, 1 or more; or 0, to give nothing up")
        return given

    @field_validator("also")
    @classmethod
    def _known_targets(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cls._known_target(name) for name in given))

    @field_validator("constraints")
    @classmethod
    def _conditions(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            read_constraint(one)  # its errors are ValueErrors
        return given

    @field_validator("models", mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        """Take a model as the command line writes it."""
        several = given if isinstance(given, (list, tuple)) else (given,)
        return tuple({"model": one} if isinstance(one, str) else one for one in several)

    @field_validator("models")
    @classmethod
    def _known_models(cls, given: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
        made(given)  # its errors are ValueErrors
        return given

    @field_validator("max_cost")
    @classmethod
    def _dollars(cls, given: str | None) -> str | None:
        if given is not None:
            pico(given)
        return given

    @field_validator("model_operators")
    @classmethod
    def _known_asking(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in given if name not in catalogue.MODEL_ARITY]
        if unknown:
            raise ValueError(f"no operator {unknown[0]!r} asks a model; known: {', '.join(catalogue.MODEL_ARITY)}")
        if not any(catalogue.MODEL_ARITY[name] < 2 and name != "reflect" for name in given):
            raise ValueError("one of generate, optimize, strategise must be there: others have nothing to begin with")
        return given

    @field_validator("operators", "objectives", "also", "model_operators", "archives", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        """Take a list as the command line writes it."""
        return tuple(word.strip() for word in given.split(",")) if isinstance(given, str) else given

    @field_validator("operators")
    @classmethod
    def _known_operators(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in given if name not in catalogue.ARITY]
        if unknown:
            raise ValueError(f"no operator named {unknown[0]!r}; known: {', '.join(catalogue.ARITY)}")
        if not any(catalogue.arity(name) == 1 and name != catalogue.TUNER for name in given):
            raise ValueError("a search needs an operator that steps from one program, such as knob-step")
        return given

    @field_validator("objectives")
    @classmethod
    def _latency_first(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if given[:1] != ("latency",) or len(set(given)) != len(given):
            raise ValueError('the first objective is latency; "error" and "portability" may follow')
        return given

    @model_validator(mode="after")
    def _portable(self) -> Self:
        """Refuse portability to nowhere, and other targets where one machine measures one."""
        if "portability" in self.objectives and not self.also:
            raise ValueError("portability needs other targets to be predicted for: name them (--also mi250)")
        if self.also and (self.basis == "measured" or self.mode == "open"):
            raise ValueError("other targets can only be predicted for: leave out --also, or use --basis predicted")
        if self.target in self.also:
            raise ValueError(f"{self.target} is the run's target itself: name others")
        return self

    @model_validator(mode="after")
    def _ports(self) -> Self:
        """Refuse a kernel to port that nobody would be asked to."""
        if self.port is not None and not (self.models and "generate" in self.model_operators):
            raise ValueError("a kernel is ported by a model: name one (--model, [[models]]) and keep operator generate")
        return self

    @property
    def rules(self) -> Rules:
        """The mechanisms of the search."""
        return Rules(**{f.name: getattr(self, f.name) for f in fields(Rules)})

    @property
    def frozen(self) -> dict[str, Any]:
        """What a run is begun with, as plain data: nothing of models where there are none."""
        return self.model_dump(exclude=set() if self.models else {"models", *ABOUT_MODELS})

    @property
    def limits(self) -> Limits:
        """What ends the search early."""
        return Limits(**{f.name: getattr(self, f.name) for f in fields(Limits)})


ABOUT_MODELS = ("model_operators", "model_share", "conversations", "context", "evaluation_dollars", "record", "lessons",
                "archives", "port", "max_cost", "max_tokens", "max_calls")  # fmt: skip
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "search": (
        "generations",
        "population",
        "target",
        "seed",
        "policy",
        "operators",
        "objectives",
        "also",
        "constraints",
        "prior",
    ),
    "mechanisms": (
        "history",
        "fallback",
        "broadening",
        "crossover",
        "tuner",
        "trials",
        "trial_patience",
        "giving_up",
        "macro",
        "lexicase",
        "bandit",
        "halving",
        "compromises",
        "lines",
        "migration",
        "max_perf_debug_num",
    ),
    "budget": ("max_minutes", "max_gpu_seconds", "stop_at_roofline", "stop_after_stagnation"),
    "llm": ABOUT_MODELS,
    "judge": ("basis", "mode", "seconds", "memory_gb", "require_isolation"),
    "machine": ("pool", "workers", "judges", "address"),
}
# what a journal from before there were these settings was begun with
BEFORE: Mapping[str, Any] = {
    "basis": "predicted", "fallback": False, "broadening": True, "bandit": False, "halving": False, "lexicase": 0.0,
    "tuner": 0.0, "macro": False, "history": 0.2, "crossover": 0.3, "operators": ("knob-step", "knob-cross"),
    "trials": 8, "trial_patience": 0, "giving_up": 1.3, "compromises": 0.3, "prior": False,
}  # fmt: skip
# what a resumed run takes from the machine it is resumed on
MACHINE = (*SECTIONS["machine"], "seconds", "memory_gb", "require_isolation")
