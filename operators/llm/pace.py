"""Keeps a model's requests and tokens of any minute within what its provider allows, before it has to refuse.

A request counts from when it is sent until a minute later: with the most tokens that it can use while it is out, and
with those that it used afterwards. One that alone may use more than a minute's tokens waits until nothing else counts.
"""

from collections import deque
from dataclasses import dataclass, field

MINUTE = 60.0


@dataclass(slots=True, eq=False)
class Sent:
    """One request that counts."""

    at: float
    tokens: int


@dataclass(slots=True)
class Pace:
    """The last minute of one model, of this process; None is no limit."""

    requests: int | None = None
    tokens: int | None = None
    _sent: deque[Sent] = field(default_factory=deque)

    def wait(self, tokens: int, now: float) -> float:
        """Return the seconds until a request of so many tokens may be sent, as far as is known now."""
        while self._sent and self._sent[0].at + MINUTE <= now:
            self._sent.popleft()
        ends = [sent.at + MINUTE - now for sent in self._sent]
        last = 0 if self.requests is None else len(ends) - self.requests + 1  # how many must have gone
        if self.tokens is not None:
            left = self.tokens - tokens - sum(sent.tokens for sent in self._sent)
            for gone, sent in enumerate(self._sent, 1):
                if left >= 0:
                    break
                left += sent.tokens
                last = max(last, gone)
        return ends[last - 1] if last > 0 else 0.0

    def send(self, tokens: int, now: float) -> Sent:
        """Count a request that is sent now."""
        sent = Sent(now, tokens)
        self._sent.append(sent)
        return sent
