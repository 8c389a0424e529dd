"""Where the tool touched the surface: coverage of the mark, and which character owns which pixel."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats, Pixels
from serialread.synth import shapes
from serialread.synth.faces import Dots, Outline, Segments, Strokes
from serialread.synth.layout import Line
from serialread.synth.segments import ALL_ON
from serialread.synth.shapes import Face

_SHIFT = 4  # OpenCV draws with 1/16 px
_OWNED = 90  # coverage (of 255) from which a pixel belongs to its character
_ISLANDS = frozenset("0OQDABPR4689abdegopq@&%")
"""Characters whose middle would fall out of a stencil."""


@dataclass(frozen=True, slots=True)
class Tool:
    """How a character's shape becomes coverage; lengths in cap heights.

    Attributes:
        width: of a single stroke.
        pitch: distance of dots along a stroke; None draws strokes through.
        dot: diameter of a dot, in pitches.
        scatter: spread of a dot's place, in pitches.
        missing: part of the dots that never struck.
        again: part of the dots that struck twice or that a smaller one follows, beside their place.
        sway: height of the line's wave, as a head vibrates or a part moves unevenly.
        uneven: how much a character's strength may fall across it, 0 even .. 1.
        depths: most that a whole character is weaker than the strongest, 0..1.
        doubled: part of the characters that struck twice.
        second: shift (x, y) of a second pass over everything; None for one pass.
        bridge: width of a stencil's bridges; 0 for none.
        gap: between the segments of a display.
        ghost: strength of a display's segments that are off.
    """

    width: float
    pitch: float | None = None
    dot: float = 1.0
    scatter: float = 0.0
    missing: float = 0.0
    again: float = 0.0
    sway: float = 0.0
    uneven: float = 0.0
    depths: float = 0.0
    doubled: float = 0.0
    second: tuple[float, float] | None = None
    bridge: float = 0.0
    gap: float = 0.0
    ghost: float = 0.0


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
    wave = _wave(tool, line, rng)
    for index, (left, top, right, bottom) in enumerate(_places(face, line)):
        if right <= left or bottom <= top:
            continue
        matrix = line.matrices[index].copy()
        matrix[0, 2] -= left
        matrix[1, 2] -= top + (wave(left) if wave else 0.0)
        size = (bottom - top, right - left)
        patch, body = _patch(face, line.chars[index], matrix, size, tool, rng)
        patch = _struck(patch, line.cap_px, tool, rng)
        where = (slice(top, bottom), slice(left, right))
        np.maximum(coverage[where], patch, out=coverage[where])
        if index < line.length:
            np.putmask(owners[where], body > _OWNED, index + 1)
    for extra in line.extras:
        points = np.round(extra.points * (1 << _SHIFT)).astype(np.int32)
        if extra.filled:
            cv2.fillPoly(coverage, [points], 255, cv2.LINE_AA, _SHIFT)
        else:
            thickness = max(round(extra.width_px), 1)
            cv2.polylines(coverage, [points], len(points) > 2, 255, thickness, cv2.LINE_AA, _SHIFT)
    stroke_px = max(tool.width * line.cap_px, 1.5)
    return Mark(coverage.astype(np.float32) * np.float32(1 / 255), owners, stroke_px)


def _places(face: Face, line: Line) -> list[tuple[int, int, int, int]]:
    """The rectangle left, top, right, bottom of every character, with room for its stroke, on the canvas."""
    flat = np.array([shapes.corners(face, char) for char in line.chars])
    corners = flat @ line.matrices[:, :2].transpose(0, 2, 1)
    reach = 2 + (0.2 * np.abs(line.matrices[:, 1, 1:2])).astype(int)
    low = np.maximum(np.floor(corners.min(1)).astype(int) - reach, 0)
    high = np.minimum(np.ceil(corners.max(1)).astype(int) + reach, line.size[::-1])
    return [(a, b, c, d) for a, b, c, d in np.concatenate([low, high], axis=1).tolist()]


def _wave(tool: Tool, line: Line, rng: np.random.Generator) -> Callable[[float], float] | None:
    """How far, in px, the line has drifted down at a column."""
    if not tool.sway:
        return None
    height, period = tool.sway * line.cap_px, rng.uniform(2, 12) * line.cap_px
    phase = rng.uniform(0, 2 * np.pi)
    return lambda column: float(height * np.sin(2 * np.pi * column / period + phase))


def _struck(patch: Pixels, cap_px: float, tool: Tool, rng: np.random.Generator) -> Pixels:
    """The patch as this very strike left it: in two passes, twice, weak, or weaker towards one side."""
    if tool.second is not None:
        patch = np.maximum(patch, _shifted(patch, tool.second[0] * cap_px, tool.second[1] * cap_px))
    if tool.doubled and rng.random() < tool.doubled:
        aside = rng.uniform(0.05, 0.11) * cap_px * rng.choice((-1, 1), 2)
        weak = _shifted(patch, aside[0], 0.6 * aside[1]) * np.float32(rng.uniform(0.3, 0.7))
        patch = np.maximum(patch, weak.astype(np.uint8))
    if tool.uneven:
        return _unevenly(patch, tool.uneven, 1 - tool.depths * rng.random() ** 2, rng)
    return patch


def _shifted(patch: Pixels, x: float, y: float) -> Pixels:
    matrix = np.array([[1, 0, x], [0, 1, y]])
    return np.asarray(cv2.warpAffine(patch, matrix, (patch.shape[1], patch.shape[0])), np.uint8)


def _patch(
    face: Face,
    char: str,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    tool: Tool,
    rng: np.random.Generator,
) -> tuple[Pixels, Pixels]:
    """Coverage of one character, and its body: the same with the dots of a stroke joined; uint8 ``size``."""
    match face:
        case Outline():
            alpha, to_caps = shapes.outline(face, char)
            to_patch = (matrix @ to_caps)[:2]
            patch = np.asarray(cv2.warpAffine(alpha, to_patch, (size[1], size[0])), np.uint8)
            if tool.bridge:
                patch = _bridged(patch, face, char, matrix, tool.bridge)
            return patch, patch
        case Strokes():
            if tool.pitch is None:
                patch = _polylines(face, char, matrix, size, tool.width * _scale(matrix))
                return patch, patch
            patch = _dots(shapes.along(face, char, tool.pitch), tool.pitch, matrix, size, tool, rng)
            return patch, _polylines(face, char, matrix, size, 0.8 * tool.pitch * _scale(matrix))
        case Dots():
            pitch = 1 / (face.rows - 1)
            points = shapes.dots(face, char)
            radius = shapes.BODY * pitch * _scale(matrix)
            body = _circles(shapes.transform(points, matrix), np.full(len(points), radius), size)
            return _dots(points, pitch, matrix, size, tool, rng), body
        case Segments():
            body = _polygons(shapes.segments(face, char, tool.width, tool.gap), matrix, size, 255)
            if tool.ghost < 0.01 or char in ".:":
                return body, body
            every = shapes.segments(face, ALL_ON, tool.width, tool.gap)
            return np.maximum(body, _polygons(every, matrix, size, round(255 * tool.ghost))), body
        case _:
            assert_never(face)


def _scale(matrix: NDArray[np.float64]) -> float:
    """Canvas px of a cap height, in the mean of both directions."""
    (a, b, _), (c, d, _), _ = matrix.tolist()
    return float(abs(a * d - b * c) ** 0.5)


def _polygons(
    corners: tuple[NDArray[np.float64], ...], matrix: NDArray[np.float64], size: tuple[int, int], grey: int
) -> Pixels:
    patch = np.zeros(size, np.uint8)
    for points in corners:
        moved = np.round(shapes.transform(points, matrix) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(patch, [moved], grey, cv2.LINE_AA, _SHIFT)
    return patch


def _bridged(
    patch: Pixels, face: Outline, char: str, matrix: NDArray[np.float64], width: float
) -> NDArray[np.uint8]:
    """Keep the bridge that holds a stencil's island: an upright bar through the middle."""
    if char not in _ISLANDS:
        return patch
    x0, y0, x1, y1 = shapes.extent(face, char)
    middle = (x0 + x1) / 2
    bar = np.array([[middle - width / 2, y0 - 1], [middle + width / 2, y0 - 1]])
    bar = np.concatenate([bar, bar[::-1] + np.array([0, y1 - y0 + 2])])
    moved = np.round(shapes.transform(bar, matrix) * (1 << _SHIFT)).astype(np.int32)
    return np.asarray(cv2.fillPoly(patch, [moved], 0, cv2.LINE_AA, _SHIFT), np.uint8)


