"""Doubts: what keeps a reading from being accepted, whatever its confidence."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from serialread.config import StationLimits
from serialread.reader.doubts import doubts_about, field_doubts
from serialread.reader.outputs import Outputs
from serialread.reader.pipeline import FieldLine, PictureReading, ReadLine, SeenView
from serialread.records import CharReading, Crop, FreeReading, Reading, Verdict

LIMITS = StationLimits(text_height_px=(10, 60))


def reading_of(text: str, confidence: float = 0.99) -> Reading:
    return Reading(tuple(CharReading(c, confidence, ("", 0.0)) for c in text), confidence)


def found_of(text: str, text_height_px: float = 30.0, upside_down: str = "") -> PictureReading:
    quad = np.array([[0, 0], [120, 0], [120, 40], [0, 40]], np.float32)
    crop = Crop(np.full((40, 120), 128, np.uint8), quad, text_height_px, 0.5, 0.0)
    reading = reading_of(text)
    return PictureReading((ReadLine(crop),), 0, (0,), reading, reading, upside_down)


def doubts_of(
    found: PictureReading,
    verdict: Verdict = Verdict.NONE,
    damage: str = "",
    barcodes: Sequence[str] = (),
) -> tuple[str, ...]:
    return doubts_about(found, verdict, damage, barcodes, LIMITS)


def test_a_plain_reading_has_no_doubts() -> None:
    assert doubts_of(found_of("A1")) == ()
    assert doubts_of(found_of("A1"), Verdict.OBEYS, barcodes=["A1"]) == ()


@pytest.mark.parametrize(("height_px", "shown"), [(4.0, "4"), (70.0, "70")])
def test_an_unexpected_text_height_is_doubted(height_px: float, shown: str) -> None:
    assert doubts_of(found_of("A1", height_px)) == (f"text is {shown} px high, expected 10 to 60",)


@pytest.mark.parametrize(("text", "place"), [("AB\ufffd", 3), ("\ufffd\ufffd", 1)])
def test_a_glyph_outside_the_alphabet_is_doubted_and_its_place_is_named(text: str, place: int) -> None:
    assert doubts_of(found_of(text)) == (f"character {place} is outside the alphabet",)


@pytest.mark.parametrize(("fused", "seen"), [("AB7", "AB\ufffd"), ("A87", "A\ufffd")])
def test_a_glyph_that_one_view_reads_as_outside_the_alphabet_is_doubted(fused: str, seen: str) -> None:
    found = found_of(fused)
    (line,) = found.lines
    outputs = Outputs(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    views = [SeenView(line.crop.pixels, outputs, reading_of(text)) for text in (seen, fused, fused)]
    found = replace(found, lines=(replace(line, views=tuple(views)),))
    assert doubts_of(found) == (f"character {len(seen)} may be outside the alphabet",)


def test_a_code_of_symmetric_characters_may_be_mirrored() -> None:
    found = replace(found_of("88JLVUUYA"), mirrored="AYUUVJL88")
    assert doubts_of(found) == ("reads AYUUVJL88 mirrored",)
    assert doubts_of(found, Verdict.OBEYS) == ()


def test_a_code_longer_than_the_model_reads_is_doubted() -> None:
    found = found_of("A" * 41)
    found = replace(found, reading=replace(found.reading, longer_than=40))
    assert doubts_of(found) == ("may be longer than 40 characters",)


def test_a_character_that_may_stand_twice_is_doubted() -> None:
    assert doubts_of(replace(found_of("AJA"), doubled=2)) == ("character 2 may be two",)
    field = FieldLine(found_of("AJA").lines[0], reading_of("AJA"), doubled=2)
    assert field_doubts(field, Verdict.OBEYS, LIMITS) == ("character 2 may be two",)


@pytest.mark.parametrize("text", ["-", "---", "/."])
def test_marks_alone_are_doubted(text: str) -> None:
    assert doubts_of(found_of(text)) == ("no letter and no digit",)
    assert doubts_of(found_of(text), Verdict.OBEYS) == ()


def test_a_likely_misprint_is_doubted_and_a_fitted_code_is_not() -> None:
    found = found_of("A1")
    found = replace(found, reading=replace(found.reading, free=FreeReading("AI", 0.0, 0.999)))
    assert doubts_of(found, Verdict.FITTED) == ()
    assert doubts_of(found, Verdict.MISPRINT) == ("likely misprint: looks like AI",)


def test_a_code_that_reads_differently_upside_down_is_doubted() -> None:
    assert doubts_of(found_of("68", upside_down="89")) == ("reads 89 upside down",)


@pytest.mark.parametrize(
    ("barcodes", "doubt"),
    [
        (["SN-4021"], "barcode says SN-4021"),
        (["4006381333931", "SN-4021"], "barcode says SN-4021"),  # the nearest
        (["SN-4\x1d21"], "barcode says SN-4 21"),
        (["https://example.com/" + "9" * 80], "barcode says https://example.com/" + "9" * 30 + "..."),
    ],
)
def test_a_barcode_that_differs_is_a_doubt(barcodes: list[str], doubt: str) -> None:
    assert doubts_of(found_of("SN-4O21"), barcodes=barcodes) == (doubt,)


def test_a_damaged_picture_is_doubted_and_says_so_if_nothing_is_read() -> None:
    assert doubts_of(found_of("A1"), damage="damaged picture: torn") == ("damaged picture: torn",)
    assert doubts_of(found_of("", 4.0), damage="damaged picture: torn") == ("damaged picture: torn",)
    assert doubts_of(found_of("", 4.0)) == ()


def test_a_column_of_characters_that_is_read_across_is_doubted() -> None:
    doubt = "characters stand below one another: see view.direction"
    assert doubts_of(replace(found_of("A"), is_stacked=True)) == (doubt,)


def test_a_code_that_a_border_cuts_off_is_doubted() -> None:
    found = found_of("A1")
    assert doubts_of(replace(found, cut_off=("left",))) == ("touches the left border",)
    assert doubts_of(replace(found, cut_off=("left", "right"))) == ("touches the left and the right border",)


def test_other_texts_are_doubts_without_a_format() -> None:
    found = replace(found_of("A1"), others=("SN-4021", "LOT7"))
    assert doubts_of(found) == ("also reads SN-4021, LOT7",)
    assert doubts_of(found, Verdict.OBEYS) == ()


def test_a_picture_has_all_its_doubts() -> None:
    doubts = doubts_of(found_of("68", 4.0, "89"), damage="damaged picture: torn", barcodes=["86"])
    assert doubts == (
        "damaged picture: torn",
        "text is 4 px high, expected 10 to 60",
        "reads 89 upside down",
        "barcode says 86",
    )
