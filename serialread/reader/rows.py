"""Codes in several rows: which lines of a picture form one code, and their joined reading."""

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from serialread.reader.decisions import log_odds
from serialread.records import CharReading, Crop, Floats, Reading

MIN_CONFIDENCE = 0.6
"""Minimum mean confidence of the characters of a row."""
MIN_CODE_CHARS = 4
"""Minimum length of another text that may be a code."""
MAX_HEIGHT_RATIO = 1.7
"""Maximum ratio of the heights of two rows."""
MAX_GAP, MAX_OVERLAP = np.array([0.9, 0.65]), np.array([0.2, 0.6])
"""Maximum gap between rows, and how far two may overlap, along and across the text; in crop heights."""
ROW_PITCH = 0.6
"""Minimum offset of another row, in crop heights."""
MAX_ANGLE_DEG = 10.0
"""Maximum angle between rows."""


def rows_of(crops: Sequence[Crop], readings: Sequence[Reading | None], best: int) -> tuple[int, ...]:
    """Numbers of the lines that form one code with the best one, from top to bottom.

    A row is read with confidence, of similar height as the best line, in the same direction, and adjacent to
    it or to another row. The whole picture, number 0, is never one of several rows.
    """
    if best == 0:
        return (0,)
    read = {n: reading for n, reading in enumerate(readings) if n and reading is not None}
    free = [n for n, reading in read.items() if n != best and _may_belong(crops[n], crops[best], reading)]
    free.sort(key=lambda n: -_certainty(read[n]))
    numbers = [best, *free]
    boxes = np.array([_placed(crops[n], crops[best]) for n in numbers])
    near, over = (np.zeros(len(numbers), np.bool_) for _ in range(2))
    places = [0]  # of the rows in ``numbers``
    over[0] = True
    while True:
        row = boxes[places[-1]]  # lines are adjacent to one of the rows and overlap none
        gaps = np.maximum(boxes[:, :2], row[:2]) - np.minimum(boxes[:, 2:], row[2:])
        near |= (gaps < MAX_GAP).all(1)
        over |= (gaps < -MAX_OVERLAP).all(1)
        joins = np.flatnonzero(near & ~over)
        if not joins.size:
            break
        places.append(int(joins[0]))
        over[joins[0]] = True
    places.sort(key=lambda place: _reading_order(boxes[place], boxes[0]))
    return tuple(numbers[place] for place in places)


def join_rows(crops: Sequence[Crop], readings: Sequence[Reading], best: int) -> Reading:
    """The readings of all rows, in order, as one; boxes are in px of crop number ``best``."""
    chars: list[CharReading] = []
    end = 1.0
    for crop, reading in zip(crops, readings, strict=True):
        chars += (_moved(char, crop, crops[best]) for char in reading.chars)
        end *= reading.end_confidence
    return Reading(
        tuple(chars),
        end,
        joint_odds=min(map(log_odds, readings)),
        posterior=_product([reading.posterior for reading in readings]),
        longer_than=max(reading.longer_than for reading in readings),
    )


def _product(posteriors: Sequence[float | None]) -> float | None:
    """Posterior of all rows; None if a row has none."""
    known = [posterior for posterior in posteriors if posterior is not None]
    return math.prod(known) if len(known) == len(posteriors) else None


def other_texts(
    crops: Sequence[Crop], readings: Sequence[Reading | None], rows: Sequence[int]
) -> tuple[str, ...]:
    """Texts of the lines that are read with confidence and lie outside the rows of the code."""
    places, texts = [crops[n].quad for n in rows], list[str]()
    read = {n: reading for n, reading in enumerate(readings) if reading is not None}
    for number, reading in sorted(read.items(), key=lambda line: -_certainty(line[1])):
        quad = crops[number].quad
        apart = not overlaps(quad, places)
        if apart and len(reading.chars) >= MIN_CODE_CHARS and _is_sure(reading):
            places.append(quad)
            texts.append(reading.text)
    return tuple(dict.fromkeys(texts))


def overlaps(one: Floats, others: Sequence[Floats]) -> bool:
    """Whether the centre of a quad [4, 2] lies in one of the others, or the centre of one of them in it."""
    if not others:
        return False
    every = np.stack(others)
    near = ((every.min(axis=1) <= one.max(axis=0)) & (every.max(axis=1) >= one.min(axis=0))).all(axis=1)
    return any(_contains(one, others[n]) or _contains(others[n], one) for n in np.flatnonzero(near).tolist())


def _contains(outer: Floats, inner: Floats) -> bool:
    """Whether a quad contains the centre of another one."""
    centre = inner.mean(axis=0).tolist()
    return cv2.pointPolygonTest(outer.astype(np.float32), centre, measureDist=False) >= 0


def _certainty(reading: Reading) -> float:
    return sum(c.confidence for c in reading.chars)


def _is_sure(reading: Reading) -> bool:
    return _certainty(reading) >= MIN_CONFIDENCE * max(len(reading.chars), 2)


def _may_belong(crop: Crop, best: Crop, reading: Reading) -> bool:
    along, other = crop.quad[1] - crop.quad[0], best.quad[1] - best.quad[0]
    cosine = float(np.dot(along, other)) / max(float(np.linalg.norm(along) * np.linalg.norm(other)), 1e-6)
    ratio = _height(crop) / max(_height(best), 1e-6)
    similar = 1 / MAX_HEIGHT_RATIO < ratio < MAX_HEIGHT_RATIO
    return _is_sure(reading) and similar and cosine > np.cos(np.radians(MAX_ANGLE_DEG))


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


def _reading_order(box: Floats, best: Floats) -> tuple[int, float]:
    """Sort key: rows from top to bottom, each from left to right; the best line's height separates rows."""
    off = float((box[1] + box[3] - best[1] - best[3]) / 2)
    return round(off / ROW_PITCH), float(box[0])


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
