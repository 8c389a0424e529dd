"""From crops and masks to the arrays that the network takes, the same in training and in reading."""

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.config import CropGeometry
from serialread.records import Floats, Pixels


def content_width(pixels: Pixels, geometry: CropGeometry) -> int:
    """The columns of its array that a crop fills, px; the rest is padding."""
    height, width = map(int, pixels.shape)
    if geometry.fit == "stretch":
        return geometry.widths[-1]
    return min(max(round(width * geometry.height / height), 8), geometry.widths[-1])


def to_array(pixels: Pixels, geometry: CropGeometry) -> Floats:
    """Scale a grey crop to the network's height, normalize its contrast, pad it to a width bucket.

    Args:
        pixels: grey, [h, w], any size.
        geometry: height and buckets of the network.

    Returns:
        float32 [1, height, bucket]: the crop has mean 0 and deviation 1 (clipped to ±4), the padding is 0.
        A crop too wide for the last bucket is compressed.
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


def place_masks(masks: Pixels, geometry: CropGeometry) -> Pixels:
    """Scale and pad masks [h, w] as ``to_array`` does the pixels: uint8 [height, bucket]."""
    height, width = masks.shape
    wanted = content_width(masks, geometry)
    if (height, width) != (geometry.height, wanted):
        size = (wanted, geometry.height)
        masks = cv2.resize(masks, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)
    padded = np.zeros((geometry.height, geometry.bucket(wanted)), np.uint8)
    padded[:, :wanted] = masks
    return padded


def column_owners(masks: Pixels, characters: int, column_px: int) -> NDArray[np.int64]:
    """The character of each column [N]: the one that reaches into it, the nearest of several; 0 for none.

    Args:
        masks: character ids, uint8 [height, bucket].
        characters: how many there are.
        column_px: width of a column.
    """
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
