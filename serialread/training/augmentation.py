"""Augmentation: geometry, light, polarity and noise; masks are transformed with the crop."""

from typing import assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.config.training_recipe import (
    AbinetAugmentation,
    Augmentation,
    MildAugmentation,
    RandomAugmentation,
)
from serialread.records import Floats, Pixels, Sample
from serialread.training.paper_augmentation import abinet, random_groups


def augment(sample: Sample, config: Augmentation, rng: np.random.Generator) -> Sample:
    """A random variant of a sample, of the same size."""
    pixels, glyphs = sample.pixels, sample.glyphs
    match config:
        case MildAugmentation():
            pixels, glyphs = _mild(pixels, glyphs, config, rng)
        case AbinetAugmentation():
            pixels, glyphs = abinet(pixels, glyphs, config, rng)
        case RandomAugmentation():
            pixels, glyphs = random_groups(pixels, glyphs, config, rng)
        case _:
            assert_never(config)
    return Sample(pixels, sample.text, glyphs, sample.origin)


def _mild(
    pixels: Pixels, glyphs: Pixels | None, config: MildAugmentation, rng: np.random.Generator
) -> tuple[Pixels, Pixels | None]:
    """Mild changes; no character leaves the crop."""
    if rng.random() < config.probability:
        pixels, glyphs = _moved(pixels, glyphs, config, rng)
    if rng.random() < config.probability:
        pixels = _relit(pixels, config, rng)
    if rng.random() < config.invert:
        pixels = (255 - pixels).astype(np.uint8)
    return pixels, glyphs


def _moved(
    pixels: Pixels, glyphs: Pixels | None, config: MildAugmentation, rng: np.random.Generator
) -> tuple[Pixels, Pixels | None]:
    height, width = pixels.shape
    matrix = _affine(height, width, config, rng)
    box = _text_box(glyphs, height, width)
    identity = np.eye(2, 3, dtype=np.float32)
    for _ in range(4):
        if _inside(matrix, box, height, width):
            break
        matrix = (matrix + identity) / np.float32(2)  # half of the same transformation
    else:
        return pixels, glyphs
    size = (width, height)
    moved = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    masks = None if glyphs is None else cv2.warpAffine(glyphs, matrix, size, flags=cv2.INTER_NEAREST)
    return moved.astype(np.uint8, copy=False), None if masks is None else masks.astype(np.uint8, copy=False)


def _affine(height: int, width: int, config: MildAugmentation, rng: np.random.Generator) -> Floats:
    """A matrix [2, 3] around the crop's centre, source px to target px."""
    scale_x, scale_y = 1 + rng.uniform(-config.scale, config.scale, 2)
    turn = np.deg2rad(rng.uniform(-config.tilt_deg, config.tilt_deg)) * min(1.0, 4 * height / width)
    shear = rng.uniform(-config.shear, config.shear)
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotate @ np.array([[scale_x, shear], [0, scale_y]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre - linear @ centre + rng.uniform(-config.shift, config.shift, 2) * height
    return np.column_stack([linear, offset]).astype(np.float32)


def _text_box(glyphs: Pixels | None, height: int, width: int) -> NDArray[np.float32]:
    """Corners [4, 2] of the text; without masks, of the crop less a tenth of its height all around."""
    x, y, w, h = cv2.boundingRect(glyphs) if glyphs is not None else (0, 0, 0, 0)
    if w == 0:
        margin = height // 10
        x, y, w, h = margin, margin, width - 2 * margin, height - 2 * margin
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


def _inside(matrix: Floats, box: NDArray[np.float32], height: int, width: int) -> bool:
    corners = box @ matrix[:, :2].T + matrix[:, 2]
    return bool((corners >= -0.5).all() and (corners <= np.array([width + 0.5, height + 0.5])).all())


def _relit(pixels: Pixels, config: MildAugmentation, rng: np.random.Generator) -> Pixels:
    """Change gamma, blur, add noise."""
    exponent = np.exp(rng.uniform(-config.gamma, config.gamma))
    curve = (np.linspace(0, 1, 256) ** exponent * 255).astype(np.float32)
    light = curve[pixels]
    blur = rng.uniform(0, config.blur_px)
    if blur > 0.3:
        light = cv2.GaussianBlur(light, (0, 0), blur).astype(np.float32, copy=False)
    noise = rng.standard_normal(light.shape, np.float32) * np.float32(rng.uniform(0, config.noise))
    result: Pixels = np.clip(light + noise, 0, 255).astype(np.uint8)
    return result
