import string
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from serialread.codes import MAX_LENGTH, PRINTABLE, without_blanks
from serialread.config import DataRecipe, load
from serialread.config.data_recipe import Texts
from serialread.synth.code_texts import from_pattern, label_of, random_text

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


def test_digit_codes_are_the_largest_group_and_a_third_of_lengths_are_uniform() -> None:
    texts = [
        without_blanks(random_text(PATTERNS, MAX_LENGTH, np.random.default_rng([7, i]))) for i in range(3000)
    ]
    digits = sum(t.isdigit() for t in texts) / len(texts)
    long = sum(len(t) > 15 for t in texts) / len(texts)
    assert 0.33 < digits < 0.55
    assert 0.06 < long < 0.16


def drawn(texts: Texts, count: int = 1500) -> list[str]:
    return [
        without_blanks(random_text(texts, MAX_LENGTH, np.random.default_rng([3, i]))) for i in range(count)
    ]


def test_characters_come_as_often_as_the_recipe_says() -> None:
    texts = Texts(
        mixed=0, templates=0, arbitrary=0, symbol_share=0, frequencies={"0": 6, "7": 2, "a": 1, "b": 1}
    )
    chars = "".join(drawn(texts, 400))
    assert set(chars) == {"0", "7"}
    assert 0.7 < chars.count("0") / len(chars) < 0.8


def test_a_frequency_of_an_unprintable_character_is_refused() -> None:
    with pytest.raises(ValueError, match="'é' is not a printable ASCII character"):
        Texts(frequencies={"é": 1, "a": 1})


def test_confusable_characters_are_more_frequent_on_demand_and_never_in_digit_codes() -> None:
    plain = Texts(templates=0, digits=0, arbitrary=0)
    boosted = plain.model_copy(update={"confusable_share": 1.0})
    rate = [sum(c in "OQDIlZSB" for t in drawn(x) for c in t) for x in (plain, boosted)]
    assert rate[1] > 1.3 * rate[0]
    digits = Texts(mixed=0, templates=0, arbitrary=0, symbol_share=0, confusable_share=1.0)
    assert all(text.isdigit() for text in drawn(digits, 300))


def test_the_case_styles_of_a_recipe_are_obeyed() -> None:
    texts = Texts(digits=0, mixed=0, templates=0, symbol_share=0, styles=(0, 0, 1, 0), digit_shares=(0.0,))
    assert all(text.isupper() for text in drawn(texts, 300))


def test_the_mpsc_twin_has_its_lengths_and_kinds_of_code() -> None:
    recipe = load(Path(__file__).parent.parent / "recipes" / "data" / "mpsc-twin.toml", DataRecipe)
    labels = ["".join(c for c in t.lower() if c.isalnum()) for t in drawn(recipe.texts, 4000)]
    short = sum(len(t) <= 3 for t in labels) / len(labels)
    digits, letters = (sum(map(kind, labels)) / len(labels) for kind in (str.isdigit, str.isalpha))
    assert short == pytest.approx(0.55, abs=0.06)
    assert digits == pytest.approx(0.43, abs=0.06)
    assert letters == pytest.approx(0.34, abs=0.06)
    assert sum(map(len, labels)) / len(labels) == pytest.approx(4.5, abs=0.5)


@pytest.mark.parametrize(("share", "seen"), [(1.0, False), (0.0, True)])
def test_letters_that_resemble_digits_can_be_left_out(share: float, seen: bool) -> None:
    settings = Texts(unambiguous_share=share, symbol_share=0, patterns=("@@*_#",))
    rng = np.random.default_rng(5)
    drawn = "".join(random_text(settings, 25, rng) for _ in range(400))
    assert any(c in drawn for c in "IOQ") is seen
    assert {"A", "Z", "0", "1", "b"} <= set(drawn)


def test_codes_of_runs_keep_letters_and_digits_together() -> None:
    settings = Texts(digits=0, mixed=0, templates=0, arbitrary=0, runs=1, unambiguous_share=0)
    rng = np.random.default_rng(3)
    texts = [label_of(random_text(settings, 25, rng)) for _ in range(600)]
    assert max(map(len, texts)) <= 25
    vehicles = [
        t for t in texts if len(t) == 17 and t.isalnum() and not set(t) & set("IOQ") and t[-4:].isdigit()
    ]
    assert 30 < len(vehicles) < 120
    others = [text for text in texts if text not in vehicles]
    changes = [sum(a.isdigit() != b.isdigit() for a, b in pairwise(t)) for t in others if t.isalnum()]
    assert max(changes) <= 3
    assert any("O" in text for text in others)
    assert any("0" in text for text in others)
