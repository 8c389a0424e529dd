"""What synthetic marks look like: texts, typefaces, layout, processes, surfaces, camera.

Lengths are in cap heights ("ch", the height of a capital letter) unless a name carries another unit, so
that a recipe means the same at every resolution.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from serialread.codes import MAX_LENGTH, PRINTABLE
from serialread.config.marks import Process
from serialread.config.section import Section
from serialread.config.spans import Share, Span, Weight


def _printable(frequencies: dict[str, float]) -> dict[str, float]:
    if wrong := [c for c in frequencies if len(c) != 1 or c not in PRINTABLE]:
        raise ValueError(f"{wrong[0]!r} is no printable character")
    if frequencies and not any(c.isalpha() and w > 0 for c, w in frequencies.items()):
        raise ValueError("no letter has a weight")
    return frequencies


class Texts(Section):
    """Which codes are written."""

    digits: float = Field(default=0.40, ge=0)
    """Weight of codes of digits alone: 43 % of MPSC."""
    mixed: float = Field(default=0.22, ge=0)
    """Weight of capitals among more digits."""
    templates: float = Field(default=0.22, ge=0)
    """Weight of part-number patterns."""
    arbitrary: float = Field(default=0.16, ge=0)
    """Weight of letters and digits at random, one case style a string."""
    long_share: Share = 1 / 3
    """Share of lengths drawn evenly over 1..25: rare long codes would starve the late slots."""
    gap_share: Share = 0.12
    """Share of codes with gaps between groups; gaps are drawn, labels omit them."""
    symbol_share: Share = 0.10
    """Share of digit, mixed and arbitrary codes that get separators or rare symbols."""
    patterns: tuple[str, ...] = ("####-##-####",)
    """Patterns: ``#`` digit, ``@`` capital, ``*`` either, ``_`` small letter, a blank is a gap,
    ``{a|b}`` picks one, ``\\`` quotes; the rest stands for itself."""
    lengths: tuple[float, ...] = (4, 8, 13, 13, 11, 13, 9, 9, 7, 7, 4, 4)
    """Weights of lengths 1, 2, ... of the short codes; flatter than MPSC's, whose shortest teach little."""
    styles: tuple[Weight, Weight, Weight, Weight] = (0.20, 0.15, 0.40, 0.25)
    """Weights of small, Capitalised, CAPITAL and MiXed arbitrary codes; marks are mostly capitals."""
    digit_shares: tuple[Share, ...] = Field(default=(0.0, 0.15, 0.35), min_length=1)
    """Shares of digits in arbitrary codes; one of them is drawn for a code."""
    frequencies: Annotated[dict[str, float], AfterValidator(_printable)] = Field(default={})
    """Weights of small letters and digits, wherever one is drawn outside a pattern; {} draws evenly."""
    unambiguous_share: Share = 0.6
    """Share of codes that draw no I, L, O and Q: most numbering schemes avoid letters that look like digits
    (ISO 3779 leaves out I, O and Q), and a reader that sees them as often as any other takes zeros for O."""
    confusable_share: Share = 0.0
    """Share of codes with letters in which characters give way to ones that look alike (0 O D, 1 I l, 5 S,
    8 B); 0 because boosting letters costs digit marks, which are most."""


class Typefaces(Section):
    """Which letter shapes are used."""

    folders: tuple[Path, ...] = ()
    """More folders of .ttf and .otf files beside the bundled ones, relative to where the command runs."""
    held_out: Literal["leave_out", "only", "all"] = "leave_out"
    """One family in ten never trains: leave it out, use it alone (validation), or use all."""


def _far_enough(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] < 2:
        raise ValueError("a camera nearer than 2 has parts of the line behind it")
    return span


