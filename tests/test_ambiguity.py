"""What the shapes and gaps of a code leave open."""

import cv2
import numpy as np
import pytest

from serialread.config import Code
from serialread.reader.ambiguity import settle_shapes
from serialread.reader.ovals import GUESS
from serialread.reader.segmentation import Segmentations
from serialread.records import CharReading, Reading

STEP, LEFT, BOTTOM = 34, 16, 52


def crop_of(shapes: str) -> Segmentations:
    """Characters 34 px apart, 40 px high; ``|`` is a plain bar, ``1`` has a flag, a blank is a gap."""
    pixels = np.full((64, 2 * LEFT + STEP * len(shapes)), 190, np.uint8)
    for i, shape in enumerate(shapes):
        x = LEFT + STEP * i
        if shape == "|":
            pixels[12:BOTTOM, x + 10 : x + 15] = 40
        elif shape == "1":
            cv2.polylines(pixels, [np.array([[x + 2, 22], [x + 14, 14], [x + 14, BOTTOM - 3]])], False, 40, 5)
        elif shape != " ":
            cv2.putText(pixels, shape, (x, BOTTOM), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 4)
    return Segmentations(pixels)


def settled(shapes: str, text: str, code: Code | None = None) -> list[float]:
    """The confidences of the characters that were read where the shapes are no blanks; each had 1."""
    places = [i for i, shape in enumerate(shapes) if shape != " "]
    boxes = [(LEFT + STEP * i - 2.0, 0.0, LEFT + STEP * i + 28.0, 64.0) for i in places]
    chars = tuple(CharReading(c, 1.0, ("", 0.0), box) for c, box in zip(text, boxes, strict=True))
    reading = settle_shapes(Reading(chars, 1.0, posterior=1.0), crop_of(shapes), code or Code())
    assert reading.posterior == min(c.confidence for c in reading.chars)
    return [c.confidence for c in reading.chars]


@pytest.mark.parametrize("read", ["1", "I", "l"])
def test_a_plain_bar_among_letters_and_digits_is_a_guess(read: str) -> None:
    assert settled("A7|K3", f"A7{read}K3") == [1, 1, GUESS, 1, 1]


@pytest.mark.parametrize(("shapes", "text"), [("A71K3", "A71K3"), ("47|53", "47153"), ("AB|KD", "ABIKD")])
def test_a_flag_or_the_other_characters_decide(shapes: str, text: str) -> None:
    assert settled(shapes, text) == [1] * 5


def test_one_small_letter_of_the_shape_of_its_capital_is_a_guess() -> None:
    assert settled("KAxB7", "KAxB7") == [1, 1, GUESS, 1, 1]
    assert settled("33ZxT83", "33ZxT83") == [1, 1, 1, GUESS, 1, 1, 1]  # or a times sign
    assert settled("25x47", "25x47") == [1] * 5
    assert settled("KAhB7", "KAhB7") == [1] * 5
    assert settled("KaxB7", "KaxB7") == [1] * 5


@pytest.mark.parametrize(("shapes", "place"), [("N HN47E", 1), ("KHN47 E", 5)])
def test_one_gap_as_wide_as_a_character_may_have_lost_one(shapes: str, place: int) -> None:
    confidences = [1.0] * 6
    confidences[place] = GUESS
    assert settled(shapes, shapes.replace(" ", "")) == confidences


@pytest.mark.parametrize("shapes", ["KH NE 47", "KHN47E", "KH -N47E"])
def test_equal_blanks_separate_groups_and_signs_are_narrow(shapes: str) -> None:
    text = shapes.replace(" ", "")
    assert settled(shapes, text) == [1] * len(text)


def test_a_format_decides() -> None:
    assert settled("A7|K3", "A71K3", Code(format=r"[A-Z]\d\d[A-Z]\d")) == [1] * 5
    assert settled("K HN47E", "KHN47E", Code(format=r"[A-Z]{3}\d\d[A-Z]")) == [1] * 6
