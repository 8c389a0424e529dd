"""Rendering one scene: a whole picture of parts, with any number of lines in any direction.

Every line is drawn by the same processes as in crops. A scene is a function of (recipe, seed, index).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from serialread.config.data_recipe import DataRecipe, SurfaceKind
from serialread.config.marks import Process
from serialread.config.scene import CarrierKind, Scene
from serialread.records import Floats, Origin, Pixels, Sample, SceneLine
from serialread.synth.code_texts import label_of, random_text
from serialread.synth.fields import blurred, enlarged
from serialread.synth.fonts import Points, scales
from serialread.synth.layout import GlyphRun, TypesetLine, move
from serialread.synth.photography import falloff, glare, photograph, spread
from serialread.synth.processes import spec_of
from serialread.synth.rng import Rng, below, weighted, within
from serialread.synth.scene_layout import (
    PITCH,
    Block,
    Plane,
    cells,
    circle_angle,
    draw_plane,
    on_circle,
    on_plane,
    random_direction,
    set_block,
    through,
)
from serialread.synth.scene_painting import (
    DISTRACTORS,
    Canvas,
    Layer,
    band,
    bench,
    lit_surface,
    paint,
    paint_carrier,
    scratches,
)
from serialread.synth.strokes import draw
from serialread.synth.typeface_choice import face_for

_PRINT = frozenset(("laser", "ink", "ink_jet", "thermal", "stencil", "pen"))
_RELIEF = frozenset(("engraved", "scribed", "stamped", "embossed", "moulded", "dot_peen"))
_ON_METAL = (_RELIEF - {"moulded", "embossed"}) | {"laser", "ink", "ink_jet", "stencil", "pen"}
_TRIES = 8
_TURN = np.linspace(0, 2 * np.pi, 64, endpoint=False)
_FINE_TURN = np.stack([f(np.linspace(0, 2 * np.pi, 160, endpoint=False)) for f in (np.cos, np.sin)], axis=1)


@dataclass(frozen=True, slots=True)
class _Carrier:
    """What carries lines.

    Attributes:
        processes: that mark it.
        surface: weights of its surfaces; None for the recipe's metal.
        reach: its longer side, as a part of the picture's longer side.
        aspect: width over height.
        level: grey of its surface.
        blocks: fewest and most blocks of lines.
        rows: fewest and most rows of a block.
        columns: share of blocks with more than one column.
        most_columns: most columns of a block.
        filled: lines fill it, as on plates and labels; else they stand anywhere in any direction.
        filling: least and largest part of the height at which the lines would fill it.
        pitch: from row to row, ch.
        outline: its shape, within half its width and height.
    """

    processes: frozenset[str]
    surface: Mapping[SurfaceKind, float] | None = None
    reach: tuple[float, float] = (0.35, 1.1)
    aspect: tuple[float, float] = (0.6, 2.2)
    level: tuple[float, float] = (0.15, 0.8)
    blocks: tuple[int, int] = (1, 3)
    rows: tuple[int, int] = (1, 4)
    columns: float = 0.0
    most_columns: int = 2
    filled: bool = False
    filling: tuple[float, float] = (0.55, 1.0)
    pitch: tuple[float, float] = PITCH
    outline: Callable[[tuple[float, float], Rng], Points] = lambda half, rng: _corners(half)


def _corners(half: tuple[float, float]) -> Points:
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half


def _rounded(half: tuple[float, float], rng: Rng) -> Points:
    """A rectangle with round corners, as a superellipse."""
    power = within((0.1, 0.5), rng)
    c, s = np.cos(_TURN), np.sin(_TURN)
    return np.stack([np.sign(c) * np.abs(c) ** power, np.sign(s) * np.abs(s) ** power], axis=1) * half


def _irregular(half: tuple[float, float], rng: Rng) -> Points:
    """A convex polygon of five to nine corners, a trapezium or a rounded rectangle."""
    match below(3, rng):
        case 0:
            angles = np.sort(rng.uniform(0, 2 * np.pi, 5 + below(5, rng)))
            return np.stack([np.cos(angles), np.sin(angles)], axis=1) * half
        case 1:
            return _corners(half) * (1 - np.array([[1, 0], [1, 0], [0, 0], [0, 0]]) * within((0, 0.5), rng))
        case _:
            return _rounded(half, rng)


def _disc(half: tuple[float, float], rng: Rng) -> Points:
    return np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1) * min(half)


def _hexagon(half: tuple[float, float], rng: Rng) -> Points:
    if rng.random() < 0.35:
        return _disc(half, rng)
    angles = np.arange(6) * np.pi / 3
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * min(half)


_PLASTIC: Mapping[SurfaceKind, float] = {"plastic": 3, "painted": 1}
_CARRIERS: dict[CarrierKind, _Carrier] = {
    "surface": _Carrier(_ON_METAL, reach=(1.6, 2.2), blocks=(1, 6), rows=(1, 5)),
    "block": _Carrier(_ON_METAL, outline=_irregular),
    "shaft": _Carrier(_ON_METAL, aspect=(1.5, 5.0), rows=(1, 3)),
    "casting": _Carrier(
        frozenset(("embossed", "moulded", "stamped", "ink")), {"cast": 3, "scale": 1}, outline=_irregular
    ),
    "nameplate": _Carrier(
        frozenset(("ink", "laser", "engraved", "stamped", "dot_peen", "thermal", "embossed")),
        {"painted": 2, "anodised": 2, "brushed": 2, "plastic": 1, "label": 1},
        aspect=(1.0, 2.4),
        level=(0.05, 0.95),
        blocks=(1, 1),
        rows=(3, 12),
        columns=0.6,
        filled=True,
        outline=_rounded,
    ),
    "chip": _Carrier(
        frozenset(("laser", "ink")),
        _PLASTIC,
        reach=(0.25, 0.8),
        aspect=(0.9, 3.4),
        level=(0.04, 0.3),
        blocks=(1, 1),
        rows=(1, 4),
        filled=True,
    ),
    "label": _Carrier(
        frozenset(("thermal", "ink", "ink_jet")),
        {"label": 3, "paper": 1},
        aspect=(0.8, 2.6),
        level=(0.6, 1.0),
        blocks=(1, 2),
        rows=(1, 7),
        columns=0.3,
        filled=True,
    ),
    "ring": _Carrier(
        _ON_METAL | {"embossed"}, aspect=(1.0, 1.0), reach=(0.4, 1.2), blocks=(1, 4), outline=_disc
    ),
    "bolt": _Carrier(
        frozenset(("embossed", "stamped", "engraved", "laser", "ink")),
        {"scale": 1, "blasted": 1, "anodised": 1, "turned": 1, "painted": 1},
        aspect=(1.0, 1.0),
        reach=(0.2, 0.9),
        blocks=(1, 4),
        outline=_hexagon,
    ),
    "panel": _Carrier(
        frozenset(("display", "ink")),
        _PLASTIC,
        aspect=(1.2, 3.0),
        level=(0.1, 0.8),
        blocks=(1, 3),
        rows=(1, 2),
    ),
    "page": _Carrier(
        frozenset(("ink", "laser", "thermal", "ink_jet")),
        {"label": 3, "paper": 3, "painted": 1, "plastic": 1, "anodised": 1},
        aspect=(0.6, 1.8),
        reach=(0.9, 1.5),
        level=(0.05, 1.0),
        blocks=(1, 1),
        rows=(6, 24),
        columns=0.8,
        most_columns=4,
        filled=True,
        filling=(0.4, 1.0),
        pitch=(1.3, 5.0),
    ),
    "blank": _Carrier(_ON_METAL, blocks=(0, 0), outline=_irregular),
}


class _Scene:
    """A scene while it is made."""

    def __init__(self, recipe: DataRecipe, scene: Scene, rng: Rng) -> None:
        self.recipe, self.scene, self.rng = recipe, scene, rng
        longer = within(scene.longer_px, rng)
        shorter = longer * within(scene.aspect, rng)
        size = (longer, shorter) if rng.random() < 0.5 else (shorter, longer)
        self.zoom = within(scene.oversampling, rng)
        rows, columns = (max(round(side * self.zoom / 16) * 16, 64) for side in size)
        self.rows = round(rows / self.zoom)
        self.canvas = Canvas(bench((rows, columns), recipe.surfaces, rng))
        self.lines: list[SceneLine] = []
        self.weakest = 0.5
        self.empty = rng.random() < scene.empty_share

    def fill(self) -> None:
        """Draw carriers, each with its lines and distractors."""
        kinds = sorted(self.scene.carriers)
        weights = [self.scene.carriers[kind] for kind in kinds]
        count = weighted(self.scene.several, self.rng) + 1
        for _ in range(count):
            kind = kinds[weighted(weights, self.rng)]
            self._carrier(kind, single=count == 1)
        if self.rng.random() < 0.3:
            pixels = self.canvas.pixels
            quarter = pixels.shape[0] // 4, pixels.shape[1] // 4
            light = falloff(quarter, self.rng) + glare(quarter, self.rng) * (self.rng.random() < 0.4)
            pixels *= enlarged(np.asarray(light, np.float32), pixels.shape)

    def _carrier(self, kind: CarrierKind, *, single: bool) -> None:
        carrier, rng, rows_columns = _CARRIERS[kind], self.rng, self.canvas.size
        placed = self._placed(kind, carrier, single=single)
        if placed is None:
            return
        plane, outline = placed
        level = within(carrier.level, rng)
        surface = carrier.surface or self.recipe.surfaces.metal
        shaft = _shaft_light(plane, rng) if kind == "shaft" or rng.random() < 0.06 else None

        def surfaced(size: tuple[int, int]) -> Floats:
            lit = lit_surface(surface, self.recipe.surfaces, size, level, rng)
            return lit if shaft is None else lit * shaft(size)

        if kind == "chip":
            paint(self.canvas, plane, _pins(plane.half, rng))
        if kind == "surface":
            self.canvas.pixels[:] = surfaced(rows_columns)
        else:
            paint_carrier(self.canvas, outline, surfaced, rng)
        inside = self.canvas.region(outline)
        self.canvas.covered |= inside
        self._furnish(kind, plane, inside)
        least, most = (1, 1) if self.scene.texts else carrier.blocks
        for _ in range(0 if self.empty else least + below(most - least + 1, rng)):
            if kind in ("ring", "bolt") and rng.random() < 0.8:
                self._write_on_circles(carrier, plane, inside)
            else:
                self._write(carrier, plane, inside)
        for _ in range(int(rng.poisson(self.scene.distractors))):
            self._distract(plane, inside)
        if rng.random() < self.recipe.surfaces.scratch_share:
            paint(self.canvas, plane, scratches(plane.half, rng))

    def _placed(self, kind: CarrierKind, carrier: _Carrier, *, single: bool) -> tuple[Plane, Points] | None:
        """A carrier's plane and its outline in the picture, clear of the others."""
        rng, (rows, columns) = self.rng, self.canvas.size
        for _ in range(_TRIES):
            reach = within(carrier.reach, rng) * (
                1.0 if single or kind == "surface" else within((0.4, 0.8), rng)
            )
            aspect = np.exp(within((np.log(carrier.aspect[0]), np.log(carrier.aspect[1])), rng))
            longer = reach * max(rows, columns) / 2
            half = (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)
            place = (0.5, 0.5) if kind == "surface" else tuple(rng.uniform(0.2, 0.8, 2).tolist())
            plane = draw_plane((rows, columns), half, place, self.recipe, rng)
            outline = plane.points(carrier.outline(half, rng))
            inside = self.canvas.region(outline)
            if kind == "surface" or not (inside & self.canvas.covered).any():
                return plane, outline
        return None

    def _furnish(self, kind: CarrierKind, plane: Plane, inside: Pixels) -> None:
        """What belongs to a kind of carrier: the bore of a ring, rivets and frames of a plate, a notch."""
        rng, (x, y) = self.rng, plane.half
        layers: list[Layer] = []
        if kind == "ring":
            layers += DISTRACTORS[0][1](np.zeros(2), min(x, y) * within((0.2, 0.5), rng), rng)
        elif kind == "nameplate":
            if rng.random() < 0.6:
                edge = _corners((0.96 * x, 0.94 * y))
                layers.append(Layer((edge,), within((-0.5, 0.5), rng), within((1, 3), rng), added=True))
            if rng.random() < 0.5:
                for corner in _corners((0.93 * x, 0.9 * y)):
                    layers += DISTRACTORS[below(2, rng)][1](corner, 0.04 * x, rng)
        elif kind == "chip":
            notch = np.array([-x, 0]) + _disc((0.18 * y, 0.18 * y), rng)
            layers.append(Layer((notch,), within((-0.06, 0.1), rng), added=True))
        elif kind == "panel":
            pane = _corners((0.8 * x, 0.7 * y))
            layers.append(Layer((pane,), within((0.05, 0.75), rng)))
        paint(self.canvas, plane, tuple(layers))
        for layer in layers if kind in ("ring", "nameplate") else ():
            if not layer.width:
                for shape in layer.shapes:
                    self.canvas.take(plane.points(shape))

    def _process(self, carrier: _Carrier) -> Process:
        allowed = [p for p in self.recipe.processes if p.kind in carrier.processes] or list(
            self.recipe.processes
        )
        return allowed[weighted([p.weight for p in allowed], self.rng)]

    def _table(self, carrier: _Carrier, process: Process, rows: int) -> list[str]:
        """Rows of random codes, or those of the recipe; a tab separates columns."""
        rng, recipe, spec = self.rng, self.recipe, spec_of(process)
        if self.scene.texts:
            return [
                "\t".join(spec.writable(t, process, rng) for t in row.split("\t")) for row in self.scene.texts
            ]
        columns = 1
        if rows > 1 and rng.random() < carrier.columns:
            # no draw where there is no choice: the scenes of a seed stay as they were
            columns = 2 + (below(carrier.most_columns - 1, rng) if carrier.most_columns > 2 else 0)
        texts = [random_text(recipe.texts, recipe.max_length, rng) for _ in range(rows * columns)]
        written = [spec.writable(text, process, rng) for text in texts]
        return ["\t".join(written[i : i + columns]) for i in range(0, len(written), columns)]

    def _block(self, table: list[str], process: Process, pitch: tuple[float, float] = PITCH) -> Block:
        """Rows of codes in one typeface, so far from each other, ch."""
        rng, recipe = self.rng, self.recipe
        face, whole = face_for("\n".join(table), process, recipe.typefaces, rng)
        return set_block([row.split("\t") for row in whole.split("\n")], face, process, recipe, pitch, rng)

    def _rows(self, carrier: _Carrier) -> int:
        low, high = carrier.rows
        return low + min(below(high - low + 1, self.rng), below(high - low + 1, self.rng))

    def _cap_px(self) -> float:
        low, high = self.scene.text_px
        return self.zoom * float(np.exp(within((np.log(low), np.log(high)), self.rng)))

    def _write(self, carrier: _Carrier, plane: Plane, inside: Pixels) -> None:
        """Write a block of lines where it finds room."""
        rng, process = self.rng, self._process(carrier)
        block = self._block(self._table(carrier, process, self._rows(carrier)), process, carrier.pitch)
        bend = 0.0
        if rng.random() < self.scene.bend_share and not carrier.filled:
            bend = within((0.1, 0.9), rng) * (-1 if rng.random() < 0.5 else 1)
        wide, high = block.size[0] + 1.0, block.size[1] + 1.0
        for attempt in range(_TRIES):
            angle = random_direction(rng) if not carrier.filled else float(np.pi * (rng.random() < 0.1))
            c, s = abs(np.cos(angle)), abs(np.sin(angle))
            x, y = (min(h, max(self.canvas.size)) for h in plane.half)
            fit = 2 * min(x / (c * wide + s * high), y / (s * wide + c * high)) * 0.94
            cap = fit * within(carrier.filling, rng) if carrier.filled else self._cap_px()
            cap = min(cap, fit, 2.0 * self.scene.text_px[1] * self.zoom) * 0.93**attempt
            if cap < self.scene.least_px * self.zoom * 0.8:
                continue
            spare = x - cap * (c * wide + s * high) / 2, y - cap * (s * wide + c * high) / 2
            place = [within((-1, 1), rng) * max(v, 0) for v in spare]
            runs = on_plane(block, plane, (place[0], place[1]), angle, cap, bend)
            if self._fits(runs, inside):
                if bend and len(runs) == 1:
                    flat = Plane(np.eye(3), plane.half, 0.0)
                    self._band(flat, through(runs[0], rng), cap, closed=False)
                self._mark(runs, process)
                return

    def _write_on_circles(self, carrier: _Carrier, plane: Plane, inside: Pixels) -> None:
        """Write lines on a circle around the carrier's middle: one or several, up to the full turn."""
        rng, process, half = self.rng, self._process(carrier), min(plane.half)
        outward = rng.random() < 0.7
        for attempt in range(_TRIES):
            radius = half * within((0.5, 0.85), rng)
            cap = min(self._cap_px(), 0.3 * half) * 0.93**attempt
            runs = self._around(carrier, process, plane, (radius, cap), outward=outward)
            if runs and self._fits(runs, inside):
                self._band(plane, radius * _FINE_TURN, cap, closed=True)
                self._mark(runs, process)
                return

    def _around(
        self, carrier: _Carrier, process: Process, plane: Plane, circle: tuple[float, float], *, outward: bool
    ) -> list[GlyphRun]:
        """Lines one behind the other on a circle: its radius and the height of a capital, px of the plane."""
        rng, (radius, cap) = self.rng, circle
        start, turned = within((-np.pi, np.pi), rng), 0.0
        runs: list[GlyphRun] = []
        count = len(self.scene.texts) or 1 + below(4, rng)
        for number in range(count):
            table = self._table(carrier, process, 1)
            (run,) = self._block(table[number % len(table) :][:1], process).runs
            angle = circle_angle(run, radius, cap)
            gap = within((2.6, 8), rng) * cap / radius
            if turned + angle + gap > 2 * np.pi or cap < self.scene.least_px * self.zoom * 0.8:
                continue
            middle = start + (turned + angle / 2) * (1 if outward else -1)
            runs.append(on_circle(run, plane, radius, middle, cap, outward=outward))
            turned += angle + gap
        return runs

    def _band(self, plane: Plane, along: Points, cap: float, *, closed: bool) -> None:
        """Draw a band below lines on a circle or a bent one, now and then; see ``band``."""
        if self.scene.band_share and self.rng.random() < self.scene.band_share:
            paint(self.canvas, plane, band(plane, along, cap, self.rng, closed=closed))

    def _fits(self, runs: list[GlyphRun], inside: Pixels) -> bool:
        """Whether lines lie on their carrier and clear of others, mostly within the picture."""
        free = inside & ~self.canvas.taken
        rows, columns = self.canvas.size
        for run in runs:
            corners = cells(run)
            points = corners.reshape(-1, 2)
            out = (points < 0).any() or (points[:, 0] > columns).any() or (points[:, 1] > rows).any()
            if out and self.rng.random() < 0.97:
                return False
            for cell in _grown(corners, 0.25):
                low = np.clip((cell.min(0) / 4).astype(int), 0, None)
                high = np.ceil(cell.max(0) / 4).astype(int) + 1
                part = free[low[1] : high[1], low[0] : high[0]]
                if part.size and not part.all():
                    return False
        return True

    def _mark(self, runs: list[GlyphRun], process: Process) -> None:
        """Draw lines by a process into the surface below, and record them."""
        rng, spec = self.rng, spec_of(process)
        points = np.concatenate([cells(run).reshape(-1, 2) for run in runs])
        cap = float(np.median(np.concatenate([scales(run.matrices) for run in runs])))
        left, top, right, bottom = self.canvas.box(points, 0.8 * cap + 8)
        if right - left < 16 or bottom - top < 16:
            return
        size = bottom - top, right - left
        local = tuple(replace(r, matrices=move(-left, -top) @ r.matrices) for r in runs)
        setting = TypesetLine(local, np.zeros((1, 4)), (), size, cap, 0.0, {})
        drawn = draw(setting, spec.tool(process, rng), rng)
        if not drawn.coverage.any():
            return
        shaded = spec.shade(drawn, process, 0.0, self.recipe.surfaces, rng)
        under = self.canvas.pixels[top:bottom, left:right]
        signal, legible = self._visible(under, shaded.signal, drawn.coverage, shaded.strength, cap)
        under += signal
        for run in runs:
            corners = cells(run)
            for cell in _grown(corners, 0.35):
                self.canvas.take(cell)
            large = float(np.median(scales(run.matrices))) >= self.scene.least_px * self.zoom
            self.lines.append(
                SceneLine(
                    label_of(run.chars),
                    process.kind,
                    run.faces[0].name,
                    tuple(tuple((x, y) for x, y in cell) for cell in corners.tolist()),
                    legible and large,
                )
            )

    def _visible(
        self, under: Floats, signal: Floats, coverage: Floats, strength: float, cap: float
    ) -> tuple[Floats, bool]:
        """A mark's signal, strong enough to stand out from what is below; whether it does."""
        pattern = under - blurred(under, max(0.5 * cap, 2.0))
        noise = float(cv2.meanStdDev(pattern)[1][0, 0]) + 1e-4
        wanted = min(max(strength, within((1.2, 3.5), self.rng) * noise, 0.03), 0.45)
        gain = wanted / max(strength, 1e-4)
        body = (coverage > 0.3).astype(np.uint8)
        ground, added = cv2.mean(under, body)[0], gain * cv2.mean(signal, body)[0]
        if (ground + added > 1.0 and ground > 0.5) or (ground + added < 0.0 and ground < 0.5):
            gain = -gain  # a bright mark on a bright ground would be lost
        signal = signal * np.float32(gain)
        shown = spread(np.clip(under + signal, 0, 1) - np.clip(under, 0, 1), body)
        legible = shown > max(1.1 * noise, 0.02)
        if legible:
            self.weakest = min(self.weakest, shown)
        return signal, legible

    def _distract(self, plane: Plane, inside: Pixels) -> None:
        """Draw something that is no text where there is room."""
        rng, (x, y) = self.rng, plane.half
        painter = DISTRACTORS[weighted([weight for weight, _ in DISTRACTORS], rng)][1]
        for _ in range(4):
            x, y = (min(h, 0.6 * max(self.canvas.size)) for h in plane.half)
            reach = float(np.exp(within((np.log(6.0), np.log(0.35 * min(x, y) + 7.0)), rng)))
            centre = np.array([within((-1, 1), rng) * x, within((-1, 1), rng) * y])
            around = plane.points(centre + 1.25 * reach * _corners((1.0, 1.0)))
            wanted = self.canvas.region(around)
            if wanted.any() and not (wanted & (self.canvas.taken | (1 - inside))).any():
                paint(self.canvas, plane, painter(centre, reach, rng))
                self.canvas.take(around)
                return

    def photographed(self) -> Sample:
        """The finished picture with its lines."""
        smallest = min((_cap_of(line) for line in self.lines), default=40.0 * self.zoom)
        pixels, taken = photograph(
            self.canvas.pixels, self.weakest, smallest, self.recipe.camera, self.rows, self.rng
        )
        factor = np.array(pixels.shape[::-1]) / self.canvas.size[::-1]
        lines = tuple(replace(line, cells=_scaled(line, factor)) for line in self.lines)
        first = self.lines[0] if self.lines else None
        origin = Origin(
            first.process if first else "", first.typeface if first else "", (), {"bare": not lines, **taken}
        )
        return Sample(pixels, "", None, origin, lines)


