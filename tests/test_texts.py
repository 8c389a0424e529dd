import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialread.codes import MAX_LENGTH, PRINTABLE, without_blanks
from serialread.recipe.data import Texts
from serialread.synth.texts import from_pattern, random_text

PATTERNS = Texts(patterns=("####-##-####", "@@@ ######", "{kg|lbs} ##", ">PA#.#-GF##<"))


@given(seed=st.integers(0, 2**32 - 1), longest=st.integers(3, MAX_LENGTH))
def test_a_code_fits_the_label_and_uses_printable_characters(seed: int, longest: int) -> None:
    code = without_blanks(random_text(PATTERNS, longest, np.random.default_rng(seed)))
    assert 1 <= len(code) <= longest
    assert set(code) <= set(PRINTABLE)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_text_neither_starts_nor_ends_with_a_gap(seed: int) -> None:
    text = random_text(PATTERNS, MAX_LENGTH, np.random.default_rng(seed))
    assert text == text.strip()


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("###", string.digits),
        ("@@@", string.ascii_uppercase),
        ("___", string.ascii_lowercase),
        ("***", string.digits + string.ascii_uppercase),
        (r"\#\@\_", "#@_"),
        ("{a|b}{a|b}{a|b}", "ab"),
    ],
)
def test_a_pattern_draws_each_place_from_its_pool(pattern: str, allowed: str) -> None:
    for seed in range(20):
        text = from_pattern(pattern, np.random.default_rng(seed))
        assert len(text) == 3
        assert set(text) <= set(allowed)


def test_digit_codes_are_the_largest_group_and_a_third_of_lengths_are_even() -> None:
    texts = [
        without_blanks(random_text(PATTERNS, MAX_LENGTH, np.random.default_rng([7, i]))) for i in range(3000)
    ]
    digits = sum(t.isdigit() for t in texts) / len(texts)
    long = sum(len(t) > 15 for t in texts) / len(texts)
    assert 0.33 < digits < 0.55
    assert 0.06 < long < 0.16
