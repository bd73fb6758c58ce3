"""Puts a program into a cell by what its compiled code does: few, fixed, categorical coordinates.

Fixed edges, because bins that follow the data make yesterday's elite a stranger in its own cell.
"""

import math
from bisect import bisect_right

from fitness.evaluation import Evaluation

Cell = tuple[str, ...]

CORES = ("vector", "matrix")  # whether any kernel uses the matrix cores
PATHS = ("direct", "staged")  # straight from memory to registers, or through LDS or shared memory
WIDTHS = ("narrow", "medium", "wide")  # mean bytes that a lane moves with one access: below 6, below 12, more
OCCUPANCY = ("crowded", "half", "full")  # waves a scheduler holds: up to 2, up to 4, more
TILES = ("small tile", "medium tile", "large tile", "huge tile")  # wave registers of one program: below 128, 512, 2048
LAUNCHES = ("1 kernel", "2 kernels", "3 or more kernels")  # how much is fused
NO_KERNEL = "no kernel"

CELLS = math.prod(map(len, (CORES, PATHS, WIDTHS, OCCUPANCY, TILES, LAUNCHES))) + 1


def cell(evaluation: Evaluation) -> Cell:
    """Return the coordinates of a program that passed, in the order above."""
    kernels = evaluation.kernels
    if not kernels:
        return (NO_KERNEL,)
    width = sum(k.load_bytes for k in kernels) / len(kernels)
    occupancy = min(k.occupancy for k in kernels)
    registers = max(k.waves_per_program * k.vgprs for k in kernels)
    symbols = len({k.symbol for k in kernels})
    return (
        CORES[any(k.matrix_ops for k in kernels)],
        PATHS[any(k.shared_bytes for k in kernels)],
        WIDTHS[bisect_right((6, 12), width)],
        OCCUPANCY[bisect_right((3, 5), occupancy)],
        TILES[bisect_right((128, 512, 2048), registers)],
        LAUNCHES[min(symbols, 3) - 1],
    )
