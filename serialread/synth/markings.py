"""How a mark on a surface looks in light: relief by its slopes, ink and laser by their tone.

Grey values are float32, 0 black .. 1 white.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.recipe.data import Embossed, Ink, InkJet, Laser, Relief, Stamped, Surfaces
from serialread.records import Floats
from serialread.synth.drawing import Mark
from serialread.synth.surfaces import Surface


@dataclass(frozen=True, slots=True)
class Light:
    """A distant light: direction towards it (unit vector) and strength."""

    x: float
    y: float
    z: float
    strength: float


@dataclass(frozen=True, slots=True)
class Shaded:
    """A lit mark.

    Attributes:
        pixels: float32 [H, W].
        strength: spread of grey that the mark adds where it stands, 0..1.
        parameters: what was drawn, for the record.
    """

    pixels: Floats
    strength: float
    parameters: dict[str, float]


def relief(mark: Mark, surface: Surface, style: Relief, knobs: Surfaces, rng: np.random.Generator) -> Shaded:
    """Light a mark that has depth.

    The surface alone and the surface with the mark are lit alike; their difference is the mark's signal, the
    surface's own pattern is softened until the signal stands out by the recipe's legibility.
    """
    spread = (
        float(rng.uniform(0.25, 0.75)) * mark.stroke_px * (0.7 if not isinstance(style, Embossed) else 1.0)
    )
    coverage = _worn(mark.coverage, surface, style.wear, rng) if isinstance(style, Stamped) else mark.coverage
    body = _blur(coverage, max(spread, 0.6))
    depth = body
    rim = rng.uniform(*style.rim)
    if rim > 0.05:
        depth = body - np.float32(rim) * np.maximum(_blur(coverage, max(2.2 * spread, 1.5)) - body, 0)
    sign = 1.0 if isinstance(style, Embossed) else -1.0
    mark_x, mark_y = _slopes(depth)
    steepest = np.float32(np.sqrt((mark_x**2 + mark_y**2).max()) + 1e-6)
    slope = rng.uniform(*style.slope)
    factor = np.float32(sign * slope / steepest)
    rough = rng.uniform(*knobs.roughness) * rng.uniform(0.2, 1.0)
    own_x, own_y = (np.float32(rough) * s for s in _slopes(surface.relief))
    lights = _lights(rng)
    tone = surface.tone
    bare = tone * _lit(own_x, own_y, lights, surface.gloss)
    floor = np.float32(rng.uniform(*style.floor_tone))
    marked = (
        tone
        * (1 + floor * body)
        * _lit(own_x + factor * mark_x, own_y + factor * mark_y, lights, surface.gloss)
    )
    pixels, strength = _exposed(bare, marked - bare, body, knobs, rng)
    return Shaded(pixels, strength, {"slope": round(float(slope), 2), "rough": round(float(rough), 3)})


def flat(
    mark: Mark, surface: Surface, style: Laser | Ink | InkJet, knobs: Surfaces, rng: np.random.Generator
) -> Shaded:
    """Light a mark that has tone but no depth."""
    coverage = _blur(mark.coverage, float(rng.uniform(0.4, 0.9)))
    match style:
        case Ink():
            coverage = _worn(coverage, surface, style.worn, rng)
            if rng.random() < style.effects_share:
                coverage = _effect(coverage, rng)
        case Laser():
            coverage = _hatched(coverage, rng)
        case InkJet():
            pass
    rough = rng.uniform(*knobs.roughness) * rng.uniform(0.05, 0.5)
    own_x, own_y = (np.float32(rough) * s for s in _slopes(surface.relief))
    bare = surface.tone * _lit(own_x, own_y, _lights(rng), surface.gloss)
    contrast = rng.uniform(*style.contrast) ** 1.0
    bright = rng.random() < 0.5
    field: Floats | float = 1.0 if bright else -1.0
    if isinstance(style, Laser) and rng.random() < style.flip_share:
        field = field * _flip(coverage.shape, rng)
    signal = (field * coverage).astype(np.float32)
    pixels, strength = _exposed(bare, signal, mark.coverage, knobs, rng, contrast=contrast, bright=bright)
    return Shaded(pixels, strength, {"contrast": round(float(contrast), 3), "bright": float(bright)})


def _exposed(
    bare: Floats,
    signal: Floats,
    body: Floats,
    knobs: Surfaces,
    rng: np.random.Generator,
    contrast: float | None = None,
    bright: bool | None = None,
) -> tuple[Floats, float]:
    """Put surface and signal together: the signal as strong as drawn, the pattern only as legible."""
    # smooth light on a coarse grid: a quarter of the resolution is plenty for so soft a blur
    small = cv2.resize(bare, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(_blur(np.asarray(small, np.float32), 4.0), (bare.shape[1], bare.shape[0]))
    pattern = bare - soft
    around = body > 0.15
    power = _power(signal, around)
    # a pattern as coarse as a stroke disturbs; a signal that outlives the network's scale helps
    noise = 0.5 * (_power(_blur(pattern, 1.5), around) + _power(pattern, around)) + 1e-6
    lasting = _power(_blur(signal, 1.5), around) / max(power, 1e-6)
    strength = contrast * 0.8 if contrast is not None else float(rng.uniform(0.045, 0.24))
    gain = strength / max(power, 1e-4)
    legible = rng.uniform(*knobs.legibility)
    own = min(gain, strength * lasting / (legible * noise))
    level = _level(contrast, bright, rng)
    evenness = np.float32(rng.uniform(0.0, 0.35))
    light = level * (1 + evenness * np.clip(soft / max(float(soft.mean()), 1e-3) - 1, -1, 1.5))
    light = light * _falloff(bare.shape, rng)
    pixels = light + np.float32(own) * pattern + np.float32(gain) * signal
    if rng.random() < knobs.glare_share:
        pixels = pixels + _glare(bare.shape, rng)
    return _within_range(np.asarray(pixels, np.float32)), strength


def overprinted(shaded: Shaded, printed: Mark, rng: np.random.Generator) -> Shaded:
    """Print a part of the code beside the part that is already marked."""
    coverage = _blur(printed.coverage, float(rng.uniform(0.4, 0.9)))
    contrast = float(rng.uniform(0.12, 0.7))
    tone = contrast if rng.random() < 0.3 else -contrast
    pixels = _within_range(shaded.pixels + np.float32(tone) * coverage)
    return Shaded(pixels, shaded.strength, {**shaded.parameters, "printed": round(tone, 3)})


def ended(shaded: Shaded, mark: Mark, rng: np.random.Generator) -> Shaded:
    """Let the part end beside, over or under the code: what lies beyond has another, even tone."""
    rows, columns = np.nonzero(mark.owners)
    height, width = mark.owners.shape
    if len(rows) == 0:
        return shaded
    side = rng.integers(4)
    free = (columns.min(), width - 1 - columns.max(), rows.min(), height - 1 - rows.max())[side]
    reach = int(free * rng.uniform(0.2, 0.8))
    if reach < 2:
        return shaded
    beyond = np.zeros((height, width), np.float32)
    area = (np.s_[:, :reach], np.s_[:, -reach:], np.s_[:reach], np.s_[-reach:])[side]
    beyond[area] = 1
    beyond = _blur(beyond, float(rng.uniform(0.5, 2.5)))
    tone = np.float32(rng.uniform(0.0, 0.35) if rng.random() < 0.75 else rng.uniform(0.6, 1.0))
    pixels = shaded.pixels + beyond * (tone - shaded.pixels)
    return Shaded(pixels.astype(np.float32), shaded.strength, {**shaded.parameters, "edge": float(side)})


def _power(field: Floats, where: NDArray[np.bool_]) -> float:
    """Root mean square of a field over a region; of all of it if the region is empty."""
    values = field[where] if where.any() else field
    return float(np.sqrt(np.mean(values * values)))


def _within_range(pixels: Floats) -> Floats:
    """Expose so that hardly anything is burnt out or drowned: two in a hundred px at either end."""
    low, high = (float(v) for v in np.percentile(pixels[::2, ::2], (2, 98)))
    if low >= 0.0 and high <= 1.0:
        return pixels
    low, high = min(low, 0.0), max(high, 1.0)
    return ((pixels - np.float32(low)) * np.float32(1 / (high - low))).astype(np.float32)


def _level(contrast: float | None, bright: bool | None, rng: np.random.Generator) -> float:
    """Grey of the bare surface: anything for relief; with room for the ink for flat marks."""
    if contrast is None or bright is None:
        return float(rng.uniform(0.2, 0.8))
    low, high = (0.05, max(0.95 - contrast, 0.08)) if bright else (min(contrast + 0.05, 0.92), 0.97)
    return float(rng.uniform(low, high))


def _lights(rng: np.random.Generator) -> tuple[Light, ...]:
    lights = []
    for strength in (1.0, *rng.uniform(0.2, 0.8, int(rng.integers(0, 3))).tolist()):
        azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(20, 75))
        flat_part = np.cos(elevation)
        lights.append(
            Light(
                float(flat_part * np.cos(azimuth)),
                float(flat_part * np.sin(azimuth)),
                float(np.sin(elevation)),
                float(strength),
            )
        )
    return tuple(lights)


def _lit(slope_x: Floats, slope_y: Floats, lights: tuple[Light, ...], gloss: float) -> Floats:
    """Lambert's diffuse light plus a Blinn highlight, from the surface's slopes; viewed from above."""
    f = np.float32
    inverse = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    total = np.full(slope_x.shape, 0.25, np.float32)
    for light in lights:
        towards = (f(light.z) - f(light.x) * slope_x - f(light.y) * slope_y) * inverse
        total += f(light.strength) * np.maximum(towards, 0)
        half = np.sqrt(2 + 2 * light.z)
        shine = (
            f((1 + light.z) / half) - f(light.x / half) * slope_x - f(light.y / half) * slope_y
        ) * inverse
        shine = np.maximum(shine, 0)
        for _ in range(4):  # the 16th power: a highlight about 25 degrees wide
            shine *= shine
        total += f(1.6 * gloss * light.strength) * shine
    return total


def _slopes(height: Floats) -> tuple[Floats, Floats]:
    return (
        np.asarray(cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125), np.float32),
        np.asarray(cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125), np.float32),
    )


def _blur(field: Floats, spread: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), spread), np.float32)


def _worn(coverage: Floats, surface: Surface, wear: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Take away part of the mark where a rough field is high; what is left stays connected enough to read."""
    amount = rng.uniform(*wear)
    if amount < 0.05:
        return coverage
    field = surface.relief if rng.random() < 0.4 else np.roll(surface.tone, 7, axis=1)
    field = _blur(field, float(rng.uniform(0.8, 2.5)))
    field = (field - field.mean()) / (field.std() + np.float32(1e-6))
    kept = 1 / (1 + np.exp(np.clip(3 * (field - np.float32(2.2 - 3.2 * amount)), -20, 20)))
    return np.asarray(coverage * (1 - np.float32(min(0.9, 0.4 + amount)) * (1 - kept)), np.float32)


