"""Where in a station's pictures the code lies, and how it is brought before the network."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from serialread.config.section import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction, Fraction]
"""(x, y) as fractions of a picture's width and height, so that another resolution needs no new file."""


class Lens(Section):
    """How the lens bends straight lines; written by ``serialread station lens``."""

    size_px: tuple[int, int]
    """Width and height of the pictures that it was measured with; others are scaled to it."""
    focus_px: tuple[float, float]
    """Focal length across and down."""
    middle_px: tuple[float, float]
    """Where the optical axis meets the picture, from its outer corner."""
    distortion: tuple[float, float, float, float, float]
    """k1, k2, p1, p2, k3 of Brown's model, as OpenCV names them."""
    error_px: float = Field(ge=0)
    """How far the corners of the boards lay from where the model sees them, root mean square."""
    pictures: int = Field(ge=1)
    """Pictures of the board that were used."""


class Fixture(Section):
    """A mark of the part that tells how it lies; written by ``serialread station fixture``."""

    template: str
    """The mark as it was taught: a grey PNG in base64."""
    by: Literal["print", "edge"] = "print"
    """What to compare: the greys, or their edges, which other light leaves where they are."""
    at: Point
    """Where the middle of the mark lay in the taught picture; region and arc are given for that pose."""
    width: Annotated[float, Field(gt=0, le=1)]
    """Width of the mark, as a fraction of the picture's width."""
    reach: Fraction = 0.25
    """How far from its place it is looked for, as a fraction of the picture's width."""
    turn_deg: float = Field(default=0, ge=0, le=180)
    """How far the part may be turned, either way."""
    sure: Fraction = 0.6
    """Least correlation with the template; pictures with less are rejected, for their code lies anywhere."""

    @field_validator("template")
    @classmethod
    def _is_png(cls, template: str) -> str:
        try:
            png = base64.b64decode(template, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("must be a PNG in base64") from None
        if not png.startswith(b"\x89PNG"):
            raise ValueError("must be a PNG in base64")
        return template


class Arc(Section):
    """A code on a circle, unwrapped before it is read."""

    center: Point | None = None
    """Middle of the circle in the region (or whole picture); None: that of the clearest circle in it."""
    radii: tuple[Fraction, Fraction]
    """Inner and outer radius of the ring that the code lies in, as fractions of the width, with some room."""
    tops: Literal["outward", "inward"] = "outward"
    """Where the characters' tops point; outward, the code runs clockwise."""
    from_deg: float = Field(default=0, ge=-360, le=360)
    """Where the ring is cut open, clockwise from twelve o'clock; of a full circle a gap is taken instead."""
    span_deg: float = Field(default=360, gt=0, le=360)
    """How much of the circle is unwrapped, in the direction of reading."""

    @model_validator(mode="after")
    def _is_a_ring(self) -> "Arc":
        if not self.radii[0] < self.radii[1]:
            raise ValueError("radii are (inner, outer)")
        return self


class StationView(Section):
    """What happens to a picture before it is read, in this order."""

    lens: Lens | None = None
    """The picture is first straightened by it, before it is turned."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees, clockwise: how far to turn the upright picture; for a camera that is mounted askew."""
    fixture: Fixture | None = None
    """A mark by which the turned picture is laid as the taught one was."""
    region: tuple[Point, Point, Point, Point] | None = None
    """Corners (x, y) of the code's place, as fractions of the turned picture's width and height, clockwise
    from the text's top-left."""
    arc: Arc | None = None
    """The circle that the code lies on."""
    find_lines: bool = True
    """Look for the text line where it fills only part of the picture; off where a region fits tightly."""
    text_height: tuple[Fraction, Fraction] | None = None
    """Expected height of the characters, (least, most), as fractions of the picture's longer side: lines
    of other heights are not proposed. None: from about a fiftieth on."""
    deskew: bool = True
    """Look at a doubtful crop level, too, where a tilt (to 15 degrees) is measured surely."""
    vertical_text: Literal["both", "counter_clockwise", "clockwise", "never"] = "both"
    """Which way to turn a text line that stands upright: "both" reads it both ways and keeps the surer
    reading; a station whose codes all run one way is faster when it says so."""
    upside_down: Literal["both", "found", "never"] = "found"
    """Which lines may stand upside down, and are read the other way up where the network is unsure that they
    lie right. "both": any; "found": those that were looked for in a larger picture, and one that fills its
    picture if the network is sure that it lies upside down. A code that reads surely as another one the other
    way up (69, 1008) is left for review."""
    rows: Literal["joined", "surest"] = "joined"
    """What of several text lines beside each other is the code: all that are surely read, from top to foot,
    or the surest alone."""

    @field_validator("region")
    @classmethod
    def _encloses(cls, region: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
        if region is not None and not _clockwise(region):
            raise ValueError("corners must go clockwise round an area, from the text's top-left")
        return region

    @field_validator("text_height")
    @classmethod
    def _ordered(cls, heights: tuple[float, float] | None) -> tuple[float, float] | None:
        if heights is not None and heights[0] > heights[1]:
            raise ValueError("text_height is (least, most)")
        return heights


def _clockwise(corners: tuple[Point, ...]) -> bool:
    """Whether corners (x right, y down) enclose an area clockwise."""
    turns = zip(corners, (*corners[1:], corners[0]), strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in turns) > 1e-6
