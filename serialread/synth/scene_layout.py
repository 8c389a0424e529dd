"""Where the lines of a scene stand: planes in the picture, blocks of lines on them, straight or on circles.

Lengths are in px of the canvas unless a name says ch (cap heights); a plane has its own px, with 0, 0 in its
middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serialread.codes import without_blanks
from serialread.config.data_recipe import DataRecipe, Layout
from serialread.config.marks import Process
from serialread.synth import fonts
from serialread.synth.emphasis import plain
from serialread.synth.fonts import Face, Points
from serialread.synth.layout import GlyphRun, Matrices, Pose, along_a_line, move, turn
from serialread.synth.processes import spec_of
from serialread.synth.rng import Rng, below, within

COLUMN_GAP = (2.6, 6.0)
"""Gap between columns, ch: more than two separate lines."""
PITCH = (1.3, 2.1)
"""From row to row, ch."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A flat carrier in the picture.

    Attributes:
        to_canvas: [3, 3], its px to canvas px.
        half: half its width and height, its px.
        angle: its rotation in the picture, rad.
    """

    to_canvas: Matrices
    half: tuple[float, float]
    angle: float

    def points(self, own: Points) -> Points:
        """Points [k, 2] of the plane in canvas px."""
        moved = np.concatenate([own, np.ones((len(own), 1))], axis=1) @ self.to_canvas.T
        return np.asarray(moved[:, :2] / moved[:, 2:], np.float64)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of text in one typeface, before they are placed.

    Attributes:
        runs: one per line, in ch; the first baseline at y = 0.
        bounds: x0, y0, x1, y1 of all, ch.
    """

    runs: tuple[GlyphRun, ...]
    bounds: tuple[float, float, float, float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, ch."""
        x0, y0, x1, y1 = self.bounds
        return x1 - x0, y1 - y0

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, ch."""
        x0, y0, x1, y1 = self.bounds
        return (x0 + x1) / 2, (y0 + y1) / 2


def draw_plane(
    size: tuple[int, int],
    half: tuple[float, float],
    middle: tuple[float, float],
    recipe: DataRecipe,
    rng: Rng,
) -> Plane:
    """A carrier of a size, in any direction, now and then seen obliquely."""
    scene = recipe.scene
    upright = scene is None or rng.random() < scene.upright_share
    angle = np.radians(within((-10, 10), rng)) if upright else within((-np.pi, np.pi), rng)
    seen = np.eye(3)
    if scene is not None and rng.random() < scene.perspective_share:
        seen = _oblique(max(half), recipe.layout, rng)
    to_canvas = move(middle[0] * size[1], middle[1] * size[0]) @ seen @ turn(angle)
    return Plane(to_canvas, half, float(angle))


def _oblique(reach: float, layout: Layout, rng: Rng) -> Matrices:
    """A plane turned out of the picture's, about any axis through its middle, [3, 3]."""
    degrees, towards = within(layout.perspective_deg, rng), within((0, 2 * np.pi), rng)
    cosine, sine = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    x, y = float(np.cos(towards)), float(np.sin(towards))
    steep = sine / (reach * within((3.0, 8.0), rng))
    short = cosine - 1
    turned = [[1 + short * x * x, short * x * y, 0], [short * x * y, 1 + short * y * y, 0]]
    return np.array([*turned, [steep * x, steep * y, 1]])


def set_block(
    table: Sequence[Sequence[str]],
    face: Face,
    process: Process,
    recipe: DataRecipe,
    pitch: tuple[float, float],
    rng: Rng,
) -> Block:
    """Set rows of one or more columns in one style, ``pitch`` ch apart, left-aligned or centred."""
    layout = _one_style(recipe.layout, rng)
    setting = spec_of(process).setting(process, rng)
    flat = [[along_a_line(text, plain(text, face), layout, setting, rng) for text in row] for row in table]
    chars = [[without_blanks(text) for text in row] for row in table]
    ends = [[_ends(face, c, m) for c, m in zip(*row, strict=True)] for row in zip(chars, flat, strict=True)]
    columns = max(len(row) for row in table)
    wide = [max(row[i][1] - row[i][0] for row in ends if len(row) > i) for i in range(columns)]
    gap, apart = within(COLUMN_GAP, rng), within(pitch, rng)
    lefts = np.concatenate([[0.0], np.cumsum([w + gap for w in wide])])
    centred = columns == 1 and rng.random() < 0.4
    runs, y = list[GlyphRun](), 0.0
    for row, placed, letters in zip(ends, flat, chars, strict=True):
        size = within((0.65, 1.35), rng) if rng.random() < 0.15 else 1.0
        y += (0.5 + size / 2) * apart if runs else 0.0
        for column, ((x0, x1), matrices, text) in enumerate(zip(row, placed, letters, strict=True)):
            spare = (wide[0] - size * (x1 - x0)) / 2 if centred else 0.0
            left = float(lefts[column]) + spare - size * x0
            moved = move(left, y) @ np.diag([size, size, 1.0]) @ matrices
            runs.append(GlyphRun((face,) * len(text), text, moved))
    corners = np.concatenate([cells(run).reshape(-1, 2) for run in runs])
    (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    return Block(tuple(runs), (left, top, right, bottom))


def _one_style(layout: Layout, rng: Rng) -> Layout:
    """The layout with one stretch and one spacing for all lines of a block."""
    stretch, spacing = within(layout.stretch, rng), within(layout.spacing, rng)
    return layout.model_copy(update={"stretch": (stretch, stretch), "spacing": (spacing, spacing)})


def _ends(face: Face, chars: str, matrices: Matrices) -> tuple[float, float]:
    x = fonts.placed((face,) * len(chars), chars, matrices)[:, :, 0]
    return float(x.min()), float(x.max())


def on_plane(
    block: Block, plane: Plane, place: tuple[float, float], angle: float, cap_px: float, bend: float
) -> list[GlyphRun]:
    """The lines of a block around a place of the plane, in canvas px; ``bend`` bends all of it, rad."""
    x, y = block.middle
    fitted = plane.to_canvas @ move(*place) @ turn(angle) @ np.diag([cap_px, cap_px, 1.0]) @ move(-x, -y)
    pose = Pose(bend, x, max(block.size[0], 1.0), 0.0, fitted @ move(x, 0))
    straight = fitted if not bend else None
    return [
        replace(r, matrices=straight @ r.matrices if straight is not None else pose.of(r.matrices))
        for r in block.runs
    ]


def on_circle(
    run: GlyphRun, plane: Plane, radius: float, start: float, cap_px: float, *, outward: bool
) -> GlyphRun:
    """A line around the plane's middle, in canvas px.

    Args:
        run: the line, in ch, its baseline at y = 0.
        plane: what carries it.
        radius: of the middle of the characters, px of the plane.
        start: direction of the middle of the line, rad clockwise from the top.
        cap_px: height of a capital, px of the plane.
        outward: tops of the characters away from the middle; else towards it.
    """
    x0, x1 = _ends(run.faces[0], run.chars, run.matrices)
    own = radius / cap_px
    around = own - 0.5 if outward else -(own + 0.5)
    pose = Pose((x1 - x0) / around, (x0 + x1) / 2, x1 - x0, 0.0, np.eye(3))
    # the circle's middle is at (0, around) after bending
    to_plane = turn(start if outward else start + np.pi) @ np.diag([cap_px, cap_px, 1.0]) @ move(0.0, -around)
    return replace(run, matrices=plane.to_canvas @ to_plane @ pose.of(run.matrices))


def circle_angle(run: GlyphRun, radius: float, cap_px: float) -> float:
    """Angle that a line takes on a circle, rad."""
    x0, x1 = _ends(run.faces[0], run.chars, run.matrices)
    return (x1 - x0) * cap_px / radius


def cells(run: GlyphRun) -> NDArray[np.float64]:
    """Corners [n, 4, 2] of every character from the baseline to a capital's height, clockwise."""
    extents = np.array([fonts.extent(*one) for one in zip(run.faces, run.chars, strict=True)])
    x0, x1 = extents[:, 0], extents[:, 2]
    one, low, high = np.ones_like(x0), np.zeros_like(x0), -np.ones_like(x0)
    corners = np.stack([(x0, x1, x1, x0), (high, high, low, low), (one, one, one, one)]).transpose(2, 1, 0)
    moved = corners @ run.matrices.transpose(0, 2, 1)
    return np.asarray(moved[:, :, :2] / moved[:, :, 2:], np.float64)


def through(run: GlyphRun, rng: Rng) -> Points:
    """Points [k, 2] through the middles of a line's characters, and some way beyond its ends."""
    corners = cells(run)
    middles = corners.mean(axis=1)
    high = float(np.median(np.linalg.norm(corners[:, 0] - corners[:, 3], axis=1)))
    along = [(c[1] + c[2] - c[0] - c[3]) / 2 for c in (corners[0], corners[-1])]
    beyond = [v * (high * within((0.6, 4.0), rng) / max(float(np.linalg.norm(v)), 1e-6)) for v in along]
    return np.concatenate([middles[:1] - beyond[0], middles, middles[-1:] + beyond[1]])


def random_direction(rng: Rng) -> float:
    """Rotation of a block on its carrier, rad: mostly as the carrier, upside down or upright, else any."""
    kind = rng.random()
    if kind < 0.6:
        return float(np.radians(2 * rng.standard_normal()))
    if kind < 0.85:
        return float(np.pi / 2 * (1 + below(3, rng)) + np.radians(2 * rng.standard_normal()))
    return within((-np.pi, np.pi), rng)
