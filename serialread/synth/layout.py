"""Where every character stands: from a text to one matrix a character, in crop px."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serialread.codes import without_blanks
from serialread.recipe.data import Layout
from serialread.synth import shapes
from serialread.synth.shapes import Face, advance

Matrices = NDArray[np.float64]
Points = NDArray[np.float64]

_RISE = 1.1  # ch; most that tilt or arc lifts one end of the line over the other


@dataclass(frozen=True, slots=True)
class Setting:
    """How a process places characters.

    Attributes:
        hand_set: each for itself.
        straight: never on an arc nor around a shaft.
        slant_deg: of every character; None lets the recipe's layout draw one.
    """

    hand_set: bool = False
    straight: bool = False
    slant_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Extra:
    """A shape that is no character: frame, bar, logo. Points [k, 2] in canvas px."""

    points: Points
    filled: bool
    width_px: float


@dataclass(frozen=True, slots=True)
class Line:
    """A text set out on a canvas.

    Attributes:
        chars: the code's characters, then those of neighbouring lines.
        length: how many of them belong to the code.
        matrices: [m, 3, 3], cap heights (y down, baseline 0) to canvas px.
        boxes: [length, 4], x0, y0, x1, y1 of the code's characters, canvas px.
        extras: shapes beside the code.
        size: rows and columns of the canvas.
        cap_px: height of a capital on the canvas.
        around: half the angle that the code takes around a shaft, rad; 0 on a plane.
        parameters: what was drawn, for the record.
    """

    chars: str
    length: int
    matrices: Matrices
    boxes: NDArray[np.float64]
    extras: tuple[Extra, ...]
    size: tuple[int, int]
    cap_px: float
    around: float
    parameters: dict[str, float]


def set_line(
    text: str, face: Face, layout: Layout, setting: Setting, rows: int, widest: int, rng: np.random.Generator
) -> Line:
    """Set a text with its gaps, neighbours and margins, ``rows`` px high, at most ``widest`` px wide."""
    code = without_blanks(text)
    around = 0.0 if setting.straight else _around(len(code), layout, rng)
    bend = 0.0 if around or setting.straight else _bend(len(code), layout, rng)
    tilt = _tilt(len(code), layout, rng)
    matrices = _wrapped(_along_a_line(text, face, layout, setting, rng), around)
    matrices = _rotated(_bent(matrices, bend), tilt)
    corners = _corners(code, face, matrices)
    logo = _logo(corners, rng) if rng.random() < layout.logo_share else []
    frame = _frame(corners, rng) if rng.random() < layout.frame_share else []
    crop = _crop(corners, logo, layout, rng)
    chars, matrices = _with_neighbours(code, matrices, crop, corners, face, layout, rng)
    to_canvas, size = _canvas(crop, rows, widest)
    matrices = to_canvas @ matrices
    points = corners @ to_canvas[:2, :2].T + to_canvas[:2, 2]
    scale = float((to_canvas[0, 0] * to_canvas[1, 1]) ** 0.5)
    return Line(
        chars=chars,
        length=len(code),
        matrices=matrices,
        boxes=np.concatenate([points.min(1), points.max(1)], axis=1),
        extras=tuple(_moved(e, to_canvas, scale) for e in (*logo, *frame)),
        size=size,
        cap_px=_cap_px(matrices[: len(code)]),
        around=around,
        parameters={
            "around_deg": round(float(np.degrees(2 * around)), 1),
            "tilt_deg": round(float(np.degrees(tilt)), 2),
            "bend_deg": round(float(np.degrees(bend)), 1),
        },
    )


def _cap_px(matrices: Matrices) -> float:
    """Height of a capital, in the mean of both directions and the middle of all characters."""
    areas = matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0]
    return float(sorted(np.abs(areas).tolist())[len(areas) // 2] ** 0.5)


def _along_a_line(
    text: str, face: Face, layout: Layout, setting: Setting, rng: np.random.Generator
) -> Matrices:
    """One matrix a character on the baseline y = 0."""
    code = without_blanks(text)
    pens = _pens(text, face, layout, rng)
    n = len(code)
    stretch = rng.uniform(*layout.stretch)
    drawn = rng.uniform(*layout.slant_deg) if rng.random() < 0.25 else 0.0
    slant = np.tan(np.radians(drawn if setting.slant_deg is None else setting.slant_deg))
    growth = rng.uniform(*layout.perspective) if rng.random() < 0.5 else 0.0
    size = 1 + growth * (pens / max(pens[-1], 1.0) - 0.5)
    drop, turn = np.zeros(n), np.zeros(n)
    if setting.hand_set:
        spread = rng.uniform(*layout.jitter)
        pens = pens + rng.normal(0, spread, n)
        drop = rng.normal(0, spread, n)
        turn = np.radians(rng.normal(0, rng.uniform(*layout.turn_deg), n))
        size = size * (1 + rng.normal(0, spread * 0.4, n))
    c, s = np.cos(turn), np.sin(turn)
    m = np.zeros((n, 3, 3))
    m[:, 0, 0], m[:, 0, 1] = c * stretch * size, (-s - slant * c) * size
    m[:, 1, 0], m[:, 1, 1] = s * stretch * size, (c - slant * s) * size
    m[:, 0, 2], m[:, 1, 2], m[:, 2, 2] = pens * stretch, drop, 1
    return m


def _pens(text: str, face: Face, layout: Layout, rng: np.random.Generator) -> NDArray[np.float64]:
    """X of every character's origin before stretching; blanks move the pen."""
    spacing = rng.uniform(*layout.spacing)
    if rng.random() < 0.3:  # wide setting is common on nameplates and chips
        spacing *= rng.uniform(1.0, 2.2)
    gap = rng.uniform(0.35, 1.1)
    fixed = max(advance(face, c) for c in text if not c.isspace()) if rng.random() < 0.25 else None
    pens, pen = [], 0.0
    for char in text:
        if char.isspace():
            pen += gap
            continue
        width = advance(face, char)
        step = max(width, fixed) if fixed is not None else width
        pens.append(pen + (step - width) / 2)
        pen += step + spacing
    return np.array(pens)


