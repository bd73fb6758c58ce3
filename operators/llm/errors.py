"""Why a model gave no usable answer, in kinds that a caller can act on."""

from dataclasses import dataclass

from operators.llm.model import Usage
from operators.llm.plain import plain
from operators.llm.secrets import scrub

LONGEST = 800  # characters of a message, which may repeat what a server said


@dataclass(frozen=True, slots=True)
class Kind:
    """What a failure means: can trying again help, does it end the model, may it have cost money."""

    name: str
    transient: bool = False
    final: bool = False
    billed: bool = False


CONNECTION = Kind("connection", transient=True)
TIMEOUT = Kind("timeout", transient=True, billed=True)
RESET = Kind("reset", transient=True, billed=True)
RATE = Kind("rate-limit", transient=True)
SERVER = Kind("server", transient=True)
MALFORMED = Kind("malformed", transient=True, billed=True)
HUGE = Kind("huge", billed=True)
EMPTY = Kind("empty", billed=True)
TRUNCATED = Kind("truncated", billed=True)
REFUSED = Kind("refused", billed=True)
UNREADABLE = Kind("unreadable", billed=True)
STOPPED = Kind("unknown-stop", billed=True)
KEY = Kind("key", final=True)
MODEL = Kind("model", final=True)
QUOTA = Kind("quota", final=True)
REQUEST = Kind("request")
COMMAND = Kind("command", final=True)
EXIT = Kind("exit", transient=True)
MAILBOX = Kind("mailbox", final=True)
REPLAY = Kind("replay")
BUDGET = Kind("budget")


class ModelError(Exception):
    """A model gave no usable answer. `usage` is what it still counted; `after` the seconds it asks to wait."""

    def __init__(self, kind: Kind, message: str, after: float | None = None, usage: Usage | None = None) -> None:
        words = scrub(plain(message))  # cut last, a part of a key would be left
        super().__init__(words if len(words) <= LONGEST else f"{words[:LONGEST]} ...")
        self.kind, self.after, self.usage = kind, after, usage