def make_scene(recipe: DataRecipe, scene: Scene, rng: Rng) -> Sample:
    """Render one picture: grey uint8 [H, W] and its lines, none in an empty scene."""
    made = _Scene(recipe, scene, rng)
    made.fill()
    return made.photographed()


def _grown(corners: Points, by: float) -> Points:
    """Cells [n, 4, 2], larger by a part of their height on every side."""
    up, along = corners[:, 0] - corners[:, 3], corners[:, 1] - corners[:, 0]
    high = np.linalg.norm(up, axis=1, keepdims=True)
    aside = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6) * high
    return np.stack(
        [
            corners[:, 0] + by * (up - aside),
            corners[:, 1] + by * (up + aside),
            corners[:, 2] - by * (up - aside),
            corners[:, 3] - by * (up + aside),
        ],
        axis=1,
    )


def _cap_of(line: SceneLine) -> float:
    corners = np.array(line.cells)
    return float(np.median(np.linalg.norm(corners[:, 0] - corners[:, 3], axis=1)))


def _scaled(line: SceneLine, factor: Points) -> tuple[tuple[tuple[float, float], ...], ...]:
    places = (np.array(line.cells) * factor).round(1).tolist()
    return tuple(tuple((x, y) for x, y in cell) for cell in places)


def _pins(half: tuple[float, float], rng: Rng) -> tuple[Layer, ...]:
    """The pins of a chip on two or four sides; none on some."""
    if rng.random() < 0.25:
        return ()
    x, y = half
    count, tone = 4 + below(14, rng), within((0.4, 1.0), rng)
    wide, long = 2 * x / count * within((0.15, 0.35), rng), y * within((0.1, 0.35), rng)
    places = np.linspace(-x, x, count + 2)[1:-1]
    shapes = [_corners((wide, y + long)) + np.array([p, 0.0]) for p in places]
    if rng.random() < 0.25:
        beside = np.linspace(-y, y, count + 2)[1:-1]
        shapes += [_corners((x + long, wide)) + np.array([0.0, p]) for p in beside]
    return (Layer(tuple(shapes), tone),)


def _shaft_light(plane: Plane, rng: Rng) -> Callable[[tuple[int, int]], Floats]:
    """The light on a shaft along the plane's x: dark towards its sides, with a bright line."""
    bright, wide, power = within((-0.6, 0.6), rng), within((0.05, 0.3), rng), within((0.1, 0.9), rng)
    fall = within((0.3, 0.95), rng)

    def light(size: tuple[int, int]) -> Floats:
        x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in size[::-1])
        across = x[None] * np.float32(-np.sin(plane.angle)) + y[:, None] * np.float32(np.cos(plane.angle))
        around = np.sqrt(np.clip(1 - across * across * np.float32(fall), 0.02, 1))
        shine = np.exp(-(((across - np.float32(bright)) / np.float32(wide)) ** 2)) * np.float32(power)
        return np.asarray(around + shine, np.float32)

    return light
