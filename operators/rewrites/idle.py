"""Places of a program that no case reaches: a rewrite there can make nothing faster."""

from collections.abc import Collection, Iterator, Sequence

from operators.launches import Kernel
from operators.program_tree import Path
from operators.rewrites.program import Program, Site
from operators.rewrites.special import line_of


def reached(program: Program, sites: Sequence[Site], ran: Collection[str]) -> list[Site]:
    """Leave out sites that change nothing but kernels that did not run and their launches; none if nothing is known.

    A program whose kernels go by other names than those that ran is taken whole.
    """
    silent = [kernel for name, kernel in program.known.items() if name not in ran]
    if not ran or not silent or len(silent) == len(program.known):
        return list(sites)
    dead = list(_places(program, silent))
    return [site for site in sites if not site.edits or not all(_within(path, dead) for path, _ in site.edits)]


def _places(program: Program, silent: Sequence[Kernel]) -> Iterator[Path]:
    """Give the definitions of kernels that were launched in no case, and the lines that would launch them."""
    running = [kernel for kernel in program.known.values() if kernel not in silent]
    called = set().union(*(kernel.facts.called for kernel in running))
    for launch in program.launches:
        if launch.kernel in silent and launch.kernel.name not in called:
            yield program.tree.path(program.function(launch.kernel))
            yield program.tree.path(line_of(program, launch.call) or launch.call)


def _within(path: Path, dead: Sequence[Path]) -> bool:
    return any(path[: len(one)] == one for one in dead)
