"""Marking processes: one section of a data recipe per process.

Lengths are in cap heights ("ch", the height of a capital letter) unless a name or its docstring carries
another unit: a recipe then means the same at every resolution. Grey values are 0..1.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from serialread.config.section import Section


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("a span is (low, high)")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Low and high end of a uniform draw."""
Share = Annotated[float, Field(ge=0, le=1)]
"""Part of all samples, 0..1."""
Weight = Annotated[float, Field(ge=0)]
"""Relative weight; weights need not add up to 1."""


class Relief(Section):
    """A mark with depth: light makes it visible."""

    weight: Weight = 1.0
    """Relative weight among the recipe's processes."""
    slope: Span = (0.25, 1.4)
    """Steepest flank, height over width: a cutter of 70 to 150 degrees, or a shallow strike."""
    flank: Span = (0.25, 1.0)
    """Width of one flank in stroke widths: 1 is a V, 0.3 steep walls and a flat floor."""
    rim: Span = (0.0, 0.5)
    """Height of the burr around the mark, as a part of the depth."""
    strength: Span = (0.045, 0.26)
    """Spread of grey that light and shade of the flanks add."""
    floor_tone: Span = (-0.45, 0.35)
    """Tone of the floor, darker (-) or brighter (+) than the surface: fresh metal, oxide."""
    filled_share: Share = 0.12
    """Share filled with dirt or paint, whose tone then dominates."""
    shadow_share: Share = 0.3
    """Share lit at a grazing angle, so that flanks cast shadows."""


class Tone(Section):
    """A mark of tone: ink, paint, oxide or light make it visible."""

    weight: Weight = 1.0
    """Relative weight among the recipe's processes."""
    contrast: Span = (0.15, 0.8)
    """Grey difference to the surface."""


class Engraved(Relief):
    """Cut with a tool: single strokes or the outline of a typeface."""

    kind: Literal["engraved"]
    stroke: Span = (0.05, 0.17)
    """Width of the cut; the finest V cutters make 0.05."""
    outline_share: Share = 0.22
    """Share in an outline typeface instead of single strokes."""
    flank: Span = (0.5, 1.1)
    """V and round cutters leave almost no flat floor."""
    double_share: Share = 0.15
    """Share cut in two slightly offset passes."""


class Scribed(Relief):
    """Written by hand into the metal, with a scriber or an electric pencil: thin, unsteady strokes."""

    kind: Literal["scribed"]
    stroke: Span = (0.03, 0.11)
    """Width of the scratch; an electric pencil's is wider than a needle's."""
    flank: Span = (0.6, 1.2)
    """A point leaves a V."""
    rim: Span = (0.0, 0.8)
    """Burr, higher than a cut's."""
    strength: Span = (0.045, 0.24)
    """Scratches are shallow."""
    floor_tone: Span = (-0.35, 0.5)
    """Fresh metal, mostly brighter than the surface."""
    wander: Span = (0.008, 0.05)
    """Deviation of a stroke from the intended shape."""
    retraced: Span = (0.0, 0.35)
    """Part of the characters that were written twice."""
    pressure: Span = (0.0, 0.5)
    """Maximum loss of depth from one character to another, or across one character."""


class Stamped(Relief):
    """Punched character by character: uneven depth, tilt, shift, partial and doubled strikes, wear."""

    kind: Literal["stamped"]
    stroke: Span = (0.07, 0.18)
    """Width of the punch's edge."""
    outline_share: Share = 0.5
    """Share of punches in an outline typeface."""
    depth_spread: Span = (0.0, 0.45)
    """Maximum loss of depth from one character to another, as a part of the depth."""
    tilt: Span = (0.0, 0.9)
    """Maximum loss of depth towards one side, from a tilted punch."""
    doubled_share: Share = 0.07
    """Share of codes in which single punches struck twice."""
    partial_share: Share = 0.12
    """Share of codes in which single punches left one side unmarked: tilted, or over an edge."""
    partial: Span = (0.1, 0.45)
    """Part of such a character that is missing; beyond the default it becomes illegible."""
    wear: Span = (0.0, 0.5)
    """Part of the strokes that is faint."""
    bulge_share: Share = 0.0
    """Share of codes around whose strokes the metal bulges: counters become domes."""
    bulge: Span = (0.5, 1.4)
    """Height of the bulge, as a part of the depth."""


class Embossed(Relief):
    """Raised from the surface: cast or pressed, with draft, worn edges and flash."""

    kind: Literal["embossed"]
    strength: Span = (0.05, 0.26)
    """Raised characters are large and mostly easy to see."""
    flank: Span = (0.3, 1.3)
    """Draft of the mould, in widths of a stroke; old moulds are rounded."""
    rim: Span = (0.0, 0.15)
    """A groove around the character: pressed sheet, poor filling."""
    rubbed_share: Share = 0.35
    """Share whose tops are worn to another tone than the surface."""
    outlined_share: Share = 0.0
    """Share of which only the outline is raised, as on pressed plates."""
    flash_share: Share = 0.12
    """Share with pimples and flash from a worn mould."""


class Moulded(Relief):
    """Raised or sunk in plastic: smooth, even, of the same tone as the surface."""

    kind: Literal["moulded"]
    sunk_share: Share = 0.3
    """Share sunk instead of raised."""
    flank: Span = (0.2, 0.8)
    """Draft of a steel mould."""
    rim: Span = (0.0, 0.0)
    """Plastic flows: there is no burr."""
    strength: Span = (0.04, 0.2)
    """The mark has the surface's tone: only the light shows it."""
    floor_tone: Span = (-0.08, 0.08)
    """At most the difference of matt and glossy."""
    filled_share: Share = 0.04
    """Rarely filled with dust."""


