"""Every marking process: its letter shapes, its tool, its surfaces and the appearance of its marks.

A new process needs its section in ``serialread.config.marks`` and its ``ProcessSpec`` here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

import cv2
import numpy as np

from serialread.config import marks
from serialread.config.data_recipe import SurfaceKind, Surfaces
from serialread.config.section import Section
from serialread.records import Floats
from serialread.synth import alphabets
from serialread.synth.fields import blurred, enlarged, grain
from serialread.synth.layout import Setting
from serialread.synth.lighting import MarkedSurface, ReliefAppearance, ToneAppearance, floor_tone, worn
from serialread.synth.photography import Shaded
from serialread.synth.rng import Rng, below, one_of, within
from serialread.synth.strokes import Mark, Tool
from serialread.synth.surfaces import Surface, draw_surface

FaceKind = Literal["outline", "strokes", "dots", "segments"]
P = TypeVar("P", bound=Section)


def _outline_or_strokes(process: marks.Engraved | marks.Stamped | marks.Laser, rng: Rng) -> FaceKind:
    return "outline" if rng.random() < process.outline_share else "strokes"


def _pen_tool(process: marks.Laser | marks.Pen, rng: Rng) -> Tool:
    return Tool(width=within(process.stroke, rng))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec(Generic[P]):
    """How one kind of marking process is rendered. Every function draws from ``rng``.

    Attributes:
        appearance: by relief or by tone.
        face_kind: which letter shapes a mark is made of.
        tool: the tool that makes one mark.
        surface_weights: of the surfaces that carry it; None for the recipe's metal or printed ones.
        setting: how it places characters.
        writable: the text as the process can write it, of the same length.
    """

    section: type[P]
    appearance: ReliefAppearance[Any] | ToneAppearance[Any]
    face_kind: Callable[[P, Rng], FaceKind] = lambda process, rng: "outline"
    tool: Callable[[P, Rng], Tool] = lambda process, rng: Tool(width=0.12)
    surface_weights: Mapping[SurfaceKind, float] | None = None
    setting: Callable[[P, Rng], Setting] = lambda process, rng: Setting(hand_set=rng.random() < 0.08)
    writable: Callable[[str, P, Rng], str] = lambda text, *_: text

    @property
    def kind(self) -> str:
        """The ``kind`` of its section."""
        return str(get_args(self.section.model_fields["kind"].annotation)[0])

    @property
    def has_depth(self) -> bool:
        """Whether light and shade make the mark visible, not its tone."""
        return isinstance(self.appearance, ReliefAppearance)

    def shade(self, mark: Mark, process: P, around: float, surfaces: Surfaces, rng: Rng) -> Shaded:
        """Put the mark on a surface and light it; ``around`` is half its angle around a shaft, rad."""
        weights = self.surface_weights or (surfaces.metal if self.has_depth else surfaces.printed)
        rows, columns = mark.owners.shape
        # under print the crop's own px are fine enough; the light on flanks needs smaller ones
        size, step = ((rows, columns), 1) if self.has_depth else ((rows // 2, columns // 2), 2)
        surface = draw_surface(weights, surfaces, size, rng, step)
        return self.appearance.shade(mark, surface, process, around, surfaces, rng)


def spec_of(process: marks.Process) -> ProcessSpec[Any]:
    """The spec of a recipe's process."""
    return SPECS[process.kind]


# Marks with depth


def _cutter(process: marks.Engraved, rng: Rng) -> Tool:
    width = within(process.stroke, rng)
    if rng.random() >= process.double_share:
        return Tool(width=width)
    aside, direction = within((0.6, 1.3), rng) * width, within((0, 2 * np.pi), rng)
    return Tool(width=width, second=(aside * float(np.cos(direction)), aside * float(np.sin(direction))))


def _scriber(process: marks.Scribed, rng: Rng) -> Tool:
    pressure = within(process.pressure, rng)
    return Tool(
        width=within(process.stroke, rng),
        wander=within(process.wander, rng),
        again=within(process.retraced, rng),
        uneven=pressure,
        depths=pressure,
    )


