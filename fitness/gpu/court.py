"""One device at work on programs: run on trials, compared, timed beside each other."""

from collections.abc import Sequence
from typing import Any

from fitness.gpu import arena
from fitness.gpu.arena import Set
from fitness.gpu.errors import Crowded, DeviceUnavailable, Fault, MachineFailed, NoRoom, RefereeFailed
from fitness.gpu.hearing import Hearing, Hearings, Program, Verified, inputs
from fitness.gpu.heat import Clocked, Heat, Track, near
from fitness.gpu.pair import Device
from fitness.plan import LaunchPlan

PARTS = 3  # of a heat, at most; each is looked at
GROUPS, MOST_SETS = 4, 512  # groups of sets at least, sets at most
ITEM_US = 100.0  # a timed item lasts at least so long: events resolve about 1 us
ANCHOR = 64 << 20  # bytes the anchor copies at least; more where the last-level cache holds more


class Court(Hearings):
    """Judges programs on one device, one task after another."""

    def time(self, heats: Sequence[Heat]) -> list[Clocked]:
        """Time every heat, interleaved within itself; verify what was timed of the program on trial."""
        found: list[Clocked] = []
        for together in self._rounds(heats):
            tracks = self._tracks(together)
            self.load(*(p for heat in together for p in heat.programs))
            found += [self._in_place(t) for t in tracks] if self.task.in_place else self._together(tracks)
        return found

    def matmul_tflops(self, dtype: str) -> float:
        """Measure the highest rate of large matrix products through the vendor's library; a dtype, or tf32."""
        self.drop_bench()  # its memory is the referee's for that long
        with self._turns.alone():
            rate = float(self._ask("matmul_tflops", dtype))
        self.start()
        return rate

    def eager_us(self, case: str) -> float:
        """Time the task's own PyTorch on a case, with nobody beside it."""
        self.start()
        with self._turns.alone():
            return float(self._ask("eager_us", case, self.device.cache))

    def _together(self, tracks: Sequence[Track]) -> list[Clocked]:
        """Time heats one after another, on inputs that were all filled before, and looked at after.

        What is to be told of a program is timed in parts of secret length, and looked at after each: one that counts
        how often it ran cannot know when to work.
        """
        orders = [list(range(len(t.names))) for t in tracks]
        found = [Clocked([[] for _ in order], [], []) for order in orders]
        for cycles in zip(*(self._parted(t) for t in tracks), strict=True):
            here = [n for n, count in enumerate(cycles) if count]
            if not here:
                continue
            timed = self._timed([tracks[n] for n in here], [orders[n] for n in here], "base", [cycles[n] for n in here])
            for n, one in zip(here, timed, strict=True):
                for whole, part in zip(found[n].samples, one.samples, strict=True):
                    whole += part
                found[n].anchors.extend(one.anchors)
                found[n].held.extend(one.held)
        repeated = [t for t in tracks if t.heat.again is not None]
        if repeated:
            self._timed(repeated, [list(range(len(t.names))) for t in repeated], None)
        return found

    def _in_place(self, track: Track) -> Clocked:
        """Time programs that change their inputs: they need fresh ones for every turn."""
        turns = range(len(track.names))
        samples: list[list[Any]] = [[] for _ in turns]
        anchors: list[Any] = []
        held: list[str] = []
        for _ in range(track.cycles):
            parts = [self._timed([track], [[turn]], "base", [1])[0] for turn in turns]
            for number, cycles in enumerate(samples):
                cycles.append([max(group) for group in zip(*(p.samples[number][0] for p in parts), strict=True)])
            anchors.append([a for p in parts for a in p.anchors[0]])
            held.append(next((p.held[0] for p in parts if p.held[0]), ""))
        if track.heat.again is not None:
            self._timed([track], [[0]], None)
        return Clocked(samples, anchors, held)

    def _parted(self, track: Track) -> list[int]:
        """Part a heat's cycles at random, if what it shows is told; PARTS numbers, the last of which may be 0."""
        parts = self._rng.randint(1, min(PARTS, track.cycles)) if track.heat.told else 1
        cuts = sorted(self._rng.sample(range(1, track.cycles), parts - 1))
        found = [b - a for a, b in zip([0, *cuts], [*cuts, track.cycles], strict=True)]
        return found + [0] * (PARTS - parts)

    def _timed(self, tracks: Sequence[Track], turns: Sequence[Sequence[int]], trial: str | None,
               cycles: Sequence[int] | None = None) -> list[Clocked]:  # fmt: skip
        """Fill, time and look; without a trial its changed inputs are used, for one cycle.

        All sets hold the trial's inputs moved around, each by amounts of its own: a program that copied what another
        set's run has left would copy what is wrong. One, chosen in secret, is looked at. Where anybody is told what it
        shows, all memory that is nobody's is looked at too: a program could keep results there from replay to replay.
        In place every replay has fresh inputs, and nothing to keep.
        """
        _, anchor, flush = self._shared_places()
        swept = tracks[0].heat.told and not self.task.in_place
        filled, looked = [], []
        for track, order in zip(tracks, turns, strict=True):
            name = trial or track.heat.again
            key, turned = [track.heat.case, name], [track.heat.case, f"turned {name}"]
            watched = self._watched(track, order)
            plan = track.heat.programs[0].plan
            given = [[inputs(plan, place), []] for place in track.sets[0]]
            filled += [[turned, [given.pop(watched)], False], [key, given, True]]
            outcome = self._left(turned, plan, track.sets[0][watched])
            # those of its own plan were looked at when it was verified; rivals' buffers lie elsewhere
            outcome[2] = near(track, watched) if swept else []
            looked.append(outcome)
        if swept:
            looked[0][2] = looked[0][2] + self._far(tracks)
        asked = [
            [t.names, count, order, t.batch, flush, anchor, self._rng.randrange(1 << 30), t.seconds]
            for t, order, count in zip(tracks, turns, cycles or [1] * len(tracks), strict=True)
        ]
        with self._turns.alone():
            if swept:
                self._ask("clear", self._nobodys())
            with self._asking("fill", filled):
                self._bind_new(tracks)
            return self._clocked(tracks, asked, looked)

    def _clocked(self, tracks: Sequence[Track], asked: Sequence[Any], looked: Sequence[Any]) -> list[Clocked]:
        """Time what was filled, then look at it."""
        limits = [t.seconds for t in tracks]
        try:
            found = [Clocked(*one) for one in self._run("times", asked, limit=max(limits), patience=sum(limits))]
        except Fault as fault:
            raise Fault(fault.kind, str(fault), case=tracks[fault.step or 0].heat.case) from fault
        try:
            self._checked(looked)
        except Fault as fault:
            case = tracks[fault.step or 0].heat.case
            raise Fault(fault.kind, f"the output of a timed run is wrong; {fault}", case=case) from fault
        return found

    def _nobodys(self) -> list[Any]:
        """Return what no round rewrites: all but the anchor's target and what flushes the cache."""
        first, (_, source, size), _ = self._shared_places()
        return [[source, size], [first, self._arena - first]]

    def _far(self, tracks: Sequence[Track]) -> list[Any]:
        """Return the memory outside all sets that are timed now, as red zones."""
        ends = [(s.guards[0][0], s.end - s.guards[0][0]) for t in tracks for own in t.sets for s in own]
        stretches = [s for start, size in self._nobodys() for s in arena.between(ends, start, start + size)]
        return [[offset, size, "its buffers, far from them"] for offset, size in stretches]

    def _bind_new(self, tracks: Sequence[Track]) -> None:
        """Bind programs, unless that was done for an earlier round of the same heats."""
        new = [t for t in tracks if t.names not in self._bound]
        self._bound |= {t.names for t in new}
        each = [
            (t.heat.case, n, p, own) for t in new for n, p, own in zip(t.names, t.heat.programs, t.sets, strict=True)
        ]
        if each:
            self._bind([(name, program, own, case) for case, name, program, own in each])

    def _watched(self, track: Track, order: Sequence[int]) -> int:
        """Choose one of the sets that the program on trial uses in the last round."""
        groups, count = len(track.sets[0]) // track.batch, len(track.names)
        own = [g for g in range(groups) if (g + order[-1]) % count == 0]
        return self._rng.choice(own) * track.batch + self._rng.randrange(track.batch)

    def _rounds(self, heats: Sequence[Heat]) -> list[list[Heat]]:
        """Part heats so that all of one part fit into the arena."""
        self.start()
        first, *_ = self._shared_places()
        parts: list[list[Heat]] = []
        left = 0
        for heat in heats:
            count, _ = self._pool(heat, self._arena - first)
            need = count * _largest(heat) + 64 * arena.ALIGNMENT
            if not parts or need > left:
                parts.append([])
                left = self._arena - first
            parts[-1].append(heat)
            left -= need
        return parts

    def _tracks(self, heats: Sequence[Heat]) -> list[Track]:
        """Lay out heats that fit together."""
        self._bound: set[tuple[str, ...]] = set()
        start, *_ = self._shared_places()
        room, tracks = self._arena - start, []
        for number, heat in enumerate(heats):
            count, batch = self._pool(heat, room)
            sets = self._lay_together(heat, count, start)
            start = max(s[-1].end for s in sets)
            cycles = -(-heat.pairs // (count // batch))
            seconds = self._seconds + 3e-6 * sum(heat.estimates) * count * cycles
            names = tuple(f"timed {number} {n}" for n in range(len(heat.programs)))
            tracks.append(Track(heat, names, sets, batch, cycles, seconds))
        return tracks

    def _lay_together(self, heat: Heat, count: int, start: int) -> list[list[Set]]:
        """Lay out the same sets for several plans: their inputs come first and lie at the same addresses."""
        plan_list = [p.plan for p in heat.programs]
        wanted = _inputs_of(plan_list[0])
        if any(_leading(p, len(_inputs_of(p))) != wanted for p in plan_list):
            raise Fault("plan", "a plan's inputs must come first", case=heat.case)
        start += self._rng.randrange(64) * arena.ALIGNMENT
        sets: list[list[Set]] = [[] for _ in plan_list]
        for _ in range(count):
            for found, plan in zip(sets, plan_list, strict=True):
                found.append(arena.place(plan, start))
            start = max(found[-1].end for found in sets)
        if start > self._arena:
            raise Fault("memory", f"{count} copies of its buffers do not fit into {self._arena / 2**30:.0f} GiB",
                        case=heat.case)  # fmt: skip
        return sets

    def _shared_places(self) -> tuple[int, tuple[int, int, int], tuple[int, int]]:
        """Lay out what all programs share: the anchor's two buffers, and what flushes the cache."""
        flush, side = max(2 * self.device.cache, 128 << 20), max(ANCHOR, self.device.cache)
        return 2 * side + flush, (0, side, side), (2 * side, flush)

    def _pool(self, heat: Heat, room: int) -> tuple[int, int]:
        """Choose how many sets all programs rotate through, and how many replays make one timed item.

        Groups of sets are a multiple of the programs, which change places among as many (`Clocked.times`).
        """
        programs, largest = len(heat.programs), _largest(heat)
        batch = max(1, round(ITEM_US / max(min(heat.estimates), 1.0)))
        cold = -(-2 * self.device.cache // min(arena.size(p.plan) for p in heat.programs))
        most = min(MOST_SETS, (room - 64 * arena.ALIGNMENT) // largest)
        if most < programs:
            raise Fault("memory", f"{programs} copies of {largest / 2**30:.1f} GiB of buffers do not fit",
                        case=heat.case)  # fmt: skip
        groups = max(programs, min(GROUPS, heat.pairs, most))
        batch = max(1, min(batch, most // groups))
        groups = max(groups, min(-(-cold // batch), most // batch))
        return groups // programs * programs * batch, batch


def _largest(heat: Heat) -> int:
    return max(arena.size(p.plan) for p in heat.programs)


def _inputs_of(plan: LaunchPlan) -> list[tuple[str | None, int]]:
    return [(b.input, b.bytes) for b in plan.buffers if b.input]


def _leading(plan: LaunchPlan, count: int) -> list[tuple[str | None, int]]:
    return [(b.input, b.bytes) for b in plan.buffers[:count]]


__all__ = [
    "Clocked",
    "Court",
    "Crowded",
    "Device",
    "DeviceUnavailable",
    "Fault",
    "Hearing",
    "Heat",
    "MachineFailed",
    "NoRoom",
    "Program",
    "RefereeFailed",
    "Verified",
]
