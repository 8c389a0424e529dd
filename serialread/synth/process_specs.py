"""What each marking process takes: which letter shapes, which tool, which ground, which light."""

from typing import Literal, assert_never

import numpy as np

from serialread.config.data_recipe import SurfaceKind, Surfaces
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
    Process,
    Scribed,
    Stamped,
    Stencil,
    Thermal,
)
from serialread.synth import markings, segments
from serialread.synth.exposure import Shaded
from serialread.synth.layout import Setting
from serialread.synth.rng import below, within
from serialread.synth.strokes import Mark, Tool
from serialread.synth.surfaces import draw_surface

FaceKind = Literal["outline", "strokes", "dots", "segments"]

_PLASTIC: dict[SurfaceKind, float] = {"plastic": 3, "painted": 1}
_LABELS: dict[SurfaceKind, float] = {"label": 3, "paper": 1}
_PANES: dict[SurfaceKind, float] = {"label": 3, "painted": 1}


def writable(text: str, process: Process, rng: np.random.Generator) -> str:
    """The text as the process can write it: a display shows few letters, and often a decimal point."""
    if not isinstance(process, Display):
        return text
    text = segments.shown(text, rng, letters=rng.random() < process.letter_share)
    if len(text) > 2 and text.isdigit() and rng.random() < process.point_share:
        at = len(text) - 1 - below(min(len(text), 4) - 1, rng)
        text = f"{text[: at - 1]}.{text[at:]}"  # in the place of a digit: the length stays
    return text


def setting(process: Process, rng: np.random.Generator) -> Setting:
    """How the process places its characters."""
    match process:
        case Stamped() | Scribed() | Pen():
            return Setting(hand_set=True)
        case Display():
            slant = within(process.slant_deg, rng) if rng.random() < 0.5 else 0.0
            return Setting(straight=True, slant_deg=slant)
        case _:
            return Setting(hand_set=rng.random() < 0.08)


def has_depth(process: Process) -> bool:
    """Whether light and shade make the mark visible, not its tone."""
    return isinstance(process, Engraved | Scribed | Stamped | Embossed | Moulded | DotPeen)


def kind_of_face(process: Process, rng: np.random.Generator) -> FaceKind:
    """Which letter shapes a mark is made of."""
    match process:
        case Engraved() | Stamped() | Laser():
            return "outline" if rng.random() < process.outline_share else "strokes"
        case Embossed() | Moulded() | Ink() | Thermal() | Stencil():
            return "outline"
        case DotPeen():
            return "dots" if rng.random() < process.matrix_share else "strokes"
        case InkJet():
            return "dots"
        case Scribed() | Pen():
            return "strokes"
        case Display():
            return "segments"
        case _:
            assert_never(process)


def tool(process: Process, rng: np.random.Generator) -> Tool:
    """Draw the tool that makes one mark."""
    match process:
        case Engraved():
            return _cutter(process, rng)
        case Stamped():
            return Tool(
                width=within(process.stroke, rng),
                uneven=within(process.tilt, rng),
                depths=within(process.depth_spread, rng),
                doubled=within((0.2, 0.6), rng) if rng.random() < process.doubled_share else 0.0,
                partial=within((0.15, 0.5), rng) if rng.random() < process.partial_share else 0.0,
                unstruck=process.partial,
            )
        case Scribed():
            pressure = within(process.pressure, rng)
            return Tool(
                width=within(process.stroke, rng),
                wander=within(process.wander, rng),
                again=within(process.retraced, rng),
                uneven=pressure,
                depths=pressure,
            )
        case Laser() | Pen():
            return Tool(width=within(process.stroke, rng))
        case Embossed() | Moulded() | Ink() | Thermal():
            return Tool(width=0.12)
        case Stencil():
            return Tool(width=0.12, bridge=within(process.bridge, rng))
        case DotPeen():
            return _stylus(process, rng)
        case InkJet():
            return Tool(
                width=0.12,
                dot=within(process.dot, rng),
                scatter=within(process.scatter, rng),
                missing=within(process.missing, rng),
                again=within(process.satellites, rng),
                sway=within(process.drift, rng) / 7 if rng.random() < 0.5 else 0.0,
            )
        case Display():
            return Tool(
                width=round(within(process.stroke, rng), 2),
                gap=round(within(process.gap, rng), 2),
                ghost=within(process.ghost, rng) if rng.random() < 0.5 else 0.0,
            )
        case _:
            assert_never(process)


def shade(mark: Mark, process: Process, around: float, knobs: Surfaces, rng: np.random.Generator) -> Shaded:
    """Put the mark on a surface of its own and light it; ``around`` is half its angle around a shaft, rad."""
    ground, (rows, columns) = _ground(process, knobs), mark.owners.shape
    match process:
        case Engraved() | Scribed() | Stamped() | Embossed() | Moulded() | DotPeen():
            surface = draw_surface(ground, knobs, (rows, columns), rng)
            return markings.relief(mark, surface, process, around, knobs, rng)
        case Laser() | Ink() | InkJet() | Thermal() | Stencil() | Pen() | Display():
            # under print a ground of the crop's own px is fine enough; the light on flanks needs smaller ones
            surface = draw_surface(ground, knobs, (rows // 2, columns // 2), rng, step=2)
            return markings.flat(mark, surface, process, around, knobs, rng)
        case _:
            assert_never(process)


def _ground(process: Process, knobs: Surfaces) -> dict[SurfaceKind, float]:
    """Weights of the surfaces that carry the process."""
    match process:
        case Engraved() | Scribed() | Stamped() | Embossed() | DotPeen():
            return knobs.metal
        case Laser() | Ink() | InkJet() | Stencil() | Pen():
            return knobs.printed
        case Moulded():
            return _PLASTIC
        case Thermal():
            return _LABELS
        case Display():
            return _PANES
        case _:
            assert_never(process)


def _cutter(process: Engraved, rng: np.random.Generator) -> Tool:
    width = within(process.stroke, rng)
    if rng.random() >= process.double_share:
        return Tool(width=width)
    aside, direction = within((0.6, 1.3), rng) * width, within((0, 2 * np.pi), rng)
    return Tool(width=width, second=(aside * float(np.cos(direction)), aside * float(np.sin(direction))))


def _stylus(process: DotPeen, rng: np.random.Generator) -> Tool:
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
