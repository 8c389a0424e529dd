"""Drawing a mark: its coverage, and the mask of every character."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats, Pixels
from serialread.synth import fonts
from serialread.synth.alphabets import ALL_ON, Dots, Segments, Strokes
from serialread.synth.fields import ramp, towards_one_end
from serialread.synth.fonts import Face, Outline, Points
from serialread.synth.layout import GlyphRun, TypesetLine
from serialread.synth.rng import Rng, within

_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates: 1/16 px
_OWNED = 90  # coverage (of 255) from which a pixel belongs to its character
_ISLANDS = frozenset("0OQDABPR4689abdegopq@&%")
"""Characters with islands, which a stencil holds by bridges."""


@dataclass(frozen=True, slots=True)
class Tool:
    """How a character's shape becomes coverage; lengths in cap heights.

    Attributes:
        width: of a single stroke.
        pitch: distance of dots along a stroke; None draws strokes through.
        dot: diameter of a dot, in pitches.
        scatter: spread of a dot's place, in pitches.
        missing: part of the dots that are missing.
        again: part of the dots that have a second one next to them; part of the characters that were
            written twice.
        sway: amplitude of the line's wave, from a vibrating head or uneven motion.
        uneven: maximum loss of strength across one character, 0..1.
        depths: maximum loss of strength of a whole character, 0..1.
        doubled: part of the characters that were struck twice.
        partial: part of the characters with an unmarked side.
        unstruck: part of such a character that is missing, 0..1.
        second: shift (x, y) of a second pass over everything; None for one pass.
        bridge: width of a stencil's bridges; 0 for none.
        gap: between the segments of a display.
        ghost: strength of a display's segments that are off.
        wander: deviation of a hand from the strokes; 0 for machines.
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
    partial: float = 0.0
    unstruck: tuple[float, float] = (0.0, 0.0)
    second: tuple[float, float] | None = None
    bridge: float = 0.0
    gap: float = 0.0
    ghost: float = 0.0
    wander: float = 0.0

    @property
    def by_strike(self) -> bool:
        """Whether the result differs from character to character."""
        return bool(self.second or self.doubled or self.uneven or self.partial)


@dataclass(frozen=True, slots=True)
class Mark:
    """A drawn line.

    Attributes:
        coverage: float32 [H, W], 0..1.
        owners: uint8 [H, W], 0 none, i the code's i-th character.
        stroke_px: width of a stroke.
        partial: numbers, from 1, of the characters with an unmarked side.
    """

    coverage: Floats
    owners: Pixels
    stroke_px: float
    partial: tuple[int, ...] = ()

    def divided(self, column: int) -> tuple["Mark", "Mark"]:
        """The parts left and right of a column, each on the whole canvas."""
        left, right = self.coverage.copy(), self.coverage.copy()
        left[:, column:] = 0
        right[:, :column] = 0
        return replace(self, coverage=left), replace(self, coverage=right)

    def fading(self, loss: float, rng: Rng) -> "Mark":
        """The mark with ``loss`` (0..1) of it missing at one end, gradually less towards the other."""
        size = self.coverage.shape
        kept = 1 - np.float32(loss) * towards_one_end(size[1], rng)
        return replace(self, coverage=self.coverage * kept)


class _Glyph(NamedTuple):
    """One character to be drawn, and its place.

    Attributes:
        number: from 1 in the code; 0 for other text.
        left, top, right, bottom: its part of the canvas, px, including the stroke's width.
        matrix: [3, 3], cap heights to px of that part.
        fine: the same to OpenCV's drawing coordinates.
        scale: px of a cap height.
    """

    face: Face
    char: str
    number: int
    left: int
    top: int
    right: int
    bottom: int
    matrix: NDArray[np.float64]
    fine: NDArray[np.float64]
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left


