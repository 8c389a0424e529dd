"""Segment the crop of a line into mark, background and characters.

Letters: H rows, W columns, K characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Box, CharReading, Floats, Pixels, Reading

ROWS = 48
"""Higher crops are downscaled to this height: strokes are then 2 to 8 px wide, and it takes 0.15 ms."""
LEVEL_QUANTILE = 0.92
"""The mark's strength is this quantile of the strength between first and last character."""
_WORST_SPREAD = 0.5  # spread of the background, per strength of the mark, that scores 0
_NEAR = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class MarkSegmentation:
    """A crop, segmented into mark, background and characters.

    Attributes:
        difference: absolute difference from the background's grey, uint8 [H, W].
        strength: the same, smoothed to the width of a thin stroke.
        level: strength of the mark, 1..255.
        marked: uint8 [H, W], 1 on the mark.
        top: first row of the text.
        bottom: the row after its last.
        spans: first and last column of the characters' boxes, [K, 2].
        cuts: columns between the characters, and at both ends, [K + 1].
        scale: its px per px of the crop.
    """

    difference: Pixels
    strength: Pixels
    level: int
    marked: Pixels
    top: int
    bottom: int
    spans: Floats
    cuts: NDArray[np.int64]
    scale: float

    @property
    def height(self) -> int:
        """Text height, px."""
        return self.bottom - self.top

    @cached_property
    def cleanness(self) -> float:
        """One minus the spread of the background's grey over half the mark's strength."""
        background = (np.asarray(cv2.dilate(self.marked, _NEAR), np.uint8) == 0).view(np.uint8)
        count = cv2.countNonZero(background)
        if not count:
            return 0.0
        spread = float(cv2.norm(self.difference, cv2.NORM_L2, background)) / float(np.sqrt(count))
        return 1.0 - spread / (_WORST_SPREAD * self.level)

    def column_sums(self, field: Pixels) -> NDArray[np.int32]:
        """Sums of a field [H, W] over the text's rows, [W]."""
        return _sums(field[self.top : self.bottom], 0)

    def per_character(self, field: Pixels) -> NDArray[np.int64]:
        """Sums of a field [H, W] over the text's rows and each character's columns, [K]."""
        return np.add.reduceat(self.column_sums(field), self.cuts, dtype=np.int64)[:-1]


class Segmentations:
    """The segmentations of one crop, each made once: readings of its views mostly share their boxes.

    Attributes:
        pixels: the crop [H, W].
    """

    def __init__(self, pixels: Pixels) -> None:
        """Segment nothing yet."""
        self.pixels = pixels
        self._by_boxes: dict[tuple[Box | None, ...], MarkSegmentation | None] = {}

    def of(self, reading: Reading) -> MarkSegmentation | None:
        """By the characters of a reading; None without characters, or without their boxes."""
        boxes = tuple(char.box for char in reading.chars)
        if boxes not in self._by_boxes:
            self._by_boxes[boxes] = segment(self.pixels, reading.chars)
        return self._by_boxes[boxes]


def segment(pixels: Pixels, chars: Sequence[CharReading]) -> MarkSegmentation | None:
    """Segment a crop [H, W] with the characters that were read in it; None if there are none, or no boxes.

    Columns of background are put at both ends first, so that ink there is not taken for background.
    """
    boxes = [char.box for char in chars if char.box is not None]
    if not boxes or len(boxes) < len(chars):
        return None
    scale = min(ROWS / pixels.shape[0], 1.0)
    if scale < 1.0:
        size = (max(round(pixels.shape[1] * scale), 8), max(round(pixels.shape[0] * scale), 8))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = pixels.shape
    inner = slice(height // 2, height // 2 + width)
    around = _difference(_widened(pixels, height // 2))
    difference = np.ascontiguousarray(around[:, inner])
    strength = np.ascontiguousarray(cv2.blur(around, (3, 3))[:, inner], np.uint8)
    x = np.array(boxes, np.float32)[:, (0, 2)] * np.float32(scale)
    first, last = max(int(x[0, 0]) - 2, 0), min(int(x[-1, 1]) + 2, width)
    zone = slice(first, max(last, first + 1))
    below = np.bincount(strength[::2, zone][:, ::2].ravel()).cumsum()  # a quarter of the px suffices
    level = max(int(below.searchsorted(LEVEL_QUANTILE * below[-1])), 1)
    marked = (strength > level // 2).view(np.uint8)
    rows = _sums(marked[:, zone], 1)
    text = np.flatnonzero(rows > 0.25 * rows.max(initial=0))
    top, bottom = (int(text[0]), int(text[-1]) + 1) if len(text) else (0, height)
    margin = (bottom - top) // 4
    ends = max(first - margin, 0), min(last + margin, width)
    cuts = _cuts(_sums(marked[top:bottom], 0), x.mean(axis=1), ends)
    return MarkSegmentation(difference, strength, level, marked, top, bottom, x, cuts, scale)


def _sums(field: Pixels, axis: int) -> NDArray[np.int32]:
    """Sums down the columns (0), [W], or along the rows (1), [H]."""
    return np.asarray(cv2.reduce(field, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int32).ravel()


def _difference(pixels: Pixels) -> Pixels:
    """Absolute difference of each px [H, W] from the background; relief is both brighter and darker."""
    height, width = pixels.shape
    small = np.ascontiguousarray(cv2.blur(pixels, (4, 4))[2::4, 2::4])
    background = cv2.resize(cv2.medianBlur(small, 5), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.absdiff(pixels, background), np.uint8)


def _cuts(columns: NDArray[np.int32], centres: Floats, ends: tuple[int, int]) -> NDArray[np.int64]:
    """Columns with the weakest mark between the centres of neighbouring characters, [K + 1], ascending."""
    cuts = [ends[0]]
    for left, right in zip(centres[:-1].astype(int).tolist(), centres[1:].astype(int).tolist(), strict=True):
        low = max(left, cuts[-1] + 1)
        cuts.append(low + int(columns[low : max(right, low) + 1].argmin()) if low < len(columns) else low)
    return np.array([*cuts, max(ends[1], cuts[-1] + 1)]).clip(0, len(columns) - 1)


def _widened(pixels: Pixels, margin: int) -> Pixels:
    """The crop [H, W] between ``margin`` columns of background, the median of each row."""
    half = np.ascontiguousarray(pixels[:, ::2])  # half of the columns suffice
    rows = np.partition(half, half.shape[1] // 2, axis=1)[:, half.shape[1] // 2]
    # a second median, along the column: many bars of characters in one row are no background
    size = len(rows) * 3 // 8 * 2 + 1
    medians = np.asarray(cv2.medianBlur(np.ascontiguousarray(rows)[:, None], size), np.uint8)
    background = medians.repeat(margin, axis=1)
    return np.hstack([background, pixels, background])
