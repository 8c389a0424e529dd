"""Scores become characters with doubts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialread.codes import MAX_LENGTH, Alphabet
from serialread.decoding import boxes_of, decode
from serialread.records import Floats

ALPHABET = Alphabet()
STEPS = MAX_LENGTH + 1


def scores_of(text: str, probability: float = 0.9, rival: str | None = None) -> Floats:
    """Log-probabilities that spell a text; all else goes to the rival ("" is the end) at every position."""
    table = np.full((STEPS, ALPHABET.classes), 1e-9, np.float32)
    for step in range(STEPS):
        best = ALPHABET.chars.index(text[step]) + 1 if step < len(text) else 0
        second = (ALPHABET.chars.index(rival) + 1 if rival else 0) if best else 5
        table[step, second] = 1 - probability
        table[step, best] = probability
    return np.log(table)


@given(text=st.text(ALPHABET.chars, max_size=MAX_LENGTH))
def test_what_is_spelled_is_read(text: str) -> None:
    reading = decode(scores_of(text), ALPHABET)
    assert reading.text == text
    assert reading.confidence == pytest.approx(0.9 ** (len(text) + 1), rel=1e-4)


def test_without_an_end_all_25_positions_are_read_and_the_end_is_doubted() -> None:
    scores = scores_of("A" * MAX_LENGTH)
    scores[-1] = np.log(np.float32(0.001))
    scores[-1, 1] = np.log(np.float32(0.9))
    reading = decode(scores, ALPHABET)
    assert reading.text == "A" * MAX_LENGTH
    assert reading.end_confidence == pytest.approx(0.001, rel=1e-4)


def test_nothing_after_the_first_end_is_read() -> None:
    scores = scores_of("AB")
    scores[5] = scores[0]
    assert decode(scores, ALPHABET).text == "AB"


@pytest.mark.parametrize("rival", ["8", ""])
def test_the_runner_up_is_named_and_the_end_is_an_empty_one(rival: str) -> None:
    first = decode(scores_of("B", 0.7, rival), ALPHABET).chars[0]
    assert (first.char, first.runner_up[0]) == ("B", rival)
    assert (first.confidence, first.runner_up[1]) == pytest.approx((0.7, 0.3), rel=1e-4)


def test_an_empty_crop_reads_as_nothing() -> None:
    reading = decode(scores_of(""), ALPHABET)
    assert (reading.text, reading.chars, reading.weakest) == ("", (), None)
    assert reading.confidence == pytest.approx(0.9, rel=1e-4)


def test_boxes_are_where_the_attention_was_in_crop_px() -> None:
    attention = np.full((STEPS, 40), 1e-6, np.float32)
    attention[0, 4:8] = attention[1, 16:20] = 0.25
    reading = decode(scores_of("A7"), ALPHABET, attention, (64, 200), filled=0.5)  # 10 crop px a column
    assert [c.box for c in reading.chars] == [(40.0, 0.0, 80.0, 64.0), (160.0, 0.0, 200.0, 64.0)]


@given(seed=st.integers(0, 2**32 - 1), filled=st.floats(0.05, 1))
def test_boxes_lie_inside_the_crop(seed: int, filled: float) -> None:
    attention = np.random.default_rng(seed).dirichlet(np.full(24, 0.1), 26).astype(np.float32)
    for x0, y0, x1, y1 in boxes_of(attention, (32, 77), filled):
        assert 0 <= x0 <= x1 <= 77
        assert (y0, y1) == (0, 32)