def draw(line: TypesetLine, tool: Tool, rng: Rng) -> Mark:
    """Draw every character of a line and its distractors."""
    coverage, owners = np.zeros(line.size, np.uint8), np.zeros(line.size, np.uint8)
    sway = tool.sway * line.cap_px, within((2, 12), rng) * line.cap_px, within((0, 2 * np.pi), rng)
    partial = []
    for order, run in enumerate(line.runs):
        for glyph in _glyphs(run, line.size, sway, labelled=order == 0):
            patch, body = _patch(glyph, tool, rng)
            if tool.by_strike:
                patch, whole = _struck(patch, line.cap_px, tool, rng)
                partial += [glyph.number] * (not whole and glyph.number > 0)
            where = np.s_[glyph.top : glyph.bottom, glyph.left : glyph.right]
            _raise(coverage[where], patch)
            if glyph.number:  # where two meet, the later one, whose number is higher, owns the px
                _raise(owners[where], cv2.threshold(body, _OWNED, glyph.number, cv2.THRESH_BINARY)[1])
    _draw_shapes(coverage, line)
    stroke_px = max(tool.width * line.cap_px, 1.5)
    return Mark(coverage.astype(np.float32) * np.float32(1 / 255), owners, stroke_px, tuple(partial))


def _raise(under: Pixels, to: cv2.typing.MatLike) -> None:
    """Raise each px to at least ``to``; numpy takes twice the time for so few."""
    cv2.max(under, to, under)


def _glyphs(
    run: GlyphRun, size: tuple[int, int], sway: tuple[float, float, float], *, labelled: bool
) -> Iterator[_Glyph]:
    """A run's characters on the canvas; ``sway``: amplitude and period of its wave, px, and phase."""
    corners = fonts.placed(run.faces, run.chars, run.matrices)
    scales = fonts.scales(run.matrices)
    reach = (2 + 0.2 * scales).astype(int)[:, None]
    low = np.maximum(np.floor(corners.min(1)).astype(int) - reach, 0)
    high = np.minimum(np.ceil(corners.max(1)).astype(int) + reach, size[::-1])
    away = low.astype(np.float64)
    if sway[0]:
        away[:, 1] += sway[0] * np.sin(2 * np.pi * away[:, 0] / sway[1] + sway[2])
    matrices = run.matrices.copy()
    matrices[:, :2] -= away[:, :, None] * run.matrices[:, 2:]
    fine = matrices * np.array([[1 << _SHIFT], [1 << _SHIFT], [1]])
    places = np.concatenate([low, high], axis=1).tolist()
    for index, (left, top, right, bottom) in enumerate(places):
        if right > left and bottom > top:
            number, how = index + 1 if labelled else 0, (matrices[index], fine[index], float(scales[index]))
            yield _Glyph(run.faces[index], run.chars[index], number, left, top, right, bottom, *how)


def _draw_shapes(coverage: Pixels, line: TypesetLine) -> None:
    for shape in line.shapes:
        points = np.round(shape.points * (1 << _SHIFT)).astype(np.int32)
        grey = round(255 * shape.strength)
        if shape.filled:
            cv2.fillPoly(coverage, [points], grey, cv2.LINE_AA, _SHIFT)
        else:
            thickness = max(round(shape.width), 1)
            cv2.polylines(coverage, [points], len(points) > 2, grey, thickness, cv2.LINE_AA, _SHIFT)


def _struck(patch: Pixels, cap_px: float, tool: Tool, rng: Rng) -> tuple[Pixels, bool]:
    """The patch after this strike: second pass, double strike, slope; and whether it is whole."""
    if tool.second is not None:
        patch = np.maximum(patch, _shifted(patch, tool.second[0] * cap_px, tool.second[1] * cap_px))
    if tool.doubled and rng.random() < tool.doubled:
        aside = [within((0.05, 0.11), rng) * cap_px * (-1 if rng.random() < 0.5 else 1) for _ in range(2)]
        weak = _shifted(patch, aside[0], 0.6 * aside[1]) * np.float32(within((0.3, 0.7), rng))
        patch = np.maximum(patch, weak.astype(np.uint8))
    whole = not tool.partial or rng.random() >= tool.partial
    if not whole:
        patch = _partly(patch, within(tool.unstruck, rng), rng)
    if tool.uneven:
        patch = _unevenly(patch, tool.uneven, 1 - tool.depths * rng.random() ** 2, rng)
    return patch, whole


