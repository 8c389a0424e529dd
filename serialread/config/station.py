"""A station: where its camera sees the code, what the code looks like, and which readings are accepted."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from serialread.codes import format_of
from serialread.config.field import StationField, known_format
from serialread.config.section import Section, load, recipe_id
from serialread.config.view import Fraction, StationView
from serialread.errors import CalibrationError, RecipeError


class Code(Section):
    """What the code looks like, and when one of its characters is doubtful."""

    format: str = ""
    """Name of a format or a pattern, see docs/formats.md; "": no restriction."""
    field: str = ""
    """Name of the field that holds the code; its place and its format then say what ``text`` is. "": of all
    lines, as in pictures without fields."""
    zero: Literal["", "plain", "slashed", "dotted"] = ""
    """How zeros look. "plain": every oval is a 0, codes have no O; "slashed", "dotted": an empty oval is an
    O; "": not known, an empty oval among letters and digits is a guess. A format decides by itself."""
    misprint_ratio: float = Field(default=1000.0, ge=1)
    """A reading is a likely misprint if it is this many times as probable as any code of the format; a
    thousand is one unmistakable character, or several that resemble others."""
    confused_gap: Fraction = 0.3
    """A character is confused if its probability exceeds that of its runner-up by less than this, and a
    mismatch if it is behind by at least this; 0.3 is 0.65 against 0.35."""
    unread_below: Fraction = 0.2
    """A position where no character reaches this probability is unread."""

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        return known_format(name)


RAPIDOCR = "rapidocr"
"""The second reader of the extra ``second-reader``."""


class SecondReading(Section):
    """A second reader that reads the same crops; a reading that it does not confirm is left for review."""

    use: str = ""
    """``rapidocr`` (extra ``second-reader``), or ``module:function`` of an installed module; "": none."""
    below: Fraction = 1.0
    """It is asked about readings whose network confidence is below this; 1: about all."""
    compare: Literal["strict", "mpsc"] = "strict"
    """What counts as another text: any different character, or only letters and digits, ignoring case. A
    calibration sets its protocol."""

    def __str__(self) -> str:
        """In words."""
        if not self.use:
            return "no second reader"
        return f"second reader {self.use}" + (f" below {self.below}" if self.below < 1 else "")

    @field_validator("use")
    @classmethod
    def _named(cls, name: str) -> str:
        if name not in ("", RAPIDOCR) and not all(name.partition(":")[::2]):
            raise ValueError(f"second reader {name}: neither {RAPIDOCR} nor module:function")
        return name


class StationLimits(Section):
    """Limits of readings that are accepted without review."""

    text_height_px: tuple[float, float] = (10, 1000)
    """(Minimum, maximum) in the source picture; below 10 px strokes merge; an unusual height means another
    part."""
    accept_at: Fraction | None = None
    """Acceptance threshold: lowest confidence of an accepted reading; unset: every reading is reviewed."""
    review_at: Fraction | None = None
    """Confidence below which a reading is rejected; unset: no reading is."""

    @model_validator(mode="after")
    def _ordered(self) -> "StationLimits":
        if self.text_height_px[0] > self.text_height_px[1]:
            raise ValueError("text_height_px must be (minimum, maximum)")
        if self.review_at is not None and self.accept_at is not None and self.review_at > self.accept_at:
            raise ValueError("review_at must not exceed accept_at")
        return self


class EvidenceWeights(Section):
    """Weights of further evidence in the calibrated log-odds of a reading; 0 where it does not help."""

    length: float = 0.0
    """Of the logarithm of the number of characters; the log-odds are too low for long codes."""
    mean_odds: float = 0.0
    """Of the mean log-odds of the characters."""
    glyphs: float = 0.0
    """Of the log-probability, by its glyph alone, of the character that its glyph supports least."""
    second_odds: float = 0.0
    """Of the log-odds of the second reader's confidence, if it was asked."""
    unasked: float = 0.0
    """Added if the second reader was not asked."""


class Calibration(Section):
    """Calibration of the confidence; written by ``serialread station confidence``."""

    slope: float = Field(gt=0)
    """Calibrated log-odds are slope * the network's log-odds of the code's weakest position + offset."""
    offset: float
    """Added to the scaled log-odds."""
    misread: float = Field(gt=0, lt=1)
    """The guarantee: at most this share of accepted readings is wrong, on pictures like the labelled ones."""
    certainty: float = Field(gt=0, lt=1)
    """Certainty of the guarantee: the share of such calibrations that satisfy it."""
    protocol: Literal["strict", "mpsc"]
    """What counts as wrong: any different character, or only letters and digits, ignoring case."""
    pictures: int = Field(ge=1)
    """Number of labelled pictures."""
    accepted: int = Field(ge=1)
    """Number of these that the threshold accepts."""
    wrong: int = Field(ge=0)
    """Number of the accepted ones that are wrong."""
    second_reader: str = ""
    """Name and version of the second reader that was asked; "" for none. Another one is refused."""
    evidence: EvidenceWeights = EvidenceWeights()


