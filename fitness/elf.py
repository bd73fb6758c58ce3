"""Reads the sections of an ELF file, the form of both vendors' binaries, and tells whether two hold the same code."""

import hashlib
import struct
from collections.abc import Iterator

_NO_BYTES = 8  # SHT_NOBITS: a section of this type has a size and takes no room in the file
# What tells debuggers of the text that was compiled: its lines, its name, when it was written. None of it runs.
_TOLD = (".debug", ".nv_debug", ".rela.debug", ".rela.nv_debug", ".comment")


def sections(binary: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield an ELF64 file's sections as (name, offset, size)."""
    for name, _, offset, size in _headers(binary):
        yield name, offset, size


def digest(binary: bytes) -> str:
    """Return a digest of all that runs: equal code is one program, whatever text it was made from and when."""
    found = hashlib.sha256()
    for name, kind, offset, size in _headers(binary):
        if not name.startswith(_TOLD):
            found.update(f"{name} {kind} {size}\n".encode())
            found.update(b"" if kind == _NO_BYTES or name == ".shstrtab" else binary[offset : offset + size])
    return found.hexdigest()[:16]


def _headers(elf: bytes) -> list[tuple[str, int, int, int]]:
    """List the sections as (name, type, offset, size)."""
    table, entry, count, names = (
        struct.unpack_from("<Q", elf, 0x28)[0], *struct.unpack_from("<HHH", elf, 0x3A)
    )  # fmt: skip
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * entry) for i in range(count)]
    strings = headers[names][4]
    return [(elf[strings + h[0] : elf.index(b"\0", strings + h[0])].decode(), h[1], h[4], h[5]) for h in headers]
