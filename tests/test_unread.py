"""Unread marks: ink of the size of a character that no character that was read owns."""

import cv2
import numpy as np
import pytest

from serialread.config import StationLimits
from serialread.reader.doubts import doubts_about
from serialread.reader.pipeline import PictureReading, ReadLine
from serialread.reader.segmentation import segment
from serialread.reader.unread import unread_gaps
from serialread.records import Box, CharReading, Crop, Pixels, Reading, Verdict

STEP, LEFT, TOP, BOTTOM = 34, 30, 14, 54
LIMITS = StationLimits(text_height_px=(10, 80))


def line_of(shapes: str, noise: float = 2.0) -> Pixels:
    """Characters 34 px apart and 40 px high; a blank is a gap, ``|`` a long line."""
    pixels = np.full((72, 2 * LEFT + STEP * len(shapes)), 190, np.uint8)
    for number, shape in enumerate(shapes):
        x = LEFT + STEP * number
        if shape == "|":
            pixels[:, x + 10 : x + 14] = 40
        elif shape == ".":
            pixels[BOTTOM - 7 : BOTTOM, x + 8 : x + 15] = 40
        elif shape != " ":
            pixels[TOP:BOTTOM, x + 4 : x + 9] = 40
            pixels[TOP : TOP + 5, x + 4 : x + 24] = 40
            pixels[30:35, x + 4 : x + 22] = 40
    noisy = pixels + np.random.default_rng(0).normal(0, noise, pixels.shape)
    return cv2.GaussianBlur(noisy.clip(0, 255).astype(np.uint8), (3, 3), 0)


def boxes_of(shapes: str, read: str = "E") -> list[Box]:
    places = [LEFT + STEP * i for i, shape in enumerate(shapes) if shape in read]
    return [(x + 2.0, 0.0, x + 26.0, 72.0) for x in places]


def gaps_of(shapes: str, noise: float = 2.0, outside: bool = True) -> tuple[int, ...]:
    """The gaps with a mark, if all ``E`` were read and nothing else."""
    read = [CharReading("E", 0.9, ("", 0.0), box) for box in boxes_of(shapes)]
    line = segment(line_of(shapes, noise), read)
    assert line is not None
    return unread_gaps(line, read, outside=outside)


@pytest.mark.parametrize(
    ("shapes", "gaps"),
    [
        ("E#EEEE", (1,)),
        ("EEE#EE", (3,)),
        ("EE#E#EE", (2, 3)),
        ("E##EEE", (1,)),
        ("EEEEEE", ()),
        ("EE EE", ()),
    ],
)
def test_a_mark_between_two_characters_is_found(shapes: str, gaps: tuple[int, ...]) -> None:
    assert gaps_of(shapes) == gaps
    assert gaps_of(shapes, outside=False) == gaps


@pytest.mark.parametrize(
    ("shapes", "gaps"), [("#EEEEE", (0,)), ("EEEEE#", (5,)), ("# EEEEE", ()), ("EEEEE #", ())]
)
def test_a_mark_beside_the_code_is_found_unless_it_stands_apart(shapes: str, gaps: tuple[int, ...]) -> None:
    assert gaps_of(shapes) == gaps
    assert gaps_of(shapes, outside=False) == ()


def strokes_of(text: str, strokes: int = 1, share: float = 1.0) -> tuple[int, ...]:
    """The gaps with a mark where the last character but one is so many strokes."""
    pixels = line_of("E" * len(text))
    at = LEFT + STEP * (len(text) - 2)
    pixels[:, at - 4 : at + STEP - 4] = 190
    for stroke in range(strokes):
        x = at + 12 - 9 * stroke
        pixels[round(BOTTOM - share * (BOTTOM - TOP)) if stroke else TOP : BOTTOM + 9, x : x + 4] = 40
    read = [
        CharReading(c, 0.9, ("", 0.0), box) for c, box in zip(text, boxes_of("E" * len(text)), strict=True)
    ]
    line = segment(pixels, read)
    assert line is not None
    return unread_gaps(line, read, outside=True)


def test_two_high_strokes_that_are_read_as_one_narrow_character_hold_a_mark() -> None:
    assert strokes_of("EEEEJE", strokes=2) == (4,)
    assert strokes_of("EEEEJE") == ()
    assert strokes_of("EEEEJE", strokes=2, share=0.4) == ()  # a short stroke is a part of the character
    assert strokes_of("EEEEHE", strokes=2) == ()  # an H may be broken


@pytest.mark.parametrize("shapes", ["EE|EE", "EE.EE", "|EEEEE", "EEEEE."])
def test_dots_and_lines_beyond_the_text_are_no_characters(shapes: str) -> None:
    assert gaps_of(shapes) == ()


def test_on_grainy_surfaces_ink_means_nothing() -> None:
    assert gaps_of("EE#EEE", noise=110.0) == ()


def test_marks_in_most_gaps_are_texture() -> None:
    assert gaps_of("E#E#E#E#E") == ()


def test_codes_of_two_characters_are_not_measured() -> None:
    assert gaps_of("E#E") == ()


def found_of(shapes: str) -> PictureReading:
    """A code of which every ``E`` was read."""
    quad = np.array([[0, 0], [200, 0], [200, 72], [0, 72]], np.float32)
    reading = Reading(tuple(CharReading("E", 0.99, ("", 0.0), box) for box in boxes_of(shapes)), 0.99)
    crop = Crop(line_of(shapes), quad, 40.0, 0.5, 0.0)
    return PictureReading((ReadLine(crop),), 0, (0,), reading, reading, "")


@pytest.mark.parametrize(
    ("shapes", "doubt"),
    [
        ("EEE#EE", "unread mark between characters 3 and 4"),
        ("#EEEE", "unread mark before character 1"),
        ("EEEE#", "unread mark after character 4"),
    ],
)
def test_a_reading_with_an_unread_mark_is_doubted_and_its_place_is_named(shapes: str, doubt: str) -> None:
    assert doubts_about(found_of(shapes), Verdict.NONE, "", (), LIMITS) == (doubt,)


def test_a_format_says_where_the_code_ends() -> None:
    assert doubts_about(found_of("#EEEE"), Verdict.OBEYS, "", (), LIMITS) == ()
    assert doubts_about(found_of("E#EEE"), Verdict.OBEYS, "", (), LIMITS) == (
        "unread mark between characters 1 and 2",
    )
