"""What a character's shape is, whatever it is made of: an outline, strokes, dots of a matrix, segments.

Lengths are in cap heights, y down, baseline at 0.
"""

import itertools
from functools import lru_cache
from typing import assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.synth.fonts import Dots, Outline, Segments, Strokes, glyph

Face = Outline | Strokes | Dots | Segments
Points = NDArray[np.float64]

_CAP_PX = (
    48  # resolution of cached outlines: near the working resolution, so that warps neither blur nor alias
)

_UNSEEN = 0.006  # a third of a px at the working resolution

BODY = 0.72
"""Radius, in pitches, at which the dots of a matrix join into one body."""


@lru_cache(maxsize=100_000)
def advance(face: Face, char: str) -> float:
    """Distance to the next character's origin."""
    match face:
        case Outline():
            return glyph(face, char, _CAP_PX).advance / _CAP_PX
        case Strokes() | Segments():
            return face.advances[char]
        case Dots():
            return (face.cols + 1) / (face.rows - 1) if char in face.glyphs else _missing(char)
        case _:
            assert_never(face)


@lru_cache(maxsize=100_000)
def extent(face: Face, char: str) -> tuple[float, float, float, float]:
    """Box x0, y0, x1, y1 of the character's ink."""
    match face:
        case Outline():
            g = glyph(face, char, _CAP_PX)
            rows, columns = g.alpha.shape
            return g.left / _CAP_PX, g.top / _CAP_PX, (g.left + columns) / _CAP_PX, (g.top + rows) / _CAP_PX
        case Strokes():
            points, margin = np.concatenate(strokes(face, char)), 0.05
        case Dots():
            points, margin = dots(face, char), BODY / (face.rows - 1)
        case Segments():
            points, margin = np.concatenate(segments(face, char, 0.12, 0.0)), 0.0
        case _:
            assert_never(face)
    (x0, y0), (x1, y1) = points.min(0) - margin, points.max(0) + margin
    return float(x0), float(y0), float(x1), float(y1)


@lru_cache(maxsize=100_000)
def corners(face: Face, char: str) -> Points:
    """Corners [4, 3] of the character's box, clockwise from the top-left, as (x, y, 1)."""
    x0, y0, x1, y1 = extent(face, char)
    return np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]])


@lru_cache(maxsize=20_000)
def strokes(face: Strokes, char: str) -> tuple[Points, ...]:
    """Polylines [k, 2] of a single-stroke character; a lone point is a dot."""
    return tuple(np.asarray(line, np.float64).reshape(-1, 2) for line in face.glyphs[char])


@lru_cache(maxsize=20_000)
def joined(face: Strokes, char: str) -> tuple[Points, tuple[slice, ...]]:
    """Points [k, 2] of all strokes in one array, but those that no eye misses; each stroke's part of it."""
    lines = [np.repeat(p, 2, axis=0) if len(p) == 1 else _simplified(p) for p in strokes(face, char)]
    ends = np.cumsum([len(line) for line in lines]).tolist()
    return np.concatenate(lines), tuple(slice(a, b) for a, b in itertools.pairwise([0, *ends]))


def _simplified(line: Points) -> Points:
    kept = cv2.approxPolyDP(line.astype(np.float32), _UNSEEN, closed=False)
    return np.asarray(kept, np.float64).reshape(-1, 2)


@lru_cache(maxsize=20_000)
def bendable(face: Strokes, char: str) -> tuple[Points, tuple[slice, ...]]:
    """The same with points every eighth of a cap height: what moves each of them bends a straight stroke."""
    points, parts = joined(face, char)
    lines = [_divided(points[part], 1 / 8) for part in parts]
    ends = np.cumsum([len(line) for line in lines]).tolist()
    return np.concatenate(lines), tuple(slice(a, b) for a, b in itertools.pairwise([0, *ends]))


def _divided(line: Points, step: float) -> Points:
    """A line of points about ``step`` apart, its own among them."""
    counts = np.maximum(np.ceil(np.hypot(*np.diff(line, axis=0).T) / step).astype(int), 1)
    places = np.concatenate([i + np.arange(n) / n for i, n in enumerate(counts.tolist())] + [[len(line) - 1]])
    own = np.arange(len(line))
    return np.stack([np.interp(places, own, line[:, i]) for i in (0, 1)], axis=1)


@lru_cache(maxsize=20_000)
def dots(face: Dots, char: str) -> Points:
    """Centres [k, 2] of a dot-matrix character; the matrix is one cap height high."""
    row, column = np.nonzero(np.array([[c != "." for c in line] for line in face.glyphs[char]]))
    pitch = 1 / (face.rows - 1)
    return np.stack([column * pitch, row * pitch - 1], axis=1)


@lru_cache(maxsize=5_000)
def segments(face: Segments, char: str, thick: float, gap: float) -> tuple[Points, ...]:
    """Polygons [k, 2] of a character on a seven-segment display."""
    return face.polygons(char, thick, gap)


@lru_cache(maxsize=20_000)
def along(face: Strokes, char: str, pitch: float) -> Points:
    """Points [k, 2] every ``pitch`` along the strokes, both ends included, none closer than half a pitch."""
    found: list[Points] = []
    for line in strokes(face, char):
        if len(line) == 1:
            found.append(line)
            continue
        steps = np.hypot(*np.diff(line, axis=0).T)
        where = np.concatenate([[0.0], np.cumsum(steps)])
        count = max(round(where[-1] / pitch), 1)
        places = np.linspace(0, where[-1], count + 1)
        found.append(np.stack([np.interp(places, where, line[:, i]) for i in (0, 1)], axis=1))
    return _spread(np.concatenate(found), pitch / 2)


def _spread(points: Points, least: float) -> Points:
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    taken = np.triu(distance < least, 1).any(0)
    return np.asarray(points[~taken], np.float64)


@lru_cache(maxsize=60_000)
def outline(face: Outline, char: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Coverage [h, w] of an outline character, and the matrix [3, 3] from its px to cap heights."""
    g = glyph(face, char, _CAP_PX)
    return g.alpha, np.array([[1, 0, g.left], [0, 1, g.top], [0, 0, _CAP_PX]]) / _CAP_PX


def _missing(char: str) -> float:
    raise KeyError(char)


def placed(face: Face, chars: str, matrices: NDArray[np.float64]) -> Points:
    """Corners [n, 4, 2] of the characters' boxes after their matrices [n, 3, 3]."""
    moved = np.array([corners(face, char) for char in chars]) @ matrices.transpose(0, 2, 1)
    return np.asarray(moved[:, :, :2] / moved[:, :, 2:], np.float64)


def scales(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """How long a cap height is after each matrix [n, 3, 3], in the mean of both directions."""
    m = matrices / matrices[:, 2:, 2:]
    along = m[:, :2, 0] - m[:, :2, 2] * m[:, 2:, 0]
    down = m[:, :2, 1] - m[:, :2, 2] * m[:, 2:, 1]
    areas = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0]
    return np.asarray(np.sqrt(np.abs(areas)), np.float64)
