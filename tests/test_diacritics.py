"""Diacritics: marks above and below characters, which an ASCII alphabet does not have."""

import cv2
import numpy as np
import pytest

from serialread.reader.diacritics import marked_chars
from serialread.reader.segmentation import segment
from serialread.records import CharReading, Pixels

WIDTH = 30


def line_of(text: str, mark: tuple[int, str] | None = None, noise: float = 2.0) -> Pixels:
    """A code of bars 30 px apart, 40 px high; a mark above or below one of them."""
    pixels = np.full((90, WIDTH * len(text) + 40), 190.0)
    for number in range(len(text)):
        left = 20 + WIDTH * number
        pixels[26:66, left + 6 : left + 12] = 40
        pixels[42:48, left + 6 : left + 24] = 40
    if mark:
        number, place = mark
        left = 20 + WIDTH * number
        rows = slice(12, 19) if place == "above" else slice(66, 76)
        pixels[rows, left + 7 : left + 17] = 40
    noisy = pixels + np.random.default_rng(0).normal(0, noise, pixels.shape)
    return cv2.GaussianBlur(noisy.clip(0, 255).astype(np.uint8), (3, 3), 0)


def chars_of(text: str) -> list[CharReading]:
    return [
        CharReading(c, 0.99, ("", 0.0), (20.0 + WIDTH * i + 4, 24.0, 20.0 + WIDTH * i + 26, 68.0))
        for i, c in enumerate(text)
    ]


def found_in(pixels: Pixels, chars: list[CharReading]) -> tuple[int, ...]:
    line = segment(pixels, chars)
    assert line is not None
    return marked_chars(line, chars)


@pytest.mark.parametrize("number", [0, 3, 6])
@pytest.mark.parametrize("place", ["above", "below"])
def test_a_mark_above_or_below_a_character_is_found(number: int, place: str) -> None:
    text = "AB23CD7"
    assert found_in(line_of(text, (number, place)), chars_of(text)) == (number,)


def test_a_plain_code_has_none() -> None:
    assert found_in(line_of("AB23CD7"), chars_of("AB23CD7")) == ()


def tilted(pixels: Pixels, rise: float) -> Pixels:
    """A picture whose right side is lower by ``rise`` px."""
    height, width = pixels.shape
    matrix = np.array([[1, 0, 0], [rise / width, 1, -rise / 2]])
    return cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("rise", [-14.0, 14.0])
def test_a_line_that_is_not_level_has_marks_where_a_level_one_has(rise: float) -> None:
    text = "AB23CD7"
    assert found_in(tilted(line_of(text), rise), chars_of(text)) == ()
    for number, place in ((0, "above"), (3, "below"), (6, "above"), (6, "below")):
        assert found_in(tilted(line_of(text, (number, place)), rise), chars_of(text)) == (number,)


@pytest.mark.parametrize("text", ["AB2JCD7", "AB23Q7F", "AB2gCD7"])
def test_a_tail_belongs_to_its_character(text: str) -> None:
    at = next(i for i, char in enumerate(text) if char in "JQg")
    assert found_in(line_of(text, (at, "below")), chars_of(text)) == ()


def test_small_letters_may_rise_above_the_capitals() -> None:
    assert found_in(line_of("AB23fD7", (4, "above")), chars_of("AB23fD7")) == ()


def test_on_grainy_surfaces_ink_means_nothing() -> None:
    assert found_in(line_of("AB23CD7", (3, "above"), noise=60.0), chars_of("AB23CD7")) == ()


def test_a_code_of_tails_alone_is_not_measured() -> None:
    assert found_in(line_of("JJQJQ"), chars_of("JJQJQ")) == ()


def test_characters_at_the_end_of_the_crop_may_have_no_width() -> None:
    text = "AB23CD7"
    pixels = line_of(text)
    right = float(pixels.shape[1])
    beyond = [CharReading("1", 0.5, ("", 0.0), (right, 24.0, right, 68.0))] * 3
    assert found_in(pixels, [*chars_of(text), *beyond]) == ()
