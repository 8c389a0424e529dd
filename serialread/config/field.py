"""Fields of a picture with several texts, such as a nameplate: what they are called, and where they are."""

from pydantic import Field, field_validator, model_validator

from serialread.codes import format_of
from serialread.config.section import Section
from serialread.config.view import Quadrilateral
from serialread.errors import RecipeError

RELATIONS = ("near", "right_of", "below")
"""Keys of a field that name a label, by where its value is."""


def known_format(name: str) -> str:
    """A format's name or pattern that is valid, or "".

    Raises:
        ValueError: no such format.
    """
    if name:
        try:
            format_of(name)
        except RecipeError as error:
            raise ValueError(str(error)) from None
    return name


class StationField(Section):
    """One text to read in every picture: the line beside a label, in a region, or of a format.

    A label is a text on the part. Blanks, case and punctuation do not count, and a character in four may be
    misread. The value is what follows the label in its line, or the line that lies as the key says.
    """

    name: str = Field(pattern=r"^[A-Za-z_][\w.-]*$")
    """Column of readings.csv that holds the value, and its key in ``fields`` of readings.jsonl."""
    format: str = ""
    """Name of a format or a pattern, as of ``code.format``. Of several lines beside the label or in the
    region, one that matches is taken."""
    near: str = ""
    """Label whose value follows in the same line, or is the nearest line."""
    right_of: str = ""
    """Label whose value follows in the same line, or is the next line in the same row."""
    below: str = ""
    """Label whose value is the next line below it."""
    region: Quadrilateral | None = None
    """Corners (x, y) of the quadrilateral that holds the middle of the value's line, as fractions of the
    picture after the steps of the view, clockwise from its top-left."""
    required: bool = True
    """Whether a picture without it is left for REVIEW."""

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        return known_format(name)

    @field_validator(*RELATIONS)
    @classmethod
    def _has_letters(cls, label: str) -> str:
        if label and not any(char.isalnum() for char in label):
            raise ValueError("a label needs a letter or a digit")
        return label

    @model_validator(mode="after")
    def _is_placed(self) -> "StationField":
        labels = [name for name in RELATIONS if getattr(self, name)]
        if len(labels) > 1:
            raise ValueError(f"{labels[0]} and {labels[1]} name two labels: give one")
        if not (labels or self.region or self.format):
            raise ValueError("needs near, right_of, below, region or format")
        return self

    @property
    def relation(self) -> str:
        """Where the value is: one of ``RELATIONS``; "" without a label."""
        return next((name for name in RELATIONS if getattr(self, name)), "")

    @property
    def label(self) -> str:
        """The text on the part beside the value; "" without one."""
        return getattr(self, self.relation) if self.relation else ""
