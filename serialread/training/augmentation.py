"""Augmentation: geometry, light, polarity and noise; masks are transformed with the crop.

Mild, or stronger as in the papers: as in ABINet, and random groups as in STRAug. Parameters are drawn per
crop.
"""

from collections.abc import Callable
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


Pair = tuple[Pixels, Pixels | None]
"""A crop and its masks."""


def abinet(
    pixels: Pixels, masks: Pixels | None, config: AbinetAugmentation, rng: np.random.Generator
) -> Pair:
    """Geometry, deterioration and light, each for a share of the crops."""
    if rng.random() < config.geometry:
        matrix = (
            _any_affine(pixels.shape, config.turn_deg, rng)
            if rng.random() < 2 / 3
            else _perspective(pixels.shape, rng)
        )
        pixels, masks = warped(pixels, masks, matrix)
    if rng.random() < config.deterioration:
        for change in rng.permutation(3):
            pixels = _deteriorated(pixels, int(change), config, rng)
    if rng.random() < config.jitter:
        pixels = _toned(pixels, rng.uniform(0.5, 1.5), rng.uniform(0.5, 1.5))
    return pixels, masks


def warped(pixels: Pixels, masks: Pixels | None, matrix: Floats) -> Pair:
    """Crop and masks warped by a perspective matrix [3, 3], source px to target px; borders repeat."""
    size = pixels.shape[1], pixels.shape[0]
    moved = cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if masks is not None:
        masks = np.asarray(cv2.warpPerspective(masks, matrix, size, flags=cv2.INTER_NEAREST), np.uint8)
    return np.asarray(moved, np.uint8), masks


def _any_affine(shape: tuple[int, ...], turn_deg: float, rng: np.random.Generator) -> Floats:
    """A rotation, or a rotation with scale 0.5-2 and shear up to 45 and 15 degrees, around the centre."""
    turn = np.deg2rad(rng.uniform(-turn_deg, turn_deg))
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if rng.random() < 0.5:
        shear_x, shear_y = np.tan(np.deg2rad(rng.uniform([-45, -15], [45, 15]) * turn_deg / 45))
        linear = linear @ np.array([[1, shear_x], [shear_y, 1]]) * 2 ** rng.uniform(-1, 1)
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, centre - linear @ centre
    return matrix.astype(np.float32)


def _perspective(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A perspective: corners moved inwards by up to a quarter."""
    rows, columns = shape[:2]
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    reach = rng.uniform(0, 0.25, (4, 2)) * (columns, rows)
    moved = corners + inwards * reach.astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(corners, moved.astype(np.float32)), np.float32)


def _deteriorated(
    pixels: Pixels, change: int, config: AbinetAugmentation, rng: np.random.Generator
) -> Pixels:
    """Noise, motion blur or a lower resolution."""
    rows, columns = pixels.shape
    if change == 0:
        deviation = np.float32(np.sqrt(rng.uniform(0, config.noise_variance)))
        return _grey(pixels + rng.standard_normal(pixels.shape, np.float32) * deviation)
    if change == 1:
        return _blurred_by_motion(pixels, int(rng.integers(1, config.motion_px + 1)), rng.uniform(0, 180))
    level = int(rng.integers(1, config.levels + 1))
    small = cv2.resize(
        pixels, (max(columns // level, 4), max(rows // level, 4)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def _blurred_by_motion(pixels: Pixels, length: int, angle_deg: float) -> Pixels:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turned = cv2.warpAffine(
        kernel, cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), angle_deg, 1), (length, length)
    )
    turned = np.asarray(turned, np.float32) / np.maximum(turned.sum(), np.float32(1e-3))
    return np.asarray(cv2.filter2D(pixels, -1, turned, borderType=cv2.BORDER_REPLICATE), np.uint8)


def _toned(pixels: Pixels, brightness: float, contrast: float) -> Pixels:
    grey = pixels.astype(np.float32) * np.float32(brightness)
    mean = grey.mean(dtype=np.float32)
    return _grey((grey - mean) * np.float32(contrast) + mean)


def _grey(values: Floats) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------- groups of STRAug


def random_groups(
    pixels: Pixels, masks: Pixels | None, config: RandomAugmentation, rng: np.random.Generator
) -> Pair:
    """A few of eight groups, in random order, each with a random strength."""
    if rng.random() < config.skipped:
        return pixels, masks
    for group in rng.permutation(len(_GROUPS))[: config.groups]:
        pixels, masks = _GROUPS[group](pixels, masks, int(rng.integers(config.strength + 1)), rng)
    return pixels, masks


def _tone(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """Inverted, posterized, or histogram equalized."""
    change = rng.integers(3)
    if change == 0:
        return (255 - pixels).astype(np.uint8), masks
    if change == 1:
        keep = np.uint8(256 - 2 ** (4 + strength))
        return pixels & keep, masks
    return np.asarray(cv2.equalizeHist(pixels), np.uint8), masks


def _camera(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """Contrast, brightness or JPEG."""
    if rng.random() < 0.5:
        reach = 0.2 + 0.2 * strength
        return _toned(pixels, rng.uniform(1 - reach, 1 + reach), rng.uniform(1 - reach, 1 + reach)), masks
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, (30, 20, 12)[strength]])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8), masks


def _noise(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """Gaussian noise."""
    noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(8 + 8 * strength)
    return _grey(pixels + noise), masks


def _blur(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """Defocus or motion blur."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.6 + 0.4 * strength), np.uint8), masks
    return _blurred_by_motion(pixels, 3 + strength, rng.uniform(0, 180)), masks


def _weather(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """Fog of varying density."""
    rows, columns = pixels.shape
    drift = cv2.resize(rng.random((3, max(columns // 16, 2)), np.float32), (columns, rows))
    share = drift.astype(np.float32, copy=False) * np.float32(0.2 + 0.15 * strength)
    return _grey(pixels * (1 - share) + 230 * share), masks


def _pattern(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """Horizontal lines, vertical lines or both."""
    pitch, tone = 8 - 2 * strength, np.uint8(rng.integers(256))
    lined, which = pixels.copy(), rng.integers(3)
    if which != 1:
        lined[rng.integers(pitch) :: pitch] = tone
    if which != 0:
        lined[:, rng.integers(pitch) :: pitch] = tone
    return lined, masks


def _warp(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """A sine wave: every column shifted up or down."""
    rows, columns = pixels.shape
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    reach, phase = np.float32(rows * (0.04 + 0.03 * strength)), np.float32(rng.uniform(0, 2 * np.pi))
    shift = reach * np.sin(x * np.float32(2 * np.pi / columns * rng.uniform(0.5, 1.5)) + phase)
    moved = cv2.remap(pixels, x, y + shift, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if masks is not None:
        masks = np.asarray(cv2.remap(masks, x, y + shift, cv2.INTER_NEAREST), np.uint8)
    return np.asarray(moved, np.uint8), masks


def _geometry(pixels: Pixels, masks: Pixels | None, strength: int, rng: np.random.Generator) -> Pair:
    """A rotation or a perspective."""
    if rng.random() < 0.5:
        return warped(pixels, masks, _perspective(pixels.shape, rng))
    return warped(pixels, masks, _any_affine(pixels.shape, 5.0 + 5 * strength, rng))


_GROUPS: tuple[Callable[[Pixels, Pixels | None, int, np.random.Generator], Pair], ...] = (
    _tone, _camera, _noise, _blur, _weather, _pattern, _warp, _geometry,
)  # fmt: skip