def _hatched(coverage: Floats, rng: np.random.Generator) -> Floats:
    """The laser's hatch lines, sometimes wide enough to be seen, and grainy."""
    if rng.random() < 0.3:
        rows = np.arange(coverage.shape[0], dtype=np.float32)
        lines = 0.75 + 0.25 * np.sin(2 * np.pi * rows / np.float32(rng.uniform(2.2, 5)))
        coverage = coverage * lines[:, None].astype(np.float32)
    grain = rng.standard_normal(coverage.shape, np.float32) * np.float32(rng.uniform(0, 0.35))
    return (coverage * (1 + grain)).astype(np.float32)


def _effect(coverage: Floats, rng: np.random.Generator) -> Floats:
    """A shadow of the other tone, or the outline alone."""
    if rng.random() < 0.5:
        shift = rng.integers(-4, 5, 2)
        shadow = np.roll(coverage, tuple(shift), (0, 1)) * (1 - coverage)
        return np.asarray(coverage - np.float32(rng.uniform(0.3, 0.7)) * shadow, np.float32)
    edge = cv2.morphologyEx((coverage * 255).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.asarray(edge, np.float32) / np.float32(255)


def _flip(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Contrast that turns over somewhere along the line, quickly, so that few characters are lost."""
    x = np.arange(size[1], dtype=np.float32)
    where, width = rng.uniform(0, size[1]), rng.uniform(2, 12)
    line = np.tanh((x - np.float32(where)) / np.float32(width)) * np.float32(rng.choice((-1, 1)))
    weak = np.where(line < 0, np.float32(rng.uniform(0.4, 1.0)), np.float32(1.0))
    return np.broadcast_to((line * weak).astype(np.float32)[None], (size[0], size[1]))


def _falloff(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Slow change of light across the crop."""
    x = np.linspace(-0.5, 0.5, size[1], dtype=np.float32)
    y = np.linspace(-0.5, 0.5, size[0], dtype=np.float32)
    sx, sy, bow = rng.normal(0, 0.22), rng.normal(0, 0.12), rng.normal(0, 0.25)
    field = 1 + np.float32(sx) * x[None] + np.float32(sy) * y[:, None] + np.float32(bow) * (x**2)[None]
    return np.asarray(field, np.float32)


def _glare(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A soft bright patch or band; exposure keeps it from burning out the mark."""
    x = np.arange(size[1], dtype=np.float32)
    y = np.arange(size[0], dtype=np.float32)
    cx, cy = rng.uniform(0, size[1]), rng.uniform(0, size[0])
    wx, wy = rng.uniform(0.15, 1.5) * size[0], rng.uniform(0.3, 3) * size[0]
    patch = (
        np.exp(-(((x - np.float32(cx)) / np.float32(wx)) ** 2))[None]
        * np.exp(-(((y - np.float32(cy)) / np.float32(wy)) ** 2))[:, None]
    )
    return np.asarray(np.float32(rng.uniform(0.05, 0.3)) * patch, np.float32)
