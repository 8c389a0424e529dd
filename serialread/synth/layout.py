"""The layout of a text: one projective matrix per character, in crop px."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serialread.codes import without_blanks
from serialread.config.data_recipe import Layout
from serialread.synth import distractors, fonts
from serialread.synth.alphabets import Dots, Segments
from serialread.synth.distractors import Box, DistractorShape
from serialread.synth.emphasis import Emphasis, emphasis
from serialread.synth.fonts import Face, Points, advance
from serialread.synth.rng import Rng, below, one_of, within

Matrices = NDArray[np.float64]

_RISE = 1.1  # ch; maximum height of one end of the line over the other by tilt or arc


@dataclass(frozen=True, slots=True)
class Setting:
    """How a process places characters.

    Attributes:
        hand_set: each with its own offset, rotation and size.
        straight: neither on an arc nor around a shaft.
        slant_deg: of every character; None draws one from the recipe's layout.
    """

    hand_set: bool = False
    straight: bool = False
    slant_deg: float | None = None


@dataclass(frozen=True, slots=True)
class GlyphRun:
    """Characters, a typeface for each.

    Attributes:
        matrices: [n, 3, 3], cap heights (y down, baseline 0) to canvas px; projective.
    """

    faces: tuple[Face, ...]
    chars: str
    matrices: Matrices


@dataclass(frozen=True, slots=True)
class TypesetLine:
    """A text laid out on a canvas.

    Attributes:
        runs: the code, then other text without a label.
        boxes: [n, 4], x0, y0, x1, y1 of the code's characters, canvas px.
        shapes: shapes that are no text, canvas px.
        size: rows and columns of the canvas.
        cap_px: height of a capital on the canvas.
        around: half the angle that the code takes around a shaft, rad; 0 on a plane.
        parameters: drawn parameters, for the record.
    """

    runs: tuple[GlyphRun, ...]
    boxes: NDArray[np.float64]
    shapes: tuple[DistractorShape, ...]
    size: tuple[int, int]
    cap_px: float
    around: float
    parameters: dict[str, float]

    @property
    def length(self) -> int:
        """Number of characters of the code."""
        return len(self.runs[0].chars)


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of a whole line: bent by an angle (rad) over its length (ch), tilted (rad), homography [3, 3]."""

    bend: float
    middle: float
    length: float
    tilt: float
    seen: Matrices

    def of(self, matrices: Matrices) -> Matrices:
        """The matrices [n, 3, 3] of characters on a straight baseline, in this pose."""
        return self.seen @ turn(self.tilt) @ _bent(matrices, self)

    def shape(self, shape: DistractorShape) -> DistractorShape:
        """A shape beside a straight baseline, in this pose."""
        m = np.tile(np.eye(3), (len(shape.points), 1, 1))
        m[:, :2, 2] = shape.points
        moved = self.of(m)[:, :, 2]
        return replace(shape, points=moved[:, :2] / moved[:, 2:])


