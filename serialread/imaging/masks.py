"""Where the text is, and which character owns which column: masks rendered, or made of the picture alone.

The self-supervised ones are after SIGA (Guan et al., CVPR 2023) and, for relief, ours.
"""

from typing import assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.config import CropGeometry
from serialread.config.training_recipe import Masks, ReliefClusters, Rendered, TwoMeans
from serialread.imaging.arrays import content_width
from serialread.records import Floats, Pixels


def text_mask(pixels: Pixels, kind: Masks, rendered: Pixels | None) -> Pixels | None:
    """Text of a grey crop [H, W]: the rendered ids where they are asked for, else 1 on text and 0 on ground.

    Made of the picture as it is; augmentation comes after and moves the mask along.
    """
    match kind:
        case Rendered():
            return rendered
        case TwoMeans():
            return two_means(pixels)
        case ReliefClusters():
            return relief_clusters(pixels, kind)
        case _:
            assert_never(kind)


def two_means(values: Pixels) -> Pixels:
    """Two clusters of one number a pixel [H, W]; 1 is the one that does not own the border, see ``voted``.

    Otsu's threshold (1979) is the exact optimum of what k-means with k = 2 approaches from chance starts. One
    value everywhere has no text.
    """
    if values.min() == values.max():
        return np.zeros_like(values)
    _, high = cv2.threshold(values, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return voted(high.astype(np.uint8, copy=False))


def voted(high: Pixels) -> Pixels:
    """The cluster [H, W] (0 or 1) that owns at least three of the four borders is the ground: text is 1.

    Where each owns two, the ground is the one with more of the border in all, not one by chance.
    """
    shares = [float(side.mean()) for side in (high[0], high[-1], high[:, 0], high[:, -1])]
    owned = sum(share > 0.5 for share in shares)
    ground_is_high = owned >= 3 or (owned == 2 and sum(shares) > 2)
    return (1 - high if ground_is_high else high).astype(np.uint8, copy=False)


def relief_clusters(pixels: Pixels, knobs: ReliefClusters) -> Pixels:
    """Two clusters of local energy [H, W]: steep or unlike its surroundings is text, bright or dark alike.

    A groove has a bright and a dark flank around the tone of the surface, so its grey splits between two
    clusters of grey; its gradient does not.
    """
    grey = pixels.astype(np.float32)
    join, ground = knobs.scale * grey.shape[0], knobs.ground * grey.shape[0]
    calm = _blurred(grey, 0.5)
    across, down = cv2.Sobel(calm, cv2.CV_32F, 1, 0), cv2.Sobel(calm, cv2.CV_32F, 0, 1)
    steep = np.sqrt(_blurred(across * across + down * down, join))
    unlike = np.sqrt(_blurred(np.square(grey - _blurred(grey, ground)), join))
    weight = np.float32(knobs.departure)
    return two_means(_spread((1 - weight) * _unit(steep) + weight * _unit(unlike)))


def _blurred(values: Floats, deviation: float) -> Floats:
    return cv2.GaussianBlur(values, (0, 0), max(deviation, 0.3)).astype(np.float32, copy=False)


def _unit(values: Floats) -> Floats:
    """Values in deviations from their mean."""
    unit: Floats = (values - values.mean()) / np.maximum(values.std(), np.float32(1e-6))
    return unit


def _spread(values: Floats) -> Pixels:
    """Values over 0..255; the highest hundredth counts as one: a highlight must not take all greys."""
    low, high = np.float32(values.min()), np.float32(np.quantile(values, 0.99))
    scaled = (values - low) * (np.float32(255) / np.maximum(high - low, np.float32(1e-6)))
    spread: Pixels = np.clip(scaled, 0, 255).astype(np.uint8)
    return spread


def placed(masks: Pixels, geometry: CropGeometry) -> Pixels:
    """Masks where ``to_array`` puts the pixels: scaled to the network's height, padded to the bucket."""
    height, width = masks.shape
    wanted = content_width(masks, geometry)
    if (height, width) != (geometry.height, wanted):
        size = (wanted, geometry.height)
        masks = cv2.resize(masks, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)
    padded = np.zeros((geometry.height, geometry.bucket(wanted)), np.uint8)
    padded[:, :wanted] = masks
    return padded


def owners(masks: Pixels, characters: int, column_px: int) -> NDArray[np.int64]:
    """Character id of every column of so many px [N]: who reaches into it, the nearest if several do."""
    width = masks.shape[1]
    if characters == 0:
        return np.zeros(width // column_px, np.int64)
    present: NDArray[np.bool_] = np.zeros((characters + 1, width), np.bool_)
    present[np.minimum(masks, characters), np.arange(width)[None]] = True
    seen: NDArray[np.bool_] = present[1:]
    left, right = seen.argmax(1), width - 1 - seen[:, ::-1].argmax(1)  # [n]
    start = np.arange(0, width, column_px)
    visible = np.asarray(seen.any(1))
    end = start + column_px - 1
    reaches = (right[:, None] >= start) & (left[:, None] <= end) & visible[:, None]  # [n, N]
    far = np.where(reaches, np.abs((start + end - left[:, None] - right[:, None]) / 2), np.inf)
    return np.where(reaches.any(0), far.argmin(0) + 1, 0)