class Layout(Section):
    """How characters stand in the crop."""

    spacing: Span = (-0.04, 0.30)
    """Extra pitch between characters, ch."""
    wide_gap_share: Share = 0.15
    """Share of codes whose parts stand 1.1 to 3 ch apart rather than 0.35 to 1.1, as a name and its value on
    a plate: a reader that has seen no such gap takes it for the end."""
    long_dash_share: Share = 0.25
    """Share of codes with dashes in which these are 1.3 to 3 times as long as the typeface's hyphen, as dies
    have them: a reader that has seen none takes one for part of a digit."""
    slim_slash_share: Share = 0.35
    """Share of codes with slashes in which these are 0.28 to 0.55 ch wide, where the typeface's are wider: a
    steep one between digits is taken for a 1 or a 7 by a reader that has seen none."""
    stretch: Span = (0.58, 1.30)
    """Width of characters against their natural width."""
    jitter: Span = (0.0, 0.06)
    """Spread of a hand-set character's place, ch; drawn once a code, 0 for machines."""
    turn_deg: Span = (0.0, 5.0)
    """Spread of a hand-set character's rotation."""
    tilt_deg: float = Field(default=3.0, ge=0)
    """Spread of the line's tilt; one code in ten goes up to 15 degrees."""
    slant_deg: Span = (-8.0, 16.0)
    """Slant of upright shapes, one code in four."""
    view_share: Share = 0.4
    """Share seen askew: hand-held cameras, and fixed ones that keep clear of the tool."""
    view_deg: Span = (0.0, 35.0)
    """Angle between the camera and the surface's normal, in any direction; beyond that the focus is lost."""
    view_distance: Annotated[Span, AfterValidator(_far_enough)] = (3.0, 12.0)
    """Distance of the camera, in halves of the line's length: near ones make keystones. At least 2."""
    arc_share: Share = 0.08
    """Share of codes on an arc."""
    margin: Span = (0.02, 0.55)
    """Free surface around the text, ch, each side on its own."""
    cut_share: Share = 0.08
    """Share of crops that cut into the characters' top or foot by up to a tenth."""
    neighbour_share: Share = 0.18
    """Share with fragments of lines above or below."""
    neighbour_other_share: Share = 0.5
    """Share whose neighbours are set in a typeface and size of their own, as a maker's name over a number."""
    cut_off_share: Share = 0.06
    """Share with a character of another code left or right, cut off by the crop: its side is no 1."""
    feed_share: Share = 0.10
    """Share with one to four upright strokes beside the code: feed marks, slips of a tool, scratches, which
    readers take for 1 and I. They run past the line, or are far weaker than the code."""
    frame_share: Share = 0.16
    """Share with frames, bars (also between the parts of a code) or underlines."""
    logo_share: Share = 0.10
    """Share with a logo or another shape beside the code."""
    edge_share: Share = 0.10
    """Share in which the part ends inside the crop."""
    hole_share: Share = 0.06
    """Share with a hole or a screw head beside the code, where the margin has room for a part of it."""
    cylinder_share: Share = 0.10
    """Share around a shaft: characters narrow towards the ends, and so does the light."""
    flipped_share: Share = 0.0
    """Share upside down; the label stays the upright text, the flip is recorded. 0 because a reader without
    an output for the orientation cannot tell 6 from 9."""


SurfaceKind = Literal[
    "brushed",
    "milled",
    "turned",
    "ground",
    "blasted",
    "cast",
    "scale",
    "anodised",
    "painted",
    "plastic",
    "paper",
    "label",
    "scene",
    "photograph",
]


def _some_weight(weights: dict[SurfaceKind, float]) -> dict[SurfaceKind, float]:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError("weights are 0 or more, and one is above 0")
    return weights


Weights = Annotated[dict[SurfaceKind, float], AfterValidator(_some_weight)]
"""Surfaces and their shares against one another."""