def set_line(
    text: str,
    face: Face,
    other: Face,
    layout: Layout,
    setting: Setting,
    rows: int,
    max_width: int,
    rng: Rng,
    named: Face | None = None,
) -> TypesetLine:
    """Set a text with its gaps, neighbours and margins, ``rows`` px high, at most ``max_width`` px wide.

    ``other`` is the typeface of other lines, ``named`` that of a name or unit in the code.
    """
    code = without_blanks(text)
    around = 0.0 if setting.straight else _around(len(code), layout, rng)
    bend = 0.0 if around or setting.straight else _bend(len(code), layout, rng)
    look = emphasis(text, face, named, layout, rng)
    flat = _wrapped(along_a_line(text, look, layout, setting, rng), around)
    degrees, seen = _perspective(flat, layout, rng)
    first, last = float(flat[0, 0, 2]), float(flat[-1, 0, 2])
    pose = Pose(bend, (first + last) / 2, max(last - first, 1.0), _tilt(len(code), layout, rng), seen)
    run = GlyphRun(look.faces, code, pose.of(flat))
    corners = fonts.placed(look.faces, code, run.matrices)
    shapes, crop, others = _with_distractors(replace(run, matrices=flat), corners, pose, other, layout, rng)
    shapes += look.shapes(code, run.matrices, rng)
    to_canvas, size = _canvas(crop, rows, max_width)
    runs = tuple(GlyphRun(r.faces, r.chars, to_canvas @ r.matrices) for r in (run, *others))
    points = corners @ to_canvas[:2, :2].T + to_canvas[:2, 2]
    scale = float((to_canvas[0, 0] * to_canvas[1, 1]) ** 0.5)
    return TypesetLine(
        runs=runs,
        boxes=np.concatenate([points.min(1), points.max(1)], axis=1),
        shapes=tuple(_moved(e, to_canvas, scale) for e in shapes),
        size=size,
        cap_px=sorted(fonts.scales(runs[0].matrices).tolist())[len(code) // 2],
        around=around,
        parameters={
            "around_deg": round(float(np.degrees(2 * around)), 1),
            "tilt_deg": round(float(np.degrees(pose.tilt)), 2),
            "bend_deg": round(float(np.degrees(bend)), 1),
            "perspective_deg": round(degrees, 1),
        },
    )


def along_a_line(text: str, look: Emphasis, layout: Layout, setting: Setting, rng: Rng) -> Matrices:
    """One matrix a character on the baseline y = 0; those of a raised suffix end at the cap line."""
    wide = _separators(text, look.faces, layout, rng) * look.sizes
    m = _in_a_row(_pens(text, look.faces, wide, layout, rng) + look.shifts, wide, layout, setting, rng)
    m[:, :2, 1] *= look.sizes[:, None]
    m[:, 1, 2] += look.drops
    if layout.low_point_share and "." in text and rng.random() < layout.low_point_share:
        points = np.array(list(without_blanks(text))) == "."
        close = within((0.1, 0.5), rng) * advance(look.faces[int(points.argmax())], ".") * m[0, 0, 0]
        m[:, 0, 2] -= close * (2 * points.cumsum() - points)
        m[points, 1, 2] += within((0.02, 0.15), rng)
    return m


def _in_a_row(
    pens: NDArray[np.float64], wide: NDArray[np.float64], layout: Layout, setting: Setting, rng: Rng
) -> Matrices:
    n = len(pens)
    stretch = within(layout.stretch, rng)
    across = stretch * wide
    drawn = within(layout.slant_deg, rng) if rng.random() < 0.25 else 0.0
    slant = float(np.tan(np.radians(drawn if setting.slant_deg is None else setting.slant_deg)))
    m = np.zeros((n, 3, 3))
    m[:, 2, 2] = 1
    m[:, 0, 2] = pens * stretch
    if not setting.hand_set:
        m[:, 0, 0], m[:, 0, 1], m[:, 1, 1] = across, -slant, 1
        return m
    spread = within(layout.jitter, rng)
    aside, drop, grown = spread * rng.standard_normal((3, n))
    turn = np.radians(within(layout.rotation_deg, rng) * rng.standard_normal(n))
    size = 1 + 0.4 * grown
    c, s = np.cos(turn) * size, np.sin(turn) * size
    m[:, 0, 0], m[:, 0, 1] = c * across, -s - slant * c
    m[:, 1, 0], m[:, 1, 1] = s * across, c - slant * s
    m[:, 0, 2] += aside * stretch
    m[:, 1, 2] = drop
    return m


def _separators(text: str, faces: tuple[Face, ...], layout: Layout, rng: Rng) -> NDArray[np.float64]:
    """Factors on the characters' widths: long dashes and narrow slashes in some codes, else 1.

    Dot matrices and displays keep their own.
    """
    code = without_blanks(text)
    wide = np.ones(len(code))
    if isinstance(faces[0], Dots | Segments):
        return wide
    chars = np.array(list(code))
    if "-" in code and rng.random() < layout.long_dash_share:
        wide[chars == "-"] = within((1.3, 3.0), rng)
    if "/" in code and rng.random() < layout.narrow_slash_share:
        x0, _, x1, _ = fonts.extent(faces[code.index("/")], "/")
        wide[chars == "/"] = min(within((0.28, 0.55), rng) / (x1 - x0), 1.0)
    return wide


def _pens(
    text: str, faces: tuple[Face, ...], wide: NDArray[np.float64], layout: Layout, rng: Rng
) -> NDArray[np.float64]:
    """X of every character's origin before stretching; blanks move the pen."""
    spacing = within(layout.spacing, rng)
    if rng.random() < 0.3:  # wide spacing is common on nameplates and chips
        spacing *= within((1.0, 2.2), rng)
    gap = within(layout.gap, rng)
    lettering = iter(faces)
    widths = [None if char.isspace() else advance(next(lettering), char) for char in text]
    if None in widths and rng.random() < layout.wide_gap_share:
        gap = within(layout.wide_gap, rng)
    fixed = max(w for w in widths if w is not None) if rng.random() < 0.25 else 0.0
    pens, pen, grown = [], 0.0, iter(wide.tolist())
    for own in widths:
        if own is None:
            pen += gap
            continue
        width = own * next(grown)
        step = max(width, fixed)
        pens.append(pen + (step - width) / 2)
        pen += step + spacing
    return np.array(pens)


def _tilt(length: int, layout: Layout, rng: Rng) -> float:
    """Tilt of the line, rad; smaller for long lines, whose crops would else be mostly surface."""
    drawn = within((-15, 15), rng) if rng.random() < 0.1 else layout.tilt_deg * rng.standard_normal()
    most = min(15.0, float(np.degrees(np.arctan2(_RISE, 0.7 * length))))
    return float(np.radians(min(max(drawn, -most), most)))


def _bend(length: int, layout: Layout, rng: Rng) -> float:
    """Angle between the first and the last character, rad; 0 for a straight line."""
    if length < 4 or rng.random() >= layout.arc_share:
        return 0.0
    side = -1 if rng.random() < 0.5 else 1
    return side * min(within(layout.bend, rng), 8 * _RISE / (0.7 * length))


def _around(length: int, layout: Layout, rng: Rng) -> float:
    """Half the angle around a shaft, rad; smaller for short codes."""
    if length < 3 or rng.random() >= layout.cylinder_share:
        return 0.0
    return within((0.25, min(0.95, 0.3 + 0.06 * length)), rng)


def _perspective(flat: Matrices, layout: Layout, rng: Rng) -> tuple[float, Matrices]:
    """The angle of the camera to the surface's normal, deg, and the resulting homography [3, 3].

    The plane is rotated about the middle of the line, in any direction, and seen from
    ``perspective_distance``.
    """
    if rng.random() >= layout.perspective_share:
        return 0.0, np.eye(3)
    degrees, towards = within(layout.perspective_deg, rng), within((0, 2 * np.pi), rng)
    cosine, sine = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    x, y = float(np.cos(towards)), float(np.sin(towards))
    half = max(float(flat[-1, 0, 2] - flat[0, 0, 2]) / 2, 2.0)
    steep = sine / (half * within(layout.perspective_distance, rng))
    short = cosine - 1
    turned = [[1 + short * x * x, short * x * y, 0], [short * x * y, 1 + short * y * y, 0]]
    seen = np.array([*turned, [steep * x, steep * y, 1]])
    middle = (float(flat[-1, 0, 2] + flat[0, 0, 2]) / 2, -0.5)
    return degrees, move(*middle) @ seen @ move(-middle[0], -middle[1])


def _wrapped(matrices: Matrices, around: float) -> Matrices:
    """Wrap a straight line around a shaft whose axis is perpendicular to it, seen from afar."""
    if not around:
        return matrices
    x = matrices[:, 0, 2] + 0.3  # about the middle of a character
    half = max(float(np.ptp(x)) / 2, 0.5)
    phi = (x - (x.max() + x.min()) / 2) / half * around
    out = matrices.copy()
    out[:, 0, :2] *= np.cos(phi)[:, None]
    out[:, 0, 2] = half / around * np.sin(phi) - 0.3 * np.cos(phi)
    return out


def _bent(matrices: Matrices, pose: Pose) -> Matrices:
    if not pose.bend:
        return matrices
    phi = (matrices[:, 0, 2] - pose.middle) / pose.length * pose.bend
    radius = pose.length / pose.bend
    c, s = np.cos(phi), np.sin(phi)
    turns = np.zeros_like(matrices)
    turns[:, 0, 0], turns[:, 0, 1], turns[:, 0, 2] = c, -s, radius * s
    turns[:, 1, 0], turns[:, 1, 1], turns[:, 1, 2] = s, c, radius * (1 - c)
    turns[:, 2, 2] = 1
    upright = matrices.copy()
    upright[:, 0, 2] = 0
    return turns @ upright


def turn(angle: float) -> Matrices:
    """Rotation by an angle, rad, clockwise in a picture, [3, 3]."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def move(x: float, y: float) -> Matrices:
    """Translation, [3, 3]."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def _bounds(corners: Points) -> Box:
    """The text's box, at least half a capital high so that "-" does not fill the crop."""
    flat = corners.reshape(-1, 2)
    (x0, y0), (x1, y1) = flat.min(0).tolist(), flat.max(0).tolist()
    if y1 - y0 < 0.9:
        middle = (y0 + y1) / 2 if y1 - y0 > 0.5 else y1 - 0.45
        y0, y1 = middle - 0.5, middle + 0.5
    return x0, y0, x1, y1


def _with_distractors(
    code: GlyphRun, corners: Points, pose: Pose, other: Face, layout: Layout, rng: Rng
) -> tuple[list[DistractorShape], Box, list[GlyphRun]]:
    """Distractors, and the part of the surface that the picture shows.

    ``code`` is given before its pose; ``corners`` and the results are after it.
    """
    bounds = x0, y0, x1, y1 = _bounds(corners)
    wide = _logo(code, bounds, pose, rng) if rng.random() < layout.logo_share else []
    if rng.random() < layout.tool_mark_share:
        wide = [*wide, *distractors.strokes(bounds, rng)]
    shapes = [*wide, *(distractors.frame(bounds, corners, rng) if rng.random() < layout.frame_share else ())]
    left, top, right, bottom = _margins(layout, rng)
    bars = 0
    if layout.barcode_share and rng.random() < layout.barcode_share:
        bars, away = (-1 if rng.random() < 0.3 else 1), within((0.08, 0.35), rng)
        shown = away + within((0.05, 0.4), rng)
        top, bottom = (shown, bottom) if bars < 0 else (top, shown)
        flat = fonts.placed(code.faces, code.chars, code.matrices).reshape(-1, 2)
        box = (*flat.min(0).tolist(), *flat.max(0).tolist())
        shapes += [pose.shape(bar) for bar in distractors.barcode(box, bars, away, rng)]
    runs = [
        _row(code, other, sign, shown, pose, layout, rng)
        for sign, shown in ((-1, top), (1, bottom))
        if shown >= 0.12 and sign != bars and rng.random() < layout.neighbour_share * 2.5
    ]
    across = [x for shape in wide for x in shape.points[:, 0].tolist()]
    crop = (min(x0, *across, x0) - left, y0 - top, max(x1, *across, x1) + right, y1 + bottom)
    if rng.random() < layout.partial_neighbour_share and not wide:
        run, crop = _cut_off(code, other, crop, pose, rng)
        runs.append(run)
    elif layout.unit_share and not wide and rng.random() < layout.unit_share:
        run, crop = _unit(code, other, crop, pose, rng)
        runs.append(run)
    return shapes, crop, [run for run in runs if run.chars]


def _logo(code: GlyphRun, bounds: Box, pose: Pose, rng: Rng) -> list[DistractorShape]:
    """An irregular shape, or emblems in the pose of the code, which is given before it."""
    if rng.random() < 0.3:
        return distractors.logo(bounds, rng)
    flat = fonts.placed(code.faces, code.chars, code.matrices)
    return [pose.shape(shape) for shape in distractors.emblems(flat, rng)]


def _margins(layout: Layout, rng: Rng) -> list[float]:
    """Free surface left, above, right and below the text; negative where characters are cut off."""
    low, high = layout.margin
    scale = within((0.3, 1.0), rng)
    left, top, right, bottom = ((low + (high - low) * v) * scale for v in rng.random(4).tolist())
    if rng.random() < layout.neighbour_share:  # looser crops show more of other lines
        more = [within((0.1, 0.5), rng) if rng.random() < 0.6 else 0.0 for _ in range(2)]
        top, bottom = top + more[0], bottom + more[1]
    if rng.random() < layout.cropped_share:
        cut = -within((0, 0.1), rng)
        top, bottom = (cut, bottom) if rng.random() < 0.5 else (top, cut)
    wide = within((1.0, 1.6), rng)
    left, right = left * wide, right * wide
    if layout.loose_share and rng.random() < layout.loose_share:
        sides = 1 + below(3, rng)
        left, right = (
            margin + within((0.4, 2.5), rng) * bool(sides & side) for margin, side in ((left, 1), (right, 2))
        )
    if layout.side_cut_share and rng.random() < layout.side_cut_share:
        cut = -within((0, 0.12), rng)
        left, right = (cut, right) if rng.random() < 0.5 else (left, cut)
    return [left, top, right, bottom]


def _row(
    code: GlyphRun, other: Face, sign: int, shown: float, pose: Pose, layout: Layout, rng: Rng
) -> GlyphRun:
    """A line above (-1) or below (1) the code, of which ``shown`` ch are visible; without a label."""
    size = 1.0 if other is code.faces[0] else within((0.5, 1.7), rng)
    words = layout.neighbour_words_share and rng.random() < layout.neighbour_words_share
    pool = distractors.WORD_CHARS if words else distractors.OTHER_CHARS
    chars = distractors.other_chars(other, round(len(code.chars) / size) + 1, rng, pool)
    flat = fonts.placed(code.faces, code.chars, code.matrices)[:, :, 1]
    away = max(shown - 0.45, 0.08) + within((0.0, 0.3), rng)
    y = flat.min() - away if sign < 0 else flat.max() + away + size
    return _other_text(code, other, chars, size, 0.8 * rng.standard_normal(), float(y), pose)


def _cut_off(code: GlyphRun, other: Face, crop: Box, pose: Pose, rng: Rng) -> tuple[GlyphRun, Box]:
    """A character of another code left or right of this one, and the crop that cuts through it."""
    size = 1.0 if other is code.faces[0] else within((0.6, 1.5), rng)
    char = distractors.other_chars(other, 1, rng)
    if not char:
        return GlyphRun((), "", code.matrices[:0]), crop
    flat = fonts.placed(code.faces, code.chars, code.matrices)[:, :, 0]
    x0, _, x1, _ = fonts.extent(other, char)
    stretch, gap, right = float(code.matrices[0, 0, 0]), within((0.45, 0.9), rng), rng.random() < 0.5
    x = flat.max() + gap - x0 * stretch * size if right else flat.min() - gap - x1 * stretch * size
    run = _other_text(code, other, char, size, float(x), 0.0, pose)
    seen = fonts.placed((other,), char, run.matrices)[0, :, 0]
    part = within((0.15, 0.6), rng)
    edge = float(seen.min() + part * np.ptp(seen)) if right else float(seen.max() - part * np.ptp(seen))
    return run, (crop[0], crop[1], edge, crop[3]) if right else (edge, crop[1], crop[2], crop[3])


def _unit(code: GlyphRun, other: Face, crop: Box, pose: Pose, rng: Rng) -> tuple[GlyphRun, Box]:
    """A small unit behind the code, at the cap line or on the baseline, and a crop that shows most of it."""
    chars = distractors.drawable(other, one_of(distractors.UNITS, rng))
    if not chars:
        return GlyphRun((), "", code.matrices[:0]), crop
    size, x = within((0.22, 0.6), rng), fonts.placed(code.faces, code.chars, code.matrices)[:, :, 0].max()
    y = size - 1 if rng.random() < 0.5 else 0.0
    run = _other_text(code, other, chars, size, float(x) + within((0.1, 0.5), rng), y, pose)
    seen = fonts.placed(run.faces, chars, run.matrices)[:, :, 0]
    edge = float(seen.min() + within((0.4, 1.5), rng) * np.ptp(seen))
    return run, (crop[0], crop[1], max(crop[2], edge), crop[3])


def _other_text(
    code: GlyphRun, face: Face, chars: str, size: float, x: float, y: float, pose: Pose
) -> GlyphRun:
    """Characters of another text from (x, y) on, in the pose of the code, with the typeface's own spacing."""
    stretch = abs(float(code.matrices[0, 0, 0])) * size
    widths = np.array([0.0, *(advance(face, c) + 0.08 for c in chars)])
    matrices = np.zeros((len(chars), 3, 3))
    matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 2, 2] = stretch, size, 1
    matrices[:, 0, 2] = x + np.cumsum(widths)[:-1] * stretch
    matrices[:, 1, 2] = y
    return GlyphRun((face,) * len(chars), chars, pose.of(matrices))


def _canvas(crop: Box, rows: int, max_width: int) -> tuple[Matrices, tuple[int, int]]:
    x0, y0, x1, y1 = crop
    scale = rows / (y1 - y0)
    columns = max(round(scale * (x1 - x0) / 4) * 4, rows // 2)  # quarters of a canvas are whole
    across = scale
    if columns > max_width:
        across *= max_width / columns
        columns = max_width
    spare = (columns - across * (x1 - x0)) / 2
    matrix = np.array([[across, 0, spare - across * x0], [0, scale, -scale * y0], [0, 0, 1]])
    return matrix, (rows, columns)


def _moved(shape: DistractorShape, to_canvas: Matrices, scale: float) -> DistractorShape:
    points = shape.points @ to_canvas[:2, :2].T + to_canvas[:2, 2]
    return replace(shape, points=points, width=max(shape.width * scale, 1.0))
