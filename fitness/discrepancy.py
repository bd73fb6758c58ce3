"""Says which elements of an output are wrong, in words that a person or a repair operator can act on."""

import numpy as np


def describe(wrong: np.ndarray, values: np.ndarray, truth: np.ndarray, poison: float | None = None) -> str:
    """Count wrong elements, show the first, and say where they lie if that is a simple place."""
    count = int(wrong.sum())
    place = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    first = f"at {list(place)} expected {float(truth[place]):.7g}, got {float(values[place]):.7g}"
    parts = [f"{count} of {wrong.size} elements are wrong, the first {first}"]
    if wrong.ndim and count < wrong.size:
        parts += _where(wrong.reshape(-1, wrong.shape[-1]), "column" if wrong.ndim > 1 else "place")
    if poison is not None and _untouched(values[wrong], poison).all():
        parts.append("all of them hold what memory held before: they were never written, or read before they were")
    return "; ".join(parts)


def _untouched(values: np.ndarray, poison: float) -> np.ndarray:
    """Tell where values are the poison, or NaN if that is the poison."""
    same: np.ndarray = np.isnan(values.astype(np.float64)) if poison != poison else values == poison
    return same


def _where(wrong: np.ndarray, unit: str) -> list[str]:
    """Say in which columns and rows all wrong elements are."""
    columns, rows = np.any(wrong, axis=0), np.any(wrong, axis=1)
    found = [_span(columns, unit), _span(rows, "row") if len(rows) > 1 else ""]
    places = [f for f in found if f]
    return [f"all wrong elements are in {' and '.join(places)}"] if places else []


def _span(touched: np.ndarray, unit: str) -> str:
    """Describe a set of columns or rows: one, the last few, the first few, every n-th, a share; nothing if all."""
    total, places = len(touched), np.flatnonzero(touched)
    count = len(places)
    if count == total:
        return ""
    if count == 1:
        return f"{unit} {places[0]} of {total}"
    steps = np.unique(np.diff(places))
    if len(steps) == 1 and steps[0] == 1:
        if places[-1] == total - 1:
            return f"the last {count} of {total} {unit}s"
        return f"the first {count} of {total} {unit}s" if places[0] == 0 else f"{unit}s {places[0]} to {places[-1]}"
    if len(steps) == 1:
        return f"every {steps[0]}th {unit} from {places[0]}"
    return f"{count} of {total} {unit}s"
