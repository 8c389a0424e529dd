"""Whether one text line fills a picture: strokes become blobs, blobs of one height beside each other a row.

Letters: N blobs, each a box (left, top, right, bottom) in px of the shrunk picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.imaging.frames import Frame
from serialread.records import Floats, Pixels

STROKES_PX = (11, 7, 17)
"""Widest strokes that are searched for; characters are 1 to 5 times as high."""
GLANCED_PX = 96
"""Height at which a line that fills its picture shows."""
MOST_BLOBS = 400
"""Of more, those that stand out most are taken: a texture makes many faint ones."""
FILLED = 0.4
"""A line that spans this share of the picture's height and width fills it: there is nothing to find_lines."""
WIDE = 1.7
"""Pictures wider than this times their height are mostly cut round a line; others are mostly whole views."""
LARGE, SMALL = 0.45, 0.15
"""A row of blobs fills a whole view, or a picture cut round a line, only if they are so much of its height:
the rows of a texture are fine."""
SMALLEST_PX = 64
"""Pictures of less height hold one line at most that can be read."""
_Boxes = Floats
"""[N, 4]."""


@dataclass(frozen=True, slots=True)
class Row:
    """Blobs [N, 4] beside each other, in a picture that may be shrunk."""

    boxes: _Boxes

    @property
    def height(self) -> float:
        """Middle height of its blobs, px."""
        return float(np.median(self.boxes[:, 3] - self.boxes[:, 1]))

    @property
    def slope(self) -> float:
        """How far it falls to the right per px, by least squares."""
        x, y = (_centres(self.boxes) - _centres(self.boxes).mean(axis=0)).T
        return float((x * y).sum() / max(float((x * x).sum()), 1e-6)) if len(x) > 2 else 0.0

    def off(self, points: Floats) -> Floats:
        """How far below the line points [N, 2] lie."""
        middle = _centres(self.boxes).mean(axis=0)
        return np.asarray(points[:, 1] - middle[1] - np.float32(self.slope) * (points[:, 0] - middle[0]))

    @property
    def hull(self) -> Floats:
        """The upright box round all its blobs."""
        return np.concatenate((self.boxes[:, :2].min(axis=0), self.boxes[:, 2:].max(axis=0)))


def is_filled(frame: Frame) -> bool:
    """Whether one line of text, lying along the longer side, fills the frame: most pictures are cut so."""
    height, width = frame.pixels.shape
    if min(height, width) < SMALLEST_PX:
        return True
    lying = frame if width >= height else frame.turned(90)
    small = lying.shrunk(GLANCED_PX).pixels
    return any(_fills(line, small.shape) for line in rows_of_blobs(small))


def rows_of_blobs(pixels: Pixels) -> Iterator[Row]:
    """Lying lines in [H, W], of every stroke width that is searched."""
    for stroke_px in STROKES_PX:
        for strokes in strokes_of(pixels, stroke_px):
            every = blobs(strokes, stroke_px)
            chars = _clearest(strokes, every[_like_characters(every, stroke_px)])
            if len(chars) >= 3:
                yield from (lengthened(Row(row), every) for row in rows(chars))


def strokes_of(pixels: Pixels, stroke_px: int) -> tuple[Pixels, ...]:
    """What is brighter, darker, or either, than its surroundings, and at most so wide; [H, W] each.

    Print is one of the first two; the flanks of relief are one of each, side by side, and join in the third.
    """
    kernel = np.ones((stroke_px, stroke_px), np.uint8)
    smooth = cv2.GaussianBlur(pixels, (0, 0), stroke_px / 11)
    brighter, darker = (
        np.asarray(cv2.morphologyEx(smooth, way, kernel), np.uint8)
        for way in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )
    return brighter, darker, np.maximum(brighter, darker)


