"""Borders that cut off a character."""

import cv2
import numpy as np
import pytest

from serialread.imaging import Extent
from serialread.reader.borders import cut_off_sides
from serialread.reader.segmentation import segment
from serialread.records import Box, CharReading, Pixels

STEP, LEFT, TOP, SIZE = 30, 20, 14, 36


def drawn(text: str, texture: float = 2.0) -> Pixels:
    """Dark characters, ``STEP`` px apart, on a grey surface with noise."""
    width = 2 * LEFT + STEP * len(text)
    pixels = np.full((64, width), 170, np.uint8)
    for i, char in enumerate(text):
        place = (LEFT + STEP * i, TOP + SIZE)
        cv2.putText(pixels, char, place, cv2.FONT_HERSHEY_SIMPLEX, SIZE / 24, 50, 4, cv2.LINE_AA)
    noisy = pixels + np.random.default_rng(0).normal(0, texture, pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def sides_of(pixels: Pixels, start: int, first: int, last: int, left: float | None = None) -> tuple[str, ...]:
    """The sides of a crop that begins at column ``start``; its characters ``first`` to ``last`` were read."""
    height = pixels.shape[0]
    at = [LEFT + STEP * i - start for i in range(first, last + 1)]
    boxes: list[Box] = [(x, 0.0, x + STEP - 4.0, height) for x in at]
    extent = Extent(boxes[0][0] if left is None else left, boxes[-1][2], TOP, TOP + SIZE)
    line = segment(pixels, [CharReading("H", 0.9, ("", 0.0), box) for box in boxes])
    assert line is not None
    return cut_off_sides(line, extent)


def test_a_whole_code_touches_no_border() -> None:
    assert sides_of(drawn("ABH2345"), 0, 0, 6) == ()


@pytest.mark.parametrize("char", "ABEHKMTXZ038")
@pytest.mark.parametrize("share", [0.35, 0.55])
def test_a_character_that_is_cut_off_and_not_read_touches_the_border(char: str, share: float) -> None:
    start = LEFT + round(share * (STEP - 4))
    assert sides_of(drawn(f"{char}BH2345")[:, start:], start, 1, 6) == ("left",)


def test_a_character_that_is_cut_off_and_read_as_another_touches_the_border() -> None:
    pixels = drawn("ABH2345H")[:, : LEFT + 7 * STEP + 10]  # the H ends in its bar
    assert sides_of(pixels, 0, 0, 7) == ("right",)


def test_a_thin_bar_that_ends_at_the_border_is_cut_off() -> None:
    pixels = drawn("ABH2345")[:, : LEFT + 6 * STEP + 24]
    pixels[TOP + 17 : TOP + 19, LEFT + 6 * STEP + 18 :] = 50  # a cut H, its stem read as a part of the 5
    assert sides_of(pixels, 0, 0, 6) == ("right",)


def test_both_borders_may_cut_off_a_character() -> None:
    start, end = LEFT + STEP // 2, LEFT + 6 * STEP + STEP // 2
    assert sides_of(drawn("BBH234B")[:, start:end], start, 1, 5) == ("left", "right")


def test_a_frame_at_the_border_is_no_character() -> None:
    pixels = drawn("ABH2345")
    pixels[:, :5] = 50
    assert sides_of(pixels, 0, 0, 6) == ()


def test_ink_of_a_faint_mark_or_on_a_rough_surface_is_no_character() -> None:
    pixels = drawn("ABH2345")
    pixels[20:40, :4] = 130  # half as strong as the mark
    assert sides_of(pixels, 0, 0, 6) == ()
    start = LEFT + STEP // 2
    assert sides_of(drawn("BBH2345", texture=45.0)[:, start:], start, 1, 6) == ()


def test_a_margin_of_three_px_is_enough() -> None:
    pixels = drawn("HBH2345")
    first = int(np.flatnonzero((pixels < 110).any(axis=0))[0])
    assert sides_of(pixels[:, first - 3 :], first - 3, 0, 6) == ()


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_a_remnant_as_near_as_glyph_maps_are_exact_touches_the_border(share: float) -> None:
    start = LEFT + round(share * (STEP - 4))
    free = 0.11 * SIZE  # the map of the next character is too wide
    assert sides_of(drawn("BBH2345")[:, start:], start, 1, 6, free) == ("left",)


@pytest.mark.parametrize(("share", "side"), [(0.2, "upper"), (0.3, "upper"), (0.1, "lower"), (0.3, "lower")])
def test_a_border_that_cuts_through_the_text_touches_all_characters(share: float, side: str) -> None:
    pixels = drawn("ABH2345")
    inked, cut = np.flatnonzero((pixels < 110).any(axis=1)), round(share * SIZE)
    rows = slice(inked[0] + cut, None) if side == "upper" else slice(0, inked[-1] - cut)
    assert sides_of(pixels[rows], 0, 0, 6) == (side,)


def test_a_border_that_a_few_characters_reach_does_not_cut_through_the_text() -> None:
    pixels = drawn("ABH2345")
    pixels[:TOP, LEFT + 4 : LEFT + 8] = 50  # a scratch above A
    assert sides_of(pixels, 0, 0, 6) == ()


def test_one_or_two_characters_say_nothing_of_the_upper_border() -> None:
    assert sides_of(drawn("AB")[TOP + 10 :], 0, 0, 1) == ()
