"""How a mark is made: one section a process.

Lengths are in cap heights ("ch", the height of a capital letter) unless a name or its docstring carries
another unit: a recipe then means the same at every resolution. Grey values are 0..1.
"""

from typing import Annotated, Literal

from pydantic import Field

from serialread.config.section import Section
from serialread.config.spans import Share, Span, Weight


class Relief(Section):
    """A mark with depth: light makes it visible."""

    weight: Weight = 1.0
    """Share against the other processes."""
    slope: Span = (0.25, 1.4)
    """Steepest flank, height over width: a cutter of 70 to 150 degrees, or a shallow strike."""
    flank: Span = (0.25, 1.0)
    """Width of one flank in widths of the stroke: 1 is a V, 0.3 steep walls beside a flat floor."""
    rim: Span = (0.0, 0.5)
    """Metal thrown up beside the mark, as a part of the depth."""
    strength: Span = (0.045, 0.26)
    """Spread of grey that light and shade of the flanks add."""
    floor_tone: Span = (-0.45, 0.35)
    """How much darker (-) or brighter (+) the floor is: fresh metal, oxide."""
    filled_share: Share = 0.12
    """Share with dirt or paint kept in the depth of the mark: its tone then outweighs the light."""
    shadow_share: Share = 0.3
    """Share with a light so low that flanks throw shadows."""


class Tone(Section):
    """A mark of tone: ink, paint, oxide or light make it visible."""

    weight: Weight = 1.0
    """Share against the other processes."""
    contrast: Span = (0.15, 0.8)
    """Grey difference to the surface."""


class Engraved(Relief):
    """Cut with a tool: single strokes or the outline of a typeface."""

    kind: Literal["engraved"]
    stroke: Span = (0.05, 0.17)
    """Width of the cut; V cutters of a machine start at a twentieth."""
    outline_share: Share = 0.22
    """Share cut after an outline typeface instead of single strokes."""
    flank: Span = (0.5, 1.1)
    """V and round cutters leave hardly a flat floor."""
    double_share: Share = 0.15
    """Share cut in two passes that do not quite meet."""


class Scribed(Relief):
    """Written by hand into the metal, with a scriber or an electric pencil: thin strokes that wander."""

    kind: Literal["scribed"]
    stroke: Span = (0.03, 0.11)
    """Width of the scratch; an electric pencil's is wider than a needle's."""
    flank: Span = (0.6, 1.2)
    """A point leaves a V."""
    rim: Span = (0.0, 0.8)
    """Burr, which a scratch throws up more than a cut."""
    strength: Span = (0.045, 0.24)
    """Scratches are shallow."""
    floor_tone: Span = (-0.35, 0.5)
    """Fresh metal, brighter than its ground more often than not."""
    wander: Span = (0.008, 0.05)
    """How far a stroke strays from the shape that was meant."""
    retraced: Span = (0.0, 0.35)
    """Part of the characters that were gone over a second time."""
    pressure: Span = (0.0, 0.5)
    """Most that a character is shallower than the deepest, or falls off across itself."""


class Stamped(Relief):
    """Punched character by character: uneven depth, tilt, shift, partial and doubled strikes, wear."""

    kind: Literal["stamped"]
    stroke: Span = (0.07, 0.18)
    """Width of the punch's edge."""
    outline_share: Share = 0.5
    """Share of punches after an outline typeface."""
    depth_spread: Span = (0.0, 0.45)
    """Most that one character is shallower than the deepest, as a part of its depth."""
    tilt: Span = (0.0, 0.9)
    """Most that a strike loses towards one side: the punch was not held upright."""
    doubled_share: Share = 0.07
    """Share of codes in which single punches bounced and struck twice."""
    partial_share: Share = 0.12
    """Share of codes in which single punches left a side unstruck: held askew, or over an edge."""
    partial: Span = (0.1, 0.45)
    """Part of such a character that is missing; more would be no character any more."""
    wear: Span = (0.0, 0.5)
    """Part of the strokes that is faint."""