def blobs(strokes: Pixels, stroke_px: int) -> _Boxes:
    """Boxes of connected strokes that stand out from their surroundings."""
    around = cv2.blur(strokes.astype(np.float32), (6 * stroke_px + 1, 6 * stroke_px + 1))
    mask = (strokes > 1.6 * around + 2).astype(np.uint8)
    joint = np.ones((stroke_px // 5 | 1, stroke_px // 5 | 1), np.uint8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, joint)
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    left, top, width, height, area = stats[1:].T.astype(np.float32)
    solid = area > 0.12 * width * height
    return np.asarray(np.column_stack((left, top, left + width, top + height))[solid], np.float32)


def _like_characters(boxes: _Boxes, stroke_px: int) -> NDArray[np.bool_]:
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    fits = (height >= 0.8 * stroke_px) & (height <= 4.5 * stroke_px)
    return np.asarray(fits & (width <= 2.2 * height) & (height <= 8 * width) & (width * height > stroke_px))


def _clearest(strokes: Pixels, boxes: _Boxes) -> _Boxes:
    """The boxes that stand out most, of strokes [H, W], where there are too many."""
    if len(boxes) <= MOST_BLOBS:
        return boxes
    sums = cv2.integral(strokes)
    left, top, right, bottom = boxes.astype(np.int32).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    strength = inside / ((right - left) * (bottom - top))
    return boxes[np.argpartition(-strength, MOST_BLOBS)[:MOST_BLOBS]]


def rows(boxes: _Boxes) -> list[_Boxes]:
    """Chains of three or more neighbours of like height, each beside the next."""
    centres, heights = _centres(boxes), boxes[:, 3] - boxes[:, 1]
    across, down = (centres[None] - centres[:, None]).transpose(2, 0, 1)
    tall = np.maximum(heights[None], heights[:, None])
    gaps = np.maximum(boxes[None, :, 0], boxes[:, None, 0]) - np.minimum(boxes[None, :, 2], boxes[:, None, 2])
    alike = tall < 1.5 * np.minimum(heights[None], heights[:, None])
    level = (np.abs(down) < 0.35 * np.abs(across)) & (np.abs(down) < 0.6 * tall)
    linked = alike & level & (gaps < 0.9 * tall) & (gaps > -0.3 * tall)
    return [boxes[members] for members in _groups(linked) if len(members) >= 3]


def _groups(linked: NDArray[np.bool_]) -> list[list[int]]:
    """Members of each set of things that are linked, directly or through others; [N, N], symmetric."""
    neighbours = [np.flatnonzero(row).tolist() for row in linked]
    left, groups = set(range(len(neighbours))), []
    while left:
        pending, members = [left.pop()], []
        while pending:
            one = pending.pop()
            members.append(one)
            near = left.intersection(neighbours[one])
            left -= near
            pending += near
        groups.append(sorted(members))
    return groups


def lengthened(line: Row, every: _Boxes) -> Row:
    """The line with what goes on at its ends: hyphens, dots, and characters that are whole no longer."""
    height = line.height
    sizes = every[:, 2:] - every[:, :2]
    fits = (sizes < (3 * height, 1.4 * height)).all(axis=1) & (sizes[:, 1] > 0.12 * height)
    near = every[fits & (np.abs(line.off(_centres(every))) < 0.5 * height)]
    left, right = float(line.boxes[:, 0].min()), float(line.boxes[:, 2].max())
    for _ in range(len(near)):
        joins = (near[:, 2] > left - 1.2 * height) & (near[:, 0] < right + 1.2 * height)
        reach = (float(near[joins, 0].min(initial=left)), float(near[joins, 2].max(initial=right)))
        if reach == (left, right):
            break
        left, right = reach
    inside = near[(near[:, 0] >= left) & (near[:, 2] <= right)]
    return Row(np.concatenate((line.boxes, inside)))


def _fills(line: Row, shape: tuple[int, ...]) -> bool:
    left, top, right, bottom = line.hull
    least = LARGE if shape[1] < WIDE * shape[0] else SMALL
    high = bottom - top >= FILLED * shape[0] and line.height >= least * shape[0]
    return bool(high and right - left >= FILLED * shape[1])


def _centres(boxes: _Boxes) -> Floats:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