class Station(Section):
    """One camera at one place on one line."""

    name: str = Field(default="", pattern=r"^[\w.-]*$")
    """Short name; part of every record."""
    model_id: str = ""
    """The model for which the thresholds were calibrated; another is refused. "": any model, no
    thresholds."""
    view: StationView = StationView()
    code: Code = Code()
    second_reader: SecondReading = SecondReading()
    limits: StationLimits = StationLimits()
    calibration: Calibration | None = None
    fields: tuple[StationField, ...] = ()
    """Texts of the picture that get a column of their own; each a table ``[[fields]]``."""

    @model_validator(mode="after")
    def _fields_have_names_of_their_own(self) -> "Station":
        names = [field.name.lower() for field in self.fields]
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            raise ValueError(f"fields: two are called {twice}")
        if self.code.field and self.code.field not in [field.name for field in self.fields]:
            raise ValueError(f"code.field: no field is called {self.code.field}")
        if self.code.field and self.code.format:
            raise ValueError("code.format: give the format to the field that code.field names")
        return self

    @model_validator(mode="after")
    def _limits_need_their_model(self) -> "Station":
        if not self.model_id and (self.is_limited or self.calibration):
            raise ValueError("limits.accept_at and limits.review_at need the model_id of their model")
        return self

    @property
    def is_limited(self) -> bool:
        """Whether a threshold of the confidence is set."""
        return self.limits.accept_at is not None or self.limits.review_at is not None

    def uncalibrated(self) -> "Station":
        """The same station, for any model, without thresholds of the confidence."""
        limits = self.limits.model_copy(update={"accept_at": None, "review_at": None})
        return self.model_copy(update={"model_id": "", "limits": limits, "calibration": None})

    def of_field(self, field: StationField) -> "Station":
        """The same station for one of its fields alone: its format is that of the code."""
        code = self.code.model_copy(update={"format": field.format, "field": ""})
        return self.model_copy(update={"code": code, "fields": ()})

    def with_view(self, **changes: Section | float) -> "Station":
        """The same station with changed fields of its view."""
        return self.model_copy(update={"view": self.view.model_copy(update=changes)})

    def with_format(self, name: str) -> "Station":
        """The same station with another format of its code, or of the field that is the code.

        Raises:
            RecipeError: no such format.
            CalibrationError: the station has thresholds, measured with another format.
        """
        format_of(name)
        if name == self.code_format:
            return self
        if self.is_limited or self.calibration:
            before = f"with format {self.code_format}" if self.code_format else "without a format"
            raise self._calibrated(before, name, "format")
        if not self.code.field:
            return self.model_copy(update={"code": self.code.model_copy(update={"format": name})})
        fields = (
            field.model_copy(update={"format": name}) if field.name == self.code.field else field
            for field in self.fields
        )
        return self.model_copy(update={"fields": tuple(fields)})

    @property
    def code_format(self) -> str:
        """Format of the code: that of its field, if it is one; "" without one."""
        return next((one.format for one in self.fields if one.name == self.code.field), self.code.format)

    def with_second_reader(self, use: str, below: float | None = None) -> "Station":
        """The same station with another second reader.

        Args:
            use: its name; "" keeps the station's.
            below: network confidence below which it is asked; None keeps the station's.

        Raises:
            RecipeError: no such reader, or ``below`` without a reader.
            CalibrationError: the station is calibrated with another one.
        """
        wanted = self.second_reader.model_dump()
        wanted |= {"use": use} if use else {}
        wanted |= {"below": below} if below is not None else {}
        try:
            second = SecondReading(**wanted)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise RecipeError(f"{reason}. Correct it.") from None
        if not second.use and below is not None:
            raise RecipeError("second reader: a confidence below which to ask, but none to ask. Name one.")
        if second == self.second_reader:
            return self
        if self.calibration:
            raise self._calibrated(f"with {self.second_reader}", str(second), "second reader")
        return self.model_copy(update={"second_reader": second})

    def _calibrated(self, before: str, wanted: str, what: str) -> CalibrationError:
        return CalibrationError(
            f"{self.title}: calibrated {before}, got {wanted}. "
            f"Calibrate it again with that {what}, or leave --{what.replace(' ', '-')} out."
        )

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"station {self.name or 'without a name'}"

    @property
    def station_id(self) -> str:
        """Name and six hex digits of a digest of all values; "" for the default station."""
        return f"{self.name or 'unnamed'}-{recipe_id(self)[:6]}" if self != Station() else ""


StationSource = Station | str | Path | None
"""A station, its file, or none."""


def load_station(source: StationSource) -> Station:
    """The station itself, or that of a file; without one, the default.

    Raises:
        RecipeError: the file is not a station.
    """
    return load(source, Station) if isinstance(source, str | Path) else source or Station()