class DotPeen(Relief):
    """Dots struck by a stylus: craters with a raised rim."""

    kind: Literal["dot_peen"]
    matrix_share: Share = 0.4
    """Share set in a dot matrix; the rest follows single strokes."""
    pitch: Span = (0.07, 0.19)
    """Distance of dots along a stroke."""
    dot: Span = (0.5, 1.15)
    """Diameter of a crater, in pitches."""
    flank: Span = (0.5, 1.0)
    """A crater is a cone or a bowl."""
    rim: Span = (0.0, 0.8)
    """Fresh craters have a rim nearly as steep as they are."""
    missing: Span = (0.0, 0.05)
    """Part of the dots that are missing."""
    doubled: Span = (0.0, 0.08)
    """Part of the dots that were struck twice."""
    scatter: Span = (0.0, 0.12)
    """Spread of a dot's position, in pitches."""
    drift: Span = (0.0, 0.35)
    """Amplitude of the line's wave from a vibrating head, in pitches."""


class Laser(Tone):
    """Annealed dark or ablated bright, with the grain of the hatch lines."""

    kind: Literal["laser"]
    contrast: Span = (0.05, 0.5)
    """Grey difference to the surface."""
    stroke: Span = (0.06, 0.16)
    """Width of single strokes."""
    outline_share: Share = 0.6
    """Share set in an outline typeface."""
    hatch_share: Share = 0.35
    """Share whose hatch lines can be seen."""
    grain: Span = (0.0, 0.6)
    """Unevenness of the strokes, as a part of the contrast; chips are speckled."""
    halo_share: Share = 0.2
    """Share with discoloured edges of the strokes."""
    reversed_share: Share = 0.12
    """Share whose contrast reverses along the line by reflections, as on etched plates."""


class Ink(Tone):
    """Printed, painted or on a label."""

    kind: Literal["ink"]
    contrast: Span = (0.12, 0.9)
    """Grey difference to the surface."""
    worn: Span = (0.0, 0.35)
    """Part of the ink that is gone."""
    effects_share: Share = 0.1
    """Share with a shadow or an outline."""


class InkJet(Tone):
    """Printed by ink drops in a dot matrix."""

    kind: Literal["ink_jet"]
    contrast: Span = (0.15, 0.8)
    """Grey difference to the surface."""
    dot: Span = (0.6, 1.3)
    """Drop diameter in pitches."""
    scatter: Span = (0.0, 0.15)
    """Spread of a drop's position, in pitches."""
    missing: Span = (0.0, 0.03)
    """Part of the drops that is missing."""
    satellites: Span = (0.0, 0.12)
    """Part of the drops with a smaller one next to them."""
    drift: Span = (0.0, 0.6)
    """Amplitude of the line's wave from uneven motion of the part, in pitches."""


class Thermal(Tone):
    """Printed on a label by a thermal head: sharp, with gaps where an element of the head is dead."""

    kind: Literal["thermal"]
    contrast: Span = (0.35, 0.95)
    """Grey difference to the label."""
    dead_element_share: Share = 0.3
    """Share with dead elements: thin lines through all characters, along or across the text."""
    faded: Span = (0.0, 0.3)
    """Part of the print that is gone."""


class Stencil(Tone):
    """Sprayed through a stencil: bridges through closed shapes, soft and bleeding edges."""

    kind: Literal["stencil"]
    contrast: Span = (0.15, 0.85)
    """Grey difference to the surface."""
    bridge: Span = (0.05, 0.12)
    """Width of the bridges."""
    overspray: Span = (0.0, 0.1)
    """Spread of paint beyond the edge."""
    worn: Span = (0.0, 0.45)
    """Part of the paint that is gone."""


class Pen(Tone):
    """Written by hand with a paint pen: thick, uneven single strokes."""

    kind: Literal["pen"]
    contrast: Span = (0.2, 0.85)
    """Grey difference to the surface."""
    stroke: Span = (0.08, 0.2)
    """Width of the tip."""
    worn: Span = (0.0, 0.3)
    """Part of the paint that is gone."""


class Display(Tone):
    """A seven-segment display: liquid crystal, dark on bright, or light-emitting, bright on dark.

    Characters that it does not show are replaced by digits.
    """

    kind: Literal["display"]
    contrast: Span = (0.08, 0.8)
    """Grey difference to the panel; old liquid crystals are faint."""
    stroke: Span = (0.07, 0.17)
    """Thickness of a segment."""
    gap: Span = (0.0, 0.05)
    """Gap between segments."""
    slant_deg: Span = (0.0, 12.0)
    """Slant of the digits; half of the displays are upright."""
    ghost: Span = (0.0, 0.22)
    """Contrast of segments that are off, as a part of the contrast of those that are on."""
    letter_share: Share = 0.15
    """Share of codes that keep letters that seven segments can show; meters and scales show none."""
    point_share: Share = 0.4
    """Share of all-digit codes with a decimal point."""
    led_share: Share = 0.2
    """Share of light-emitting displays: bright, with a glow."""


Process = Annotated[
    Engraved
    | Scribed
    | Stamped
    | Embossed
    | Moulded
    | DotPeen
    | Laser
    | Ink
    | InkJet
    | Thermal
    | Stencil
    | Pen
    | Display,
    Field(discriminator="kind"),
]
