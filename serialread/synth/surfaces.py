"""Surfaces that carry marks: their relief and tone, cut from tiles that are computed once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from serialread.config.data_recipe import SurfaceKind, Surfaces
from serialread.errors import ImageError, RecipeError
from serialread.imaging.loading import PICTURE_SUFFIXES, load_image
from serialread.records import Floats
from serialread.synth.fields import blurred, shrunk
from serialread.synth.rng import Rng, below, one_of, weighted, within

# px at the working scale; large enough that two crops rarely show the same part. The width is no power of
# two: rows a page of memory apart would share lines of the processor's cache
_TILE = (384, 1000)
_TILES = 4  # per kind
_GRAINED = frozenset(("brushed", "milled", "turned", "ground"))
_PATCHY = {"guilloche": (0.05, 0.45), "scale": (0.05, 0.3), "scene": (0.1, 0.6)}
"""Surfaces with a varying tone, and its spread."""
_MAX_PHOTOGRAPHS = 200  # per recipe: every worker keeps them in memory


@dataclass(frozen=True, slots=True)
class Surface:
    """A bare surface.

    Attributes:
        relief: height, float32 [H, W], with slopes of spread 1.
        tone: reflectance, float32 [H, W], around 1.
        gloss: 0 matt .. 1 mirror-like.
        grain: direction of its lines, rad; None where it has none.
    """

    kind: str
    relief: Floats
    tone: Floats
    gloss: float
    grain: float | None = None


def draw_surface(
    weights: Mapping[SurfaceKind, float],
    surfaces: Surfaces,
    size: tuple[int, int],
    rng: Rng,
    step: int = 1,
) -> Surface:
    """Cut a patch of ``size`` from a random surface, ``step`` times coarser than its tiles."""
    kinds = sorted(weights)
    kind = kinds[weighted([weights[k] for k in kinds], rng)]
    relief, gloss = _tile(kind, below(_TILES, rng), step)
    turn = _turn(kind, rng)
    patch = _cut(relief, size, math.exp(within((-0.7, 0.5), rng)), turn, rng)
    if kind == "photograph":
        return Surface(kind, patch, _photographed(surfaces.photographs, size, rng), gloss)
    tone = 1 + np.float32(within((0.0, 0.12), rng)) * _coarse(_tones("cast", 0), size, 0.4 * step, rng)
    if kind in _PATCHY:
        tone = tone + np.float32(within(_PATCHY[kind], rng)) * _cut(_tones(kind, 1), size, step, 0.0, rng)
    if rng.random() < surfaces.stain_share:
        tone = tone * _stains(size, step, rng)
    if rng.random() < surfaces.scratch_share:
        patch = patch + _scratches(size, rng)
    return Surface(kind, patch, tone.astype(np.float32), gloss, -turn if kind in _GRAINED else None)


def _cut(tile: Floats, size: tuple[int, int], scale: float, turn: float, rng: Rng) -> Floats:
    """A rotated and scaled part of a tile, float32 [H, W]."""
    rows, columns = size
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    x, y = within((0, tile.shape[1]), rng), within((0, tile.shape[0]), rng)
    matrix = np.array([[c, -s, x], [s, c, y]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(tile, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT), np.float32
    )


def _coarse(tile: Floats, size: tuple[int, int], scale: float, rng: Rng) -> Floats:
    """A part of a tile of coarse detail: cut at half the size, then enlarged."""
    half = _cut(tile, ((size[0] + 1) // 2, (size[1] + 1) // 2), 2 * scale, 0.0, rng)
    return np.asarray(cv2.resize(half, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _turn(kind: str, rng: Rng) -> float:
    """Direction of the surface's grain: mostly along or across the code."""
    if rng.random() < 0.7:
        return math.pi / 2 * below(4, rng) + 0.06 * rng.standard_normal()
    return within((0, 2 * math.pi), rng)


