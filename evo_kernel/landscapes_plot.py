"""Draws mean curves of optimum over best so far, with axes, a title and a legend: as SVG text, or as PNG by dots."""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from evo_kernel import font

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 60, 600, 40, 430  # of the axes, in pixels
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#444444", "#d87093", "#20a0a0")
GREY, BLACK = "#dddddd", "#222222"
TICKS = 5
ACROSS = "evaluations"
UP = "optimum / best so far"

Curves = Mapping[str, Sequence[Sequence[float]]]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points."""

    points: tuple[Point, ...]
    colour: str
    width: int = 1


@dataclass(frozen=True, slots=True)
class Word:
    """A line of text; `anchor` is the part of it that stands at x, and y is its middle."""

    text: str
    x: float
    y: float
    anchor: str = "start"
    colour: str = BLACK


Part = Stroke | Word


def write(file: Path, curves: Curves, title: str = "") -> None:
    """Write a picture in the format that the file's name says."""
    file.write_bytes(WRITERS[file.suffix](drawn(curves, title)))


def drawn(curves: Curves, title: str) -> list[Part]:
    """Return what is in the picture: one colour a table, in their order."""
    longest = max(len(seed) for seeds in curves.values() for seed in seeds)
    parts: list[Part] = [Word(title, LEFT, TOP - 20)]
    for at in range(TICKS + 1):
        x, y = LEFT + (RIGHT - LEFT) * at / TICKS, BOTTOM - (BOTTOM - TOP) * at / TICKS
        parts += [Stroke(((LEFT, y), (RIGHT, y)), GREY), Word(f"{at / TICKS:.1f}", LEFT - 8, y, "end")]
        parts += [
            Stroke(((x, BOTTOM), (x, BOTTOM + 4)), BLACK),
            Word(str(longest * at // TICKS), x, BOTTOM + 14, "middle"),
        ]
    parts += [Stroke(((LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)), BLACK)]
    parts += [Word(ACROSS, (LEFT + RIGHT) / 2, BOTTOM + 34, "middle"), Word(UP, LEFT + 6, TOP - 6)]
    for number, (name, seeds) in enumerate(curves.items()):
        colour, y = COLOURS[number % len(COLOURS)], TOP + 10 + 18 * number
        points = tuple(_points(seeds, longest))
        parts += [Stroke(points, colour, 2), Stroke(((RIGHT + 12, y), (RIGHT + 30, y)), colour, 2)]
        parts.append(Word(f"{name} {_mean(seeds)[-1]:.3f}", RIGHT + 36, y))
    return parts


def svg(parts: Sequence[Part]) -> bytes:
    """Return the picture as SVG."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    ]
    for part in parts:
        if isinstance(part, Word):
            lines.append(
                f'<text x="{part.x:.1f}" y="{part.y + 4:.1f}" text-anchor="{part.anchor}" fill="{part.colour}">'
                f"{escape(part.text)}</text>"
            )
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in part.points)
            lines.append(f'<polyline points="{path}" fill="none" stroke="{part.colour}" stroke-width="{part.width}"/>')
    return "\n".join([*lines, "</svg>", ""]).encode()


def png(parts: Sequence[Part]) -> bytes:
    """Return the picture as PNG."""
    canvas = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
    for part in parts:
        if isinstance(part, Word):
            _letter(canvas, part)
        else:
            for one, other in pairwise(part.points):
                _line(canvas, one, other, part)
    rows = b"".join(b"\0" + row.tobytes() for row in canvas)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


WRITERS: Mapping[str, Callable[[Sequence[Part]], bytes]] = {".svg": svg, ".png": png}


def _mean(seeds: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return the mean curve; a search that ended early keeps its last figure."""
    longest = max(map(len, seeds))
    return np.asarray(np.mean([[*seed, *[seed[-1]] * (longest - len(seed))] for seed in seeds], axis=0))


def _points(seeds: Sequence[Sequence[float]], longest: int) -> list[Point]:
    """Return the mean curve in pixels."""
    wide, high = RIGHT - LEFT, BOTTOM - TOP
    return [(LEFT + wide * at / longest, BOTTOM - high * float(y)) for at, y in enumerate(_mean(seeds), start=1)]


def _line(canvas: NDArray[np.uint8], one: Point, other: Point, stroke: Stroke) -> None:
    steps = int(max(abs(other[0] - one[0]), abs(other[1] - one[1]))) + 2
    for x, y in zip(np.linspace(one[0], other[0], steps), np.linspace(one[1], other[1], steps), strict=True):
        canvas[int(y) : int(y) + stroke.width, int(x) : int(x) + stroke.width] = _rgb(stroke.colour)


def _letter(canvas: NDArray[np.uint8], word: Word) -> None:
    shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[word.anchor] * font.width(word.text)
    left, top = int(word.x - shift), int(word.y) - font.HEIGHT // 2
    for right, down in font.dots(word.text):
        if 0 <= left + right < WIDTH and 0 <= top + down < HEIGHT:
            canvas[top + down, left + right] = _rgb(word.colour)


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
