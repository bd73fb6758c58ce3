"""The faults of a reply that makes no program: each costs no evaluation, and its words teach the next prompt."""

from operators.llm.plain import plain
from operators.proposal import ProposalError

WORDS = 500  # characters of a refusal, which may repeat what the reply says


class ReplyError(ProposalError):
    """A reply that makes no program. `name` is the fault's own; the message says what to do next time."""

    name = "reply"

    def __init__(self, message: str) -> None:
        words = plain(message)
        super().__init__(words if len(words) <= WORDS else f"{words[:WORDS]} ...")


class MissingCode(ReplyError):
    """There is neither a fence with a program nor an edit."""

    name = "missing-code"


class TwoPrograms(ReplyError):
    """There is more than one fence with code, so it cannot be known which is meant."""

    name = "two-fences"


class BrokenFence(ReplyError):
    """A fence or an edit begins and does not end."""

    name = "broken-fence"


class NoMatch(ReplyError):
    """The SEARCH part of an edit is not in the program."""

    name = "no-match"


class ManyMatches(ReplyError):
    """The SEARCH part of an edit is in the program more than once."""

    name = "many-matches"


class Unchanged(ReplyError):
    """The program is its parent, but perhaps for comments and spacing."""

    name = "unchanged"


class EntryChanged(ReplyError):
    """The launcher's name or parameters are not those of the task, or it is defined more than once."""

    name = "entry-changed"


class NotPython(ReplyError):
    """The program does not parse."""

    name = "not-python"


class TooLong(ReplyError):
    """The program or the reply is longer than any needs to be."""

    name = "too-long"


class BadPlan(ReplyError):
    """The plan is not of the form that was asked for."""

    name = "bad-plan"
