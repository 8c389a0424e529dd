"""How well a mark can be seen: its signal against everything else, character by character."""

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats
from serialread.synth.exposure import Shaded
from serialread.synth.fields import halved, shrunk

_EYE = 0.008  # grey below which nothing is seen, whatever the ground


def visibility(shaded: Shaded, boxes: NDArray[np.float64], rows: int, noise: float) -> float:
    """Visibility of the weakest character.

    The spread of grey that the mark adds inside a character's box, over the spread of ground and noise there,
    both at the resolution at which the camera saw them. 1 is a mark as strong as its ground.

    Args:
        shaded: the lit mark, float32 [H, W].
        boxes: [n, 4], x0, y0, x1, y1 in its px.
        rows: rows at which the camera saw it.
        noise: of the sensor, 0..1.
    """
    scale = rows / shaded.pixels.shape[0]
    size = (max(round(shaded.pixels.shape[1] * scale), 4), rows)
    signal = _seen(shaded.signal, size[::-1])
    ground = _seen(shaded.pixels, size[::-1]) - signal
    ground -= cv2.blur(ground, (rows // 3, rows // 3))
    across = size[0] / shaded.pixels.shape[1]
    places = boxes * np.array([across, scale, across, scale])
    low = np.minimum(np.maximum(places[:, :2], 0).astype(int), np.array(size) - 1)
    high = np.minimum(np.maximum(np.ceil(places[:, 2:]).astype(int), low + 1), size)
    area = (high - low).prod(1)
    added, left = (_sums(field * field, low, high) / area for field in (signal, ground))
    return float(np.sqrt((added / (left + noise * noise + _EYE * _EYE)).min()))


def _seen(field: Floats, size: tuple[int, int]) -> Floats:
    """As a camera no sharper than the crop saw it: halved first, which is the same and sooner done."""
    return shrunk(halved(field), size)


def _sums(field: Floats, low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.float64]:
    """Sums [n] of a field within n boxes."""
    table = cv2.integral(field, sdepth=cv2.CV_64F)
    (x0, y0), (x1, y1) = low.T, high.T
    return np.asarray(table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0], np.float64)
