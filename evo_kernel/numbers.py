"""The numbers of requests: each is handed out in order, and again where a killed process never answered it."""


class Numbers:
    """Which numbers are out, as far as answers tell."""

    def __init__(self) -> None:
        self._next = 0
        self._unanswered: set[int] = set()

    def take(self) -> int:
        """Hand out the lowest number that has no answer and is not out."""
        if self._unanswered:
            number = min(self._unanswered)
            self._unanswered.discard(number)
            return number
        self._next += 1
        return self._next - 1

    def answered(self, number: int) -> None:
        """Note an answer; numbers below it that a killed process had asked for will be asked again."""
        if number >= self._next:
            self._unanswered.update(range(self._next, number))
            self._next = number + 1
        else:
            self._unanswered.discard(number)
