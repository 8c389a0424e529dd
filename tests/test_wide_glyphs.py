"""Glyphs that are too wide for the character they were read as."""

import cv2
import numpy as np
import pytest

from serialread.reader.segmentation import segment
from serialread.reader.wide_glyphs import wide_chars
from serialread.records import Box, CharReading, Pixels

STEP, LEFT, TOP, SIZE = 44, 20, 18, 32


def drawn(text: str, texture: float = 2.0) -> Pixels:
    """Dark characters, ``STEP`` px apart, on a grey surface with noise; Ж is two K, one of them mirrored."""
    pixels = np.full((64, 2 * LEFT + STEP * len(text)), 170, np.uint8)
    for i, char in enumerate(text):
        x = LEFT + STEP * i
        if char == "Ж":
            cv2.line(pixels, (x + 15, TOP), (x + 15, TOP + SIZE), 50, 4, cv2.LINE_AA)
            for ends in ((-4, 34), (34, -4)):
                start, end = (x + ends[0], TOP), (x + ends[1], TOP + SIZE)
                cv2.line(pixels, start, end, 50, 4, cv2.LINE_AA)
        else:
            cv2.putText(
                pixels, char, (x, TOP + SIZE), cv2.FONT_HERSHEY_SIMPLEX, SIZE / 21, 50, 4, cv2.LINE_AA
            )
    noisy = pixels + np.random.default_rng(0).normal(0, texture, pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def wide_in(pixels: Pixels, text: str) -> tuple[int, ...]:
    boxes: list[Box] = [(LEFT + STEP * i, 0.0, LEFT + STEP * i + 30.0, 64.0) for i in range(len(text))]
    chars = [CharReading(char, 0.99, ("", 0.0), box) for char, box in zip(text, boxes, strict=True)]
    line = segment(pixels, chars)
    assert line is not None
    return wide_chars(line, chars)


@pytest.mark.parametrize("text", ["ABH2345", "WAKM019", "I1LT7SJ", "A2B4-C"])
def test_characters_as_wide_as_usual_are_not_too_wide(text: str) -> None:
    assert wide_in(drawn(text), text) == ()


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_glyph_that_is_read_as_a_part_of_it_is_too_wide(at: int) -> None:
    text = list("2BS3E5P")
    text[at] = "Ж"
    read = "".join(text).replace("Ж", "K")
    assert wide_in(drawn("".join(text)), read) == (at,)


def test_a_glyph_that_holds_the_next_character_is_not_too_wide() -> None:
    pixels = drawn("2BS3E5P")
    pixels[TOP + 14 : TOP + 18, LEFT + STEP * 3 + 20 : LEFT + STEP * 4 + 10] = 50  # 3 and E touch
    assert wide_in(pixels, "2BS3E5P") == ()


def test_a_rough_surface_and_a_short_code_say_nothing() -> None:
    assert wide_in(drawn("2BЖ3E5P", texture=45.0), "2BK3E5P") == ()
    assert wide_in(drawn("2BЖ"), "2BK") == ()
