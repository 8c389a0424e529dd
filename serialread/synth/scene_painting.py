"""What a scene shows besides lines: benches, lit surfaces, outlines, holes, screws, scales, codes of bars.

Lengths are in px of the canvas or of a plane.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from serialread.config.data_recipe import SurfaceKind, Surfaces
from serialread.records import Floats, Pixels
from serialread.synth.fields import blurred, enlarged, halved, ramp
from serialread.synth.fonts import Points
from serialread.synth.lighting import Finish, lights, lit, slopes
from serialread.synth.photography import falloff
from serialread.synth.rng import Rng, below, one_of, within
from serialread.synth.scene_layout import Plane
from serialread.synth.surfaces import draw_surface

_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
_BENCHES: Mapping[SurfaceKind, float] = {
    "scene": 4,
    "painted": 2,
    "cast": 1,
    "brushed": 1,
    "paper": 1,
    "scale": 1,
    "plastic": 1,
    "anodised": 1,
}
_TURN = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


class Layer(NamedTuple):
    """Shapes of one tone: points [k, 2] of a plane, filled if ``width`` is 0."""

    shapes: tuple[Points, ...]
    tone: float
    width: float = 0.0
    closed: bool = True
    soft: float = 0.7
    added: bool = False
    """Whether the tone is added to what is below instead of replacing it."""


@dataclass(slots=True)
class Canvas:
    """The scene while it is drawn.

    Attributes:
        pixels: float32 [H, W], 0 black .. 1 white.
        covered: uint8, a quarter of the size: 1 where a carrier stands.
        taken: uint8, a quarter of the size: 1 where lines or shapes stand, which others keep clear of.
    """

    pixels: Floats
    covered: Pixels = field(init=False)
    taken: Pixels = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = self.pixels.shape
        self.covered = np.zeros((rows // 4, columns // 4), np.uint8)
        self.taken = np.zeros_like(self.covered)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def region(self, polygon: Points) -> Pixels:
        """A polygon [k, 2], canvas px, at a quarter of the size: 1 inside."""
        return _filled(np.zeros_like(self.covered), polygon / 4)

    def take(self, polygon: Points) -> None:
        """Keep others clear of a polygon, canvas px."""
        _filled(self.taken, polygon / 4)

    def box(self, points: Points, margin: float) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of points with a margin, multiples of 8 within the canvas."""
        low, high = np.floor((points.min(0) - margin) / 8) * 8, np.ceil((points.max(0) + margin) / 8) * 8
        edge = np.array(self.size[::-1])
        (left, top), (right, bottom) = np.clip(low, 0, edge).astype(int), np.clip(high, 0, edge).astype(int)
        return int(left), int(top), int(right), int(bottom)


def _filled(mask: Pixels, polygon: Points) -> Pixels:
    points = np.round(np.clip(polygon, -4000, 8000) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [points], 1, cv2.LINE_8, _SHIFT)
    return mask


def bench(size: tuple[int, int], surfaces: Surfaces, rng: Rng) -> Floats:
    """What lies behind the parts: an even backdrop, or a surface out of focus with blobs and bars."""
    level = one_of((within((0.02, 0.2), rng), within((0.2, 0.7), rng), within((0.75, 1.0), rng)), rng)
    if rng.random() < 0.3:
        return np.asarray(falloff(size, rng) * np.float32(level), np.float32)
    quarter = size[0] // 4, size[1] // 4
    field_ = lit_surface(_BENCHES, surfaces, quarter, level, rng)
    for _ in range(below(8, rng)):  # other parts, tools, shadows
        centre = rng.uniform(0, 1, 2) * quarter[::-1]
        reach = rng.uniform(0.03, 0.4, 2) * max(quarter)
        turned = _CIRCLE if rng.random() < 0.4 else _rectangle(1.0, 1.0)
        c, s = np.cos(angle := within((0, np.pi), rng)), np.sin(angle)
        points = centre + (turned * reach) @ np.array([[c, s], [-s, c]])
        mask = np.zeros(quarter, np.uint8)
        cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
        soft = mask.astype(np.float32) * np.float32(within((0.3, 1.0), rng) / 255)
        field_ += soft * (np.float32(within((0.0, 1.0), rng)) - field_)
    if rng.random() < 0.7:
        field_ = blurred(field_, within((0.4, 4.0), rng))
    return enlarged(np.asarray(field_, np.float32), size)


