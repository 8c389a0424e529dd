"""Decoding of CTC columns, free and within a format, against all paths of small lattices."""

from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread.codes import Alphabet, format_of
from serialread.inference.ctc_decoding import decode_columns
from serialread.inference.ctc_format_search import CtcFormatSearch
from serialread.inference.ctc_paths import align, best_path, best_strings, likelihood
from serialread.records import Floats

SMALL = Alphabet("AB12")
SEEDS = st.integers(0, 2**32 - 1)
SHARPNESS = st.floats(0.1, 8)


def columns_of(seed: int, sharpness: float, count: int = 5, alphabet: Alphabet = SMALL) -> Floats:
    """Random log-probabilities of columns; the blank is likely."""
    logits = sharpness * np.random.default_rng(seed).normal(size=(count, alphabet.classes))
    logits[:, 0] += sharpness
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def every_path(scores: Floats) -> dict[str, list[float]]:
    """The log-probabilities of all paths, by their string."""
    found = defaultdict[str, list[float]](list)
    for path in product(range(scores.shape[1]), repeat=len(scores)):
        text = "".join(SMALL.chars[number - 1] for number, _ in groupby(path) if number)
        found[text].append(float(scores[np.arange(len(path)), path].sum()))
    return found


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, sharpness=SHARPNESS)
def test_strings_have_the_probability_of_all_their_paths(seed: int, sharpness: float) -> None:
    scores = columns_of(seed, sharpness)
    probabilities, paths = np.exp(scores), every_path(scores)
    total = {text: float(np.exp(parts).sum()) for text, parts in paths.items()}
    for text in [*total, "ABAB12", "AAA"]:
        exact = pytest.approx(total.get(text, 0.0), rel=1e-5, abs=1e-12)
        assert likelihood(probabilities, SMALL.encode(text)) == exact
    first = best_path(scores)
    highest = max(max(parts) for parts in paths.values())
    text = SMALL.decode(first.classes)
    assert max(paths[text]) == pytest.approx(highest, abs=1e-5)
    assert likelihood(probabilities, first.classes, 1e-10 * np.exp(highest)) == pytest.approx(
        total[text], rel=1e-5
    )
    found = best_strings(probabilities, SMALL, count=5, beam=10_000, least=0.0)
    ranked = sorted(total.values(), reverse=True)[:5]
    assert [probability for _, probability in found] == pytest.approx(ranked, rel=1e-5)
    assert [total[text] for text, _ in found] == pytest.approx(ranked, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, sharpness=SHARPNESS, text=st.text("AB12", min_size=1, max_size=3))
def test_a_string_is_aligned_along_its_best_path(seed: int, sharpness: float, text: str) -> None:
    scores = columns_of(seed, sharpness)
    path = align(scores, SMALL.encode(text))
    columns = np.zeros(len(scores), int)
    for number, start, end in zip(*path, strict=True):
        assert start < end
        columns[start:end] = number
    assert "".join(SMALL.chars[number - 1] for number, _ in groupby(columns) if number) == text
    likely = float(scores[np.arange(len(columns)), columns].sum())
    assert likely == pytest.approx(max(every_path(scores)[text]), abs=1e-4)


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
        "A{2,5}",
    ],
)
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, sharpness=SHARPNESS, sure=st.lists(st.booleans(), min_size=6, max_size=6))
def test_the_search_finds_the_most_likely_path_of_the_format(
    pattern: str, seed: int, sharpness: float, sure: list[bool]
) -> None:
    scores, wanted = columns_of(seed, sharpness, 6), format_of(pattern)
    scores[sure, 0] = np.log(np.float32(0.9995))
    scores[sure, 1:] -= np.logaddexp.reduce(scores[sure, 1:], axis=1, keepdims=True) - np.log(0.0005)
    known = {text: max(parts) for text, parts in every_path(scores).items() if wanted.matches(text)}
    search = CtcFormatSearch(wanted, SMALL)
    text = SMALL.decode(search.best(scores))
    assert known[text] == pytest.approx(max(known.values()), abs=1e-3)
    reading, free = decode_columns(scores, SMALL, search=search), decode_columns(scores, SMALL)
    assert reading.free_text == free.text
    assert reading.text == (free.text if wanted.matches(free.text) or not free.chars else text)
