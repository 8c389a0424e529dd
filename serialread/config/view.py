"""Where the code is in a station's pictures, and how the picture is rectified before it is read."""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from serialread.config.section import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction, Fraction]
"""(x, y) as fractions of a picture's width and height, independent of its resolution."""


def _clockwise(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Corners (x right, y down) that enclose an area clockwise."""
    turns = zip(corners, (*corners[1:], corners[0]), strict=True)
    if sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in turns) <= 1e-6:
        raise ValueError("corners must enclose an area clockwise, from the text's top-left")
    return corners


Quadrilateral = Annotated[tuple[Point, Point, Point, Point], AfterValidator(_clockwise)]
"""Corners, clockwise from the text's top-left."""


class Lens(Section):
    """Distortion of the lens; written by ``serialread station lens``."""

    size_px: tuple[int, int]
    """Width and height of the pictures used for the calibration; the lens is scaled to other sizes."""
    focus_px: tuple[float, float]
    """Focal length, horizontal and vertical."""
    middle_px: tuple[float, float]
    """Principal point, from the outer corner of the picture."""
    distortion: tuple[float, float, float, float, float]
    """k1, k2, p1, p2, k3 of Brown's model, as OpenCV names them."""
    error_px: float = Field(ge=0)
    """Reprojection error of the corners of the board, root mean square."""
    pictures: int = Field(ge=1)
    """Number of calibration pictures used."""


class Fixture(Section):
    """A feature of the part by which the picture is aligned; written by ``serialread station fixture``."""

    template: str
    """The mark in the reference picture: a grey PNG in base64."""
    by: Literal["print", "edge"] = "print"
    """What to compare: grey values, or edges, which do not depend on the light."""
    at: Point
    """Centre of the feature in the taught picture; region and arc are given for that pose."""
    width: Annotated[float, Field(gt=0, le=1)]
    """Width of the feature, as a fraction of the picture's width."""
    reach: Fraction = 0.25
    """How far from its taught position the feature is searched, as a fraction of the picture's width."""
    turn_deg: float = Field(default=0, ge=0, le=180)
    """Largest rotation of the part in both directions."""
    min_correlation: Fraction = 0.6
    """Lowest correlation with the template; below it the feature is not found and the picture is rejected."""

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
    """A code on a circle, unwrapped before recognition."""

    center: Point | None = None
    """Centre of the circle in the region (or whole picture); unset: that of the clearest circle in it."""
    radii: tuple[Fraction, Fraction]
    """Inner and outer radius of the ring that contains the code, with a margin, as fractions of the width."""
    tops: Literal["outward", "inward"] = "outward"
    """Direction of the characters' tops; outward, the code runs clockwise."""
    from_deg: float = Field(default=0, ge=-360, le=360)
    """Start of the unwrapped part, clockwise from twelve o'clock; a full circle is cut at a gap instead."""
    span_deg: float = Field(default=360, gt=0, le=360)
    """Angle that is unwrapped, in reading direction."""

    @model_validator(mode="after")
    def _is_a_ring(self) -> "Arc":
        if not self.radii[0] < self.radii[1]:
            raise ValueError("radii must be (inner, outer)")
        return self


class StationView(Section):
    """Preprocessing of a picture, in this order."""

    lens: Lens | None = None
    """Removes the distortion of the lens, before any rotation."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Clockwise rotation of the picture, in degrees; for a rotated camera."""
    mirror: bool = False
    """Swaps left and right of the rotated picture: for moulds and stamps, and for marks seen in a mirror or
    through glass."""
    fixture: Fixture | None = None
    """Aligns the rotated picture with the taught one."""
    region: Quadrilateral | None = None
    """Corners (x, y) of the quadrilateral with the code, as fractions of the rotated picture's width and
    height, clockwise from the text's top-left."""
    arc: Arc | None = None
    """Unwraps a code on a circle."""
    find_lines: bool = True
    """Detect text lines where one line does not fill the picture; set to false where a region fits
    tightly."""
    detector: Literal["shipped"] | Path = "shipped"
    """The line detector, which finds all lines of a picture at once, in any direction and on circles: the
    shipped one, or a model file from ``serialread detector export``, by its absolute path or that from the
    working directory."""
    text_height: tuple[Fraction, Fraction] | None = None
    """Expected height of the characters, (minimum, maximum), as fractions of the picture's longer side: it
    chooses the size at which the detector searches, so that very small print is found, and lines of other
    heights are not proposed. Unset: from about a hundredth on."""
    direction: Literal["any", "upright", "stacked"] = "any"
    """Directions of detected lines: "upright" reads only those that run from left to right within 45 degrees,
    and none turned round. "stacked": the picture or its region is one column of upright characters, which are
    read from top to bottom."""
    lines: int | None = Field(default=None, ge=1)
    """Largest number of detected lines that are read: the surest and longest. Unset: 200."""
    deskew: bool = True
    """Also read a doubtful crop in a levelled view, where a tilt of up to 15 degrees is measured reliably."""
    retry_below: Fraction = 0.8
    """Network confidence below which a crop is also read in another view; 1: every crop. Of sure readings a
    second view tells right from wrong, for about half as much time again: a calibration asks for it unless
    its station says otherwise (docs/confidence.md)."""
    vertical_text: Literal["both", "counter_clockwise", "clockwise", "never"] = "both"
    """How to rotate a vertical text line: "both" reads it in both directions and keeps the reading of higher
    confidence; a station whose codes all run in one direction is faster if it says so."""
    upside_down: Literal["both", "found", "never"] = "found"
    """Which lines may be upside down, and are also read rotated by 180 degrees where the network is not
    certain that they are upright. "both": any line; "found": detected lines, and a line that fills its
    picture if the network is certain that it is upside down. A code that reads with confidence as another
    one when upside down (69, 1008) is left for review."""
    rows: Literal["joined", "best"] = "joined"
    """Which of several adjacent text lines form the code: all that are read with confidence, from top to
    bottom, or the one of the highest confidence."""

    @field_validator("text_height")
    @classmethod
    def _ordered(cls, heights: tuple[float, float] | None) -> tuple[float, float] | None:
        if heights is not None and heights[0] > heights[1]:
            raise ValueError("text_height must be (minimum, maximum)")
        return heights
