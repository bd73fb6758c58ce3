"""What the log says of programs and kernels that rewrites leave alone, each reason once in a process."""

import logging
import traceback

from operators.rewrites.program import Program

logger = logging.getLogger(__name__)
_told: set[tuple[str, str]] = set()


def tell(program: Program, name: str) -> None:
    """Say what families raised on a program, and which of its kernels they leave alone."""
    for family, error in program.faults.items():
        if _is_new(family, type(error).__name__):
            logger.warning("program %s: %s; it is left out for this program", name, fault(family, error))
    for kernel, why in program.alone.items():
        if _is_new(kernel, why):
            logger.warning("program %s: %s", name, left(kernel, why))


def tell_unread(name: str, why: str) -> None:
    """Say why a whole program is left alone."""
    if _is_new("", why):
        logger.warning("program %s cannot be rewritten: %s", name, why)


def fault(family: str, error: Exception) -> str:
    """Say what a family raised and where, in one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"a fault of this rewrite: {family} raised {said} at {where}"


def left(kernel: str, why: str) -> str:
    """Say in one line why a kernel is left alone."""
    return f"rewrites leave the kernel {kernel} alone: {why}"


def _is_new(what: str, why: str) -> bool:
    """Tell whether a reason was not said before, and remember it."""
    known = (what, why) in _told
    _told.add((what, why))
    return not known
