"""Everything a run has judged: history, one elite per cell, the Pareto front, and the best.

Adding a program and giving it another score cost the same at any size: nothing here is searched from end to end while
a search goes on, but for one pass over an array of times when a member of the front is taken out.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from archives.candidate import Candidate
from archives.descriptors import CELLS, Cell, cell
from archives.front import Front, Vector
from archives.ranking import Ranking, Roster
from fitness.evaluation import Basis, Evaluation, Mode


@dataclass(frozen=True, slots=True)
class Entry:
    """A program with its verdict and its cell; only programs that passed have entries."""

    candidate: Candidate
    evaluation: Evaluation
    cell: Cell
    score_us: float

    @property
    def error(self) -> float:
        """The largest error of any case; 1.0 is the limit, 0 where a test says no more than right."""
        return max(c.error or 0.0 for c in self.evaluation.cases)

    def beside_latency(self, objectives: Sequence[str]) -> Vector:
        """Return what counts for a run beside its latency: its error, and its times on other targets."""
        found = {"error": (self.error,), "portability": tuple(time_us for _, time_us in self.evaluation.elsewhere)}
        return tuple(value for name in objectives for value in found.get(name, ()))

    @property
    def roofline(self) -> float | None:
        """The share of the roofline that it reaches: the geometric mean over the cases; None where one has none."""
        return self.evaluation.roofline


class Archive:
    """Keeps entries by id. Two programs that compile to the same code are one: the first stays.

    All times in it are of one basis. Where they are measured, only a confirmed program can be the best; others may be
    elites and parents, because the next measurement may confirm them. In open mode nothing is ever confirmed, and the
    best is a claim. `describe` puts a verdict into its cell; `objectives` beside latency are coordinates of the front.
    """

    def __init__(self, basis: Basis = Basis.PREDICTED, describe: Callable[[Evaluation], Cell] = cell,
                 objectives: Sequence[str] = ()) -> None:  # fmt: skip
        self.basis, self.objectives = basis, tuple(objectives)
        self.history = Roster()  # ids that passed
        self.elites: dict[Cell, str] = {}
        self.front = Front()
        self.crowned = Roster()  # the elites' ids
        self.failures: Counter[str] = Counter()  # by stage
        self.twins = 0
        self.measured: dict[str, Evaluation] = {}  # what a device said after the search had judged
        self._describe = describe
        self._entries: dict[str, Entry] = {}
        self._programs: dict[str, str] = {}
        self._published = Ranking()
        self._cells: dict[Cell, Ranking] = {}
        self._by_structure: dict[str, Roster] = {}  # elites

    def __len__(self) -> int:
        return len(self.history)

    def __getitem__(self, identity: str) -> Entry:
        return self._entries[identity]

    def __contains__(self, identity: str) -> bool:
        return identity in self._entries

    def get(self, identity: str) -> Entry | None:
        """Return a program's entry, if it has one."""
        return self._entries.get(identity)

    @property
    def best(self) -> str | None:
        """The fastest program whose time may be published."""
        return self._published.best

    def add(self, candidate: Candidate, evaluation: Evaluation) -> bool:
        """Remember a verdict; return whether it is a new best."""
        if evaluation.basis is not self.basis:
            raise ValueError(f"a {evaluation.basis} verdict cannot join {self.basis} ones")
        if evaluation.failure is not None:
            self.failures[evaluation.failure.stage.value] += 1
            return False
        identity = candidate.id
        if evaluation.program is not None:
            if evaluation.program in self._programs:
                self.twins += 1
                return False
            self._programs[evaluation.program] = identity
        entry = Entry(candidate, evaluation, self._describe(evaluation), evaluation.score_us)
        self._entries[identity] = entry
        self._place(identity, entry)
        return self.best == identity

    def measure(self, identity: str, evaluation: Evaluation) -> None:
        """Take what a device said of a program: a failure takes it out, a success renews what was measured before.

        A lucky elite that is slower when measured again gives its cell, and the best its place, to whoever is next.
        """
        if evaluation.basis is not Basis.MEASURED:
            raise ValueError(f"a {evaluation.basis} verdict is no measurement")
        self.measured[identity] = evaluation
        entry = self._entries[identity]
        self._remove(identity, entry.cell)
        if evaluation.failure is None:
            if self.basis is Basis.MEASURED:
                entry = replace(entry, evaluation=evaluation, score_us=evaluation.score_us)
                self._entries[identity] = entry
            self._place(identity, entry)

    def published(self, entry: Entry) -> bool:
        """Tell whether a program's time may be published: predictions, confirmed measurements, and labelled claims."""
        e = entry.evaluation
        return self.basis is Basis.PREDICTED or e.confirmed or e.mode is Mode.OPEN

    def _place(self, identity: str, entry: Entry) -> None:
        """Put an entry into history, its cell, the front, and the ranking of what may be published."""
        self.history.add(identity)
        self._cells.setdefault(entry.cell, Ranking()).put(identity, entry.score_us)
        self._crown(entry.cell)
        self._offer(identity, entry)
        if self.published(entry):
            self._published.put(identity, entry.score_us)

    def _remove(self, identity: str, where: Cell) -> None:
        """Take an entry out of all that `_place` puts it into."""
        self.history.discard(identity)
        self._cells[where].drop(identity)
        self._crown(where)
        self.front.drop(identity)
        self._published.drop(identity)

    def _crown(self, where: Cell) -> None:
        """Make the fastest program of a cell its elite."""
        before, now = self.elites.get(where), self._cells[where].best
        if before == now:
            return
        if before is not None:
            self.crowned.discard(before)
            self._by_structure[self._entries[before].candidate.structure].discard(before)
        if now is None:
            del self.elites[where]
            return
        self.elites[where] = now
        self.crowned.add(now)
        self._by_structure.setdefault(self._entries[now].candidate.structure, Roster()).add(now)

    def _offer(self, identity: str, entry: Entry) -> None:
        vector: Vector = tuple(c.time_us for c in entry.evaluation.cases)
        self.front.offer(identity, (*vector, *entry.beside_latency(self.objectives)))

    def elites_of(self, structure: str) -> Roster:
        """Return the elites of one structure."""
        return self._by_structure.get(structure) or Roster()

    def ranked(self) -> list[Entry]:
        """Return the elites, fastest first."""
        return sorted((self._entries[i] for i in self.elites.values()), key=lambda e: (e.score_us, e.candidate.id))

    def top(self, count: int) -> list[Entry]:
        """Return the hall of fame: the fastest programs whose times may be published, whatever their cells."""
        entries = (e for e in (self._entries[i] for i in self.history) if self.published(e))
        return sorted(entries, key=lambda e: (e.score_us, e.candidate.id != self.best, e.candidate.id))[:count]

    @property
    def coverage(self) -> float:
        """The share of all cells that have an elite."""
        return len(self.elites) / CELLS

    @property
    def qd_score(self) -> float:
        """The sum over the cells of the share of the roofline that their elites reach."""
        return sum(self._entries[i].roofline or 0.0 for i in self.elites.values())

    def lineage(self, identity: str) -> list[Entry]:
        """Return a program and its first parents back to the seed, newest first."""
        line, seen = [], set()
        while identity in self._entries and identity not in seen:
            seen.add(identity)
            line.append(self._entries[identity])
            identity = next(iter(line[-1].candidate.parents), "")
        return line
