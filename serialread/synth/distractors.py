"""What a crop shows besides the code: frames, logos, tool marks, other lines, edges, holes, printed parts.

Lengths are in cap heights, y down, unless a name says px.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats, Pixels
from serialread.synth.alphabets import stroke_faces
from serialread.synth.fields import blurred
from serialread.synth.fonts import Face, advance
from serialread.synth.photography import Shaded, within_range
from serialread.synth.rng import Rng, below, one_of, within

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]

OTHER_CHARS = "0123456789ABCDEFGHKLMNPRSTXZ"
WORD_CHARS = "aaabcdeeeeefghiiiklmnnnoooprrrsssttttuuvwz"
"""Small letters of other lines, about as often as in words."""
UNITS = ("kWh", "kWh", "kW", "kW", "Wh", "MWh", "m3", "V", "A", "kg", "h", "bar", "Hz", "W", "C", "km")
"""As meters show them."""
_ARMS = np.array([[-1, -1], [1, -1], [1, 0.2], [0.6, 0.7], [0, 1], [-0.6, 0.7], [-1, 0.2]])
_SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
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
    return drawable(face, "".join(one_of(chars, rng) for _ in range(count)))


def drawable(face: Face, chars: str) -> str:
    """The characters that the typeface has."""
    return "".join(c for c in chars if _drawable(face, c))


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


def emblems(corners: Points, rng: Rng) -> list[DistractorShape]:
    """Arms, seals, stickers, flags in a gap of the text or beside it, or a country band at its left.

    They have several tones and are filled, so that none is a character; they overlap none.

    Args:
        corners: of the characters on a straight baseline [n, 4, 2].
        rng: source of every draw.
    """
    left, right = corners[:, :, 0].min(1), corners[:, :, 0].max(1)
    low = min(float(corners[:, :, 1].max()), 0.1)
    gaps = np.flatnonzero(left[1:] - right[:-1] > 0.3)
    between, chance = len(gaps) > 0 and rng.random() < 0.7, rng.random()
    shapes = []
    if chance < 0.3:
        shapes = _band(float(left[0]) - within((0.08, 0.4), rng), rng)
    if between:
        gap = one_of(gaps.tolist(), rng)
        x0, x1 = float(right[gap]), float(left[gap + 1])
        half = min((x1 - x0) * within((0.3, 0.48), rng), within((0.2, 0.55), rng))
        middle = within((x0 + half, x1 - half), rng)
    elif chance > 0.3:
        half, away = within((0.15, 0.5), rng), within((0.06, 0.5), rng)
        middle = left[0] - away - half if rng.random() < 0.75 else right[-1] + away + half
    else:
        return shapes
    high = min(half * within((0.8, 1.6), rng), 0.6)
    if rng.random() < 0.3:  # two, one above the other
        high, half = min(high, 0.24), min(half, 0.3)
        places = [(middle, -0.74 + within((-0.04, 0.04), rng)), (middle, -0.24 + within((-0.04, 0.04), rng))]
    else:
        places = [(middle, low - high - rng.random() * max(0.0, 1 + low - 2 * high))]
    return [*shapes, *(shape for place in places for shape in _emblem(np.array(place), half, high, rng))]


def _emblem(centre: Points, half: float, high: float, rng: Rng) -> list[DistractorShape]:
    """Filled outlines of other tones one upon the other; ``half`` its width and ``high`` its height."""
    size, turn = np.array([half, high]), within((0, 6.3), rng)
    outline = one_of((_ARMS, _SQUARE, _star(8, 1.0, 0.4), _star(16, 1.0, 0.0), _blot(rng)), rng)
    tone = within((0.15, 1.0), rng)
    shapes = [_area(centre + size * outline, tone)]
    if rng.random() < 0.4:  # a border
        shapes.append(_area(centre + size * outline * within((0.7, 0.85), rng), _other_tone(tone, rng)))
        tone = shapes[-1].strength
    match below(4, rng):
        case 0:  # bands of a flag
            count, upright = 2 + below(3, rng), rng.random() < 0.4
            for i in range(count):
                at = np.array([-0.7, -0.7 + 1.4 * i / count]), np.array([0.7, -0.7 + 1.4 * (i + 0.8) / count])
                band = np.array([at[0], [at[1][0], at[0][1]], at[1], [at[0][0], at[1][1]]])
                shapes.append(_area(centre + size * (band[:, ::-1] if upright else band), rng.random()))
        case 1:
            star = _star(10, within((0.5, 0.8), rng), turn, inner=within((0.3, 0.6), rng))
            shapes.append(_area(centre + size * star, _other_tone(tone, rng)))
        case 2:  # a cross on a field of its own
            other = _other_tone(tone, rng)
            shapes += [_area(centre + size * _SQUARE * arm, other) for arm in ((0.65, 0.16), (0.16, 0.65))]
        case _:
            for _ in range(3 + below(4, rng)):
                spot = within((0.15, 0.45), rng) * _blot(rng) + rng.uniform(-0.5, 0.5, 2)
                shapes.append(_area(centre + size * spot, rng.random()))
    return shapes


def _band(right: float, rng: Rng) -> list[DistractorShape]:
    """A country's band that ends at ``right``: one or two small letters below a ring of stars or arms."""
    wide, tone = within((0.35, 0.75), rng), within((0.0, 1.0), rng)
    top, low = -1 - within((0.05, 0.25), rng), within((0.05, 0.25), rng)
    middle, ink = right - wide / 2, 0.0 if tone > 0.4 else 1.0
    shapes = [_area(np.array([[right - wide, top], [right, top], [right, low], [right - wide, low]]), tone)]
    high = within((0.2, 0.35), rng)
    above = np.array([middle, -0.68])
    if rng.random() < 0.5:
        for angle in np.arange(0, 2 * np.pi, np.pi / 4).tolist():
            star = 0.3 * wide * np.array([np.cos(angle), np.sin(angle)])
            shapes.append(_area(above + star + 0.05 * _SQUARE, ink))
    elif rng.random() < 0.7:
        shapes += _emblem(above, 0.35 * wide, min(0.45 * wide, 0.3), rng)
    face, letters = (
        one_of(stroke_faces(), rng),
        [one_of(OTHER_CHARS[10:], rng) for _ in range(1 + below(2, rng))],
    )
    across = sum(face.advances[c] for c in letters)
    x, high = middle - 0.5 * across * high, min(high, 0.85 * wide / across)
    for char in letters:
        for line in face.glyphs[char]:
            points = np.array(line) * high + (x, low - 0.1)
            pairs = np.stack([points[:-1], points[1:]], axis=1)
            shapes += [DistractorShape(pair, False, 0.14 * high, ink) for pair in pairs]
        x += face.advances[char] * high
    return shapes


