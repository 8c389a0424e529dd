"""Where a reading station's camera finds the code, and how sure is sure enough."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from serialread.codes import format_of
from serialread.errors import CalibrationError, RecipeError
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
    turn_over: Literal["both", "never"] = "never"
    """Whether a line may stand upside down: "both" reads it both ways up and keeps the surer reading, in
    twice the time; a code that reads surely as another one the other way up (69, 1008) is left for review."""

    @field_validator("region")
    @classmethod
    def _encloses(cls, region: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
        if region is not None and not _clockwise(region):
            raise ValueError("corners must go clockwise round an area, from the text's top-left")
        return region


class Code(Section):
    """What the code looks like, and when one of its characters is in doubt."""

    format: str = ""
    """Name of a ready-made format or a pattern, see docs/formats.md; "": anything is read."""
    misprint_ratio: float = Field(default=1000.0, ge=1)
    """How many times likelier than any code of the format a reading must be to be called a likely misprint;
    a thousand is one character beyond doubt, or several that look rather like others."""
    confused_gap: Fraction = 0.3
    """A character whose probability exceeds that of its runner-up by less than this is confused, by more in
    the other direction a mismatch; 0.3 is 0.65 against 0.35."""
    unread_below: Fraction = 0.2
    """A place where no character reaches this probability is unread."""

    @field_validator("format")
    @classmethod
    def _known(cls, asked: str) -> str:
        if asked:
            try:
                format_of(asked)
            except RecipeError as error:
                raise ValueError(str(error)) from None
        return asked


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


class Calibration(Section):
    """What labelled pictures taught about the confidence; written by ``serialread calibrate confidence``."""

    slope: float = Field(gt=0)
    """Calibrated log-odds are slope * network's log-odds of the whole code + offset."""
    offset: float
    misread: float = Field(gt=0, lt=1)
    """The promise: at most this share of accepted readings is wrong, on pictures like the labelled ones."""
    certainty: float = Field(gt=0, lt=1)
    """How sure the promise is: the share of such calibrations that keep theirs."""
    protocol: Literal["strict", "mpsc"]
    """What counts as wrong: any other character, or letters and digits in any case only."""
    pictures: int = Field(ge=1)
    """Labelled pictures."""
    accepted: int = Field(ge=1)
    """Of these, how many the limit accepts."""
    wrong: int = Field(ge=0)
    """Of the accepted ones, how many are wrong."""


class Station(Section):
    """One camera at one place on one line."""

    name: str = Field(default="", pattern=r"^[\w.-]*$")
    """Short name; stands in every record."""
    model_id: str = ""
    """The model for which the limits were measured; another is refused. "": any, but no limits."""
    view: View = View()
    code: Code = Code()
    limits: Limits = Limits()
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _limits_need_their_model(self) -> "Station":
        if not self.model_id and (self.is_limited or self.calibration):
            raise ValueError(
                "limits.accept_at and limits.review_at hold for one model only: name its model_id"
            )
        return self

    @property
    def is_limited(self) -> bool:
        """Whether any limit of the confidence was set."""
        return self.limits.accept_at is not None or self.limits.review_at is not None

    def uncalibrated(self) -> "Station":
        """The same station, for any model, without limits of the confidence."""
        limits = self.limits.model_copy(update={"accept_at": None, "review_at": None})
        return self.model_copy(update={"model_id": "", "limits": limits, "calibration": None})

    def with_format(self, asked: str) -> "Station":
        """The same station with another format.

        Raises:
            RecipeError: no such format.
            CalibrationError: limits of the confidence were set, for another format.
        """
        format_of(asked)
        if asked == self.code.format:
            return self
        if self.is_limited or self.calibration:
            raise CalibrationError(
                f"station {self.name}: its limits hold for format {self.code.format or 'none'}, got {asked}. "
                "Calibrate a station with that format, or leave --format out."
            )
        return self.model_copy(update={"code": self.code.model_copy(update={"format": asked})})

    @property
    def station_id(self) -> str:
        """Name and six hex digits that change with any value; "" where no station is described at all."""
        return f"{self.name or 'unnamed'}-{recipe_id(self)[:6]}" if self != Station() else ""


def _clockwise(corners: tuple[Point, ...]) -> bool:
    """Whether corners (x right, y down) enclose an area clockwise."""
    turns = zip(corners, (*corners[1:], corners[0]), strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in turns) > 1e-6