class Surfaces(Section):
    """What is marked."""

    metal: Weights = Field(
        default={
            "brushed": 3,
            "milled": 3,
            "turned": 2,
            "ground": 2,
            "blasted": 2,
            "cast": 2,
            "scale": 1,
            "painted": 1,
        }
    )
    """Weights of surfaces that carry relief."""
    printed: Weights = Field(
        default={
            "plastic": 4,
            "painted": 3,
            "brushed": 2,
            "paper": 2,
            "anodised": 1.5,
            "ground": 1,
            "blasted": 1,
            "scale": 0.5,
        }
    )
    """Weights of surfaces that carry laser, ink and paint."""
    photographs: tuple[Path, ...] = ()
    """Folders of surface photographs of your own, for the kind ``photograph``; relative to where the command
    runs. A sample is then a function of these pictures too."""
    roughness: Span = (0.02, 0.5)
    """Steepness of the surface's own relief, drawn with a bent to smooth."""
    scratch_share: Share = 0.15
    """Share with scratches."""
    stain_share: Share = 0.25
    """Share with stains or rust."""
    glare_share: Share = 0.15
    """Share with a bright reflection."""
    bow_share: Share = 0.35
    """Share of metal whose slope turns along the code, so that a highlight wanders across it."""
    legibility: Span = (1.5, 7.0)
    """Least strength of a mark with depth against the surface's own pattern; texture is softened until it
    holds."""
    legibility_grain: Span = (0.9, 4.5)
    """The same where the pattern is regular lines (brushed, milled, turned, ground): an eye tells lines
    from characters though both are equally strong, and a reader must learn it."""
    legibility_print: Span = (1.8, 20.0)
    """The same for laser, ink and displays, whose grounds are mostly even."""


class Camera(Section):
    """How the mark is photographed."""

    low_share: Share = 0.30
    """Share of crops taken at fewer rows than the network sees, and enlarged."""
    low_text_px: Span = (9.5, 25.0)
    """Height of a capital in such a crop."""
    blur: Span = (0.0, 0.9)
    """Spread of the defocus at the network's scale, px."""
    askew_share: Share = 0.12
    """Share taken askew or from near by, so that one end is out of focus."""
    askew_blur: Span = (0.7, 2.4)
    """Spread of the defocus at that end, px at the network's scale."""
    motion_share: Share = 0.06
    """Share with motion blur."""
    noise: Span = (0.0, 0.05)
    """Sensor noise, part of full scale; never above the mark's own strength."""
    jpeg_share: Share = 0.35
    """Share stored as JPEG."""
    jpeg_quality: Span = (25, 95)
    """JPEG quality."""
    sharpen_share: Share = 0.12
    """Share sharpened by the camera."""


class DataRecipe(Section):
    """Everything that decides a synthetic sample but its seed and index."""

    height: int = Field(default=32, ge=16, le=128)
    """Rows of a crop, px."""
    widest: int = Field(default=384, ge=64)
    """Most columns of a crop, px; longer lines are squeezed as the reader would."""
    texts: Texts = Texts()
    typefaces: Typefaces = Typefaces()
    layout: Layout = Layout()
    processes: tuple[Process, ...] = Field(min_length=1)
    overprint_share: Share = 0.12
    """Share of marks with depth whose first or last part is printed instead, as values are struck into a
    printed nameplate."""
    fading_share: Share = 0.18
    """Share of marks that grow weaker towards one end: the tool lay askew, or wear took that side."""
    fading: Span = (0.2, 0.75)
    """Part of its depth, or of its ink, that such a mark has lost at that end."""
    bare_share: Share = 0.0
    """Share of surfaces without a code, with the ends and holes of parts: their label is empty. A reader that
    has seen none takes every texture for some text."""
    visibility: float = Field(default=1.0, ge=0)
    """Least visibility of the weakest character: the spread of grey that its mark adds over that of surface
    and noise, at the camera's resolution. A sample below it is lit anew, a few times at most."""
    surfaces: Surfaces = Surfaces()
    camera: Camera = Camera()

    def by_process(self) -> tuple["DataRecipe", ...]:
        """One recipe for each of the processes, with everything else as it is."""
        return tuple(self.model_copy(update={"processes": (process,)}) for process in self.processes)

    @property
    def longest(self) -> int:
        """Most characters of a code."""
        return MAX_LENGTH
