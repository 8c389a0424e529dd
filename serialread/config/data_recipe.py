"""The data recipe: texts, typefaces, layout, processes, surfaces and camera of rendered samples.

Lengths are in cap heights ("ch", the height of a capital letter) unless a name has another unit, so
that a recipe means the same at every resolution.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from serialread.codes import CTC_CAPACITY, MAX_LENGTH, PRINTABLE
from serialread.config.marks import Process, Share, Span, Weight
from serialread.config.scene import Scene
from serialread.config.section import Section, merged


def _printable(frequencies: dict[str, float]) -> dict[str, float]:
    if wrong := [c for c in frequencies if len(c) != 1 or c not in PRINTABLE]:
        raise ValueError(f"{wrong[0]!r} is not a printable ASCII character")
    if frequencies and not any(c.isalpha() and w > 0 for c, w in frequencies.items()):
        raise ValueError("no letter has a weight")
    return frequencies


class Texts(Section):
    """The codes that are rendered."""

    digits: float = Field(default=0.40, ge=0)
    """Weight of codes of digits alone: 43 % of MPSC."""
    mixed: float = Field(default=0.22, ge=0)
    """Weight of capitals among more digits."""
    templates: float = Field(default=0.22, ge=0)
    """Weight of part-number patterns."""
    arbitrary: float = Field(default=0.16, ge=0)
    """Weight of random letters and digits, one case style per string."""
    runs: float = Field(default=0.0, ge=0)
    """Weight of codes of one to four groups, each of letters or of digits alone, and of codes as vehicles
    have them: where O and 0 look alike, the neighbours say which it is."""
    long_share: Share = 1 / 3
    """Share of lengths drawn evenly over 1..``max_length``: else training rarely covers late positions."""
    gap_share: Share = 0.12
    """Share of codes with gaps between groups; gaps are rendered, labels omit them."""
    lone_gap_share: Share = 0.0
    """Share of codes with exactly one gap, half of them before the last character, as for a check digit."""
    reject_share: Share = 0.0
    """Share of codes with one to five glyphs that are no characters: of other scripts, symbols, logos, as far
    as the typeface has them. The label has U+FFFD for each."""
    symbol_share: Share = 0.10
    """Share of digit, mixed and arbitrary codes that get separators or rare symbols."""
    patterns: tuple[str, ...] = ("####-##-####",)
    """Patterns: ``#`` digit, ``@`` capital, ``*`` either, ``_`` small letter, a blank is a gap,
    ``{a|b}`` picks one, ``\\`` quotes; the rest stands for itself."""
    lengths: tuple[float, ...] = (4, 8, 13, 13, 11, 13, 9, 9, 7, 7, 4, 4)
    """Weights of lengths 1, 2, ... of the other codes; flatter than MPSC's, mostly 1 to 3."""
    styles: tuple[Weight, Weight, Weight, Weight] = (0.20, 0.15, 0.40, 0.25)
    """Weights of lower-case, Capitalised, CAPITAL and MiXed arbitrary codes; marks are mostly capitals."""
    digit_shares: tuple[Share, ...] = Field(default=(0.0, 0.15, 0.35), min_length=1)
    """Shares of digits in arbitrary codes; one of them is drawn for a code."""
    frequencies: Annotated[dict[str, float], AfterValidator(_printable)] = Field(default={})
    """Weights of lower-case letters and digits outside patterns; {} draws evenly."""
    unambiguous_share: Share = 0.6
    """Share of codes without I, L, O and Q: most numbering schemes avoid letters that resemble digits
    (ISO 3779 excludes I, O and Q), and a reader trained with them at equal rates reads zeros as O."""
    confusable_share: Share = 0.0
    """Share of codes with letters in which characters are replaced by confusable ones (0 O D, 1 I l, 5 S,
    8 B); 0 because more letters cost accuracy on digits, which are most of all marks."""


class Typefaces(Section):
    """The letter shapes that are used."""

    folders: tuple[Path, ...] = ()
    """Further folders of .ttf and .otf files, relative to the working directory."""
    families: tuple[str, ...] = ()
    """Words of which a font file's family must have one, such as ``Serif``; () for all families."""
    held_out: Literal["leave_out", "only", "all"] = "leave_out"
    """One family in ten is held out of training: leave it out, use only it (validation), or use all."""


def _at_least_two(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] < 2:
        raise ValueError("below 2 parts of the line are behind the camera")
    return span


