"""Text masks: rendered, or self-supervised from the picture alone.

The self-supervised ones are after SIGA (Guan et al., CVPR 2023) and, for relief, our own.
"""

from typing import assert_never

import cv2
import numpy as np

from serialread.config.training_recipe import Masks, ReliefClusters, Rendered, TwoMeans
from serialread.records import Floats, Pixels


def text_mask(pixels: Pixels, kind: Masks, rendered: Pixels | None) -> Pixels | None:
    """Text mask of a grey crop [H, W]: the rendered ids, or else 1 on text and 0 on background.

    From the picture before augmentation, which transforms the mask as well.
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
    """Two clusters of one number per pixel [H, W]; 1 is the text, see ``text_cluster``.

    Otsu's threshold (1979) is the exact optimum that k-means with k = 2 approaches from random starts. A
    uniform picture has no text.
    """
    if values.min() == values.max():
        return np.zeros_like(values)
    _, high = cv2.threshold(values, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return text_cluster(high.astype(np.uint8, copy=False))


def text_cluster(high: Pixels) -> Pixels:
    """The text is 1: the cluster [H, W] (0 or 1) with at least three of the four borders is the background.

    If each has two, the background is the one with more of the whole border: the choice is not random.
    """
    shares = [float(side.mean()) for side in (high[0], high[-1], high[:, 0], high[:, -1])]
    owned = sum(share > 0.5 for share in shares)
    background_is_high = owned >= 3 or (owned == 2 and sum(shares) > 2)
    return (1 - high if background_is_high else high).astype(np.uint8, copy=False)


def relief_clusters(pixels: Pixels, settings: ReliefClusters) -> Pixels:
    """Two clusters of local energy [H, W]: text is steep or differs from its surroundings, bright or dark.

    A groove has a bright and a dark flank around the grey of the surface, so that its grey falls into both
    clusters of grey; its gradient does not.
    """
    grey = pixels.astype(np.float32)
    join, ground = settings.scale * grey.shape[0], settings.ground * grey.shape[0]
    smooth = _blurred(grey, 0.5)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    steep = np.sqrt(_blurred(across * across + down * down, join))
    unlike = np.sqrt(_blurred(np.square(grey - _blurred(grey, ground)), join))
    weight = np.float32(settings.departure)
    return two_means(_spread((1 - weight) * _unit(steep) + weight * _unit(unlike)))


def _blurred(values: Floats, deviation: float) -> Floats:
    return cv2.GaussianBlur(values, (0, 0), max(deviation, 0.3)).astype(np.float32, copy=False)


def _unit(values: Floats) -> Floats:
    """Values in standard deviations from their mean."""
    unit: Floats = (values - values.mean()) / np.maximum(values.std(), np.float32(1e-6))
    return unit


def _spread(values: Floats) -> Pixels:
    """Values over 0..255; the highest hundredth saturates: a highlight must not take the whole range."""
    low, high = np.float32(values.min()), np.float32(np.quantile(values, 0.99))
    scaled = (values - low) * (np.float32(255) / np.maximum(high - low, np.float32(1e-6)))
    spread: Pixels = np.clip(scaled, 0, 255).astype(np.uint8)
    return spread
