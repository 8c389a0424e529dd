"""Detect whether a picture is one text line: strokes form blobs, blobs of similar height form rows.

Letters: N blobs, each a box (left, top, right, bottom) in px of the downscaled picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.imaging.crops import CROP_HEIGHT_PX, text_bands
from serialread.imaging.frames import Frame
from serialread.records import Floats, Pixels

STROKES_PX = (11, 7, 17)
"""Maximum stroke widths, tried in order; characters are 1 to 5 times as high."""
ANALYSIS_PX = 96
"""Height to which pictures are downscaled."""
MAX_BLOBS = 400
"""Only the strongest blobs are kept: textures produce many faint ones."""
MIN_SPAN = 0.4
"""A line that spans this share of the picture's height and width fills it."""
LINE_ASPECT = 1.7
"""Aspect ratio above which a picture is probably a crop of a line, below which a full view."""
MIN_HEIGHT_VIEW, MIN_HEIGHT_CROP = 0.45, 0.15
"""Minimum height of the blobs, as a share of a full view's and a crop's height; textures form
lower rows."""
MIN_PICTURE_PX = 64
"""Lower pictures contain at most one legible line."""
LOW_PX = 192
"""Lower pictures are crops: they are searched only if two rows of similar height show."""
_Boxes = Floats
"""[N, 4]."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of neighbouring blobs [N, 4]."""

    boxes: _Boxes

    @property
    def height(self) -> float:
        """Median height of its blobs, px."""
        return float(np.median(self.boxes[:, 3] - self.boxes[:, 1]))

    @property
    def slope(self) -> float:
        """Slope, px down per px to the right, by least squares."""
        x, y = (_centres(self.boxes) - _centres(self.boxes).mean(axis=0)).T
        return float((x * y).sum() / max(float((x * x).sum()), 1e-6)) if len(x) > 2 else 0.0

    def distance_below(self, points: Floats) -> Floats:
        """Vertical distance of points [N, 2] below the row's centre line."""
        middle = _centres(self.boxes).mean(axis=0)
        return np.asarray(points[:, 1] - middle[1] - np.float32(self.slope) * (points[:, 0] - middle[0]))

    @property
    def hull(self) -> Floats:
        """The bounding box of all its blobs."""
        return np.concatenate((self.boxes[:, :2].min(axis=0), self.boxes[:, 2:].max(axis=0)))


def is_low(frame: Frame) -> bool:
    """Whether the frame has the size of a crop: it is one line, or a few."""
    return bool(min(frame.pixels.shape) < LOW_PX)


def is_one_line(frame: Frame) -> bool:
    """Whether the frame is one text line: it is tiny, a line fills it, or it is low and shows no two rows."""
    height, width = frame.pixels.shape
    if min(height, width) < MIN_PICTURE_PX:
        return True
    horizontal = frame if width >= height else frame.turned(90)
    if is_low(frame):
        heights = [bottom - top for top, bottom in text_bands(horizontal.shrunk(CROP_HEIGHT_PX).pixels)]
        return not any(max(pair) < 2 * min(pair) for pair in pairwise(heights))
    small = horizontal.shrunk(ANALYSIS_PX).pixels
    return any(_fills(line, small.shape) for line in rows_of_blobs(small))


def rows_of_blobs(pixels: Pixels) -> Iterator[Row]:
    """Horizontal rows of blobs in [H, W], for each of ``STROKES_PX``."""
    for stroke_px in STROKES_PX:
        for strokes in strokes_of(pixels, stroke_px):
            every = blobs(strokes, stroke_px)
            chars = _strongest(strokes, every[_like_characters(every, stroke_px)])
            if len(chars) >= 3:
                yield from (extended(Row(row), every) for row in rows(chars))


def strokes_of(pixels: Pixels, stroke_px: int) -> tuple[Pixels, ...]:
    """Top-hat, black-hat, and their maximum, [H, W] each: structures up to ``stroke_px`` wide.

    Print is brighter or darker than its background. The flanks of relief are both, and join in the maximum.
    """
    kernel = np.ones((stroke_px, stroke_px), np.uint8)
    smooth = cv2.GaussianBlur(pixels, (0, 0), stroke_px / 11)
    brighter, darker = (
        np.asarray(cv2.morphologyEx(smooth, operation, kernel), np.uint8)
        for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )
    return brighter, darker, np.maximum(brighter, darker)


def blobs(strokes: Pixels, stroke_px: int) -> _Boxes:
    """Boxes of connected strokes that are stronger than their neighbourhood."""
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


def _strongest(strokes: Pixels, boxes: _Boxes) -> _Boxes:
    """The ``MAX_BLOBS`` boxes with the strongest strokes [H, W]."""
    if len(boxes) <= MAX_BLOBS:
        return boxes
    sums = cv2.integral(strokes)
    left, top, right, bottom = boxes.astype(np.int32).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    strength = inside / ((right - left) * (bottom - top))
    return boxes[np.argpartition(-strength, MAX_BLOBS)[:MAX_BLOBS]]


def rows(boxes: _Boxes) -> list[_Boxes]:
    """Chains of three or more horizontal neighbours of similar height."""
    centres, heights = _centres(boxes), boxes[:, 3] - boxes[:, 1]
    across, down = (centres[None] - centres[:, None]).transpose(2, 0, 1)
    tall = np.maximum(heights[None], heights[:, None])
    gaps = np.maximum(boxes[None, :, 0], boxes[:, None, 0]) - np.minimum(boxes[None, :, 2], boxes[:, None, 2])
    alike = tall < 1.5 * np.minimum(heights[None], heights[:, None])
    level = (np.abs(down) < 0.35 * np.abs(across)) & (np.abs(down) < 0.6 * tall)
    linked = alike & level & (gaps < 0.9 * tall) & (gaps > -0.3 * tall)
    return [boxes[members] for members in _groups(linked) if len(members) >= 3]


def _groups(linked: NDArray[np.bool_]) -> list[list[int]]:
    """Connected components of a symmetric adjacency matrix [N, N]."""
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


def extended(line: Row, every: _Boxes) -> Row:
    """The row, extended at its ends by hyphens, dots and broken characters."""
    height = line.height
    sizes = every[:, 2:] - every[:, :2]
    fits = (sizes < (3 * height, 1.4 * height)).all(axis=1) & (sizes[:, 1] > 0.12 * height)
    near = every[fits & (np.abs(line.distance_below(_centres(every))) < 0.5 * height)]
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
    least = MIN_HEIGHT_VIEW if shape[1] < LINE_ASPECT * shape[0] else MIN_HEIGHT_CROP
    high = bottom - top >= MIN_SPAN * shape[0] and line.height >= least * shape[0]
    return bool(high and right - left >= MIN_SPAN * shape[1])


def _centres(boxes: _Boxes) -> Floats:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
