"""What a crop shows besides the code: frames, logos, tool marks, other lines, edges, holes, printed parts.

Lengths are in cap heights, y down, unless a name says px.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats, Pixels
from serialread.synth.fields import blurred
from serialread.synth.fonts import Face, advance
from serialread.synth.photography import Shaded, within_range
from serialread.synth.rng import Rng, below, one_of, within

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]

OTHER_CHARS = "0123456789ABCDEFGHKLMNPRSTXZ"
WORD_CHARS = "aaabcdeeeeefghiiiklmnnnoooprrrsssttttuuvwz"
"""Small letters of other lines, about as often as in words."""
_HALF = np.linspace(-np.pi / 2, np.pi / 2, 12)  # of a circle


@dataclass(frozen=True, slots=True)
class DistractorShape:
    """A shape that is no character. Points [k, 2]; two are a line, more are closed; ``strength`` 0..1."""

    points: Points
    filled: bool
    width: float
    strength: float = 1.0


def other_chars(face: Face, count: int, rng: Rng, chars: str = OTHER_CHARS) -> str:
    """Characters of another line, without those that the typeface lacks."""
    return "".join(c for c in (one_of(chars, rng) for _ in range(count)) if _drawable(face, c))


def _drawable(face: Face, char: str) -> bool:
    try:
        advance(face, char)
    except KeyError:
        return False
    return True


def logo(bounds: Box, rng: Rng) -> list[DistractorShape]:
    """An irregular shape left or right of the text, filled or in outline."""
    x0, y0, x1, y1 = bounds
    size = (y1 - y0) * within((0.4, 0.65), rng)
    gap = within((0.25, 0.6), rng)
    middle = x0 - gap - size if rng.random() < 0.7 else x1 + gap + size
    vertices = 3 + below(11, rng)
    angles = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    radii = size * rng.uniform(0.35, 1.0, vertices)
    centre = np.array([middle, (y0 + y1) / 2])
    points = centre + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    shapes = [DistractorShape(points, rng.random() < 0.5, within((0.05, 0.12), rng))]
    if rng.random() < 0.5:
        inner = centre + (points - centre) * within((0.3, 0.6), rng) + rng.normal(0, 0.05, 2)
        shapes.append(DistractorShape(inner, False, within((0.04, 0.1), rng)))
    return shapes


def frame(bounds: Box, corners: Points, rng: Rng) -> list[DistractorShape]:
    """A box, one with round ends, a bar next to the text or between its parts, or a line above or below it.

    ``corners`` [n, 4, 2] are those of the characters, ``bounds`` those of all.
    """
    x0, y0, x1, y1 = bounds
    gap = rng.uniform(0.12, 0.35, 4)
    left, top, right, bottom = x0 - gap[0] - 0.1, y0 - gap[1], x1 + gap[2] + 0.1, y1 + gap[3]
    width = within((0.03, 0.1), rng)
    gaps = corners[1:, :, 0].min(1) - corners[:-1, :, 0].max(1)
    if len(gaps) and gaps.max() > 0.3 and rng.random() < 0.4:
        after = int(gaps.argmax())
        x = corners[after, :, 0].max() + gaps[after] * within((0.35, 0.65), rng)
        return [_line(x, y0 - 3, x, y1 + 3, min(width, 0.3 * float(gaps[after])))]
    match below(6, rng):
        case 0:
            box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            return [DistractorShape(box, False, width)]
        case 1:
            right_end = np.stack([np.cos(_HALF), np.sin(_HALF)], axis=1) * (bottom - top) / 2
            middles = np.array([[right, top + bottom], [left, top + bottom]]) / (1, 2)
            return [
                DistractorShape(
                    np.concatenate([middles[0] + right_end, middles[1] - right_end]), False, width
                )
            ]
        case 2:
            x = left if rng.random() < 0.5 else right
            return [_line(x, y0 - 3, x, y1 + 3, width)]
        case side:
            y = top if side == 3 else bottom
            return [_line(left - 3, y, right + 3, y, width)]


def strokes(bounds: Box, rng: Rng) -> list[DistractorShape]:
    """One to four upright strokes of a tool left or right of the text: feed marks, a slip, a scratch.

    Readers confuse them with 1 and I. To keep labels correct, each differs from every character of the code:
    it is longer than the line, leaves the picture, or is much weaker.
    """
    x0, y0, x1, y1 = bounds
    high, side = y1 - y0, -1 if rng.random() < 0.5 else 1
    x, lean = x0 if side < 0 else x1, 0.12 * rng.standard_normal()
    width, feed, kind = within((0.06, 0.16), rng), within((0.15, 0.5), rng), below(4, rng)
    top, bottom, strength = y0 + within((-0.06, 0.06), rng), y1 + within((-0.06, 0.06), rng), 1.0
    match kind:
        case 0:
            top, bottom = y0 - 3, y1 + 3
        case 1 if rng.random() < 0.5:
            top = y0 - within((0.3, 1.0), rng) * high
        case 1:
            bottom = y1 + within((0.3, 1.0), rng) * high
        case 2:
            strength = within((0.2, 0.45), rng)
        case _:
            width, reach = within((0.02, 0.035), rng), within((0.2, 0.6), rng) * high
            top, bottom = top - reach, bottom + reach
    x += side * within((0.12, 0.5), rng)
    places = x + side * feed * np.arange(1 + below(4, rng) * (rng.random() < 0.6))
    slope = lean if kind else 0.3 * lean  # else strokes that leave the picture would cross the code
    middle = (y0 + y1) / 2
    return [
        _line(p + slope * (top - middle), top, p + slope * (bottom - middle), bottom, width, strength)
        for p in places.tolist()
    ]


def barcode(bounds: Box, sign: int, away: float, rng: Rng) -> list[Points]:
    """Corners [4, 2] of a barcode's bars above (-1) or below (1) the text, ``away`` from it."""
    x0, y0, x1, y1 = bounds
    near = y0 - away if sign < 0 else y1 + away
    far, module, x = near + 2 * sign, within((0.025, 0.06), rng), x0 + within((-1.5, 1.0), rng)
    bars: list[Points] = []
    while x < x1 + 1.5 and len(bars) < 120:
        wide = module * (1 + below(3, rng))
        bars.append(np.array([[x, near], [x + wide, near], [x + wide, far], [x, far]]))
        x += wide + module * (1 + below(3, rng))
    return bars


