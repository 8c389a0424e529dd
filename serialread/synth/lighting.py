"""How light falls on a surface: slopes in, grey out.

Slopes are height over width; light directions are unit vectors, x right, y down, z towards the camera, which
looks straight down. Fields are float32 [H, W].
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats
from serialread.synth.fields import ramp
from serialread.synth.rng import below, within

_AMBIENT = 0.25
_SHINY = 0.3  # spread of slopes, around the mirroring one, that a matt-finished metal still reflects
_EVEN = np.eye(2) / _SHINY
_ALONG, _ACROSS = 0.16, 0.55  # the same for metal with a grain: along it nearly a mirror, across it matt


@dataclass(frozen=True, slots=True)
class Light:
    """A distant light: direction towards it and strength."""

    x: float
    y: float
    z: float
    strength: float


@dataclass(frozen=True, slots=True)
class Finish:
    """How a surface reflects: ``gloss`` 0 matt .. 1 mirror-like; ``grain`` direction of its lines, rad."""

    gloss: float
    grain: float | None = None


def lights(rng: np.random.Generator, *, low: bool = False) -> tuple[Light, ...]:
    """One to three lights, the first the strongest; ``low`` puts it 10 to 25 degrees above the surface."""
    found: list[Light] = []
    for strength in (1.0, *(within((0.2, 0.8), rng) for _ in range(below(3, rng)))):
        span = (10, 25) if low and not found else (20, 75)
        azimuth, elevation = within((0, 2 * math.pi), rng), math.radians(within(span, rng))
        flat = math.cos(elevation)
        found.append(Light(flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation), strength))
    return tuple(found)


def lit(slope_x: Floats, slope_y: Floats, above: tuple[Light, ...], finish: Finish) -> Floats:
    """Lambert's diffuse light and a highlight where a slope mirrors a light to the camera.

    The highlight is Ward's (SIGGRAPH 1992), reduced to its exponent: on brushed metal it is long across the
    grain and short along it.
    """
    square = slope_x * slope_x
    square += slope_y * slope_y
    along, across, turn = _facets(slope_x, slope_y, finish)
    apart = along * along
    apart += across * across
    total, shine = np.zeros(slope_x.shape, np.float32), np.zeros(slope_x.shape, np.float32)
    for light in above:
        power = light.strength
        towards = cv2.addWeighted(slope_x, -light.x * power, slope_y, -light.y * power, light.z * power)
        total += np.maximum(towards, 0, out=towards)
        a, b = (turn @ (light.x / (1 + light.z), light.y / (1 + light.z))).tolist()
        nearness = np.asarray(cv2.addWeighted(along, -2 * a, across, -2 * b, -a * a - b * b), np.float32)
        nearness -= apart
        cv2.scaleAdd(cv2.exp(nearness, nearness), 1.6 * finish.gloss * power, shine, shine)
    square += 1
    total *= cv2.pow(square, -0.5, square)
    total += shine
    total += np.float32(_AMBIENT)
    return total


def shadow(height: Floats, light: Light) -> Floats:
    """What a light leaves dark, 0..1, behind whatever stands ``height`` px over the surface."""
    rise = light.z / max(1 - light.z * light.z, 1e-6) ** 0.5
    flat = (light.x**2 + light.y**2) ** 0.5 or 1.0
    dark = np.zeros_like(height)
    for reach in (1.2, 2.4, 4.0):
        shift = np.array([[1, 0, -reach * light.x / flat], [0, 1, -reach * light.y / flat]])
        size = (height.shape[1], height.shape[0])
        before = cv2.warpAffine(height, shift, size, borderMode=cv2.BORDER_REPLICATE)
        np.maximum(dark, cv2.subtract(before, height) - np.float32(rise * reach), out=dark)
    return np.asarray(np.minimum(dark * np.float32(2), 1), np.float32)


def bowed(
    size: tuple[int, int], slope_x: tuple[float, float], slope_y: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Slopes of a bowed surface: ``slope_x`` at its left and right, ``slope_y`` at its top and bottom."""
    across = ramp(size[1]) * np.float32(slope_x[1] - slope_x[0]) + np.float32(sum(slope_x) / 2)
    down = ramp(size[0]) * np.float32(slope_y[1] - slope_y[0]) + np.float32(sum(slope_y) / 2)
    return np.broadcast_to(across[None], size), np.broadcast_to(down[:, None], size)


def slopes(height: Floats, steepness: float = 1.0) -> tuple[Floats, Floats]:
    """Slopes along x and y of a height times ``steepness``, smoothed over three px."""
    return (
        np.asarray(cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125 * steepness), np.float32),
        np.asarray(cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125 * steepness), np.float32),
    )


def falloff(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Slow change of light across the crop, as a factor around 1."""
    x, y = ramp(size[1]), ramp(size[0])
    sx, sy, bow = (spread * rng.standard_normal() for spread in (0.22, 0.12, 0.25))
    along = 1 + np.float32(sx) * x + np.float32(bow) * x * x
    return np.asarray(along[None] + np.float32(sy) * y[:, None], np.float32)


def glare(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A soft bright patch or band, to be added; exposure keeps it from burning out the mark."""
    x = np.arange(size[1], dtype=np.float32)
    y = np.arange(size[0], dtype=np.float32)
    cx, cy = within((0, size[1]), rng), within((0, size[0]), rng)
    wx, wy = within((0.15, 1.5), rng) * size[0], within((0.3, 3), rng) * size[0]
    across = np.exp(-(((x - np.float32(cx)) / np.float32(wx)) ** 2)) * np.float32(within((0.05, 0.3), rng))
    down = np.exp(-(((y - np.float32(cy)) / np.float32(wy)) ** 2))
    return np.asarray(across[None] * down[:, None], np.float32)


def _facets(slope_x: Floats, slope_y: Floats, finish: Finish) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Slopes along and across the grain in units of what still shines, and the matrix that makes them so."""
    if finish.grain is None:
        return slope_x * np.float32(1 / _SHINY), slope_y * np.float32(1 / _SHINY), _EVEN
    c, s = float(np.cos(finish.grain)), float(np.sin(finish.grain))
    turn = np.array([[c / _ALONG, s / _ALONG], [-s / _ACROSS, c / _ACROSS]])
    along = cv2.addWeighted(slope_x, turn[0, 0], slope_y, turn[0, 1], 0)
    across = cv2.addWeighted(slope_x, turn[1, 0], slope_y, turn[1, 1], 0)
    return np.asarray(along, np.float32), np.asarray(across, np.float32), turn
