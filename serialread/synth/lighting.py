"""The appearance of a mark on a surface: relief by its slopes in the light, print and displays by their tone.

Slopes are height over width; light directions are unit vectors, x right, y down, z towards the camera, which
points straight down. Fields are float32 [H, W], 0 black .. 1 white; lengths in canvas px.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.config.data_recipe import Surfaces
from serialread.config.marks import Relief, Tone
from serialread.records import Floats
from serialread.synth.fields import blurred, enlarged, halved, ramp
from serialread.synth.photography import Parameters, Shaded, Wanted, expose
from serialread.synth.rng import Rng, below, within
from serialread.synth.strokes import Mark
from serialread.synth.surfaces import Surface

_AMBIENT = 0.25
_SHINY = 0.3  # spread of slopes, around the mirroring one, that matt metal still reflects
_EVEN = np.eye(2) / _SHINY
_ALONG, _ACROSS = 0.16, 0.55  # the same for metal with a grain: nearly a mirror along it, matt across it


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


def lights(rng: Rng, *, low: bool = False) -> tuple[Light, ...]:
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
    """Shadow of a light, 0..1, behind relief of ``height`` px."""
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


def _facets(slope_x: Floats, slope_y: Floats, finish: Finish) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Slopes along and across the grain in units of the highlight's width, and their matrix."""
    if finish.grain is None:
        return slope_x * np.float32(1 / _SHINY), slope_y * np.float32(1 / _SHINY), _EVEN
    c, s = float(np.cos(finish.grain)), float(np.sin(finish.grain))
    turn = np.array([[c / _ALONG, s / _ALONG], [-s / _ACROSS, c / _ACROSS]])
    along = cv2.addWeighted(slope_x, turn[0, 0], slope_y, turn[0, 1], 0)
    across = cv2.addWeighted(slope_x, turn[1, 0], slope_y, turn[1, 1], 0)
    return np.asarray(along, np.float32), np.asarray(across, np.float32), turn


D = TypeVar("D", bound=Relief)
T = TypeVar("T", bound=Tone)


def floor_tone(body: Floats, process: Relief, rng: Rng) -> Floats:
    """Tone of a mark against its background, as a part of the background's: oxide, fresh metal."""
    return np.float32(within(process.floor_tone, rng)) * body


@dataclass(frozen=True, kw_only=True)
class ReliefAppearance(Generic[D]):
    """Appearance of marks with depth: their slopes in the light. Every function draws from ``rng``.

    Attributes:
        raised: whether the mark stands above the surface.
        coverage: what is left of the tool's coverage, for marks that wear.
        depth: the depth with what else the process leaves.
        floor_tone: tone of the mark where it is not filled.
    """

    raised: Callable[[D, Rng], bool] = lambda process, rng: False
    coverage: Callable[[Floats, Surface, D, Rng], Floats] = lambda coverage, *_: coverage
    depth: Callable[[Floats, float, D, Rng], Floats] = lambda depth, *_: depth
    floor_tone: Callable[[Floats, D, Rng], Floats] = floor_tone

    def shade(
        self, mark: Mark, surface: Surface, process: D, around: float, surfaces: Surfaces, rng: Rng
    ) -> Shaded:
        """Light a mark on a surface.

        The surface alone and the surface with the mark are lit alike; their difference is the mark's signal.

        Args:
            mark: what was cut, struck or raised.
            surface: what carries it, of the mark's size.
            process: its section of the recipe.
            around: half the angle that the code takes around a shaft, rad; 0 on a plane.
            surfaces: the recipe's section on surfaces.
            rng: source of every draw.
        """
        depth, body = self._depth(mark, surface, process, rng)
        filled = rng.random() < process.filled_share
        slope = within(process.slope, rng) * (0.35 if filled else 1.0)
        mark_x, mark_y = slopes(depth)
        steepest = float(np.sqrt(cv2.minMaxLoc(mark_x * mark_x + mark_y * mark_y)[1])) + 1e-6
        factor = (1.0 if self.raised(process, rng) else -1.0) * slope / steepest
        plain = surface.grain is None
        rough = within(surfaces.roughness, rng) * within((0.2, 1.0) if plain else (0.5, 3.0), rng)
        own_x, own_y = slopes(surface.relief, rough)
        bow = around != 0 or rng.random() < surfaces.curved_share
        if bow:
            more_x, more_y = _bow(mark.coverage.shape, around, rng)
            own_x, own_y = own_x + more_x, own_y + more_y
        grazing = rng.random() < process.shadow_share
        above, finish = lights(rng, low=grazing), Finish(surface.gloss, surface.grain)
        bare = surface.tone * lit(own_x, own_y, above, finish)
        both_x, both_y = (cv2.scaleAdd(m, factor, own) for m, own in ((mark_x, own_x), (mark_y, own_y)))
        marked = surface.tone * lit(
            np.asarray(both_x, np.float32), np.asarray(both_y, np.float32), above, finish
        )
        marked *= 1 + (_filling(body, rng) if filled else self.floor_tone(body, process, rng))
        if grazing:
            marked *= 1 - np.float32(within((0.3, 0.7), rng)) * shadow(np.float32(factor) * depth, above[0])
        wanted = Wanted(
            strength=within(process.strength, rng),
            level=within((0.2, 0.8), rng),
            legible=within(surfaces.legibility if plain else surfaces.legibility_grain, rng),
            evenness=within((0.3, 0.9) if bow else (0.0, 0.35), rng),
        )
        shaded = expose(bare, marked - bare, body, wanted, surfaces, rng)
        drawn: Parameters = {
            "surface": surface.kind,
            "slope": round(float(slope), 2),
            "rough": round(float(rough), 3),
            "filled": bool(filled),
            "grazing": bool(grazing),
        }
        return replace(shaded, parameters=drawn)

    def _depth(self, mark: Mark, surface: Surface, process: D, rng: Rng) -> tuple[Floats, Floats]:
        """Depth (or height) of the mark, and how much of a px belongs to it, 0..1."""
        coverage = self.coverage(mark.coverage, surface, process, rng)
        flank = within(process.flank, rng) * mark.stroke_px
        body = _flanked(coverage, flank, round_bottom=rng.random() < 0.4)
        depth = body
        rim = within(process.rim, rng)
        if rim > 0.05:
            thrown = blurred(coverage, max(1.3 * flank, 1.5))
            depth = body - np.float32(rim) * np.maximum(thrown - body, 0)
        return np.asarray(self.depth(depth, mark.stroke_px, process, rng), np.float32), body