def _line(x0: float, y0: float, x1: float, y1: float, width: float, strength: float = 1.0) -> DistractorShape:
    return DistractorShape(np.array([[x0, y0], [x1, y1]]), False, width, strength)


def overprinted(shaded: Shaded, printed: Floats, rng: Rng) -> Shaded:
    """Print a part of the code next to the part that is already marked."""
    coverage = blurred(printed, within((0.4, 0.9), rng))
    contrast = within((0.12, 0.7), rng)
    tone = contrast if rng.random() < 0.3 else -contrast
    print_ = np.float32(tone) * coverage
    parameters = {**shaded.parameters, "printed": round(tone, 3)}
    both = replace(
        shaded, pixels=shaded.pixels + print_, signal=shaded.signal + print_, parameters=parameters
    )
    return within_range(both)


def ended(shaded: Shaded, owners: Pixels, rng: Rng) -> Shaded:
    """Let the part end next to the code: beyond its edge the tone is another, even one."""
    free = _free(owners)
    side = below(4, rng)
    reach = int(free[side] * within((0.2, 0.8), rng))
    if reach < 2:
        return shaded
    beyond = np.zeros(owners.shape, np.float32)
    beyond[(np.s_[:, :reach], np.s_[:, -reach:], np.s_[:reach], np.s_[-reach:])[side]] = 1
    beyond = blurred(beyond, within((0.5, 2.5), rng))
    tone = np.float32(within((0.0, 0.35), rng) if rng.random() < 0.75 else within((0.6, 1.0), rng))
    pixels = shaded.pixels + beyond * (tone - shaded.pixels)
    return replace(shaded, pixels=pixels, parameters={**shaded.parameters, "edge": side})


def drilled(shaded: Shaded, owners: Pixels, rng: Rng) -> Shaded:
    """Add a hole or a screw head next to the code, as far as the margin shows it."""
    free = _free(owners)
    rows, columns = owners.shape
    side = below(4, rng)
    shown = free[side] * within((0.4, 0.95), rng)
    if shown < 4:
        return shaded
    radius = max(within((0.15, 0.5), rng) * rows, 0.6 * shown)
    x, y = within((0, columns), rng), within((0.2, 0.8), rng) * rows
    x = (shown - radius, columns - shown + radius, x, x)[side]
    y = (y, y, shown - radius, rows - shown + radius)[side]
    inside, ring = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    place = (round(x * 16), round(y * 16))
    cv2.circle(inside, place, round(radius * 16), 1.0, cv2.FILLED, cv2.LINE_AA, 4)
    cv2.circle(ring, place, round(radius * 16), within((-0.4, 0.5), rng), 2, cv2.LINE_AA, 4)
    tone = np.float32(within((0.0, 0.2), rng) if rng.random() < 0.7 else within((0.4, 0.9), rng))
    pixels = shaded.pixels + blurred(inside, 0.8) * (tone - shaded.pixels) + blurred(ring, 0.8)
    return replace(shaded, pixels=pixels, parameters={**shaded.parameters, "hole": side})


def _free(owners: Pixels) -> tuple[int, int, int, int]:
    """Free px left, right, above and below the code."""
    height, width = owners.shape
    x, y, wide, high = cv2.boundingRect(owners)
    if wide == 0:
        return (0, 0, 0, 0)
    return (x, width - x - wide, y, height - y - high)
