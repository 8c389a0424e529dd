"""Estimate the tilt of a text line."""

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from serialread.records import Floats, Pixels

ANGLES_DEG = np.arange(-16.0, 17.0, 2.0, dtype=np.float32)
"""Tested angles; the outer two only mean that the tilt is larger. The network tolerates a degree of error."""
MIN_RATIO = 1.25
"""The rows of deskewed text must be this much more distinct than those of the picture as it is."""
ROWS, COLUMNS = 48, 48
"""Columns are blocks of px: within one, the largest tilt moves a row by little more than its height."""


def estimate_tilt(pixels: Pixels) -> float:
    """Tilt of the text line in [H, W], degrees counter-clockwise, -14..14; 0.0 if it is uncertain.

    Deskewed text has rows full of strokes and rows without. Strokes are detected by the smaller eigenvalue of
    the structure tensor, which ignores machining lines and edges: these change in one direction only.
    """
    height, width = pixels.shape
    if width < 1.5 * height or height < 16:
        return 0.0
    scores = _row_distinctness(_strokes(pixels), width / height)
    best = int(scores.argmax())
    unsure = best in (0, len(scores) - 1) or scores[best] < MIN_RATIO * scores[len(scores) // 2]
    return 0.0 if unsure else float(ANGLES_DEG[best])


def _strokes(pixels: Pixels) -> Floats:
    """Strength of strokes [ROWS, COLUMNS], at a size that makes every picture take the same time."""
    height, width = pixels.shape
    small = cv2.resize(pixels, (max(round(width * ROWS / height), 1), ROWS), interpolation=cv2.INTER_AREA)
    strength = np.sqrt(np.maximum(cv2.cornerMinEigenVal(small, 5), 0))
    return np.asarray(cv2.resize(strength, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), np.float32)


def _row_distinctness(strokes: Floats, aspect: float) -> Floats:
    """How unevenly the rows are filled after removing each tilt: variance / squared mean, per angle."""
    slopes = -np.tan(np.radians(ANGLES_DEG)) * np.float32(aspect * ROWS / COLUMNS)
    columns = np.arange(COLUMNS)
    shifts = np.rint(slopes[:, None] * (columns - COLUMNS // 2)).astype(np.int32).clip(-ROWS, ROWS)
    padded = np.zeros((COLUMNS, 3 * ROWS), np.float32)
    padded[:, ROWS : 2 * ROWS] = strokes.T
    level = sliding_window_view(padded, ROWS, axis=1)[columns, ROWS + shifts]  # [angle, column, row]
    sources = shifts[:, :, None] + np.arange(ROWS, dtype=np.int32)
    counts = ((sources >= 0) & (sources < ROWS)).sum(axis=1)
    filled = level.sum(axis=1) / np.maximum(counts, 1).astype(np.float32)
    whole = counts > COLUMNS / 3  # the other rows have mostly left the picture
    number = np.maximum(whole.sum(axis=1), 1)
    mean = (filled * whole).sum(axis=1) / number
    variance = ((filled - mean[:, None]) ** 2 * whole).sum(axis=1) / number
    return np.asarray(variance / np.maximum(mean**2, 1e-12), np.float32)