class MarkedSurface(NamedTuple):
    """A mark, the surface that carries it, and whether the mark is the brighter of the two."""

    mark: Mark
    surface: Surface
    bright: bool


@dataclass(frozen=True, kw_only=True)
class ToneAppearance(Generic[T]):
    """Appearance of marks without depth: their tone. Every function draws from ``rng``.

    Attributes:
        bright: whether the mark is brighter than its background.
        tone: how much of the tone each px takes, mostly 0..1, from its softened coverage.
        signal: the signed tone with what else the process changes.
    """

    bright: Callable[[T, Rng], bool] = lambda process, rng: rng.random() < 0.5
    tone: Callable[[Floats, MarkedSurface, T, Rng], Floats] = lambda coverage, *_: coverage
    signal: Callable[[Floats, T, Rng], Floats] = lambda signal, *_: signal

    def shade(
        self, mark: Mark, surface: Surface, process: T, around: float, surfaces: Surfaces, rng: Rng
    ) -> Shaded:
        """Light a mark on a surface of half its size; other arguments as for ``ReliefAppearance.shade``."""
        contrast, bright = within(process.contrast, rng), self.bright(process, rng)
        softened = blurred(mark.coverage, within((0.4, 0.9), rng))
        coverage = self.tone(softened, MarkedSurface(mark, surface, bright), process, rng)
        rough = within(surfaces.roughness, rng) * within((0.05, 0.5), rng)
        own_x, own_y = slopes(surface.relief, rough)
        if around:
            more_x, more_y = _bow(surface.relief.shape, around, rng)
            own_x, own_y = own_x + more_x, own_y + more_y
        bare = surface.tone * lit(own_x, own_y, lights(rng), Finish(surface.gloss, surface.grain))
        signal = self.signal(coverage if bright else -coverage, process, rng)
        low, high = (0.05, max(0.95 - contrast, 0.08)) if bright else (min(contrast + 0.05, 0.92), 0.97)
        wanted = Wanted(
            strength=0.8 * contrast,
            level=within((low, high), rng),
            legible=within(surfaces.legibility_print, rng),
            evenness=within((0.0, 0.6 if around else 0.35), rng),
        )
        shaded = expose(bare, np.asarray(signal, np.float32), mark.coverage, wanted, surfaces, rng)
        drawn: Parameters = {"contrast": round(contrast, 3), "bright": bool(bright), "surface": surface.kind}
        return replace(shaded, parameters=drawn)


def _filling(body: Floats, rng: Rng) -> Floats:
    """Tone of dirt or paint kept in the depth: wiped off around it, but not clean."""
    tone, smear = within((0.35, 0.9), rng) * (-1 if rng.random() < 0.8 else 1), within((0, 0.35), rng)
    return np.float32(tone) * (body + np.float32(smear) * (blurred(body, 4.0) - body))


def _flanked(coverage: Floats, flank_px: float, *, round_bottom: bool) -> Floats:
    """Add flanks: straight ones for a V or a flat floor, rounded ones for a round tool."""
    if round_bottom:
        return blurred(coverage, max(0.4 * flank_px, 0.6))
    size = 2 * round((flank_px - 1) / 2) + 1
    if size < 3:
        return blurred(coverage, 0.6)
    return blurred(np.asarray(cv2.blur(coverage, (size, size)), np.float32), 0.6)


def _bow(size: tuple[int, ...], around: float, rng: Rng) -> tuple[Floats, Floats]:
    """Slopes of a surface that is not flat: a shaft, or a part that is curved or tilted."""
    middle_x, middle_y = (0.12 * rng.standard_normal(2)).tolist()
    if around:
        return bowed((size[0], size[1]), (-np.tan(around), np.tan(around)), (middle_y, middle_y))
    along, down = 0.3 * rng.standard_normal(), 0.15 * rng.standard_normal()
    return bowed((size[0], size[1]), (middle_x - along, middle_x + along), (middle_y - down, middle_y + down))


def worn(coverage: Floats, surface: Surface, amount: float, rng: Rng) -> Floats:
    """Remove part of the mark where a rough field is high; the rest stays connected enough to read."""
    if amount < 0.05:
        return coverage
    field = surface.relief if rng.random() < 0.4 else surface.tone[:, ::-1]
    field = (
        field if len(field) < len(coverage) else halved(field)
    )  # half the size is enough for so soft a field
    field = blurred(field, within((0.4, 1.25), rng))
    middle, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(field))
    steep = 3 / (deviation + 1e-6)
    left = cv2.exp(np.clip((middle - field) * np.float32(steep) + np.float32(6.6 - 9.6 * amount), -20, 20))
    kept = 1 - np.float32(min(0.9, 0.4 + amount)) / (1 + left)
    return coverage * enlarged(np.asarray(kept, np.float32), coverage.shape)
