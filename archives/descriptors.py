"""Puts a program into a cell by what its compiled code does: few, fixed, categorical coordinates.

Fixed edges, because bins that follow the data make yesterday's elite a stranger in its own cell.
"""

from fitness.evaluation import Evaluation

Cell = tuple[str, ...]


def cell(evaluation: Evaluation) -> Cell:
    """Return the coordinates of a program that passed: matrix cores, access width, occupancy, size, launches."""
    kernels = evaluation.kernels
    if not kernels:
        return ("no kernel",)
    width = sum(k.load_bytes for k in kernels) / len(kernels)
    occupancy = min(k.occupancy for k in kernels)
    waves = max(k.waves_per_program for k in kernels)
    symbols = len({k.symbol for k in kernels})
    return (
        "matrix" if any(k.matrix_ops for k in kernels) else "vector",
        "narrow" if width < 6 else "medium" if width < 12 else "wide",
        "crowded" if occupancy <= 2 else "half" if occupancy <= 4 else "full",
        f"{waves} waves",
        f"{symbols} kernel" + "s" * (symbols > 1),
    )
