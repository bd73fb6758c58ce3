"""Keeps the secret that a measured run's inputs are drawn from, so that all its judges judge by the same limits.

Truth and limits follow from the inputs; a judge that starts later, here or on another node, or when the run is resumed,
must come to the same. Whoever knew the secret could know the inputs, so it stands in a file of the run's folder that
only its owner may read, that no jail with Landlock can open, and that the journal knows by its fingerprint alone.
"""

import hashlib
import os
from pathlib import Path

from archives.events import Sealed
from archives.journal import Journal
from evo_kernel import frozen
from evo_kernel.config import Settings
from evo_kernel.errors import RunError

FILE = "secret"
BYTES = 32


def needed(settings: Settings) -> bool:
    """Tell whether a run's inputs are secret: a prediction's follow from its seed, so that it can be repeated."""
    return settings.basis == "measured"


def settle(journal: Journal, settings: Settings) -> tuple[int | None, tuple[str, ...]]:
    """Return the seed of all inputs of a run that has a secret, and what a person must know of it.

    Where there is none yet, or it was lost, it is drawn, and the journal knows.
    """
    if not needed(settings):
        return None, ()
    notes: tuple[str, ...] = ()
    known = journal.last(Sealed)
    secret = _read(journal.folder / FILE)
    if known is not None and (secret is None or known != Sealed(fingerprint(secret))):
        state = "gone" if secret is None else "not the one it began with"
        notes = (
            f"the secret that {journal.folder} draws inputs from is {state}: a new one is drawn, so limits move once",
        )
        secret = None
        frozen.release(journal.folder)
    secret = secret or _draw(journal.folder)
    if known != Sealed(fingerprint(secret)):
        journal.append(Sealed(fingerprint(secret)))
    return seed(secret), notes


def seed(secret: bytes) -> int:
    """Return the seed of all inputs: 48 bits, which everything that draws can take."""
    return int.from_bytes(hashlib.sha256(b"inputs" + secret).digest()[:6], "big")


def fingerprint(secret: bytes) -> str:
    """Return what may be told of a secret: to know it again, and nothing else."""
    return hashlib.sha256(b"fingerprint" + secret).hexdigest()[:16]


def _read(path: Path) -> bytes | None:
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}; the run's owner must resume it") from error
    return secret if len(secret) == BYTES else None


def _draw(folder: Path) -> bytes:
    """Draw a secret and write it; a reader never sees half of it, and nobody else ever sees it."""
    secret, partial = os.urandom(BYTES), folder / f"{FILE}.partial"
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        partial.replace(folder / FILE)
    except OSError as error:
        raise RunError(f"cannot write {folder / FILE}: {error.strerror}") from error
    return secret