def _tilt(length: int, layout: Layout, rng: np.random.Generator) -> float:
    """Tilt of the line, rad; a long line tilts less, or its crop would be mostly surface."""
    drawn = rng.uniform(-15, 15) if rng.random() < 0.1 else rng.normal(0, layout.tilt_deg)
    most = min(15.0, float(np.degrees(np.arctan2(_RISE, 0.7 * length))))
    return float(np.radians(np.clip(drawn, -most, most)))


def _bend(length: int, layout: Layout, rng: np.random.Generator) -> float:
    """Angle between the first and the last character, rad; 0 for a straight line."""
    if length < 4 or rng.random() >= layout.arc_share:
        return 0.0
    return float(rng.choice((-1, 1)) * min(rng.uniform(0.15, 0.9), 8 * _RISE / (0.7 * length)))


def _around(length: int, layout: Layout, rng: np.random.Generator) -> float:
    """Half the angle around a shaft, rad; a few characters do not reach far."""
    if length < 3 or rng.random() >= layout.cylinder_share:
        return 0.0
    return float(rng.uniform(0.25, min(0.95, 0.3 + 0.06 * length)))


def _wrapped(matrices: Matrices, around: float) -> Matrices:
    """Wrap a straight line around a shaft that stands across it, seen from afar."""
    if not around:
        return matrices
    x = matrices[:, 0, 2] + 0.3  # about the middle of a character
    half = max(float(np.ptp(x)) / 2, 0.5)
    phi = (x - (x.max() + x.min()) / 2) / half * around
    out = matrices.copy()
    out[:, 0, :2] *= np.cos(phi)[:, None]
    out[:, 0, 2] = half / around * np.sin(phi) - 0.3 * np.cos(phi)
    return out


def _bent(matrices: Matrices, angle: float) -> Matrices:
    if not angle:
        return matrices
    x = matrices[:, 0, 2]
    length = max(float(np.ptp(x)), 1.0)
    phi = (x - x.mean()) / length * angle
    radius = length / angle
    turns = _turns(phi)
    out = turns @ (_moves(-x, np.zeros_like(x)) @ matrices)
    out[:, 0, 2] += radius * np.sin(phi)
    out[:, 1, 2] += radius * (1 - np.cos(phi))
    return out


def _rotated(matrices: Matrices, angle: float) -> Matrices:
    return _turns(np.array([angle])) @ matrices


def _turns(angles: NDArray[np.float64]) -> Matrices:
    m = np.zeros((len(angles), 3, 3))
    m[:, 0, 0] = m[:, 1, 1] = np.cos(angles)
    m[:, 1, 0] = np.sin(angles)
    m[:, 0, 1] = -m[:, 1, 0]
    m[:, 2, 2] = 1
    return m


def _moves(x: NDArray[np.float64], y: NDArray[np.float64]) -> Matrices:
    m = np.tile(np.eye(3), (len(x), 1, 1))
    m[:, 0, 2], m[:, 1, 2] = x, y
    return m


def _corners(code: str, face: Face, matrices: Matrices) -> Points:
    """Corners [n, 4, 2] of the characters after their matrices."""
    flat = np.array([shapes.corners(face, c) for c in code])
    return np.asarray(flat @ matrices[:, :2].transpose(0, 2, 1), np.float64)


def _bounds(corners: Points) -> tuple[float, float, float, float]:
    """The text's box, at least as high as half a capital so that "-" does not fill the crop."""
    flat = corners.reshape(-1, 2)
    (x0, y0), (x1, y1) = flat.min(0), flat.max(0)
    if y1 - y0 < 0.9:
        middle = (y0 + y1) / 2 if y1 - y0 > 0.5 else y1 - 0.45
        y0, y1 = middle - 0.5, middle + 0.5
    return float(x0), float(y0), float(x1), float(y1)


