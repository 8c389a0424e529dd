"""Codes in several rows: which lines of a picture belong to one code, and their joined reading."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from serialread.reader.decisions import log_odds
from serialread.records import CharReading, Crop, Floats, Reading

SURELY = 0.6
"""Least mean confidence of the characters of a row."""
ALIKE = 1.7
"""Rows of one code differ in height by less than this factor."""
NEAR = 1.2
"""Largest gap between rows, in crop heights."""
LEVEL_DEG = 10.0
"""Rows are parallel within this angle."""


def rows_of(crops: Sequence[Crop], readings: Sequence[Reading | None], best: int) -> tuple[int, ...]:
    """Numbers of the lines that make up one code with the best one, from top to bottom.

    A row is surely read, as high as the best line, parallel to it, in the same direction, and next to it
    or to another row. The whole picture, number 0, is never one of several rows.
    """
    if best == 0:
        return (0,)
    boxes = [_placed(crop, crops[best]) for crop in crops]
    sure = {n: reading for n, reading in enumerate(readings) if n and reading is not None}
    free = [n for n, reading in sure.items() if n != best and _may_belong(crops[n], crops[best], reading)]
    free.sort(key=lambda n: -sum(c.confidence for c in sure[n].chars))
    rows = [best]
    while joins := [n for n in free if _joins(boxes[n], [boxes[row] for row in rows])]:
        rows.append(joins[0])
        free.remove(joins[0])
    return tuple(sorted(rows, key=lambda n: _reading_order(boxes[n], boxes[best])))


def join_rows(crops: Sequence[Crop], readings: Sequence[Reading], best: int) -> Reading:
    """The readings of all rows, in order, as one; boxes are in px of crop number ``best``."""
    chars: list[CharReading] = []
    end = 1.0
    for crop, reading in zip(crops, readings, strict=True):
        chars += (_moved(char, crop, crops[best]) for char in reading.chars)
        end *= reading.end_confidence
    return Reading(tuple(chars), end, joint_odds=min(map(log_odds, readings)))


def _may_belong(crop: Crop, best: Crop, reading: Reading) -> bool:
    sure = sum(c.confidence for c in reading.chars) >= SURELY * max(len(reading.chars), 2)
    along, other = crop.quad[1] - crop.quad[0], best.quad[1] - best.quad[0]
    cosine = float(np.dot(along, other)) / max(float(np.linalg.norm(along) * np.linalg.norm(other)), 1e-6)
    ratio = _height(crop) / max(_height(best), 1e-6)
    return sure and cosine > np.cos(np.radians(LEVEL_DEG)) and 1 / ALIKE < ratio < ALIKE


def _height(crop: Crop) -> float:
    return float(np.linalg.norm(crop.quad[3] - crop.quad[0]))


def _to(best: Crop, points: Floats) -> Floats:
    """Points [N, 2] of the source in px of the best crop."""
    height, width = best.pixels.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    back = cv2.getPerspectiveTransform(best.quad.astype(np.float32), corners)
    return np.asarray(cv2.perspectiveTransform(points[None].astype(np.float32), back)[0], np.float32)


def _placed(crop: Crop, best: Crop) -> Floats:
    """Left, top, right, bottom of a line in heights of the best one."""
    corners = _to(best, crop.quad) / np.float32(best.pixels.shape[0])
    return np.concatenate((corners.min(axis=0), corners.max(axis=0)))


def _joins(box: Floats, rows: Sequence[Floats]) -> bool:
    """Whether a line lies beside one of the rows and over none."""
    gaps = [np.maximum(np.maximum(box[:2], row[:2]) - np.minimum(box[2:], row[2:]), -9) for row in rows]
    over = any(gap[0] < -0.3 and gap[1] < -0.45 for gap in gaps)
    return not over and any(gap[0] < NEAR and gap[1] < NEAR for gap in gaps)


def _reading_order(box: Floats, best: Floats) -> tuple[int, float]:
    """Row by row from top to foot, from left to right in each; rows are as far apart as the best is high."""
    off = float((box[1] + box[3] - best[1] - best[3]) / 2)
    return round(off / 0.8), float(box[0])


def _moved(char: CharReading, crop: Crop, best: Crop) -> CharReading:
    """The character with its box in px of the best crop."""
    if char.box is None or crop is best:
        return char
    height, width = crop.pixels.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    to_source = cv2.getPerspectiveTransform(corners, crop.quad.astype(np.float32))
    x0, y0, x1, y1 = char.box
    box = np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]], np.float32)
    placed = _to(best, np.asarray(cv2.perspectiveTransform(box, to_source)[0], np.float32))
    (left, top), (right, bottom) = placed.min(axis=0).tolist(), placed.max(axis=0).tolist()
    return replace(char, box=(left, top, right, bottom))
