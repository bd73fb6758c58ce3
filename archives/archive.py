"""Everything a run has judged: history, one elite per cell, and the best; each step costs the same at any size."""

from collections import Counter
from dataclasses import dataclass, replace

from archives.candidate import Candidate
from archives.descriptors import Cell, cell
from fitness.evaluation import Basis, Evaluation, Mode


@dataclass(frozen=True, slots=True)
class Entry:
    """A program with its verdict and its cell; only programs that passed have entries."""

    candidate: Candidate
    evaluation: Evaluation
    cell: Cell
    score_us: float


class Archive:
    """Keeps entries by id. Two programs that compile to the same code are one: the first stays.

    All times in it are of one basis. Where they are measured, only a confirmed program can be the best; others may be
    elites and parents, because the next measurement may confirm them. In open mode nothing is ever confirmed, and the
    best is a claim.
    """

    def __init__(self, basis: Basis = Basis.PREDICTED) -> None:
        self.basis = basis
        self.history: list[str] = []  # ids that passed, in order of verdict
        self.elites: dict[Cell, str] = {}
        self.best: str | None = None
        self.failures: Counter[str] = Counter()  # by stage
        self.twins = 0
        self.measured: dict[str, Evaluation] = {}  # what a device said after the search had judged
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
        if evaluation.basis is not self.basis:
            raise ValueError(f"a {evaluation.basis} verdict cannot join {self.basis} ones")
        if evaluation.failure is not None:
            self.failures[evaluation.failure.stage.value] += 1
            return False
        if evaluation.program is not None:
            if evaluation.program in self._programs:
                self.twins += 1
                return False
            self._programs[evaluation.program] = candidate.id
        return self._place(Entry(candidate, evaluation, cell(evaluation), evaluation.score_us))

    def measure(self, identity: str, evaluation: Evaluation) -> None:
        """Take what a device said of a program: a failure takes it out, a success renews what was measured before."""
        if evaluation.basis is not Basis.MEASURED:
            raise ValueError(f"a {evaluation.basis} verdict is no measurement")
        self.measured[identity] = evaluation
        if identity in self.history:
            self.history.remove(identity)
        if evaluation.failure is None:
            self.history.append(identity)
            if self.basis is Basis.MEASURED:
                again = replace(self._entries[identity], evaluation=evaluation, score_us=evaluation.score_us)
                self._entries[identity] = again
        self.elites, self.best = {}, None
        for one in self.history:
            self._rank(self._entries[one])

    def published(self, entry: Entry) -> bool:
        """Tell whether a program's time may be published: predictions, confirmed measurements, and labelled claims."""
        e = entry.evaluation
        return self.basis is Basis.PREDICTED or e.confirmed or e.mode is Mode.OPEN

    def _place(self, entry: Entry) -> bool:
        """Put an entry into history and where it ranks."""
        self._entries[entry.candidate.id] = entry
        self.history.append(entry.candidate.id)
        return self._rank(entry)

    def _rank(self, entry: Entry) -> bool:
        """Put an entry into its cell and on top where it is the fastest; return whether it is the best."""
        identity = entry.candidate.id
        elite = self.elites.get(entry.cell)
        if elite is None or entry.score_us < self._entries[elite].score_us:
            self.elites[entry.cell] = identity
        if self.published(entry) and (self.best is None or entry.score_us < self._entries[self.best].score_us):
            self.best = identity
            return True
        return False

    def ranked(self) -> list[Entry]:
        """Return the elites, fastest first."""
        return sorted((self._entries[i] for i in self.elites.values()), key=lambda e: (e.score_us, e.candidate.id))

    def top(self, count: int) -> list[Entry]:
        """Return the fastest programs whose times may be published, whatever their cells."""
        entries = (e for e in (self._entries[i] for i in self.history) if self.published(e))
        return sorted(entries, key=lambda e: (e.score_us, e.candidate.id))[:count]

    def lineage(self, identity: str) -> list[Entry]:
        """Return a program and its first parents back to the seed, newest first."""
        line, seen = [], set()
        while identity in self._entries and identity not in seen:
            seen.add(identity)
            line.append(self._entries[identity])
            identity = next(iter(line[-1].candidate.parents), "")
        return line