def _crop(
    corners: Points, logo: list[Extra], layout: Layout, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """The part of the surface that the picture shows: the text, its margins, the logo if any."""
    x0, y0, x1, y1 = _bounds(corners)
    left, top, right, bottom = rng.uniform(*layout.margin, 4) * rng.uniform(0.3, 1.0)
    if rng.random() < layout.neighbour_share:
        top, bottom = np.array([top, bottom]) + rng.uniform(0.1, 0.5, 2) * (rng.random(2) < 0.6)
    if rng.random() < layout.cut_share:
        top, bottom = ((-rng.uniform(0, 0.1), bottom), (top, -rng.uniform(0, 0.1)))[rng.integers(2)]
    wide = rng.uniform(1.0, 1.6)
    if logo:
        across = np.concatenate([e.points[:, 0] for e in logo])
        x0, x1 = min(x0, across.min()), max(x1, across.max())
    return x0 - left * wide, y0 - top, x1 + right * wide, y1 + bottom


def _canvas(
    crop: tuple[float, float, float, float], rows: int, widest: int
) -> tuple[Matrices, tuple[int, int]]:
    x0, y0, x1, y1 = crop
    scale = rows / (y1 - y0)
    columns = max(round(scale * (x1 - x0) / 2) * 2, rows // 2)
    across = scale
    if columns > widest:
        across *= widest / columns
        columns = widest
    spare = (columns - across * (x1 - x0)) / 2
    matrix = np.array([[across, 0, spare - across * x0], [0, scale, -scale * y0], [0, 0, 1]])
    return matrix, (rows, columns)


def _with_neighbours(
    code: str,
    matrices: Matrices,
    crop: tuple[float, float, float, float],
    corners: Points,
    face: Face,
    layout: Layout,
    rng: np.random.Generator,
) -> tuple[str, Matrices]:
    """Lines above and below, as far as the crop shows them; they carry no label."""
    _, y0, _, y1 = _bounds(corners)
    chars, parts = code, [matrices]
    pool = np.array(list("0123456789ABCDEFGHKLMNPRSTXZ"))
    for shown, sign in ((y0 - crop[1], -1), (crop[3] - y1, 1)):
        if shown < 0.12 or rng.random() >= layout.neighbour_share * 2.5:
            continue
        distance = max(shown - 0.45, 0.08) + rng.uniform(0.0, 0.3)
        other = "".join(c for c in rng.choice(pool, len(code)) if _drawable(face, c))
        if not other:
            continue
        shift = _moves(
            np.full(len(other), rng.normal(0, 0.8)), np.full(len(other), sign * (y1 - y0 + distance))
        )
        parts.append(shift @ matrices[: len(other)])
        chars += other
    return chars, np.concatenate(parts)


def _drawable(face: Face, char: str) -> bool:
    try:
        advance(face, char)
    except KeyError:
        return False
    return True


def _logo(corners: Points, rng: np.random.Generator) -> list[Extra]:
    """An irregular shape left or right of the text, filled or in outline."""
    x0, y0, x1, y1 = _bounds(corners)
    size = (y1 - y0) * rng.uniform(0.4, 0.65)
    gap = rng.uniform(0.25, 0.6)
    middle = x0 - gap - size if rng.random() < 0.7 else x1 + gap + size
    vertices = int(rng.integers(3, 14))
    angles = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    radii = size * rng.uniform(0.35, 1.0, vertices)
    centre = np.array([middle, (y0 + y1) / 2])
    points = centre + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    shapes = [Extra(points, bool(rng.random() < 0.5), rng.uniform(0.05, 0.12))]
    if rng.random() < 0.5:
        inner = centre + (points - centre) * rng.uniform(0.3, 0.6) + rng.normal(0, 0.05, 2)
        shapes.append(Extra(inner, False, rng.uniform(0.04, 0.1)))
    return shapes


def _frame(corners: Points, rng: np.random.Generator) -> list[Extra]:
    """A box, a bar beside the text, or a line over or under it."""
    x0, y0, x1, y1 = _bounds(corners)
    gap = rng.uniform(0.12, 0.35, 4)
    left, top, right, bottom = x0 - gap[0] - 0.1, y0 - gap[1], x1 + gap[2] + 0.1, y1 + gap[3]
    width = rng.uniform(0.03, 0.1)
    gaps = corners[1:, :, 0].min(1) - corners[:-1, :, 0].max(1)
    if len(gaps) and gaps.max() > 0.3 and rng.random() < 0.4:  # a bar between two parts of the code
        after = int(gaps.argmax())
        x = corners[after, :, 0].max() + gaps[after] * rng.uniform(0.35, 0.65)
        width = min(width, 0.3 * float(gaps[after]))
        return [Extra(np.array([[x, y0 - 3], [x, y1 + 3]]), False, width)]
    kind = rng.integers(5)
    if kind == 0:
        return [Extra(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]), False, width)]
    if kind == 1:
        x = left if rng.random() < 0.5 else right
        return [Extra(np.array([[x, y0 - 3], [x, y1 + 3]]), False, width)]
    y = top if kind == 2 else bottom
    return [Extra(np.array([[left - 3, y], [right + 3, y]]), False, width)]


def _moved(extra: Extra, to_canvas: Matrices, scale: float) -> Extra:
    points = extra.points @ to_canvas[:2, :2].T + to_canvas[:2, 2]
    return Extra(points, extra.filled, max(extra.width_px * scale, 1.0))