def _shifted(patch: Pixels, x: float, y: float) -> Pixels:
    matrix = np.array([[1, 0, x], [0, 1, y]])
    return np.asarray(cv2.warpAffine(patch, matrix, (patch.shape[1], patch.shape[0])), np.uint8)


def _patch(glyph: _Glyph, tool: Tool, rng: Rng) -> tuple[Pixels, Pixels]:
    """Coverage of one character, and its mask, in which dots are joined; uint8."""
    match glyph.face:
        case Outline() as face:
            alpha, to_caps = fonts.outline(face, glyph.char)
            patch = _warped(alpha, glyph.matrix @ to_caps, glyph.size)
            patch = _bridged(patch, face, glyph, tool.bridge) if tool.bridge else patch
            return patch, patch
        case Strokes() as face:
            return _stroked(face, glyph, tool, rng)
        case Dots() as face:
            pitch, points = 1 / (face.rows - 1), fonts.dots(face, glyph.char)
            patch = _dots(points, pitch, glyph, tool, rng)
            radii = np.full(len(points), fonts.BODY * pitch * glyph.scale)
            return patch, _circles(points, radii, glyph) if glyph.number else patch
        case Segments() as face:
            body = _polygons(fonts.segments(face, glyph.char, tool.width, tool.gap), glyph, 255)
            if tool.ghost < 0.01 or glyph.char in ".:":
                return body, body
            every = fonts.segments(face, ALL_ON, tool.width, tool.gap)
            return np.maximum(body, _polygons(every, glyph, round(255 * tool.ghost))), body
        case _:
            assert_never(glyph.face)


def _stroked(face: Strokes, glyph: _Glyph, tool: Tool, rng: Rng) -> tuple[Pixels, Pixels]:
    """Coverage and mask of a single-stroke character: continuous, by hand, or as dots along its strokes."""
    lines = fonts.joined(face, glyph.char)
    if tool.pitch is not None:
        patch = _dots(fonts.along(face, glyph.char, tool.pitch), tool.pitch, glyph, tool, rng)
        return patch, _polylines(lines, glyph, 0.8 * tool.pitch * glyph.scale) if glyph.number else patch
    width_px = tool.width * glyph.scale
    patch = _by_hand(face, glyph, width_px, tool, rng) if tool.wander else _polylines(lines, glyph, width_px)
    return patch, patch


def _warped(alpha: Pixels, matrix: NDArray[np.float64], size: tuple[int, int]) -> Pixels:
    if matrix[2, 0] == 0 == matrix[2, 1]:  # an affine map, as most are: faster, same result
        return np.asarray(cv2.warpAffine(alpha, matrix[:2], size[::-1]), np.uint8)
    return np.asarray(cv2.warpPerspective(alpha, matrix, size[::-1]), np.uint8)


def _in_px(points: NDArray[np.float64], glyph: _Glyph) -> NDArray[np.int32]:
    """Points [k, 2] in OpenCV's drawing coordinates."""
    return np.asarray(np.rint(cv2.perspectiveTransform(points[None], glyph.fine)[0]), np.int32)


def _polygons(corners: tuple[NDArray[np.float64], ...], glyph: _Glyph, grey: int) -> Pixels:
    patch = np.zeros(glyph.size, np.uint8)
    for points in corners:
        cv2.fillPoly(patch, [_in_px(points, glyph)], grey, cv2.LINE_AA, _SHIFT)
    return patch


def _bridged(patch: Pixels, face: Outline, glyph: _Glyph, width: float) -> Pixels:
    """Cut out the bridge that holds a stencil's island: an upright bar through the middle."""
    if glyph.char not in _ISLANDS:
        return patch
    x0, y0, x1, y1 = fonts.extent(face, glyph.char)
    middle = (x0 + x1) / 2
    bar = np.array([[middle - width / 2, y0 - 1], [middle + width / 2, y0 - 1]])
    bar = np.concatenate([bar, bar[::-1] + np.array([0, y1 - y0 + 2])])
    return np.asarray(cv2.fillPoly(patch, [_in_px(bar, glyph)], 0, cv2.LINE_AA, _SHIFT), np.uint8)