def _polylines(
    face: Strokes, char: str, matrix: NDArray[np.float64], size: tuple[int, int], width_px: float
) -> Pixels:
    points, begins = shapes.joined(face, char)
    moved = np.rint(shapes.transform(points, matrix) * (1 << _SHIFT)).astype(np.int32)
    patch = np.zeros(size, np.uint8)
    lines = np.split(moved, begins) if begins else [moved]
    cv2.polylines(patch, lines, False, 255, max(round(width_px), 1), cv2.LINE_AA, _SHIFT)
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
    radii = np.full(len(struck), 0.5 * tool.dot * pitch * _scale(matrix))
    if tool.again:
        more = struck[rng.random(len(struck)) < tool.again]
        struck = np.concatenate([struck, more + rng.normal(0, 0.4 * pitch, more.shape)])
        radii = np.concatenate([radii, radii[: len(more)] * rng.uniform(0.4, 0.9)])
    return _circles(shapes.transform(struck, matrix), radii, size)


def _circles(centres: NDArray[np.float64], radii_px: NDArray[np.float64], size: tuple[int, int]) -> Pixels:
    patch = np.zeros(size, np.uint8)
    radii = np.maximum(np.round(radii_px * (1 << _SHIFT)), 9).astype(int).tolist()
    places = np.round(centres * (1 << _SHIFT)).astype(int).tolist()
    for (x, y), radius in zip(places, radii, strict=True):
        cv2.circle(patch, (x, y), radius, 255, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    return patch


def _unevenly(patch: Pixels, uneven: float, depth: float, rng: np.random.Generator) -> Pixels:
    """Let the strength fall off across the character, as under a tilted punch; it never vanishes."""
    fall, angle = rng.uniform(0, uneven), rng.uniform(0, 2 * np.pi)
    x, y = 0.65 * fall * np.cos(angle), 0.65 * fall * np.sin(angle)
    middle = 1 - 0.5 * fall
    corners = np.array([[middle + x + y, middle - x + y], [middle + x - y, middle - x - y]], np.float32)
    corners = np.clip(corners * np.float32(depth), 0.2, 1)
    strength = cv2.resize(corners, (patch.shape[1], patch.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(patch, strength, dtype=cv2.CV_8U), np.uint8)