@lru_cache(maxsize=128)
def _tile(kind: str, number: int, step: int = 1) -> tuple[Floats, float]:
    """One tile of a kind and its gloss; the same on every machine."""
    relief, gloss = _made(kind, number) if step == 1 else _tile(kind, number)
    if step > 1:
        relief = shrunk(relief, (relief.shape[0] // step, relief.shape[1] // step))
    slopes = np.gradient(relief)
    steep = np.float32(np.sqrt(np.mean(slopes[0] ** 2 + slopes[1] ** 2)) + 1e-6)
    return ((relief - relief.mean()) / steep).astype(np.float32), gloss


def _made(kind: str, number: int) -> tuple[Floats, float]:
    rng = np.random.default_rng([sum(kind.encode()), number])
    noise = rng.standard_normal(_TILE, np.float32)
    match kind:
        case "brushed":
            relief = _streaks(noise, 60) + 0.6 * _streaks(rng.standard_normal(_TILE, np.float32), 12)
            # a few lines are much deeper than most: readers confuse them with 1 and I
            relief, gloss = relief * (0.6 + 0.4 * np.abs(relief)), 0.8
        case "ground":
            relief, gloss = _streaks(noise, 8) + 0.5 * _blur(noise, 1.2), 0.6
        case "milled":
            relief, gloss = _rings(rng, near=True) + 0.2 * _streaks(noise, 20), 0.9
            if number == 3:  # a tilted spindle cuts once, a straight one leaves arcs crossing arcs
                relief = np.maximum(relief, 0.7 * _rings(rng, near=True)[::-1, ::-1])
        case "turned":
            relief, gloss = _rings(rng, near=False) + 0.2 * _streaks(noise, 40), 0.9
        case "blasted":
            relief, gloss = _blur(noise, 1.1) + 0.8 * _blur(rng.standard_normal(_TILE, np.float32), 2.2), 0.3
        case "cast":
            relief, gloss = _octaves(rng, (1.6, 4, 11), (0.5, 1, 1.4)), 0.25
        case "scale":
            relief, gloss = _octaves(rng, (1.2, 3, 8), (1, 1, 1)), 0.3
            relief = np.abs(relief) ** np.float32(0.7) * np.sign(relief)
        case "painted":
            relief, gloss = _octaves(rng, (3, 9), (0.3, 1)), 0.6
        case "anodised":
            relief, gloss = (
                _blur(noise, 0.8) + 0.4 * _streaks(rng.standard_normal(_TILE, np.float32), 90),
                0.25,
            )
        case "label":
            relief, gloss = _octaves(rng, (1.0, 40), (0.3, 1)), 0.15
        case "photograph":
            relief, gloss = _octaves(rng, (1.0, 4), (0.4, 1)), 0.2
        case "plastic":
            relief, gloss = _octaves(rng, (0.8, 2.5), (1, 0.5)), 0.3
        case "guilloche":
            relief, gloss = _guilloche(rng), 0.05
        case "paper":
            relief, gloss = _octaves(rng, (0.7, 6), (1, 0.5)), 0.05
        case _:
            relief, gloss = _scene(rng), 0.2
    return relief, gloss


@lru_cache(maxsize=8)
def _tones(kind: str, number: int) -> Floats:
    """A tile as a field of tones: mean 0, spread 1."""
    return _unit(_tile(kind, number)[0])


def _blur(field: Floats, spread: float, across: float | None = None) -> Floats:
    size = tuple(2 * math.ceil(3 * s) + 1 for s in (spread, across or spread))
    return np.asarray(cv2.GaussianBlur(field, size, spread, sigmaY=across or spread), np.float32)


def _unit(field: Floats) -> Floats:
    return np.asarray(field / (field.std() + np.float32(1e-6)), np.float32)


def _streaks(noise: Floats, length: float) -> Floats:
    return _unit(_blur(noise, length, 0.7))


def _octaves(rng: Rng, spreads: tuple[float, ...], weights: tuple[float, ...]) -> Floats:
    total = np.zeros(_TILE, np.float32)
    for spread, weight in zip(spreads, weights, strict=True):
        total += np.float32(weight) * _unit(_blur(rng.standard_normal(_TILE, np.float32), spread))
    return total


def _rings(rng: Rng, *, near: bool) -> Floats:
    """Feed marks: arcs of a cutter (near centre) or rings of a lathe (far centre), slightly irregular."""
    y, x = np.mgrid[: _TILE[0], : _TILE[1]].astype(np.float32)
    centre = rng.uniform(200, 700) if near else rng.uniform(3000, 9000)
    radius = np.hypot(x - np.float32(rng.uniform(0, _TILE[1])), y + np.float32(centre)).astype(np.float32)
    feed = rng.uniform(4, 12)
    reach = int(radius.max()) + 2
    wander = _blur(np.cumsum(rng.normal(0, 0.35, reach)).astype(np.float32).reshape(1, -1), 6)[0]
    steps = np.arange(reach, dtype=np.float32)
    phase = np.pi * steps / np.float32(feed) + wander * np.float32(0.5)
    # a round insert leaves valleys between sharp ridges; their depth differs from turn to turn
    ridges = 1 - 2 * np.abs(np.sin(phase)) if rng.random() < 0.6 else np.sin(2 * phase)
    profile = (ridges * (0.6 + 0.4 * np.tanh(np.roll(wander, 50)))).astype(np.float32)
    return _unit(np.interp(radius, steps, profile).astype(np.float32))


def _scene(rng: Rng) -> Floats:
    """A background as in photographs of scenes: flat patches with edges, gradients, grain."""
    field = _octaves(rng, (25, 60), (1, 2))
    flat = np.round(field * 1.5) / 1.5
    for _ in range(40):
        x, y = rng.integers(0, _TILE[1]), rng.integers(0, _TILE[0])
        w, h = rng.integers(10, 220, 2)
        cv2.rectangle(flat, (int(x), int(y)), (int(x + w), int(y + h)), float(rng.normal(0, 1.5)), cv2.FILLED)
    return flat.astype(np.float32) + 0.15 * _octaves(rng, (1.0,), (1,))


def _guilloche(rng: Rng) -> Floats:
    """Security print: families of fine waving lines, crossing, evenly spaced within each."""
    y, x = np.mgrid[: _TILE[0], : _TILE[1]].astype(np.float32)
    field = np.zeros(_TILE, np.float32)
    for _ in range(2 + below(2, rng)):
        turn, step = within((0, math.pi), rng), within((6, 16), rng)
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        for _ in range(2):
            pace, phase = 2 * math.pi / within((40, 200), rng), within((0, 2 * math.pi), rng)
            sway = np.float32(within((0.5, 3), rng) * step)
            across = across + sway * np.sin(along * np.float32(pace) + np.float32(phase))
        lines = np.abs(np.sin(across * (math.pi / step)))
        field -= np.clip(1.6 - lines * np.float32(step / 2), 0, 1).astype(np.float32)
    return field + 0.1 * _octaves(rng, (1.0,), (1,))


def _stains(size: tuple[int, int], step: int, rng: Rng) -> Floats:
    """Rust, oil, dirt: patches with soft edges that darken, sometimes brighten."""
    field = _coarse(_tile("cast", 2)[0], size, step * within((0.15, 0.5), rng), rng)
    steep = 4 / (float(cv2.meanStdDev(field)[1][0, 0]) + 1e-6)
    edge = np.float32(4 * within((-0.5, 1.2), rng))
    cover = 1 / (1 + cv2.exp(np.clip(edge - field * np.float32(steep), -20, 20)))
    depth = within((0.1, 0.45), rng) * (1 if rng.random() < 0.8 else -0.6)
    return np.asarray(1 - np.float32(depth) * cover, np.float32)


def _scratches(size: tuple[int, int], rng: Rng) -> Floats:
    field = np.zeros(size, np.float32)
    for _ in range(1 + below(6, rng)):
        (x0, x1), (y0, y1) = rng.uniform(-20, size[1] + 20, 2), rng.uniform(-20, size[0] + 20, 2)
        cv2.line(field, (int(x0), int(y0)), (int(x1), int(y1)), within((-2.5, 1.5), rng), 1)
    return blurred(field, 0.7) * np.float32(1.5)


def _photographed(folders: tuple[Path, ...], size: tuple[int, int], rng: Rng) -> Floats:
    """The tone of a random part of a surface photograph, float32 ``size``, around 1."""
    pictures = _photographs(folders)
    picture = one_of(pictures, rng)
    rows, columns = size
    largest = min(picture.shape[0] / rows, picture.shape[1] / columns)
    scale = largest * within((0.3, 1.0), rng)
    high, wide = max(int(rows * scale), 4), max(int(columns * scale), 4)
    top = below(max(picture.shape[0] - high, 0) + 1, rng)
    left = below(max(picture.shape[1] - wide, 0) + 1, rng)
    part = picture[top : top + high, left : left + wide][:, :: 1 if rng.random() < 0.5 else -1]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (columns, rows), interpolation=method), np.float32)


@lru_cache(maxsize=4)
def _photographs(folders: tuple[Path, ...]) -> tuple[Floats, ...]:
    """Grey pictures of mean 1, sorted by name; large ones are halved to about the crops' scale."""
    found = [p for f in folders for p in sorted(f.rglob("*")) if p.suffix.lower() in PICTURE_SUFFIXES]
    if not found:
        where = ", ".join(str(f) for f in folders) or "surfaces.photographs"
        raise RecipeError(
            f"{where}: no surface photographs here. Name folders of pictures in surfaces.photographs, or "
            "remove the kind photograph from the recipe."
        )
    return tuple(_as_tone(path) for path in found[:_MAX_PHOTOGRAPHS])


def _as_tone(path: Path) -> Floats:
    try:
        pixels = load_image(path).pixels
    except ImageError as error:
        raise RecipeError(f"{error} Every surface photograph must open: replace it or remove it.") from None
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
    while min(grey.shape) > 768:
        grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(grey / np.float32(max(float(grey.mean()), 1.0)), np.float32)