class Embossed(Relief):
    """Raised from the surface: cast or pressed, with draft, worn edges and flash."""

    kind: Literal["embossed"]
    strength: Span = (0.05, 0.26)
    """Raised characters are large and mostly plain to see."""
    flank: Span = (0.3, 1.3)
    """Draft of the mould, in widths of a stroke; old moulds are rounded."""
    rim: Span = (0.0, 0.15)
    """A moat beside the character: pressed sheet, poor filling."""
    rubbed_share: Share = 0.35
    """Share whose tops are rubbed to another tone than the ground."""
    flash_share: Share = 0.12
    """Share with pimples and flash, as a worn mould leaves."""


class Moulded(Relief):
    """Raised or sunk in plastic: smooth, even, of the same tone as its ground."""

    kind: Literal["moulded"]
    sunk_share: Share = 0.3
    """Share sunk instead of raised."""
    flank: Span = (0.2, 0.8)
    """Draft of a steel mould."""
    rim: Span = (0.0, 0.0)
    """Plastic flows; nothing is thrown up."""
    strength: Span = (0.04, 0.2)
    """The same tone on the same tone: light alone shows it."""
    floor_tone: Span = (-0.08, 0.08)
    """Matt on gloss, at most."""
    filled_share: Share = 0.04
    """Dust, now and then."""


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
    """Fresh craters throw up a rim nearly as steep as they are."""
    missing: Span = (0.0, 0.05)
    """Part of the dots that never struck."""
    doubled: Span = (0.0, 0.08)
    """Part of the dots that struck twice."""
    scatter: Span = (0.0, 0.12)
    """Spread of a dot's place, in pitches."""
    drift: Span = (0.0, 0.35)
    """Sway of the line as the head vibrates, in pitches."""


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
    """Share with a discoloured edge around the strokes."""
    flip_share: Share = 0.12
    """Share in which reflections turn the contrast over along the line, as on etched plates."""


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
    """Drops in a dot matrix."""

    kind: Literal["ink_jet"]
    contrast: Span = (0.15, 0.8)
    """Grey difference to the surface."""
    dot: Span = (0.6, 1.3)
    """Drop diameter in pitches."""
    scatter: Span = (0.0, 0.15)
    """Spread of a drop's place, in pitches."""
    missing: Span = (0.0, 0.03)
    """Part of the drops that is missing."""
    satellites: Span = (0.0, 0.12)
    """Part of the drops that a smaller one follows."""
    drift: Span = (0.0, 0.6)
    """Sway of the line as the part moves unevenly, in pitches."""


class Thermal(Tone):
    """Printed by a heated comb on a label: crisp, with gaps where an element of the comb is dead."""

    kind: Literal["thermal"]
    contrast: Span = (0.35, 0.95)
    """Grey difference to the label."""
    dead_share: Share = 0.3
    """Share with dead elements: thin lines through every character, along or across the text."""
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
    """Spread of paint over the edge."""
    worn: Span = (0.0, 0.45)
    """Part of the paint that is gone."""


class Pen(Tone):
    """Written along single strokes with a paint pen: thick, uneven, set by hand."""

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
    """Grey difference to the pane; old liquid crystals are faint."""
    stroke: Span = (0.07, 0.17)
    """Thickness of a segment."""
    gap: Span = (0.0, 0.05)
    """Gap between segments."""
    slant_deg: Span = (0.0, 12.0)
    """Slant of the digits; every second display stands upright."""
    ghost: Span = (0.0, 0.22)
    """Contrast of segments that are off, as a part of the contrast of those that are on."""
    letter_share: Share = 0.15
    """Share of codes that keep the letters that seven segments can show; meters and scales show none."""
    point_share: Share = 0.4
    """Share of codes of digits alone that get a decimal point."""
    lit_share: Share = 0.2
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
