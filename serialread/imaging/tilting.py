"""How far a text line is tilted."""

import cv2
import numpy as np

from serialread.records import Floats, Pixels

ANGLES_DEG = np.arange(-15.0, 15.1, 1.5, dtype=np.float32)
SURE = 1.25
"""The rows of level text must stand out this much more than those of the picture as it is."""
LEAST_DEG = 2.0
"""A smaller tilt costs the network nothing, turning costs sharpness."""


def estimate_tilt(pixels: Pixels) -> float:
    """Tilt of the text line in [H, W], degrees counter-clockwise, -15..15; 0.0 unless it is sure.

    Text sheared to lie level has rows full of strokes and rows with none. Strokes are seen by the lesser
    eigenvalue of the structure tensor, blind to machining lines and edges: they change in one direction only.
    """
    strokes = _strokes(pixels)
    height, width = strokes.shape
    if width < 1.5 * height or height < 16:
        return 0.0
    scores = np.array([_rows_stand_out(strokes, float(angle)) for angle in ANGLES_DEG], np.float32)
    best = int(scores.argmax())
    angle = float(ANGLES_DEG[best])
    unsure = best in (0, len(scores) - 1) or scores[best] < SURE * scores[len(scores) // 2]
    return 0.0 if unsure or abs(angle) < LEAST_DEG else angle


def _strokes(pixels: Pixels) -> Floats:
    """Strength of strokes [48, W], at a height that makes every angle cost the same."""
    height, width = pixels.shape
    scale = 48 / height
    small = cv2.resize(pixels, (max(round(width * scale), 1), 48), interpolation=cv2.INTER_AREA)
    return np.sqrt(np.maximum(cv2.cornerMinEigenVal(small, 5), 0))


def _rows_stand_out(strokes: Floats, angle_deg: float) -> float:
    """How unevenly the rows are filled after shearing the tilt away: variance over squared mean."""
    height, width = strokes.shape
    slope = -float(np.tan(np.radians(angle_deg)))
    shear = np.array([[1, 0, 0], [0, 1, -slope * (width - 1) / 2]], np.float32)
    shear[1, 0] = slope
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    rows = cv2.warpAffine(strokes, shear, (width, height), flags=flags).sum(axis=1)
    inside = cv2.warpAffine(np.ones_like(strokes), shear, (width, height), flags=flags).sum(axis=1)
    full = inside > width / 3
    if not full.any():  # a picture so wide that such a tilt would have left it
        return 0.0
    rows = rows[full] / inside[full]
    return float(rows.var()) / max(float(rows.mean()) ** 2, 1e-12)
