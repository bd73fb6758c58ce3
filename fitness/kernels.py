"""What was compiled, kept for all builders of one run."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from fitness.evaluation import Resources
from fitness.gpu.machine_code import MachineCode

REMEMBERED = 4096  # each some kilobytes

Made = tuple[Resources, MachineCode | None, str]  # of one kernel; code where it is for a device, and a note


class Kernels:
    """Compiled kernels by digest, for builders of one task and target in any threads; the oldest are forgotten.

    A digest is of the code that the compiler read and of its options: a program that changes one kernel of two, or what
    is around them, has one compiled, or none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[str, Made] = OrderedDict()

    def of(self, digests: Iterable[str]) -> dict[str, Made]:
        """Return those that are known."""
        with self._lock:
            return {d: self._made[d] for d in digests if d in self._made}

    def add(self, made: Mapping[str, Made]) -> None:
        """Remember some."""
        with self._lock:
            self._made.update(made)
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