def _punch(process: marks.Stamped, rng: Rng) -> Tool:
    return Tool(
        width=within(process.stroke, rng),
        uneven=within(process.tilt, rng),
        depths=within(process.depth_spread, rng),
        doubled=within((0.2, 0.6), rng) if rng.random() < process.doubled_share else 0.0,
        partial=within((0.15, 0.5), rng) if rng.random() < process.partial_share else 0.0,
        unstruck=process.partial,
    )


def bulged(depth: Floats, stroke_px: float, process: marks.Stamped, rng: Rng) -> Floats:
    """The depth [H, W] with the metal that a punch displaces: it rises most where strokes enclose it."""
    if not process.bulge_share or rng.random() >= process.bulge_share:
        return depth
    rounded = blurred(depth, within((0.2, 0.6), rng) * stroke_px)
    hill = blurred(rounded, within((0.8, 1.8), rng) * stroke_px)
    return np.asarray(rounded - np.float32(within(process.bulge, rng)) * hill, np.float32)


def _stylus(process: marks.DotPeen, rng: Rng) -> Tool:
    pitch = round(within(process.pitch, rng) * 200) / 200  # few pitches: the dots of each are kept
    return Tool(
        width=pitch,
        pitch=pitch,
        dot=within(process.dot, rng),
        scatter=within(process.scatter, rng),
        missing=within(process.missing, rng),
        again=within(process.doubled, rng),
        sway=pitch * within(process.drift, rng) if rng.random() < 0.4 else 0.0,
    )


def _flash(depth: Floats, stroke_px: float, process: marks.Embossed, rng: Rng) -> Floats:
    """Pimples and flash, as a worn mould leaves them."""
    if rng.random() >= process.flash_share:
        return depth
    field = np.zeros(depth.shape, np.float32)
    for _ in range(3 + below(13, rng)):
        place = (below(depth.shape[1], rng), below(depth.shape[0], rng))
        radius = max(round(stroke_px * within((0.1, 0.4), rng)), 1)
        cv2.circle(field, place, radius, within((0.2, 0.8), rng), cv2.FILLED)
    return depth + blurred(field, 1.0)


def _outlined(coverage: Floats, surface: Surface, process: marks.Embossed, rng: Rng) -> Floats:
    """A raised line along the characters' outline, in some marks."""
    if not process.outlined_share or rng.random() >= process.outlined_share:
        return coverage
    return _outline(coverage, 3 + 2 * below(2, rng))


def _outline(coverage: Floats, width_px: int) -> Floats:
    kernel = np.ones((width_px, width_px), np.uint8)
    edge = cv2.morphologyEx((coverage * 255).astype(np.uint8), cv2.MORPH_GRADIENT, kernel)
    return np.asarray(edge, np.float32) / np.float32(255)


def _rubbed_tops(body: Floats, process: marks.Embossed, rng: Rng) -> Floats:
    if rng.random() < process.rubbed_share:
        return np.float32(within((-0.4, 0.6), rng)) * body * body
    return floor_tone(body, process, rng)


_RELIEF = (
    ProcessSpec(
        section=marks.Engraved,
        face_kind=_outline_or_strokes,
        tool=_cutter,
        appearance=ReliefAppearance[marks.Engraved](),
    ),
    ProcessSpec(
        section=marks.Scribed,
        face_kind=lambda process, rng: "strokes",
        tool=_scriber,
        appearance=ReliefAppearance[marks.Scribed](),
        setting=lambda process, rng: Setting(hand_set=True),
    ),
    ProcessSpec(
        section=marks.Stamped,
        face_kind=_outline_or_strokes,
        tool=_punch,
        appearance=ReliefAppearance[marks.Stamped](
            coverage=lambda coverage, surface, process, rng: worn(
                coverage, surface, within(process.wear, rng), rng
            ),
            depth=bulged,
        ),
        setting=lambda process, rng: Setting(hand_set=True),
    ),
    ProcessSpec(
        section=marks.Embossed,
        appearance=ReliefAppearance[marks.Embossed](
            raised=lambda process, rng: True, coverage=_outlined, depth=_flash, floor_tone=_rubbed_tops
        ),
    ),
    ProcessSpec(
        section=marks.Moulded,
        surface_weights={"plastic": 3, "painted": 1},
        appearance=ReliefAppearance[marks.Moulded](
            raised=lambda process, rng: rng.random() >= process.sunk_share
        ),
    ),
    ProcessSpec(
        section=marks.DotPeen,
        face_kind=lambda process, rng: "dots" if rng.random() < process.matrix_share else "strokes",
        tool=_stylus,
        appearance=ReliefAppearance[marks.DotPeen](),
    ),
)


