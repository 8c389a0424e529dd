"""Two-dimensional fields of grey, depth or light: resizing, blur, ramps and noise."""

import math
from functools import lru_cache

import cv2
import numpy as np

from serialread.records import Floats
from serialread.synth.rng import Rng, below

_GRAINS = 1 << 20
"""Normal values that are drawn once; a picture uses a run of them from a random offset."""


def blurred(field: Floats, spread_px: float) -> Floats:
    """A field after a Gaussian blur, truncated at 2.5 sigma."""
    size = 2 * math.ceil(2.5 * spread_px) + 1
    return np.asarray(cv2.GaussianBlur(field, (size, size), spread_px), np.float32)


def halved(field: Floats) -> Floats:
    """A field at half its size, by the mean of each 2 x 2."""
    return shrunk(field, (field.shape[0] // 2, field.shape[1] // 2))


def shrunk(field: Floats, size: tuple[int, int]) -> Floats:
    """A field at a smaller size, by area averaging."""
    if field.shape == size:
        return field
    return np.asarray(cv2.resize(field, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def enlarged(field: Floats, size: tuple[int, ...]) -> Floats:
    """A smooth field at a larger size, or unchanged."""
    if field.shape == size:
        return field
    return np.asarray(cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def towards_one_end(count: int, rng: Rng) -> Floats:
    """From 0 somewhere along a line to 1 at one of its ends, float32 [count]."""
    beginning = rng.uniform(0.0, 0.6)
    rise = np.clip((np.linspace(0, 1, count, dtype=np.float32) - beginning) / (1 - beginning), 0, 1)
    return np.asarray(rise if rng.random() < 0.5 else rise[::-1], np.float32)


@lru_cache(maxsize=2048)
def ramp(count: int) -> Floats:
    """From -0.5 to 0.5 in even steps, float32 [count], read-only."""
    steps = np.linspace(-0.5, 0.5, count, dtype=np.float32)
    steps.setflags(write=False)
    return steps


def grain(size: tuple[int, int], rng: Rng) -> Floats:
    """Normal noise, float32 ``size``, spread 1, read-only: a random part of noise that was drawn once."""
    count = size[0] * size[1]
    start = below(max(_GRAINS - count, 1), rng)
    return np.resize(_grains(), size) if count > _GRAINS else _grains()[start : start + count].reshape(size)


@lru_cache(maxsize=1)
def _grains() -> Floats:
    drawn = np.random.default_rng(_GRAINS).standard_normal(_GRAINS, np.float32)
    drawn.setflags(write=False)
    return drawn
