"""From a grey crop to the array that the network sees: the one way, in training and in reading."""

import cv2
import numpy as np

from serialread.config import CropGeometry
from serialread.records import Floats, Pixels


def content_width(pixels: Pixels, geometry: CropGeometry) -> int:
    """How many columns of its array a crop fills, px; the rest is padding."""
    height, width = map(int, pixels.shape)
    if geometry.fit == "stretch":
        return geometry.widths[-1]
    return min(max(round(width * geometry.height / height), 8), geometry.widths[-1])


def to_array(pixels: Pixels, geometry: CropGeometry) -> Floats:
    """Scale a grey crop to the network's height, even its contrast, pad it to a width bucket.

    Args:
        pixels: grey, [h, w], any size.
        geometry: height and buckets of the network.

    Returns:
        float32 [1, height, bucket]: the text's part has mean 0 and deviation 1 (clipped to ±4), the
        padding is 0. A crop too wide for the last bucket is squeezed.
    """
    height, width = pixels.shape
    wanted = content_width(pixels, geometry)
    if (height, width) != (geometry.height, wanted):
        shrinks = geometry.height < height
        pixels = cv2.resize(
            pixels, (wanted, geometry.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        ).astype(np.uint8, copy=False)
    grey = pixels.astype(np.float32)
    mean, deviation = cv2.meanStdDev(pixels)
    grey = np.clip((grey - np.float32(mean[0, 0])) / np.float32(max(deviation[0, 0], 1.0)), -4, 4)
    array = np.zeros((1, geometry.height, geometry.bucket(wanted)), np.float32)
    array[0, :, :wanted] = grey
    return array