# Marks of tone


def _drops(process: marks.InkJet, rng: Rng) -> Tool:
    return Tool(
        width=0.12,
        dot=within(process.dot, rng),
        scatter=within(process.scatter, rng),
        missing=within(process.missing, rng),
        again=within(process.satellites, rng),
        sway=within(process.drift, rng) / 7 if rng.random() < 0.5 else 0.0,
    )


def _display_segments(process: marks.Display, rng: Rng) -> Tool:
    return Tool(
        width=round(within(process.stroke, rng), 2),
        gap=round(within(process.gap, rng), 2),
        ghost=within(process.ghost, rng) if rng.random() < 0.5 else 0.0,
    )


def _display_setting(process: marks.Display, rng: Rng) -> Setting:
    slant = within(process.slant_deg, rng) if rng.random() < 0.5 else 0.0
    return Setting(straight=True, slant_deg=slant)


def _displayable(text: str, process: marks.Display, rng: Rng) -> str:
    """A display shows few letters, and often a decimal point."""
    text = alphabets.displayable(text, rng, letters=rng.random() < process.letter_share)
    if len(text) > 2 and text.isdigit() and rng.random() < process.point_share:
        at = len(text) - 1 - below(min(len(text), 4) - 1, rng)
        text = f"{text[: at - 1]}.{text[at:]}"  # in the place of a digit: the length stays
    return text


def _lasered(coverage: Floats, on: MarkedSurface, process: marks.Laser, rng: Rng) -> Floats:
    """The laser's hatch lines, its grain and its discoloured edge."""
    toned = coverage
    if rng.random() < process.hatch_share:
        rows, columns = coverage.shape
        angle, step = one_of((0.0, np.pi / 2, np.pi / 4), rng), within((2.2, 5), rng)
        y = np.arange(rows, dtype=np.float32)[:, None] * np.float32(2 * np.pi * np.cos(angle) / step)
        x = np.arange(columns, dtype=np.float32)[None] * np.float32(2 * np.pi * np.sin(angle) / step)
        low = np.float32(within((0.1, 0.4), rng))
        toned = toned * (1 - low + low * np.sin(x + y))
    speckles = grain((coverage.shape[0], coverage.shape[1]), rng)
    if rng.random() < 0.5:  # grains as large as the powder of a moulding compound
        speckles = blurred(speckles, 0.8) * np.float32(2.2)
    toned = toned * (1 + speckles * np.float32(within(process.grain, rng)))
    if rng.random() < process.halo_share:
        toned = toned + np.float32(within((0.1, 0.35), rng) * one_of((-1, 1), rng)) * blurred(coverage, 3.0)
    return np.asarray(toned, np.float32)


def _reversed_contrast(signal: Floats, process: marks.Laser, rng: Rng) -> Floats:
    """Contrast that reverses somewhere along the line, quickly, so that few characters are lost."""
    if rng.random() >= process.reversed_share:
        return signal
    x = np.arange(signal.shape[1], dtype=np.float32)
    where, width = within((0, signal.shape[1]), rng), within((2, 12), rng)
    line = np.tanh((x - np.float32(where)) / np.float32(width)) * np.float32(one_of((-1, 1), rng))
    weak = np.where(line < 0, np.float32(within((0.4, 1.0), rng)), np.float32(1.0))
    return np.asarray(signal * (line * weak).astype(np.float32)[None], np.float32)


def _inked(coverage: Floats, on: MarkedSurface, process: marks.Ink, rng: Rng) -> Floats:
    """Worn ink, now and then with a shadow of the other tone or as an outline alone."""
    coverage = worn(coverage, on.surface, within(process.worn, rng), rng)
    if rng.random() >= process.effects_share:
        return coverage
    if rng.random() < 0.5:
        shift = [below(9, rng) - 4 for _ in range(2)]
        shadowed = np.roll(coverage, tuple(shift), (0, 1)) * (1 - coverage)
        return np.asarray(coverage - np.float32(within((0.3, 0.7), rng)) * shadowed, np.float32)
    return _outline(coverage, 3)


