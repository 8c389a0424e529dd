"""How a mark on a surface looks: relief by its slopes in the light, ink, laser and displays by their tone.

Grey values are float32, 0 black .. 1 white; lengths in canvas px.
"""

from dataclasses import replace
from typing import assert_never

import cv2
import numpy as np

from serialread.config.data_recipe import Surfaces
from serialread.config.marks import (
    Display,
    DotPeen,
    Embossed,
    Engraved,
    Ink,
    InkJet,
    Laser,
    Moulded,
    Pen,
    Scribed,
    Stamped,
    Stencil,
    Thermal,
)
from serialread.records import Floats
from serialread.synth.exposure import Parameters, Shaded, Wanted, expose
from serialread.synth.fields import blurred, enlarged, halved
from serialread.synth.lighting import Finish, bowed, lights, lit, shadow, slopes
from serialread.synth.rng import below, grain, one_of, within
from serialread.synth.strokes import Mark
from serialread.synth.surfaces import Surface

Deep = Engraved | Scribed | Stamped | Embossed | Moulded | DotPeen
Flat = Laser | Ink | InkJet | Thermal | Stencil | Pen | Display


def relief(
    mark: Mark, surface: Surface, style: Deep, around: float, knobs: Surfaces, rng: np.random.Generator
) -> Shaded:
    """Light a mark that has depth.

    The surface alone and the surface with the mark are lit alike; their difference is the mark's signal.

    Args:
        mark: what was cut, struck or raised.
        surface: what carries it.
        style: the process.
        around: half the angle that the code takes around a shaft, rad; 0 on a plane.
        knobs: of the surface.
        rng: chance.
    """
    depth, body = _depth(mark, surface, style, rng)
    filled = rng.random() < style.filled_share
    slope = within(style.slope, rng) * (0.35 if filled else 1.0)
    mark_x, mark_y = slopes(depth)
    steepest = float(np.sqrt(cv2.minMaxLoc(mark_x * mark_x + mark_y * mark_y)[1])) + 1e-6
    factor = (1.0 if _raised(style, rng) else -1.0) * slope / steepest
    plain = surface.grain is None
    rough = within(knobs.roughness, rng) * within((0.2, 1.0) if plain else (0.5, 3.0), rng)
    own_x, own_y = slopes(surface.relief, rough)
    bow = around != 0 or rng.random() < knobs.bow_share
    if bow:
        more_x, more_y = _bow(mark.coverage.shape, around, rng)
        own_x, own_y = own_x + more_x, own_y + more_y
    grazing = rng.random() < style.shadow_share
    above, finish = lights(rng, low=grazing), Finish(surface.gloss, surface.grain)
    bare = surface.tone * lit(own_x, own_y, above, finish)
    both_x, both_y = (cv2.scaleAdd(m, factor, own) for m, own in ((mark_x, own_x), (mark_y, own_y)))
    marked = surface.tone * lit(np.asarray(both_x, np.float32), np.asarray(both_y, np.float32), above, finish)
    marked *= 1 + _floor(body, style, filled, rng)
    if grazing:
        marked *= 1 - np.float32(within((0.3, 0.7), rng)) * shadow(np.float32(factor) * depth, above[0])
    wanted = Wanted(
        strength=within(style.strength, rng),
        level=within((0.2, 0.8), rng),
        legible=within(knobs.legibility if plain else knobs.legibility_grain, rng),
        evenness=within((0.3, 0.9) if bow else (0.0, 0.35), rng),
    )
    shaded = expose(bare, marked - bare, body, wanted, knobs, rng)
    drawn: Parameters = {
        "surface": surface.kind,
        "slope": round(float(slope), 2),
        "rough": round(float(rough), 3),
        "filled": bool(filled),
        "grazing": bool(grazing),
    }
    return replace(shaded, parameters=drawn)


def flat(
    mark: Mark, surface: Surface, style: Flat, around: float, knobs: Surfaces, rng: np.random.Generator
) -> Shaded:
    """Light a mark that has tone but no depth; arguments as for ``relief``, the surface at half the size."""
    contrast, bright = within(style.contrast, rng), _bright(style, rng)
    coverage = _toned(mark, surface, style, bright, rng)
    rough = within(knobs.roughness, rng) * within((0.05, 0.5), rng)
    own_x, own_y = slopes(surface.relief, rough)
    if around:
        more_x, more_y = _bow(surface.relief.shape, around, rng)
        own_x, own_y = own_x + more_x, own_y + more_y
    bare = surface.tone * lit(own_x, own_y, lights(rng), Finish(surface.gloss, surface.grain))
    signal = coverage if bright else -coverage
    if isinstance(style, Laser) and rng.random() < style.flip_share:
        signal = signal * _flip(coverage.shape, rng)
    low, high = (0.05, max(0.95 - contrast, 0.08)) if bright else (min(contrast + 0.05, 0.92), 0.97)
    wanted = Wanted(
        strength=0.8 * contrast,
        level=within((low, high), rng),
        legible=within(knobs.legibility_print, rng),
        evenness=within((0.0, 0.6 if around else 0.35), rng),
    )
    shaded = expose(bare, np.asarray(signal, np.float32), mark.coverage, wanted, knobs, rng)
    drawn: Parameters = {"contrast": round(contrast, 3), "bright": bool(bright), "surface": surface.kind}
    return replace(shaded, parameters=drawn)


