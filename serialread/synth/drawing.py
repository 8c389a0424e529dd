"""Where the tool touched the surface: coverage of the mark, and which character owns which pixel."""

from dataclasses import dataclass, replace
from typing import assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats, Pixels
from serialread.synth import shapes
from serialread.synth.faces import Dots, Outline, Strokes
from serialread.synth.layout import Line
from serialread.synth.shapes import Face

_SHIFT = 4  # OpenCV draws with 1/16 px
_OWNED = 90  # coverage (of 255) from which a pixel belongs to its character


@dataclass(frozen=True, slots=True)
class Tool:
    """How a character's shape becomes coverage; lengths in cap heights.

    Attributes:
        width: of a single stroke.
        pitch: distance of dots along a stroke; None draws strokes through.
        dot: diameter of a dot, in pitches.
        scatter: spread of a dot's place, in pitches.
        missing: part of the dots that never struck.
        uneven: how much a character's strength may fall across it, 0 even .. 1.
    """

    width: float
    pitch: float | None = None
    dot: float = 1.0
    scatter: float = 0.0
    missing: float = 0.0
    uneven: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A drawn line.

    Attributes:
        coverage: float32 [H, W], 0..1.
        owners: uint8 [H, W], 0 none, i the code's i-th character.
        stroke_px: width of a stroke.
    """

    coverage: Floats
    owners: Pixels
    stroke_px: float

    def divided(self, column: int) -> tuple["Mark", "Mark"]:
        """What is left and what is right of a column, each on the whole canvas."""
        left, right = self.coverage.copy(), self.coverage.copy()
        left[:, column:] = 0
        right[:, :column] = 0
        return replace(self, coverage=left), replace(self, coverage=right)


def draw(face: Face, line: Line, tool: Tool, rng: np.random.Generator) -> Mark:
    """Draw every character of a line and the shapes beside it."""
    coverage = np.zeros(line.size, np.uint8)
    owners = np.zeros(line.size, np.uint8)
    for index, char in enumerate(line.chars):
        owner = index + 1 if index < line.length else 0
        _draw_char(coverage, owners, face, char, line.matrices[index], owner, tool, rng)
    for extra in line.extras:
        points = np.round(extra.points * (1 << _SHIFT)).astype(np.int32)
        if extra.filled:
            cv2.fillPoly(coverage, [points], 255, cv2.LINE_AA, _SHIFT)
        else:
            thickness = max(round(extra.width_px), 1)
            cv2.polylines(coverage, [points], len(points) > 2, 255, thickness, cv2.LINE_AA, _SHIFT)
    stroke_px = max(tool.width * line.cap_px, 1.5)
    return Mark(coverage.astype(np.float32) * np.float32(1 / 255), owners, stroke_px)


def _draw_char(
    coverage: Pixels,
    owners: Pixels,
    face: Face,
    char: str,
    matrix: NDArray[np.float64],
    owner: int,
    tool: Tool,
    rng: np.random.Generator,
) -> None:
    """Add one character to the canvas, inside its own rectangle only."""
    x0, y0, x1, y1 = shapes.extent(face, char)
    corners = shapes.transform(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), matrix)
    reach = 2 + int(0.2 * abs(matrix[1, 1]))
    left, top = np.floor(corners.min(0)).astype(int) - reach
    right, bottom = np.ceil(corners.max(0)).astype(int) + reach
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, coverage.shape[1]), min(bottom, coverage.shape[0])
    if right <= left or bottom <= top:
        return
    local = matrix.copy()
    local[:2, 2] -= (left, top)
    patch, body = _patch(face, char, local, (bottom - top, right - left), tool, rng)
    if tool.uneven:
        patch = _unevenly(patch, tool.uneven, rng)
    where = (slice(top, bottom), slice(left, right))
    np.maximum(coverage[where], patch, out=coverage[where])
    if owner:
        owners[where][body > _OWNED] = owner


def _patch(
    face: Face,
    char: str,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    tool: Tool,
    rng: np.random.Generator,
) -> tuple[Pixels, Pixels]:
    """Coverage of one character, and its body: the same with the dots of a stroke joined; uint8 ``size``."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    match face:
        case Outline():
            alpha, to_caps = shapes.outline(face, char)
            patch = cv2.warpAffine(alpha, (matrix @ to_caps)[:2], (size[1], size[0]), flags=cv2.INTER_LINEAR)
            return np.asarray(patch, np.uint8), np.asarray(patch, np.uint8)
        case Strokes():
            lines = shapes.strokes(face, char)
            if tool.pitch is None:
                patch = _polylines(lines, matrix, size, tool.width * scale)
                return patch, patch
            patch = _dots(shapes.along(lines, tool.pitch), tool.pitch, matrix, size, tool, rng)
            return patch, _polylines(lines, matrix, size, 0.8 * tool.pitch * scale)
        case Dots():
            pitch = 1 / (face.rows - 1)
            points = shapes.dots(face, char)
            body = _circles(shapes.transform(points, matrix), shapes.BODY * pitch * scale, size)
            return _dots(points, pitch, matrix, size, tool, rng), body
        case _:
            assert_never(face)


def _polylines(
    lines: tuple[NDArray[np.float64], ...],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    width_px: float,
) -> Pixels:
    patch = np.zeros(size, np.uint8)
    moved = [np.round(shapes.transform(p, matrix) * (1 << _SHIFT)).astype(np.int32) for p in lines]
    moved = [np.repeat(p, 2, axis=0) if len(p) == 1 else p for p in moved]
    cv2.polylines(patch, moved, False, 255, max(round(width_px), 1), cv2.LINE_AA, _SHIFT)
    return patch


def _dots(
    points: NDArray[np.float64],
    pitch: float,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    tool: Tool,
    rng: np.random.Generator,
) -> Pixels:
    struck = points[rng.random(len(points)) >= tool.missing]
    if len(struck) == 0:
        struck = points
    if tool.scatter:
        struck = struck + rng.normal(0, tool.scatter * pitch, struck.shape)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    return _circles(shapes.transform(struck, matrix), 0.5 * tool.dot * pitch * scale, size)


def _circles(centres: NDArray[np.float64], radius_px: float, size: tuple[int, int]) -> Pixels:
    patch = np.zeros(size, np.uint8)
    radius = max(round(radius_px * (1 << _SHIFT)), 9)
    for x, y in np.round(centres * (1 << _SHIFT)).astype(int).tolist():
        cv2.circle(patch, (x, y), radius, 255, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    return patch


def _unevenly(patch: Pixels, uneven: float, rng: np.random.Generator) -> Pixels:
    """Let the strength fall off across the character, as under a tilted punch; it never vanishes."""
    rows, columns = patch.shape
    angle = rng.uniform(0, 2 * np.pi)
    fall = rng.uniform(0, uneven)
    x = np.linspace(-0.5, 0.5, columns, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, rows, dtype=np.float32) * np.float32(np.sin(angle))
    strength = np.clip(1 - fall * (0.5 + 1.3 * (y[:, None] + x[None])), 0.2, 1).astype(np.float32)
    return (patch * strength).astype(np.uint8)