class Layout(Section):
    """Where characters and distractors are placed in the crop."""

    spacing: Span = (-0.04, 0.30)
    """Extra pitch between characters, ch."""
    wide_gap_share: Share = 0.15
    """Share of codes whose parts are 1.1 to 3 ch apart instead of 0.35 to 1.1, as a name and its value on a
    plate: a reader trained without such gaps stops at the first one."""
    gap: Span = (0.35, 1.1)
    """Distance of the parts of a code, ch."""
    wide_gap: Span = (1.1, 3.0)
    """The same where it is wide."""
    long_dash_share: Share = 0.25
    """Share of codes with dashes in which these are 1.3 to 3 times as long as the typeface's hyphen, as on
    dies: a reader trained without them reads one as part of a digit."""
    narrow_slash_share: Share = 0.35
    """Share of codes with slashes in which these are only 0.28 to 0.55 ch wide: a reader trained without
    steep slashes reads them as 1 or 7."""
    low_point_share: Share = 0.0
    """Share of codes with points in which these stand close to their neighbours and up to 0.15 ch low, as
    engraved by hand: a reader trained without them takes 7. for Z or 2."""
    stretch: Span = (0.58, 1.30)
    """Factor on the characters' natural width."""
    jitter: Span = (0.0, 0.06)
    """Spread of a hand-set character's position, ch; drawn once per code."""
    rotation_deg: Span = (0.0, 5.0)
    """Spread of a hand-set character's rotation."""
    tilt_deg: float = Field(default=3.0, ge=0)
    """Spread of the line's tilt; one code in ten is tilted by up to 15 degrees."""
    slant_deg: Span = (-8.0, 16.0)
    """Slant of the characters, in one code of four."""
    perspective_share: Share = 0.4
    """Share seen obliquely: hand-held cameras, and fixed ones that are mounted clear of the tool."""
    perspective_deg: Span = (0.0, 35.0)
    """Angle between the camera and the surface's normal, in any direction."""
    perspective_distance: Annotated[Span, AfterValidator(_at_least_two)] = (3.0, 12.0)
    """Distance of the camera, in half lengths of the line; a smaller one distorts more. At least 2."""
    arc_share: Share = 0.08
    """Share of codes on an arc."""
    bend: Span = (0.15, 0.9)
    """Angle of an arc between the first and the last character, rad; less where the ends would be more than
    1.1 ch above or below the middle."""
    margin: Span = (0.02, 0.55)
    """Free surface around the text, ch, drawn for each side."""
    cropped_share: Share = 0.08
    """Share of crops that cut off up to a tenth of the characters' top or bottom."""
    side_cut_share: Share = 0.0
    """Share of crops that cut off up to 0.12 ch of the first or last character."""
    loose_share: Share = 0.0
    """Share of crops that are 0.4 to 2.5 ch too wide on the left, the right or both."""
    neighbour_share: Share = 0.18
    """Share with fragments of other lines above or below."""
    neighbour_typeface_share: Share = 0.5
    """Share whose other lines differ in typeface and size, as a company's name above a number."""
    partial_neighbour_share: Share = 0.06
    """Share with a character of another code at the left or right edge, cut off by the crop."""
    tool_mark_share: Share = 0.10
    """Share with one to four upright strokes next to the code: feed marks, tool slips, scratches, which
    readers confuse with 1 and I. They are longer than the characters or much weaker."""
    frame_share: Share = 0.16
    """Share with frames, bars (also between the parts of a code) or underlines."""
    neighbour_print_share: Share = 0.0
    """Share of these in an outline typeface, even where the code is of dots or strokes."""
    neighbour_words_share: Share = 0.0
    """Share of other lines of small letters, as words."""
    barcode_share: Share = 0.0
    """Share with a barcode above or below the code."""
    name_share: Share = 0.0
    """Share of codes with gaps in which a part with letters beside one with digits is in another typeface
    and mostly smaller: a name and its value, a value and its unit."""
    boxed_share: Share = 0.0
    """Share of codes with a box around a part, the last character (a check digit) or every one."""
    suffix_share: Share = 0.0
    """Share of codes whose last one to three characters are smaller, raised and underlined. On displays these
    are the digits behind the point, or the last one or two, mostly on the baseline and never underlined."""
    resized_share: Share = 0.0
    """Share of codes in which the characters before or behind a change between letters, digits and signs are
    smaller, on the baseline, raised or between: the $ and the cents of a price, OFF, a unit without gap."""
    unit_share: Share = 0.0
    """Share with a small unit behind the code, raised or lowered and without a label, as on meters."""
    logo_share: Share = 0.10
    """Share with a logo: an irregular shape beside the code, or an emblem (arms, seal, sticker, flag, country
    band) beside it or in a gap of it. It has neither label nor mask."""
    edge_share: Share = 0.10
    """Share in which the part ends inside the crop."""
    hole_share: Share = 0.06
    """Share with a hole or a screw head next to the code, where the margin is large enough to show it."""
    cylinder_share: Share = 0.10
    """Share around a shaft: characters become narrower and the light changes towards the ends."""
    upside_down_share: Share = 0.0
    """Share upside down; the label stays the upright text; the record says ``flipped``. 0 because a reader
    without an output for the orientation cannot distinguish 6 from 9."""


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
    "guilloche",
    "photograph",
]


def _some_weight(weights: dict[SurfaceKind, float]) -> dict[SurfaceKind, float]:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError("weights must be 0 or more, and one above 0")
    return weights


