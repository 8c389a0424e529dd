"""Decoding of scores, free and within a format."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread.codes import MAX_LENGTH, Alphabet, Format, format_of
from serialread.inference import FormatSearch, boxes_of, decode
from serialread.records import CharStatus, Floats

ALPHABET = Alphabet()
STEPS = MAX_LENGTH + 1


def scores_of(text: str, probability: float = 0.9, rival: str | None = None) -> Floats:
    """Log-probabilities of a text; the rest goes to the rival ("" is the end) at every position."""
    table = np.full((STEPS, ALPHABET.classes), 1e-9, np.float32)
    for step in range(STEPS):
        best = ALPHABET.chars.index(text[step]) + 1 if step < len(text) else 0
        second = (ALPHABET.chars.index(rival) + 1 if rival else 0) if best else 5
        table[step, second] = 1 - probability
        table[step, best] = probability
    return np.log(table)


@given(text=st.text(ALPHABET.chars, max_size=MAX_LENGTH))
def test_the_most_likely_text_is_decoded(text: str) -> None:
    reading = decode(scores_of(text), ALPHABET)
    assert reading.text == text
    assert reading.confidence == pytest.approx(0.9 ** (len(text) + 1), rel=1e-4)


def test_without_an_end_all_25_positions_are_decoded_and_the_end_has_low_confidence() -> None:
    scores = scores_of("A" * MAX_LENGTH)
    scores[-1] = np.log(np.float32(0.001))
    scores[-1, 1] = np.log(np.float32(0.9))
    reading = decode(scores, ALPHABET)
    assert reading.text == "A" * MAX_LENGTH
    assert reading.end_confidence == pytest.approx(0.001, rel=1e-4)
    assert reading.longer_than == MAX_LENGTH


@pytest.mark.parametrize(("count", "longer_than"), [(MAX_LENGTH - 1, 0), (MAX_LENGTH, MAX_LENGTH)])
def test_a_code_of_25_characters_may_be_the_start_of_a_longer_one(count: int, longer_than: int) -> None:
    assert decode(scores_of("A" * count), ALPHABET).longer_than == longer_than


def test_a_format_says_that_a_code_has_25_characters() -> None:
    search = FormatSearch(format_of("A{25}"), ALPHABET)
    assert decode(scores_of("A" * MAX_LENGTH), ALPHABET, search=search).longer_than == 0


def test_nothing_after_the_first_end_is_decoded() -> None:
    scores = scores_of("AB")
    scores[5] = scores[0]
    assert decode(scores, ALPHABET).text == "AB"


@pytest.mark.parametrize("rival", ["8", ""])
def test_the_runner_up_is_named_and_the_end_is_an_empty_string(rival: str) -> None:
    first = decode(scores_of("B", 0.7, rival), ALPHABET).chars[0]
    assert (first.char, first.runner_up[0]) == ("B", rival)
    assert (first.confidence, first.runner_up[1]) == pytest.approx((0.7, 0.3), rel=1e-4)


def test_an_empty_text_has_no_characters() -> None:
    reading = decode(scores_of(""), ALPHABET)
    assert (reading.text, reading.chars) == ("", ())
    assert reading.confidence == pytest.approx(0.9, rel=1e-4)


def test_boxes_cover_the_attention_in_crop_px() -> None:
    attention = np.full((STEPS, 40), 1e-6, np.float32)
    attention[0, 4:8] = attention[1, 16:20] = 0.25
    reading = decode(scores_of("A7"), ALPHABET, attention, (64, 200), filled=0.5)  # 10 crop px a column
    assert [c.box for c in reading.chars] == [(40.0, 0.0, 80.0, 64.0), (160.0, 0.0, 200.0, 64.0)]


@given(seed=st.integers(0, 2**32 - 1), filled=st.floats(0.05, 1))
def test_boxes_are_inside_the_crop(seed: int, filled: float) -> None:
    attention = np.random.default_rng(seed).dirichlet(np.full(24, 0.1), 26).astype(np.float32)
    for x0, y0, x1, y1 in boxes_of(attention, (32, 77), filled):
        assert 0 <= x0 <= x1 <= 77
        assert (y0, y1) == (0, 32)


# formats


SMALL = Alphabet("AB12")


def brute_force(scores: Floats, wanted: Format) -> dict[str, float]:
    """Log-likelihood of every code of the small alphabet that matches."""
    found = {}
    for length in range(1, len(scores)):
        for numbers in product(range(1, SMALL.classes), repeat=length):
            text = SMALL.decode(list(numbers))
            if wanted.matches(text):
                parts = [float(scores[at, number]) for at, number in enumerate((*numbers, 0))]
                found[text] = sum(parts)
    return found


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+",
        r"[AB]\d{1,3}",
        r"(A1|B2B?)\d*",
        r"(?luhn:\d{2,4})",
        r"A?(?damm:\d+)B?",
        r"(?mod37-36:[AB12]{2,4})",
        r"(?luhn:\d+)B?",
        r"(A|AB|B)+",
    ],
)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sharpness=st.floats(0.1, 8))
def test_the_search_finds_the_most_likely_code_of_the_format(
    pattern: str, seed: int, sharpness: float
) -> None:
    logits = sharpness * np.random.default_rng(seed).normal(size=(5, SMALL.classes))
    scores = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    wanted = format_of(pattern)
    text = SMALL.decode([*FormatSearch(wanted, SMALL).best(scores), 0])
    known = brute_force(scores, wanted)
    assert known[text] == pytest.approx(max(known.values()), abs=1e-4)
    reading = decode(scores, SMALL, search=FormatSearch(wanted, SMALL))
    free = decode(scores, SMALL)
    assert reading.free_text == free.text
    assert reading.text == (free.text if wanted.matches(free.text) or not free.chars else text)


def test_a_format_changes_the_text_and_keeps_the_free_reading() -> None:
    scores = scores_of("O12", 0.6, rival="0")
    reading = decode(scores, ALPHABET, search=FormatSearch(format_of("digits"), ALPHABET))
    assert (reading.text, reading.free_text) == ("012", "O12")
    assert reading.chars[0].runner_up == ("O", pytest.approx(0.6, rel=1e-4))
    assert reading.confidence == pytest.approx(0.4 * 0.6**3, rel=1e-3)


def test_a_check_digit_corrects_an_uncertain_digit() -> None:
    scores = scores_of("490154203237519", 0.7, rival="8")  # the last digit should be 8
    assert (
        decode(scores, ALPHABET, search=FormatSearch(format_of("imei"), ALPHABET)).text == "490154203237518"
    )


def test_an_empty_text_stays_empty_with_a_format() -> None:
    reading = decode(scores_of(""), ALPHABET, search=FormatSearch(format_of("imei"), ALPHABET))
    assert (reading.chars, reading.free) == ((), None)


@pytest.mark.parametrize(
    ("probability", "rival", "pattern", "status"),
    [
        (0.9, "8", "", CharStatus.READ),
        (0.6, "8", "", CharStatus.CONFUSED),
        (0.9, "8", r"8\d*", CharStatus.MISMATCH),
        (0.6, "8", r"8\d*", CharStatus.CONFUSED),
    ],
)
def test_every_character_has_a_status(
    probability: float, rival: str, pattern: str, status: CharStatus
) -> None:
    search = FormatSearch(format_of(pattern), ALPHABET) if pattern else None
    scores = scores_of("B", probability, rival)
    assert decode(scores, ALPHABET, search=search).chars[0].status is status


def test_a_position_without_a_likely_character_is_unread() -> None:
    scores = scores_of("A1")
    scores[1] = np.log(np.float32(1 / ALPHABET.classes))
    scores[1, 1] += 0.1
    assert [c.status for c in decode(scores, ALPHABET).chars] == [CharStatus.READ, CharStatus.UNREAD]
