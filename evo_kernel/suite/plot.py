"""Draws which share of a suite's tasks is faster than p, for every p: KernelBench's fast_p as a curve, as SVG text."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 520, 20, 370  # of the axes, in pixels
COLOURS = ("#1b6ca8", "#c8553d")
SLOWEST, FASTEST = 0.25, 16.0  # speedups at the axis' ends, which is logarithmic


def svg(runs: Mapping[str, Sequence[float | None]]) -> str:
    """Return the picture: a curve for each run, from the speedups of its tasks, None where nothing is right."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path d="M{LEFT} {_y(share):.1f}H{RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    power = SLOWEST
    while power <= FASTEST:
        parts.append(f'<text x="{_x(power):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{power:g}x</text>')
        power *= 2
    for number, (name, speedups) in enumerate(runs.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _steps(speedups))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{RIGHT + 12}" y="{TOP + 14 + 18 * number}" fill="{colour}">{escape(name)}</text>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{BOTTOM + 38}" text-anchor="middle">tasks faster than p times the seed</text>')
    return "\n".join([*parts, "</svg>", ""])


def _steps(speedups: Sequence[float | None]) -> list[tuple[float, float]]:
    """Return the corners of a falling staircase."""
    known, count = sorted(s for s in speedups if s is not None), max(len(speedups), 1)
    left = len(known)
    points = [(_x(SLOWEST), _y(left / count))]
    for speedup in known:
        points.append((_x(speedup), _y(left / count)))
        left -= 1
        points.append((_x(speedup), _y(left / count)))
    return [*points, (_x(FASTEST), _y(left / count))]


def _x(speedup: float) -> float:
    inside = min(max(speedup, SLOWEST), FASTEST)
    return LEFT + (RIGHT - LEFT) * math.log(inside / SLOWEST) / math.log(FASTEST / SLOWEST)


def _y(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share
