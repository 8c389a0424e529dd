"""What synthetic marks look like: texts, typefaces, layout, processes, surfaces, camera.

Lengths are in cap heights ("ch", the height of a capital letter) unless a name carries another unit, so
that a recipe means the same at every resolution.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from serialread.codes import MAX_LENGTH
from serialread.recipe.base import Section


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("a span is (low, high)")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Low and high end of a uniform draw."""
Share = Annotated[float, Field(ge=0, le=1)]
"""Part of all samples, 0..1."""


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


class Typefaces(Section):
    """Which letter shapes are used."""

    folders: tuple[Path, ...] = ()
    """More folders of .ttf and .otf files beside the bundled ones, relative to where the command runs."""
    held_out: Literal["leave_out", "only", "all"] = "leave_out"
    """One family in ten never trains: leave it out, use it alone (validation), or use all."""


class Layout(Section):
    """How characters stand in the crop."""

    spacing: Span = (-0.04, 0.30)
    """Extra pitch between characters, ch."""
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
    perspective: Span = (-0.12, 0.12)
    """Growth of the characters along the line."""
    arc_share: Share = 0.08
    """Share of codes on an arc."""
    margin: Span = (0.02, 0.40)
    """Free surface around the text, ch, each side on its own."""
    cut_share: Share = 0.08
    """Share of crops that cut into the characters' top or foot by up to a tenth."""
    neighbour_share: Share = 0.18
    """Share with fragments of lines above or below."""
    frame_share: Share = 0.16
    """Share with frames, bars (also between the parts of a code) or underlines."""
    logo_share: Share = 0.10
    """Share with a logo or another shape beside the code."""
    edge_share: Share = 0.10
    """Share in which the part ends inside the crop."""


class Relief(Section):
    """A mark with depth: light makes it visible."""

    slope: Span = (0.25, 1.3)
    """Steepest flank, height over width."""
    rim: Span = (0.0, 0.5)
    """Raised rim, as a part of the depth."""
    floor_tone: Span = (-0.55, 0.35)
    """How much darker (-) or brighter (+) the groove's floor is: dirt or fresh metal."""


class Engraved(Relief):
    """Cut with a tool: single strokes or the outline of a typeface."""

    kind: Literal["engraved"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""
    stroke: Span = (0.06, 0.17)
    """Width of the cut, ch."""
    outline_share: Share = 0.30
    """Share cut after an outline typeface instead of single strokes."""


class Stamped(Relief):
    """Punched character by character: uneven depth, tilt, shift, partial strikes, wear."""

    kind: Literal["stamped"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""
    stroke: Span = (0.08, 0.18)
    """Width of the punch's edge, ch."""
    outline_share: Share = 0.6
    """Share of punches after an outline typeface."""
    wear: Span = (0.0, 0.55)
    """Part of the strokes that is faint."""


class Embossed(Relief):
    """Raised: cast, moulded, embossed."""

    kind: Literal["embossed"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""


class DotPeen(Relief):
    """Dots struck by a stylus."""

    kind: Literal["dot_peen"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""
    matrix_share: Share = 0.4
    """Share set in a dot matrix; the rest follows single strokes."""
    pitch: Span = (0.07, 0.20)
    """Distance of dots along a stroke, ch."""
    dot: Span = (0.55, 1.15)
    """Dot diameter in pitches."""
    missing: Span = (0.0, 0.05)
    """Part of the dots that never struck."""
    scatter: Span = (0.0, 0.12)
    """Spread of a dot's place, in pitches."""


class Laser(Section):
    """Annealed dark or ablated bright, with the grain of the hatch lines."""

    kind: Literal["laser"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""
    contrast: Span = (0.05, 0.5)
    """Grey difference to the surface, 0..1."""
    stroke: Span = (0.07, 0.16)
    """Width of single strokes, ch."""
    outline_share: Share = 0.6
    """Share set in an outline typeface."""
    flip_share: Share = 0.12
    """Share in which reflections turn the contrast over along the line, as on etched plates."""


class Ink(Section):
    """Printed, painted or on a label."""

    kind: Literal["ink"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""
    contrast: Span = (0.12, 0.9)
    """Grey difference to the surface, 0..1."""
    worn: Span = (0.0, 0.35)
    """Part of the ink that is gone."""
    effects_share: Share = 0.1
    """Share with a shadow or an outline."""


class InkJet(Section):
    """Drops in a dot matrix."""

    kind: Literal["ink_jet"]
    weight: float = Field(default=1.0, ge=0)
    """Share against the other processes."""
    contrast: Span = (0.15, 0.8)
    """Grey difference to the surface, 0..1."""
    dot: Span = (0.6, 1.3)
    """Drop diameter in pitches."""
    scatter: Span = (0.0, 0.15)
    """Spread of a drop's place, in pitches."""
    missing: Span = (0.0, 0.03)
    """Part of the drops that is missing."""


Process = Annotated[
    Engraved | Stamped | Embossed | DotPeen | Laser | Ink | InkJet, Field(discriminator="kind")
]

SurfaceKind = Literal[
    "brushed",
    "milled",
    "turned",
    "ground",
    "blasted",
    "cast",
    "scale",
    "painted",
    "plastic",
    "paper",
    "scene",
]


class Surfaces(Section):
    """What is marked."""

    metal: dict[SurfaceKind, float] = Field(
        default={
            "brushed": 3,
            "milled": 2,
            "turned": 2,
            "ground": 2,
            "blasted": 2,
            "cast": 2,
            "scale": 1,
            "painted": 1,
        }
    )
    """Weights of surfaces that carry relief."""
    printed: dict[SurfaceKind, float] = Field(
        default={
            "plastic": 4,
            "painted": 3,
            "brushed": 2,
            "paper": 2,
            "ground": 1,
            "blasted": 1,
            "scale": 0.5,
        }
    )
    """Weights of surfaces that carry laser and ink."""
    roughness: Span = (0.02, 0.5)
    """Steepness of the surface's own relief, drawn with a bent to smooth."""
    scratch_share: Share = 0.15
    """Share with scratches."""
    stain_share: Share = 0.25
    """Share with stains or rust."""
    glare_share: Share = 0.15
    """Share with a bright reflection."""
    legibility: Span = (1.5, 7.0)
    """Least strength of the mark against the surface's own pattern; texture is softened until it holds."""


class Camera(Section):
    """How the mark is photographed."""

    low_share: Share = 0.35
    """Share of crops taken at fewer rows than the network sees, and enlarged."""
    low_text_px: Span = (9.5, 25.0)
    """Height of a capital in such a crop."""
    blur: Span = (0.0, 0.9)
    """Spread of the defocus at the network's scale, px."""
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
    surfaces: Surfaces = Surfaces()
    camera: Camera = Camera()

    @property
    def longest(self) -> int:
        """Most characters of a code."""
        return MAX_LENGTH