def _depth(mark: Mark, surface: Surface, style: Deep, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Depth (or height) of the mark, and how much of a px belongs to it, 0..1."""
    coverage = mark.coverage
    if isinstance(style, Stamped):
        coverage = _worn(coverage, surface, within(style.wear, rng), rng)
    flank = within(style.flank, rng) * mark.stroke_px
    body = _flanked(coverage, flank, round_bottom=rng.random() < 0.4)
    depth = body
    rim = within(style.rim, rng)
    if rim > 0.05:
        thrown = blurred(coverage, max(1.3 * flank, 1.5))
        depth = body - np.float32(rim) * np.maximum(thrown - body, 0)
    if isinstance(style, Embossed) and rng.random() < style.flash_share:
        depth = depth + _pimples(depth.shape, mark.stroke_px, rng)
    return np.asarray(depth, np.float32), body


def _flanked(coverage: Floats, flank_px: float, *, round_bottom: bool) -> Floats:
    """Give the tool's print its flanks: even ones for a V or a flat floor, soft ones for a round tool."""
    if round_bottom:
        return blurred(coverage, max(0.4 * flank_px, 0.6))
    size = 2 * round((flank_px - 1) / 2) + 1
    if size < 3:
        return blurred(coverage, 0.6)
    return blurred(np.asarray(cv2.blur(coverage, (size, size)), np.float32), 0.6)


def _raised(style: Deep, rng: np.random.Generator) -> bool:
    match style:
        case Embossed():
            return True
        case Moulded():
            return rng.random() >= style.sunk_share
        case Engraved() | Scribed() | Stamped() | DotPeen():
            return False
        case _:
            assert_never(style)


def _floor(body: Floats, style: Deep, filled: bool, rng: np.random.Generator) -> Floats:
    """Tone of the mark against its ground, as a part of the ground's: oxide, fresh metal, dirt, worn tops."""
    if filled:  # wiped off around it, but not clean
        tone, smear = within((0.35, 0.9), rng) * (-1 if rng.random() < 0.8 else 1), within((0, 0.35), rng)
        return np.float32(tone) * (body + np.float32(smear) * (blurred(body, 4.0) - body))
    if isinstance(style, Embossed) and rng.random() < style.rubbed_share:
        return np.float32(within((-0.4, 0.6), rng)) * body * body
    return np.float32(within(style.floor_tone, rng)) * body


def _pimples(size: tuple[int, ...], stroke_px: float, rng: np.random.Generator) -> Floats:
    field = np.zeros(size, np.float32)
    for _ in range(3 + below(13, rng)):
        place = (below(size[1], rng), below(size[0], rng))
        radius = max(round(stroke_px * within((0.1, 0.4), rng)), 1)
        cv2.circle(field, place, radius, within((0.2, 0.8), rng), cv2.FILLED)
    return blurred(field, 1.0)


def _bow(size: tuple[int, ...], around: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Slopes of a surface that is not flat: a shaft's, or those of a part that is bowed or held askew."""
    middle_x, middle_y = (0.12 * rng.standard_normal(2)).tolist()
    if around:
        return bowed((size[0], size[1]), (-np.tan(around), np.tan(around)), (middle_y, middle_y))
    along, down = 0.3 * rng.standard_normal(), 0.15 * rng.standard_normal()
    return bowed((size[0], size[1]), (middle_x - along, middle_x + along), (middle_y - down, middle_y + down))


def _bright(style: Flat, rng: np.random.Generator) -> bool:
    match style:
        case Thermal():
            return rng.random() < 0.03
        case Display():
            return rng.random() < style.lit_share
        case Laser() | Ink() | InkJet() | Stencil() | Pen():
            return rng.random() < 0.5
        case _:
            assert_never(style)


def _toned(mark: Mark, surface: Surface, style: Flat, bright: bool, rng: np.random.Generator) -> Floats:
    """How much of the tone each px takes, mostly 0..1."""
    coverage = blurred(mark.coverage, within((0.4, 0.9), rng))
    match style:
        case Ink():
            coverage = _worn(coverage, surface, within(style.worn, rng), rng)
            return _effect(coverage, rng) if rng.random() < style.effects_share else coverage
        case Laser():
            return _lasered(coverage, style, rng)
        case InkJet():
            return coverage
        case Thermal():
            coverage = _worn(coverage, surface, within(style.faded, rng), rng)
            return _dead(coverage, rng) if rng.random() < style.dead_share else coverage
        case Stencil():
            soft = blurred(coverage, max(within(style.overspray, rng) * mark.stroke_px * 4, 0.5))
            return _worn(soft, surface, within(style.worn, rng), rng)
        case Pen():
            rows, columns = coverage.shape
            uneven = enlarged(blurred(grain((rows // 2, columns // 2), rng), 3.0), (rows, columns))
            coverage = coverage * np.clip(0.85 + uneven * np.float32(1.25), 0.4, 1)
            return _worn(np.asarray(coverage, np.float32), surface, within(style.worn, rng), rng)
        case Display():
            return _displayed(coverage, bright, rng)
        case _:
            assert_never(style)


def _worn(coverage: Floats, surface: Surface, amount: float, rng: np.random.Generator) -> Floats:
    """Take away part of the mark where a rough field is high; what is left stays connected enough to read."""
    if amount < 0.05:
        return coverage
    field = surface.relief if rng.random() < 0.4 else surface.tone[:, ::-1]
    field = field if len(field) < len(coverage) else halved(field)  # so soft that half the size will do
    field = blurred(field, within((0.4, 1.25), rng))
    middle, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(field))
    steep = 3 / (deviation + 1e-6)
    left = cv2.exp(np.clip((middle - field) * np.float32(steep) + np.float32(6.6 - 9.6 * amount), -20, 20))
    kept = 1 - np.float32(min(0.9, 0.4 + amount)) / (1 + left)
    return coverage * enlarged(np.asarray(kept, np.float32), coverage.shape)


def _lasered(coverage: Floats, style: Laser, rng: np.random.Generator) -> Floats:
    """The laser's hatch lines, its grain and its discoloured edge."""
    toned = coverage
    if rng.random() < style.hatch_share:
        rows, columns = coverage.shape
        angle, step = one_of((0.0, np.pi / 2, np.pi / 4), rng), within((2.2, 5), rng)
        y = np.arange(rows, dtype=np.float32)[:, None] * np.float32(2 * np.pi * np.cos(angle) / step)
        x = np.arange(columns, dtype=np.float32)[None] * np.float32(2 * np.pi * np.sin(angle) / step)
        low = np.float32(within((0.1, 0.4), rng))
        toned = toned * (1 - low + low * np.sin(x + y))
    speckles = grain((coverage.shape[0], coverage.shape[1]), rng)
    if rng.random() < 0.5:  # grains as large as the powder of a moulding compound
        speckles = blurred(speckles, 0.8) * np.float32(2.2)
    toned = toned * (1 + speckles * np.float32(within(style.grain, rng)))
    if rng.random() < style.halo_share:
        toned = toned + np.float32(within((0.1, 0.35), rng) * one_of((-1, 1), rng)) * blurred(coverage, 3.0)
    return np.asarray(toned, np.float32)


def _dead(coverage: Floats, rng: np.random.Generator) -> Floats:
    """Lines without print, along the feed of the label."""
    coverage = coverage.copy()
    down = rng.random() < 0.5
    for _ in range(1 + below(3, rng)):
        place = below(coverage.shape[1 if down else 0], rng)
        where = np.s_[:, place : place + 2] if down else np.s_[place : place + 2]
        coverage[where] *= np.float32(within((0, 0.5), rng))
    return coverage


def _displayed(coverage: Floats, bright: bool, rng: np.random.Generator) -> Floats:
    """A glow around what shines; a shadow on the reflector behind what darkens."""
    if bright:
        return coverage + np.float32(within((0.1, 0.5), rng)) * blurred(coverage, within((2, 6), rng))
    if rng.random() < 0.5:
        shift = np.array([[1, 0, within((-3, 3), rng)], [0, 1, within((0.5, 4), rng)]])
        behind = cv2.warpAffine(blurred(coverage, 1.0), shift, (coverage.shape[1], coverage.shape[0]))
        weak = np.asarray(behind, np.float32) * np.float32(within((0.1, 0.35), rng))
        return np.asarray(np.maximum(coverage, weak), np.float32)
    return coverage


def _effect(coverage: Floats, rng: np.random.Generator) -> Floats:
    """A shadow of the other tone, or the outline alone."""
    if rng.random() < 0.5:
        shift = [below(9, rng) - 4 for _ in range(2)]
        shadowed = np.roll(coverage, tuple(shift), (0, 1)) * (1 - coverage)
        return np.asarray(coverage - np.float32(within((0.3, 0.7), rng)) * shadowed, np.float32)
    edge = cv2.morphologyEx((coverage * 255).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.asarray(edge, np.float32) / np.float32(255)


def _flip(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Contrast that turns over somewhere along the line, quickly, so that few characters are lost."""
    x = np.arange(size[1], dtype=np.float32)
    where, width = within((0, size[1]), rng), within((2, 12), rng)
    line = np.tanh((x - np.float32(where)) / np.float32(width)) * np.float32(one_of((-1, 1), rng))
    weak = np.where(line < 0, np.float32(within((0.4, 1.0), rng)), np.float32(1.0))
    return np.broadcast_to((line * weak).astype(np.float32)[None], (size[0], size[1]))