Weights = Annotated[dict[SurfaceKind, float], AfterValidator(_some_weight)]
"""Surfaces and their relative weights."""


class Surfaces(Section):
    """The surfaces that carry marks."""

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
    """Folders of your own surface photographs for the kind ``photograph``, relative to the working
    directory. A sample then also depends on these pictures."""
    roughness: Span = (0.02, 0.5)
    """Steepness of the surface's own relief."""
    scratch_share: Share = 0.15
    """Share with scratches."""
    stain_share: Share = 0.25
    """Share with stains or rust."""
    glare_share: Share = 0.15
    """Share with a bright reflection."""
    reflection_share: Share = 0.0
    """Share in which a reflection on the glass in front veils a part of the code."""
    curved_share: Share = 0.35
    """Share of metal whose slope changes along the code, so that the brightness does too."""
    legibility: Span = (1.5, 7.0)
    """Minimum ratio of a mark with depth to the surface's own pattern; the pattern is weakened until the
    ratio holds."""
    legibility_grain: Span = (0.9, 4.5)
    """The same where the pattern is regular lines (brushed, milled, turned, ground), which people can
    separate from characters of equal strength and a reader must learn to."""
    legibility_print: Span = (1.8, 20.0)
    """The same for laser, ink and displays, whose backgrounds are mostly even."""


class Camera(Section):
    """How the mark is photographed."""

    low_resolution_share: Share = 0.30
    """Share of crops photographed at fewer rows than the network's input, and enlarged."""
    low_resolution_cap_px: Span = (9.5, 25.0)
    """Height of a capital in such a crop."""
    blur: Span = (0.0, 0.9)
    """Sigma of the defocus blur, px of the crop."""
    uneven_focus_share: Share = 0.12
    """Share photographed obliquely or from nearby, so that one end is out of focus."""
    uneven_focus_blur: Span = (0.7, 2.4)
    """Sigma of the blur at that end, px of the crop."""
    motion_share: Share = 0.06
    """Share with motion blur."""
    noise: Span = (0.0, 0.05)
    """Sensor noise, as a part of full scale; limited by the mark's own strength."""
    jpeg_share: Share = 0.35
    """Share stored as JPEG."""
    jpeg_quality: Span = (25, 95)
    """JPEG quality."""
    sharpen_share: Share = 0.12
    """Share sharpened by the camera."""


class DataRecipe(Section):
    """Everything that determines a rendered sample except its seed and index."""

    height: int = Field(default=32, ge=16, le=128)
    """Rows of a crop, px."""
    max_width: int = Field(default=384, ge=64)
    """Maximum width of a crop, px; longer lines are compressed, as the reader does it."""
    max_length: int = Field(default=MAX_LENGTH, ge=1, le=CTC_CAPACITY)
    """Maximum number of characters of a code."""
    texts: Texts = Texts()
    typefaces: Typefaces = Typefaces()
    layout: Layout = Layout()
    processes: tuple[Process, ...] = Field(min_length=1)
    overprint_share: Share = 0.12
    """Share of marks with depth whose first or last part is printed instead, as values stamped into a printed
    nameplate."""
    fading_share: Share = 0.18
    """Share of marks that become weaker towards one end, from a tilted tool or wear."""
    fading: Span = (0.2, 0.75)
    """Part of its depth, or of its ink, that such a mark has lost at that end."""
    background_share: Share = 0.0
    """Share of crops without a code: surface and distractors alone, with an empty label. A reader trained
    without them reads text in textures."""
    min_visibility: float = Field(default=1.0, ge=0)
    """Minimum visibility of the weakest character: the spread of grey that the mark adds, divided by that of
    surface and noise, at the camera's resolution. A sample below it is lit again, at most three times."""
    surfaces: Surfaces = Surfaces()
    camera: Camera = Camera()
    scene: Scene | None = None
    """With this section, samples are whole pictures with any number of lines instead of crops of one."""
    mix: tuple["Kind", ...] = ()
    """Kinds of samples. Each is this recipe with what the kind's table sets on top, table by table, key by
    key; a sample is of one of them. () for a recipe of one kind."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, table: Any) -> Any:
        """Give every kind of the mix what it shares with the recipe."""
        if not isinstance(table, dict) or not isinstance(table.get("mix"), list | tuple):
            return table
        shared = {key: value for key, value in table.items() if key != "mix"}
        kinds = (merged(shared, kind) if isinstance(kind, dict) else kind for kind in table["mix"])
        return {**table, "mix": tuple(kinds)}

    def by_process(self) -> tuple["DataRecipe", ...]:
        """One recipe for each process, with everything else unchanged; of a mix, one for each kind."""
        if self.mix:
            return self.mix
        return tuple(self.model_copy(update={"processes": (process,)}) for process in self.processes)


class Kind(DataRecipe):
    """One kind of samples of a mix: every key of the recipe, and these."""

    name: str
    """Its name, for previews and counts."""
    share: float = Field(gt=0)
    """Weight among the kinds of the mix."""


DataRecipe.model_rebuild()
