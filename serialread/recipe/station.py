"""Where a reading station's camera finds the code, and how sure is sure enough."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from serialread.recipe.base import Section, recipe_id

Fraction = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction, Fraction]


class View(Section):
    """What happens to a picture before it is read."""

    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees, clockwise: how far to turn the upright picture; for a camera that is mounted askew."""
    region: tuple[Point, Point, Point, Point] | None = None
    """Corners (x, y) of the code's place, as fractions of the turned picture's width and height, clockwise
    from the text's top-left. Fractions, so that another resolution of the same camera needs no new file."""
    tighten: bool = True
    """Look for the text line where it fills only part of the picture; off where a region fits tightly."""
    straighten: bool = True
    """Remove a slight tilt (to 15 degrees) where it is measured surely."""
    turn_tall: Literal["both", "counter_clockwise", "clockwise", "never"] = "both"
    """Which way to turn a text line that stands upright: "both" reads it both ways and keeps the surer
    reading; a station whose codes all run one way is faster when it says so."""

    @field_validator("region")
    @classmethod
    def _encloses(cls, region: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
        if region is not None and not _clockwise(region):
            raise ValueError("corners must go clockwise round an area, from the text's top-left")
        return region


class Limits(Section):
    """What a reading has to keep to be accepted without a look."""

    text_height_px: tuple[float, float] = (10, 1000)
    """px in the source picture; below 10 px strokes melt; an unusual height means another part or lens."""
    accept_at: Fraction | None = None
    """Confidence of the whole string from which a reading is accepted; None: every one is reviewed."""
    review_at: Fraction | None = None
    """Confidence below which a reading is rejected; None: none is."""

    @model_validator(mode="after")
    def _ordered(self) -> "Limits":
        if self.text_height_px[0] > self.text_height_px[1]:
            raise ValueError("text_height_px is (least, most)")
        if self.review_at is not None and self.accept_at is not None and self.review_at > self.accept_at:
            raise ValueError("review_at must not exceed accept_at")
        return self


class Station(Section):
    """One camera at one place on one line."""

    name: str = Field(default="", pattern=r"^[\w.-]*$")
    """Short name; stands in every record."""
    model_id: str = ""
    """The model for which the limits were measured; another is refused. "": any, but no limits."""
    view: View = View()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _limits_need_their_model(self) -> "Station":
        if not self.model_id and (self.limits.accept_at is not None or self.limits.review_at is not None):
            raise ValueError(
                "limits.accept_at and limits.review_at hold for one model only: name its model_id"
            )
        return self

    @property
    def station_id(self) -> str:
        """Name and six hex digits that change with any value; "" where there is no station file."""
        return f"{self.name}-{recipe_id(self)[:6]}" if self.name else ""


def _clockwise(corners: tuple[Point, ...]) -> bool:
    """Whether corners (x right, y down) enclose an area clockwise."""
    turns = zip(corners, (*corners[1:], corners[0]), strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in turns) > 1e-6