def _thermal_print(coverage: Floats, on: MarkedSurface, process: marks.Thermal, rng: Rng) -> Floats:
    """Faded print; dead elements of the comb leave lines along the feed of the label."""
    coverage = worn(coverage, on.surface, within(process.faded, rng), rng)
    if rng.random() >= process.dead_element_share:
        return coverage
    coverage = coverage.copy()
    down = rng.random() < 0.5
    for _ in range(1 + below(3, rng)):
        place = below(coverage.shape[1 if down else 0], rng)
        where = np.s_[:, place : place + 2] if down else np.s_[place : place + 2]
        coverage[where] *= np.float32(within((0, 0.5), rng))
    return coverage


def _sprayed(coverage: Floats, on: MarkedSurface, process: marks.Stencil, rng: Rng) -> Floats:
    soft = blurred(coverage, max(within(process.overspray, rng) * on.mark.stroke_px * 4, 0.5))
    return worn(soft, on.surface, within(process.worn, rng), rng)


def _penned(coverage: Floats, on: MarkedSurface, process: marks.Pen, rng: Rng) -> Floats:
    rows, columns = coverage.shape
    uneven = enlarged(blurred(grain((rows // 2, columns // 2), rng), 3.0), (rows, columns))
    coverage = coverage * np.clip(0.85 + uneven * np.float32(1.25), 0.4, 1)
    return worn(np.asarray(coverage, np.float32), on.surface, within(process.worn, rng), rng)


def _displayed(coverage: Floats, on: MarkedSurface, process: marks.Display, rng: Rng) -> Floats:
    """A glow around what shines; a shadow on the reflector behind what darkens."""
    if on.bright:
        return coverage + np.float32(within((0.1, 0.5), rng)) * blurred(coverage, within((2, 6), rng))
    if rng.random() < 0.5:
        shift = np.array([[1, 0, within((-3, 3), rng)], [0, 1, within((0.5, 4), rng)]])
        behind = cv2.warpAffine(blurred(coverage, 1.0), shift, (coverage.shape[1], coverage.shape[0]))
        weak = np.asarray(behind, np.float32) * np.float32(within((0.1, 0.35), rng))
        return np.asarray(np.maximum(coverage, weak), np.float32)
    return coverage


_TONE = (
    ProcessSpec(
        section=marks.Laser,
        face_kind=_outline_or_strokes,
        tool=_pen_tool,
        appearance=ToneAppearance[marks.Laser](tone=_lasered, signal=_reversed_contrast),
    ),
    ProcessSpec(
        section=marks.Ink,
        appearance=ToneAppearance[marks.Ink](tone=_inked),
    ),
    ProcessSpec(
        section=marks.InkJet,
        face_kind=lambda process, rng: "dots",
        tool=_drops,
        appearance=ToneAppearance[marks.InkJet](),
    ),
    ProcessSpec(
        section=marks.Thermal,
        surface_weights={"label": 3, "paper": 1},
        appearance=ToneAppearance[marks.Thermal](
            tone=_thermal_print, bright=lambda process, rng: rng.random() < 0.03
        ),
    ),
    ProcessSpec(
        section=marks.Stencil,
        tool=lambda process, rng: Tool(width=0.12, bridge=within(process.bridge, rng)),
        appearance=ToneAppearance[marks.Stencil](tone=_sprayed),
    ),
    ProcessSpec(
        section=marks.Pen,
        face_kind=lambda process, rng: "strokes",
        tool=_pen_tool,
        appearance=ToneAppearance[marks.Pen](tone=_penned),
        setting=lambda process, rng: Setting(hand_set=True),
    ),
    ProcessSpec(
        section=marks.Display,
        face_kind=lambda process, rng: "segments",
        tool=_display_segments,
        surface_weights={"label": 3, "painted": 1},
        appearance=ToneAppearance[marks.Display](
            tone=_displayed, bright=lambda process, rng: rng.random() < process.led_share
        ),
        setting=_display_setting,
        writable=_displayable,
    ),
)

SPECS: dict[str, ProcessSpec[Any]] = {spec.kind: spec for spec in (*_RELIEF, *_TONE)}
"""Every marking process by the ``kind`` of its config section."""
