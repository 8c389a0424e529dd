"""Glyphs that are no character of the alphabet, whatever they are read as."""

import cv2
import numpy as np
import pytest

from serialread.reader.foreign_glyphs import foreign_chars
from serialread.reader.segmentation import segment
from serialread.records import Box, CharReading, Pixels

STEP, LEFT, TOP, SIZE, INK = 48, 24, 18, 32, 50


def drawn(text: str, texture: float = 1.0) -> Pixels:
    """Dark characters, ``STEP`` px apart, on a grey surface with noise.

    Foreign glyphs: ▯ an empty box, ◪ a box with a diagonal, ☒ a crossed one of hairlines, · a dot, Ж; ⓪ is a
    boxed 6.
    """
    pixels = np.full((64, 2 * LEFT + STEP * len(text)), 170, np.uint8)
    for i, char in enumerate(text):
        x, bottom = LEFT + STEP * i, TOP + SIZE
        box, middle = ((x + 2, TOP - 4), (x + 26, bottom + 2)), (x + 13, TOP + SIZE // 2)
        if char in "▯◪☒⓪":
            hair = char == "☒"
            cv2.rectangle(pixels, *box, 140 if hair else INK, 1 if hair else 2)
            if char in "◪☒":
                cv2.line(pixels, *box, 120 if hair else INK, 1, cv2.LINE_AA)
            if hair:
                cv2.line(pixels, (x + 26, TOP - 4), (x + 2, bottom + 2), 120, 1, cv2.LINE_AA)
        elif char == "·":
            cv2.circle(pixels, middle, 3, INK, -1, cv2.LINE_AA)
        elif char == "Ж":
            cv2.line(pixels, (x + 13, TOP), (x + 13, bottom), INK, 3, cv2.LINE_AA)
            for ends in ((-2, 28), (28, -2)):
                cv2.line(pixels, (x + ends[0], TOP), (x + ends[1], bottom), INK, 3, cv2.LINE_AA)
        else:
            scale = SIZE / (21 if char != "⓪" else 42)
            cv2.putText(pixels, char, (x, bottom), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 4, cv2.LINE_AA)
        if char == "⓪":
            cv2.putText(pixels, "6", (x + 7, bottom - 7), 0, SIZE / 42, INK, 2, cv2.LINE_AA)
    noisy = pixels + np.random.default_rng(0).normal(0, texture, pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def foreign_in(pixels: Pixels, text: str, runner_up: tuple[str, float] = ("", 0.0)) -> tuple[int, ...]:
    boxes: list[Box] = [(LEFT + STEP * i, 0.0, LEFT + STEP * i + 28.0, 64.0) for i in range(len(text))]
    chars = [CharReading(char, 0.99, runner_up, box) for char, box in zip(text, boxes, strict=True)]
    line = segment(pixels, chars)
    assert line is not None
    return foreign_chars(line, chars)


@pytest.mark.parametrize("text", ["ABCDEFG", "HKLMNPR", "STUVWXYZ", "0123456", "789-KB6", "A-K-X-N"])
def test_characters_of_the_alphabet_are_not_foreign(text: str) -> None:
    assert foreign_in(drawn(text), text) == ()


@pytest.mark.parametrize(
    ("glyph", "read"), [("▯", "F"), ("▯", "J"), ("◪", "N"), ("☒", "X"), ("·", "-"), ("Ж", "K")]
)
@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_box_a_dot_and_a_two_sided_k_are_foreign(glyph: str, read: str, at: int) -> None:
    text = list("2BS3E5P")
    text[at] = glyph
    assert foreign_in(drawn("".join(text)), "".join(text).replace(glyph, read)) == (at,)


def test_a_box_that_is_not_read_makes_the_character_beside_it_foreign() -> None:
    assert foreign_in(drawn("2BS▯E5P"), "2BSXE5P") == (3,)


def test_a_check_digit_may_stand_in_a_box() -> None:
    assert foreign_in(drawn("PSU345⓪"), "PSU3456") == ()


def test_a_k_that_may_be_an_x_has_arms_on_both_sides() -> None:
    assert foreign_in(drawn("2BSKE5P"), "2BSKE5P", ("X", 0.01)) == (3,)
    assert foreign_in(drawn("2BSKE5P"), "2BSKE5P", ("R", 0.01)) == ()


def test_several_faint_characters_are_worn_not_foreign() -> None:
    pixels = drawn("2BSXXEK5P")
    pixels[:, LEFT + 3 * STEP - 4 : LEFT + 5 * STEP - 8] = 168
    assert foreign_in(pixels, "2BSXXEK5P") == ()


def test_a_rough_surface_says_nothing() -> None:
    assert foreign_in(drawn("2BS◪E5P", texture=45.0), "2BSNE5P") == ()
