"""Draws mean curves of optimum over best so far: as SVG text, or as PNG by the same strokes without a library."""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 800, 480
LEFT, RIGHT, TOP, BOTTOM = 60, 560, 20, 440  # of the axes, in pixels
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#444444", "#d87093", "#20a0a0")
TICKS = 5

Curves = Mapping[str, Sequence[Sequence[float]]]
Point = tuple[float, float]


def write(file: Path, curves: Curves) -> None:
    """Write a picture in the format that the file's name says."""
    means = {name: _points(seeds) for name, seeds in curves.items()}
    longest = max(len(seed) for seeds in curves.values() for seed in seeds)
    file.write_bytes(WRITERS[file.suffix](means, longest))


def svg(lines: Mapping[str, list[Point]], longest: int) -> bytes:
    """Return the picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    ]
    for at in range(TICKS + 1):
        x, y = LEFT + (RIGHT - LEFT) * at / TICKS, BOTTOM - (BOTTOM - TOP) * at / TICKS
        parts.append(f'<path d="M{LEFT} {y}H{RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{at / TICKS:.1f}</text>')
        parts.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{longest * at // TICKS}</text>')
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + 14 + 18 * number
        parts.append(f'<text x="{RIGHT + 12}" y="{y}" fill="{colour}">{escape(name)}</text>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{BOTTOM + 36}" text-anchor="middle">evaluations; optimum / best so far</text>')
    return "\n".join([*parts, "</svg>", ""]).encode()


def png(lines: Mapping[str, list[Point]], longest: int) -> bytes:
    """Return the curves and the grid as PNG: one colour a table in their order, without words."""
    canvas = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
    for at in range(TICKS + 1):
        y = BOTTOM - (BOTTOM - TOP) * at // TICKS
        canvas[y, LEFT:RIGHT] = 221
    for number, points in enumerate(lines.values()):
        colour = bytes.fromhex(COLOURS[number % len(COLOURS)][1:])
        for one, other in pairwise(points):
            _stroke(canvas, one, other, colour)
    rows = b"".join(b"\0" + row.tobytes() for row in canvas)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


WRITERS: Mapping[str, Callable[[Mapping[str, list[Point]], int], bytes]] = {".svg": svg, ".png": png}


def _points(seeds: Sequence[Sequence[float]]) -> list[Point]:
    """Return the mean curve in pixels; a search that ended early keeps its last figure."""
    longest = max(map(len, seeds))
    mean = np.mean([[*seed, *[seed[-1]] * (longest - len(seed))] for seed in seeds], axis=0)
    across = np.linspace(LEFT, RIGHT, longest + 1)[1:]
    return [(float(x), float(BOTTOM - (BOTTOM - TOP) * y)) for x, y in zip(across, mean, strict=True)]


def _stroke(canvas: NDArray[np.uint8], one: Point, other: Point, colour: bytes) -> None:
    steps = int(max(abs(other[0] - one[0]), abs(other[1] - one[1]))) + 2
    for x, y in zip(np.linspace(one[0], other[0], steps), np.linspace(one[1], other[1], steps), strict=True):
        canvas[int(y) : int(y) + 2, int(x) : int(x) + 2] = list(colour)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