def _area(points: Points, strength: float) -> DistractorShape:
    return DistractorShape(points, True, 0.0, strength)


def _other_tone(tone: float, rng: Rng) -> float:
    """A tone that differs visibly from ``tone``."""
    return (tone + within((0.25, 0.75), rng)) % 1.0


def _star(corners: int, radius: float, turn: float, inner: float = 1.0) -> Points:
    """A regular polygon; every second corner is at ``inner`` of the radius."""
    angles = turn + np.arange(corners) * 2 * np.pi / corners
    radii = radius * np.where(np.arange(corners) % 2, inner, 1.0)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _blot(rng: Rng) -> Points:
    angles = np.sort(rng.uniform(0, 2 * np.pi, 5 + below(5, rng)))
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return around * rng.uniform(0.5, 1.0, (len(angles), 1))


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


def barcode(bounds: Box, sign: int, away: float, rng: Rng) -> list[DistractorShape]:
    """A barcode's bars above (-1) or below (1) the text, ``away`` from it."""
    x0, y0, x1, y1 = bounds
    near = y0 - away if sign < 0 else y1 + away
    far, module, x = near + 2 * sign, within((0.025, 0.06), rng), x0 + within((-1.5, 1.0), rng)
    bars: list[DistractorShape] = []
    while x < x1 + 1.5 and len(bars) < 120:
        wide = module * (1 + below(3, rng))
        bars.append(_area(np.array([[x, near], [x + wide, near], [x + wide, far], [x, far]]), 1.0))
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
