"""Where the tuning of a kernel begins: settings that do well on most kernels of matrix products.

Products are fastest where tiles feed the matrix units from several stages of shared memory, and few settings do:
spread over all that is legal, a tuner took some 40 tries on three tasks of four. On an H200 the best of these four was
0.83 to 1.03 times as fast as what searches of 160 evaluations found, on five tasks (benchmarks/rewrites_singles.py).
Those for AMD chips are what matrix cores and 64 KiB of shared memory have room for, and were not measured.
"""

from collections.abc import Iterator, Sequence

from operators.knobs import Knob

# Rows, columns and depth of a tile, warps, stages.
Setting = tuple[int, int, int, int, int]
SETTINGS: dict[str, tuple[Setting, ...]] = {
    "cuda": ((128, 128, 64, 8, 3), (128, 256, 64, 8, 3), (64, 128, 64, 4, 4), (128, 64, 128, 4, 3)),
    "hip": ((128, 128, 64, 8, 2), (256, 128, 64, 8, 2), (64, 128, 64, 4, 2), (128, 64, 128, 4, 2)),
}
MOST = max(map(len, SETTINGS.values()))  # of a chip's
_LETTERS = "MNK"


def starts(knobs: Sequence[Knob], backend: str) -> Iterator[dict[str, int]]:
    """Yield what knobs to set: of every launch whose tile has sizes called by M and N; all others stay."""
    roles = {knob.name: role for knob in knobs if (role := _role(knob)) is not None}
    tiled = {_launch(name) for name, role in roles.items() if role == 0} & {
        _launch(name) for name, role in roles.items() if role == 1
    }
    if not tiled:
        return
    for setting in SETTINGS.get(backend, ()):
        yield {name: setting[role] for name, role in roles.items() if _launch(name) in tiled}


def _role(knob: Knob) -> int | None:
    """Return which number of a setting is a knob's: BLOCK_M, BLOCK_SIZE_M and BM are rows."""
    if knob.kind == "num_warps":
        return 3
    if knob.kind == "num_stages":
        return 4
    place = _LETTERS.find(knob.name[-1].upper())
    return place if knob.kind == "tile" and place >= 0 else None


def _launch(name: str) -> str:
    return name.rpartition(".")[0]
