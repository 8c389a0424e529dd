"""Several looks at one crop become one reading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialread.imaging.looks import LOOKS, MOST_CUT, Look
from serialread.reading.voting import next_look, vote
from serialread.records import CharReading, Reading


def reading(text: str, confidence: float = 0.9, runner_up: str = "?") -> Reading:
    rest = (1 - confidence) / 2
    chars = tuple(CharReading(c, confidence, (runner_up, rest), (8.0 * i, 0, 8.0 * i + 6, 64))
                  for i, c in enumerate(text))  # fmt: skip
    return Reading(chars, confidence)


@pytest.mark.parametrize(
    ("texts", "look"),
    [
        ([("A1", 0.99)], None),
        ([("A1", 0.5)], LOOKS[0]),
        ([("A1", 0.5), ("A1", 0.1)], None),
        ([("A1", 0.5), ("AI", 0.9)], LOOKS[1]),
        ([("A1", 0.5), ("AI", 0.9), ("A", 0.9)], None),
        ([("", 0.5), ("", 0.5)], None),
    ],
)
def test_a_doubtful_crop_is_looked_at_until_two_looks_agree(
    texts: list[tuple[str, float]], look: Look | None
) -> None:
    assert next_look([reading(text, sure ** (1 / (len(text) + 1))) for text, sure in texts]) == look


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        ([("81150", 0.9)], "81150"),
        ([("681150", 0.7), ("81150", 0.6), ("81150", 0.6)], "81150"),
        ([("681150", 0.99), ("81150", 0.5), ("81150", 0.5)], "681150"),
        ([("A", 0.5), ("B", 0.5)], "A"),
        ([("", 0.9), ("A", 0.2), ("A", 0.2)], ""),
    ],
)
def test_the_string_with_most_confidence_in_all_wins(texts: list[tuple[str, float]], winner: str) -> None:
    assert vote([reading(text, sure) for text, sure in texts]).text == winner


def test_looks_that_agree_are_as_sure_together_as_on_average() -> None:
    together = vote([reading("A1", 0.9), reading("A1", 0.7)])
    assert [c.confidence for c in together.chars] == pytest.approx([0.8, 0.8])
    assert together.end_confidence == pytest.approx(0.8)


def test_a_look_that_differs_in_one_character_is_its_runner_up() -> None:
    together = vote([reading("A1", 0.9), reading("AI", 0.8)])
    assert together.text == "A1"
    assert together.chars[1].confidence == pytest.approx(0.45)
    assert together.chars[1].runner_up == ("I", pytest.approx(0.4))
    assert together.chars[0].confidence == pytest.approx(0.85)


def test_a_look_of_another_length_counts_against_the_whole_code() -> None:
    together = vote([reading("A1", 0.9), reading("A1", 0.9), reading("A11", 0.3)])
    assert [c.confidence for c in together.chars] == pytest.approx([0.9, 0.9])
    assert together.end_confidence == pytest.approx(0.6)


def test_one_look_is_left_as_it_is() -> None:
    assert vote([reading("A1", 0.8)]) == reading("A1", 0.8)


@given(
    st.lists(st.tuples(st.text("AB1", max_size=4), st.floats(0.01, 1)), min_size=1, max_size=6),
)
def test_a_vote_is_a_reading_like_any_other(texts: list[tuple[str, float]]) -> None:
    together = vote([reading(text, sure) for text, sure in texts])
    assert together.text in {text for text, _ in texts}
    assert 0 <= together.confidence <= max(sure for _, sure in texts) + 1e-9
    assert all(0 <= c.runner_up[1] <= 1 and 0 <= c.confidence <= 1 for c in together.chars)


@given(st.sampled_from(LOOKS), st.integers(1, 80), st.integers(1, 400))
def test_a_look_is_a_part_of_the_crop_and_never_nothing(look: Look, height: int, width: int) -> None:
    pixels = np.arange(height * width, dtype=np.int64).astype(np.uint8).reshape(height, width)
    seen = look.at(pixels)
    assert seen.dtype == np.uint8
    assert min(seen.shape) >= min(height, width, 6)
    assert seen.shape[1] >= round((1 - 2 * MOST_CUT) * width) - 2


@pytest.mark.parametrize("look", LOOKS)
def test_boxes_come_back_to_the_place_in_the_whole_crop(look: Look) -> None:
    pixels = np.full((64, 300), 200, np.uint8)
    pixels[20:44, 140:160] = 0
    seen = look.at(pixels)
    rows, columns = np.nonzero(seen < 100)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    placed = look.placed(Reading((CharReading("1", 1.0, ("", 0.0), box),), 1.0), (64, 300))
    assert placed.chars[0].box == pytest.approx((140, 20, 160, 44), abs=1.5)