def _polylines(strokes: tuple[Points, tuple[slice, ...]], glyph: _Glyph, width_px: float) -> Pixels:
    points, parts = strokes
    moved = _in_px(points, glyph)
    patch = np.zeros(glyph.size, np.uint8)
    lines = [moved[part] for part in parts]
    cv2.polylines(patch, lines, False, 255, max(round(width_px), 1), cv2.LINE_AA, _SHIFT)
    return patch


def _by_hand(face: Strokes, glyph: _Glyph, width_px: float, tool: Tool, rng: Rng) -> Pixels:
    """Strokes drawn by hand: bent, slightly displaced, sometimes written twice."""
    points, parts = fonts.bendable(face, glyph.char)
    patch = np.zeros(glyph.size, np.uint8)
    for _ in range(1 + (rng.random() < tool.again)):
        turns = points @ (5 * rng.standard_normal((2, 2))) + 2 * np.pi * rng.random(2)
        strayed = points + tool.wander * np.sin(turns)
        for part, aside in zip(parts, rng.standard_normal((len(parts), 2)), strict=True):
            strayed[part] += 0.5 * tool.wander * aside
        _raise(patch, _polylines((strayed, parts), glyph, width_px))
    return patch


def _dots(points: NDArray[np.float64], pitch: float, glyph: _Glyph, tool: Tool, rng: Rng) -> Pixels:
    struck = points
    if tool.missing:
        left = points[rng.random(len(points)) >= tool.missing]
        struck = left if len(left) else points
    if tool.scatter:
        struck = struck + tool.scatter * pitch * rng.standard_normal(struck.shape)
    radii = np.full(len(struck), 0.5 * tool.dot * pitch * glyph.scale)
    if tool.again:
        more = struck[rng.random(len(struck)) < tool.again]
        struck = np.concatenate([struck, more + 0.4 * pitch * rng.standard_normal(more.shape)])
        radii = np.concatenate([radii, radii[: len(more)] * within((0.4, 0.9), rng)])
    return _circles(struck, radii, glyph)


def _circles(centres: NDArray[np.float64], radii_px: NDArray[np.float64], glyph: _Glyph) -> Pixels:
    patch = np.zeros(glyph.size, np.uint8)
    radii = np.maximum(np.rint(radii_px * (1 << _SHIFT)), 9).astype(int).tolist()
    for (x, y), radius in zip(_in_px(centres, glyph).tolist(), radii, strict=True):
        cv2.circle(patch, (x, y), radius, 255, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    return patch


def _unevenly(patch: Pixels, uneven: float, depth: float, rng: Rng) -> Pixels:
    """Let the strength decrease across the character, as under a tilted punch, but never to 0."""
    fall = within((0, uneven), rng)
    strength = _sloped(patch.shape, depth * (1 - 0.5 * fall), 1.3 * fall * depth, rng)
    return np.asarray(cv2.multiply(patch, np.clip(strength, 0.2, 1), dtype=cv2.CV_8U), np.uint8)


def _partly(patch: Pixels, missing: float, rng: Rng) -> Pixels:
    """Leave a side of the character unmarked: the depth falls to 0 towards it."""
    x, y, wide, high = cv2.boundingRect(patch)
    if not wide:  # outside the picture
        return patch
    steep = within((2.5, 8), rng)
    inked = patch[y : y + high, x : x + wide]
    strength = _sloped(inked.shape, 0.5 + steep * (0.5 - missing), steep, rng)
    out = np.zeros_like(patch)
    out[y : y + high, x : x + wide] = cv2.multiply(inked, np.clip(strength, 0, 1), dtype=cv2.CV_8U)
    return out


def _sloped(size: tuple[int, ...], middle: float, fall: float, rng: Rng) -> Floats:
    """A plane, float32 ``size``: ``middle`` at its centre, falling by ``fall`` in a random direction."""
    angle = within((0, 2 * np.pi), rng)
    x = ramp(size[1]) * np.float32(fall * math.cos(angle))
    y = ramp(size[0]) * np.float32(fall * math.sin(angle))
    return np.asarray((x + np.float32(middle))[None] + y[:, None], np.float32)
