"""Everything a run has judged: history, one elite per cell, and the best; each step costs the same at any size."""

from collections import Counter
from dataclasses import dataclass

from archives.candidate import Candidate
from archives.descriptors import Cell, cell
from fitness.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Entry:
    """A program with its verdict and its cell; only programs that passed have entries."""

    candidate: Candidate
    evaluation: Evaluation
    cell: Cell
    score_us: float


class Archive:
    """Keeps entries by id. Two programs that compile to the same code are one: the first stays."""

    def __init__(self) -> None:
        self.history: list[str] = []  # ids that passed, in order of verdict
        self.elites: dict[Cell, str] = {}
        self.best: str | None = None
        self.failures: Counter[str] = Counter()  # by stage
        self.twins = 0
        self._entries: dict[str, Entry] = {}
        self._programs: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.history)

    def __getitem__(self, identity: str) -> Entry:
        return self._entries[identity]

    def __contains__(self, identity: str) -> bool:
        return identity in self._entries

    def add(self, candidate: Candidate, evaluation: Evaluation) -> bool:
        """Remember a verdict; return whether it is a new best."""
        if evaluation.failure is not None:
            self.failures[evaluation.failure.stage.value] += 1
            return False
        if evaluation.program is not None:
            if evaluation.program in self._programs:
                self.twins += 1
                return False
            self._programs[evaluation.program] = candidate.id
        return self._place(Entry(candidate, evaluation, cell(evaluation), evaluation.score_us))

    def _place(self, entry: Entry) -> bool:
        """Put an entry into history and, where it is the fastest, into its cell and on top."""
        identity = entry.candidate.id
        self._entries[identity] = entry
        self.history.append(identity)
        elite = self.elites.get(entry.cell)
        if elite is None or entry.score_us < self._entries[elite].score_us:
            self.elites[entry.cell] = identity
        if self.best is None or entry.score_us < self._entries[self.best].score_us:
            self.best = identity
            return True
        return False

    def ranked(self) -> list[Entry]:
        """Return the elites, fastest first."""
        return sorted((self._entries[i] for i in self.elites.values()), key=lambda e: (e.score_us, e.candidate.id))

    def top(self, count: int) -> list[Entry]:
        """Return the fastest programs, whatever their cells."""
        entries = (self._entries[i] for i in self.history)
        return sorted(entries, key=lambda e: (e.score_us, e.candidate.id))[:count]

    def lineage(self, identity: str) -> list[Entry]:
        """Return a program and its first parents back to the seed, newest first."""
        line, seen = [], set()
        while identity in self._entries and identity not in seen:
            seen.add(identity)
            line.append(self._entries[identity])
            identity = next(iter(line[-1].candidate.parents), "")
        return line