def lit_surface(
    weights: Mapping[SurfaceKind, float], surfaces: Surfaces, size: tuple[int, int], level: float, rng: Rng
) -> Floats:
    """A surface in uneven light, float32 ``size``, around a grey ``level``; large ones at half resolution."""
    step = 2 if size[0] * size[1] > 300_000 or rng.random() < 0.5 else 1
    drawn = (size[0] // step, size[1] // step)
    surface = draw_surface(weights, surfaces, drawn, rng, step)
    own = slopes(surface.relief, within(surfaces.roughness, rng) * within((0.3, 1.5), rng))
    bare = surface.tone * lit(*own, lights(rng), Finish(surface.gloss, surface.grain))
    soft = bare
    while min(soft.shape) > 64:
        soft = halved(np.ascontiguousarray(soft[: len(soft) // 2 * 2, : soft.shape[1] // 2 * 2]))
    soft = enlarged(blurred(soft, 3.0), drawn)
    pattern = np.asarray(bare - soft, np.float32)
    spread = float(cv2.meanStdDev(pattern)[1][0, 0]) + 1e-6
    wanted = within((0.2, 1.0), rng) ** 2 * 0.09 * min(1.0, 0.3 + level)
    even = np.float32(within((0.0, 0.6), rng) / max(float(soft.mean()), 1e-3))
    light = (soft * even + np.float32(1 - float(even * soft.mean()))) * falloff(drawn, rng)
    if rng.random() < 0.3:
        light = light + _band(drawn, rng)
    field_ = np.clip(light, 0.05, 2.5) * np.float32(level) + pattern * np.float32(wanted / spread)
    return enlarged(np.asarray(field_, np.float32), size)


def _band(size: tuple[int, int], rng: Rng) -> Floats:
    """A bright reflection across the surface, to be added."""
    angle = within((0, np.pi), rng)
    x, y = ramp(size[1])[None] * np.float32(np.cos(angle)), ramp(size[0])[:, None] * np.float32(np.sin(angle))
    away = (x + y - np.float32(within((-0.4, 0.4), rng))) / np.float32(within((0.03, 0.3), rng))
    return np.asarray(np.exp(-away * away) * np.float32(within((0.1, 0.8), rng)), np.float32)


def paint_carrier(
    canvas: Canvas, outline: Points, paint: Callable[[tuple[int, int]], Floats], rng: Rng
) -> None:
    """Put a surface into an outline [k, 2], canvas px, with a shadow next to it and a bright or dark edge."""
    left, top, right, bottom = canvas.box(outline, 40.0)
    if right - left < 16 or bottom - top < 16:
        return
    under = canvas.pixels[top:bottom, left:right]
    local = np.round((outline - (left, top)) * (1 << _SHIFT)).astype(np.int32)
    mask = np.zeros(under.shape, np.uint8)
    cv2.fillPoly(mask, [local], 255, cv2.LINE_AA, _SHIFT)
    inside = mask.astype(np.float32) * np.float32(1 / 255)
    if rng.random() < 0.6:
        shift = np.array([[1, 0, within((-14, 14), rng)], [0, 1, within((-14, 14), rng)]])
        shade = cv2.warpAffine(inside[::2, ::2], shift * [[1, 1, 0.5]], inside[::2, ::2].shape[::-1])
        shade = blurred(np.asarray(shade, np.float32), within((0.8, 5), rng))
        under *= 1 - enlarged(shade, under.shape) * np.float32(within((0.2, 0.8), rng))
    under += inside * (paint((under.shape[0], under.shape[1])) - under)
    edge = np.zeros(under.shape, np.uint8)
    cv2.polylines(edge, [local], True, 255, 1 + below(6, rng), cv2.LINE_AA, _SHIFT)
    rim = blurred(edge.astype(np.float32), within((0.6, 1.5), rng)) * np.float32(
        within((-0.4, 0.5), rng) / 255
    )
    under += rim * inside


def paint(canvas: Canvas, plane: Plane, layers: tuple[Layer, ...]) -> None:
    """Draw layers of a plane, the first below."""
    for layer in layers:
        placed = [plane.points(shape) for shape in layer.shapes]
        left, top, right, bottom = canvas.box(np.concatenate(placed), 4 + layer.width)
        if right <= left or bottom <= top:
            continue
        mask = np.zeros((bottom - top, right - left), np.uint8)
        points = [np.round((p - (left, top)) * (1 << _SHIFT)).astype(np.int32) for p in placed]
        if layer.width:
            cv2.polylines(mask, points, layer.closed, 255, max(round(layer.width), 1), cv2.LINE_AA, _SHIFT)
        else:
            for polygon in points:
                cv2.fillPoly(mask, [polygon], 255, cv2.LINE_AA, _SHIFT)
        soft = blurred(mask.astype(np.float32) * np.float32(1 / 255), layer.soft)
        under = canvas.pixels[top:bottom, left:right]
        under += soft * (np.float32(layer.tone) if layer.added else np.float32(layer.tone) - under)


def band(plane: Plane, along: Points, cap: float, rng: Rng, *, closed: bool) -> tuple[Layer, ...]:
    """What a line of text stands on: a band of another grey, or the edges of one, or both.

    Args:
        plane: what carries the line.
        along: points [k, 2] in the middle of its characters, px of the plane.
        cap: height of a capital, px of the plane.
        rng: source of all randomness.
        closed: whether the last point comes before the first.
    """
    wide, off = cap * within((1.2, 2.4), rng), cap * within((-0.15, 0.15), rng)
    steps = [np.linalg.norm(np.diff(points, axis=0), axis=1) for points in (plane.points(along), along)]
    scale = float(np.median(steps[0] / np.maximum(steps[1], 1e-6)))
    layers = list[Layer]()
    if rng.random() < 0.7:
        middle = _beside(along, off, closed=closed)
        layers.append(Layer((middle,), within((0.0, 1.0), rng), wide * scale, closed))
    if not layers or rng.random() < 0.6:
        for side in (-0.5, 0.5):
            edge, width = _beside(along, off + side * wide, closed=closed), cap * within((0.03, 0.3), rng)
            layers.append(Layer((edge,), within((0.0, 1.0), rng), max(width * scale, 1.0), closed))
    return tuple(layers)


def _beside(along: Points, by: float, *, closed: bool) -> Points:
    """A line of points [k, 2], moved aside."""
    steps = np.roll(along, -1, axis=0) - np.roll(along, 1, axis=0) if closed else np.gradient(along, axis=0)
    aside = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    return np.asarray(along + by * aside / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6))


def _rectangle(half_width: float, half_height: float) -> Points:
    return np.array(
        [
            [-half_width, -half_height],
            [half_width, -half_height],
            [half_width, half_height],
            [-half_width, half_height],
        ]
    )


def _circle(centre: Points, radius: float) -> Points:
    return centre + radius * _CIRCLE


def hole(centre: Points, radius: float, rng: Rng) -> tuple[Layer, ...]:
    """A bore with a chamfer; now and then a blind one, or a ring alone."""
    edge = Layer((_circle(centre, radius * within((1.05, 1.5), rng)),), within((-0.3, 0.35), rng), added=True)
    tone = within((0.0, 0.15), rng) if rng.random() < 0.8 else within((0.5, 0.9), rng)
    floor = Layer((_circle(centre, radius),), tone, soft=within((0.5, 1.5), rng))
    lit_part = Layer(
        (_circle(centre + 0.25 * radius, 0.7 * radius),), within((0, 0.2), rng), added=True, soft=2.0
    )
    return (edge, floor, lit_part)


def screw(centre: Points, radius: float, rng: Rng) -> tuple[Layer, ...]:
    """The head of a screw: with a slot, a cross, a hexagon, or none, as a rivet."""
    level = within((0.15, 0.85), rng)
    head = Layer((_circle(centre, radius),), level)
    edge = _circle(centre, radius)
    rim = Layer((edge,), within((-0.4, 0.4), rng), width=max(0.12 * radius, 1), added=True)
    shine = Layer(
        (_circle(centre - 0.2 * radius, 0.5 * radius),), within((0, 0.4), rng), soft=3.0, added=True
    )
    drive = level * within((0.1, 0.6), rng)
    angle = within((0, np.pi), rng)
    axes = [np.array([np.cos(angle + a), np.sin(angle + a)]) for a in (0.0, np.pi / 2)]
    bars = tuple(centre + 0.7 * radius * np.array([-a, a]) for a in axes)
    match below(4, rng):
        case 0:
            return head, shine, rim, Layer(bars[:1], drive, width=0.22 * radius, closed=False)
        case 1:
            return head, shine, rim, Layer(bars, drive, width=0.2 * radius, closed=False)
        case 2:
            six = np.stack([np.cos(_TURN[::7] + angle), np.sin(_TURN[::7] + angle)], axis=1)
            return head, shine, rim, Layer((centre + 0.55 * radius * six,), drive)
    return head, shine, rim


def scratches(half: tuple[float, float], rng: Rng) -> tuple[Layer, ...]:
    """Straight and bent scratches over a part."""
    found = []
    for _ in range(1 + below(6, rng)):
        ends = rng.uniform(-1, 1, (2, 2)) * half
        along = np.linspace(0, 1, 9)[:, None]
        bow = np.sin(np.pi * along) * rng.normal(0, 0.06 * max(half), 2)
        line = ends[0] + (ends[1] - ends[0]) * along * within((0.1, 1), rng) + bow
        found.append(
            Layer((line,), within((-0.25, 0.3), rng), within((1, 2.6), rng), closed=False, added=True)
        )
    return tuple(found)


def bars(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """A bar code on a white or bare field."""
    height, x, edges = reach * within((0.2, 0.6), rng), -reach, list[Points]()
    module = max(reach / within((20, 60), rng), 1.2)
    while x < reach - 4 * module:
        wide = module * (1 + below(3, rng))
        edges.append(centre + np.array([[x, -height], [x + wide, -height], [x + wide, height], [x, height]]))
        x += wide + module * (1 + below(3, rng))
    dark, light = within((0, 0.25), rng), within((0.6, 1.0), rng)
    if rng.random() < 0.15:
        dark, light = light, dark
    field_ = Layer((centre + _rectangle(reach + 5 * module, height + 3 * module),), light)
    return (
        (field_, Layer(tuple(edges), dark, soft=0.5)) if rng.random() < 0.8 else (Layer(tuple(edges), dark),)
    )


def matrix_code(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """A matrix code: squares or dots, with the edge or the corners by which a reader finds it."""
    count = 10 + 2 * below(8, rng)
    on = rng.random((count, count)) < 0.5
    on[:, 0], on[-1], on[0, 1::2], on[:-1, -1] = True, True, False, np.arange(count - 1) % 2 == 1
    places = (np.argwhere(on)[:, ::-1] - (count - 1) / 2) * (2 * reach / count)
    half = reach / count * within((0.7, 1.05), rng)
    shape = _rectangle(half, half) if rng.random() < 0.6 else _CIRCLE[::5] * half
    dark, light = within((0, 0.3), rng), within((0.55, 1.0), rng)
    if rng.random() < 0.3:
        dark, light = light, dark
    code = Layer(tuple(centre + place + shape for place in places), dark, soft=0.5)
    return (
        (Layer((centre + _rectangle(1.2 * reach, 1.2 * reach),), light), code)
        if rng.random() < 0.6
        else (code,)
    )


def scale(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """The ticks of a gauge or a ruler, straight or on an arc, without numbers."""
    count, tone = 8 + below(40, rng), within((-0.6, 0.6), rng)
    length = reach * within((0.08, 0.25), rng)
    long = np.where(np.arange(count) % (5 if rng.random() < 0.7 else 2) == 0, 1.7, 1.0) * length
    if rng.random() < 0.5:
        x = np.linspace(-reach, reach, count)
        lines = tuple(centre + np.array([[p, 0], [p, -h]]) for p, h in zip(x, long, strict=True))
    else:
        angles = np.linspace(0, within((1.0, 6.0), rng), count) + within((0, 6), rng)
        rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        lines = tuple(
            centre + np.stack([ray * (0.8 * reach), ray * (0.8 * reach - h)])
            for ray, h in zip(rays, long, strict=True)
        )
    return (Layer(lines, tone, within((1, 3), rng), closed=False, added=True),)


def slots(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """A row, grid or circle of openings, pins, teeth or arrows: as regular as text, but all alike."""
    count, rows = 3 + below(12, rng), 1 + below(5, rng) * (rng.random() < 0.5)
    pitch = 2 * reach / count
    wide, high = pitch * within((0.15, 0.4), rng), pitch * within((0.2, 1.4), rng)
    match below(6, rng):
        case 0 | 1:
            shape, closed = _rectangle(wide, high), True
        case 2:
            shape, closed, high = _CIRCLE[::2] * wide, True, max(wide, 0.3 * pitch)
        case 3:
            shape, closed = np.array([[-wide, high], [wide, 0.0], [-wide, -high]]), rng.random() < 0.5
        case 4:
            shape, closed, high = _CIRCLE[:36:6] * wide, True, max(wide, 0.3 * pitch)
        case _:
            shape, closed = (
                np.array([[-wide, high], [-0.6 * wide, -high], [0.6 * wide, -high], [wide, high]]),
                True,
            )
    width = 0.0 if closed and rng.random() < 0.7 else max(pitch * within((0.05, 0.2), rng), 1.0)
    x, y = np.meshgrid(
        (np.arange(count) + 0.5) * pitch - reach, (np.arange(rows) - (rows - 1) / 2) * 2.6 * high
    )
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    if rng.random() < 0.25:  # around a circle, as teeth, or holes of a flange
        angles = places[:, :1] * (np.pi / reach)
        rays = np.concatenate([np.sin(angles), -np.cos(angles)], axis=1)
        own = within((0.45, 0.9), rng) * reach + places[:, 1:]
        shapes = tuple(
            centre + away * ray + shape @ np.array([[-ray[1], ray[0]], [-ray[0], -ray[1]]])
            for ray, away in zip(rays, own, strict=True)
        )
    else:
        shapes = tuple(centre + place + shape for place in places)
    if rng.random() < 0.3:
        return (Layer(shapes, within((-0.5, 0.5), rng), width, closed, added=True),)
    tone = within((0, 0.3), rng) if rng.random() < 0.7 else within((0.5, 1.0), rng)
    rim = Layer(shapes, within((-0.3, 0.3), rng), 1.0, closed, added=True)
    return (Layer(shapes, tone, width, closed), rim)


def cable(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """A cable or hose in a bend, smooth or with rings."""
    along = np.linspace(-1, 1, 40)
    bow = within((-0.5, 0.5), rng) * np.cos(within((1.5, 5.0), rng) * along + within((0, 6), rng))
    line = centre + reach * np.stack([along, bow], axis=1)
    width, level = reach * within((0.06, 0.25), rng), within((0.05, 0.9), rng)
    layers = [Layer((line,), level, width, closed=False)]
    layers.append(Layer((line - 0.2 * width,), within((0.05, 0.3), rng), 0.3 * width, False, 2.0, added=True))
    if rng.random() < 0.6:
        dense = np.linspace(0, 39, 20 + below(60, rng))
        middles = np.stack([np.interp(dense, np.arange(40), part) for part in line.T], axis=1)
        steps = np.gradient(middles, axis=0)
        aside = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
        aside *= 0.48 * width / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
        lean = (
            within((-0.5, 0.5), rng)
            * width
            * steps
            / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-6)
        )
        rings = tuple(np.stack([m - a - s, m + a + s]) for m, a, s in zip(middles, aside, lean, strict=True))
        layers.append(Layer(rings, within((-0.4, 0.3), rng), within((1, 4), rng), closed=False, added=True))
    return tuple(layers)


def specks(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """Chips, spatter and dents: short strokes and spots in any direction, some close together."""
    count, size = 4 + below(30, rng), reach * within((0.04, 0.2), rng)
    strokes = []
    for place in centre + reach * np.array([0.6, within((0.1, 0.6), rng)]) * rng.standard_normal((count, 2)):
        bend = rng.normal(0, 1, (3, 2)) * size * within((0.3, 1.0), rng)
        strokes.append(place + np.cumsum(bend, axis=0) - bend[0])
    width = max(size * within((0.1, 0.6), rng), 1.0)
    return (Layer(tuple(strokes), within((-0.45, 0.45), rng), width, closed=False, added=True),)


def logo(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """A sign that is no character: an arrow, a warning triangle, a trade mark of polygons, rings."""
    tone, width = within((-0.5, 0.5), rng), max(reach * within((0.06, 0.25), rng), 1.0)
    if abs(tone) < 0.12:
        tone = 0.3
    match below(4, rng):
        case 0:
            shaft = np.array([[-1, 0], [0.9, 0]]) * reach
            head = np.array([[0.4, -0.45], [1, 0], [0.4, 0.45]]) * reach
            shapes: tuple[Points, ...] = (shaft, head)
            closed = False
        case 1:
            shapes, closed = (np.array([[0, -1], [0.9, 0.6], [-0.9, 0.6]]) * reach,), True
        case 2:
            shapes, closed = (_CIRCLE * reach, _CIRCLE * reach * within((0.3, 0.8), rng)), True
        case _:
            corners = 3 + below(8, rng)
            angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
            radii = reach * rng.uniform(0.35, 1.0, corners)
            outer = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
            shapes, closed = (outer, outer * within((0.3, 0.7), rng)), True
    filled = closed and rng.random() < 0.4
    turned = within((0, 2 * np.pi), rng)
    c, s = np.cos(turned), np.sin(turned)
    moved = tuple(centre + shape @ np.array([[c, s], [-s, c]]) for shape in shapes)
    return (Layer(moved[:1] if filled else moved, tone, 0.0 if filled else width, closed, added=True),)


def weld(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """A bead of overlapping scales."""
    count = 6 + below(14, rng)
    radius = 2 * reach / count * within((1.0, 2.2), rng)
    arc = _CIRCLE[10:30] * (0.6 * radius, radius)
    places = [
        centre + np.array([x, 0.1 * radius * rng.standard_normal()])
        for x in np.linspace(-reach, reach, count)
    ]
    body = Layer(tuple(_circle(p, radius) for p in places), within((-0.2, 0.2), rng), soft=1.5, added=True)
    return (
        body,
        Layer(tuple(p + arc for p in places), within((-0.4, 0.4), rng), 2.0, False, 1.0, added=True),
    )


def ribs(centre: Points, reach: float, rng: Rng) -> tuple[Layer, ...]:
    """Parallel lines, as a thread or fins, or crossing ones, as knurling."""
    pitch, angle = max(reach * within((0.05, 0.2), rng), 3.0), within((-0.3, 0.3), rng)
    height = reach * within((0.2, 0.9), rng)
    x = np.arange(-reach, reach, pitch)
    lean = float(np.tan(angle)) * height
    lines = tuple(centre + np.array([[p - lean, -height], [p + lean, height]]) for p in x)
    crossing = tuple(centre + np.array([[p + height, -height], [p - height, height]]) for p in x)
    width, tone = pitch * within((0.2, 0.5), rng), within((-0.35, 0.35), rng)
    shown = lines + crossing if rng.random() < 0.3 else lines
    return (Layer(shown, tone, width, closed=False, added=True),)


DISTRACTORS: tuple[tuple[float, Callable[[Points, float, Rng], tuple[Layer, ...]]], ...] = (
    (3, hole),
    (3, screw),
    (2, logo),
    (1.2, bars),
    (1.2, matrix_code),
    (1.2, scale),
    (2.5, slots),
    (0.7, cable),
    (0.7, specks),
    (0.7, weld),
    (1.2, ribs),
)
"""Weights and painters of distractors: each takes its middle and its reach, px of the plane."""
