"""Decoding of CTC columns, free and within a format, against all paths of small lattices."""

from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread.codes import REJECT, Alphabet, format_of
from serialread.config import Code, CropGeometry
from serialread.errors import RecipeError
from serialread.inference import FormatSearch, decode, decode_as, posteriors
from serialread.inference.ctc_decoding import decode_columns
from serialread.inference.ctc_format_search import CtcFormatSearch
from serialread.inference.ctc_paths import align, best_path, best_strings, likelihood
from serialread.inference.session import ModelCard
from serialread.reader.outputs import Outputs, reading_of
from serialread.records import CharStatus, Floats, Reading

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


# readings


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, sharpness=SHARPNESS, strings=st.sampled_from([1, 5]))
def test_every_character_is_at_least_as_likely_as_the_string(
    seed: int, sharpness: float, strings: int
) -> None:
    reading = decode(columns_of(seed, sharpness, 8), SMALL, topology="ctc", strings=strings)
    assert 0 <= reading.confidence <= 1
    for char in reading.chars:
        assert reading.confidence - 1e-6 <= char.confidence <= 1
        assert 0 <= char.runner_up[1] <= 1 - reading.confidence + 1e-6


def lines_of(*columns: dict[str, float], alphabet: Alphabet = SMALL) -> Floats:
    """Log-probabilities of columns from those of some characters; "" is the blank and has the rest."""
    table = np.full((len(columns), alphabet.classes), 1e-9)
    for row, column in zip(table, columns, strict=True):
        for char, probability in column.items():
            row[alphabet.chars.index(char) + 1] = probability
        row[0] = max(1 - sum(column.values()), 1e-9)
    return np.log(table / table.sum(axis=1, keepdims=True)).astype(np.float32)


def read(*columns: dict[str, float], strings: int = 1, pattern: str = "") -> Reading:
    search = CtcFormatSearch(format_of(pattern), SMALL) if pattern else None
    return decode(lines_of(*columns), SMALL, search=search, topology="ctc", strings=strings)


GAP: dict[str, float] = {}


def test_equal_neighbours_are_two_characters_only_with_a_blank_between_them() -> None:
    assert read({"A": 0.9}, {"A": 0.9}, GAP, {"A": 0.9}).text == "AA"


@pytest.mark.parametrize(
    ("columns", "char", "runner_up"),
    [
        ([GAP, {"A": 0.7, "B": 0.3}, GAP], 0.7, ("B", 0.3)),
        ([GAP, {"A": 0.7}, GAP], 0.7, ("", 0.3)),
        ([GAP, {"A": 0.999}, GAP, {"2": 0.4}, GAP], 0.6, ("A2", 0.4)),
        ([{"1": 0.4}, GAP, {"A": 0.999}, GAP], 0.6, ("1A", 0.4)),
        (
            [{"A": 0.6}, {"A": 0.5, "B": 0.1}],
            0.3 * 0.4 + 0.4 * 0.5 + 0.6 * 0.5 + 0.6 * 0.4 - 0.12,
            ("", 0.16),
        ),
    ],
)
def test_no_character_and_a_further_one_are_runners_up_too(
    columns: list[dict[str, float]], char: float, runner_up: tuple[str, float]
) -> None:
    (found,) = read(*columns).chars
    assert (found.char, found.confidence) == ("A", pytest.approx(char, abs=2e-3))
    assert found.runner_up == (runner_up[0], pytest.approx(runner_up[1], abs=2e-3))


def test_the_confidence_of_a_reading_is_the_probability_of_its_string() -> None:
    reading = read({"A": 0.6}, {"A": 0.5}, GAP, {"1": 0.9, "2": 0.1}, strings=5)
    assert reading.text == "A1"
    assert reading.confidence == reading.posterior == pytest.approx(0.9 * 0.8, rel=1e-4)
    assert reading.alternatives == (
        ("A1", pytest.approx(0.72, rel=1e-4)),
        ("1", pytest.approx(0.18, rel=1e-4)),
        ("A2", pytest.approx(0.08, rel=1e-4)),
        ("2", pytest.approx(0.02, rel=1e-4)),
    )


def test_the_most_likely_string_may_not_be_that_of_the_best_path() -> None:
    columns = {"A": 0.4}, {"A": 0.4}
    assert read(*columns).text == ""
    assert read(*columns, strings=5).alternatives[0] == ("A", pytest.approx(0.64, rel=1e-4))
    assert read(*columns, strings=5).text == "A"


def test_a_format_keeps_the_free_reading_and_its_odds() -> None:
    reading = read({"A": 0.9}, GAP, {"B": 0.8, "1": 0.1}, GAP, pattern=r"A\d")
    assert (reading.text, reading.free_text) == ("A1", "AB")
    assert reading.confidence == pytest.approx(0.09, rel=1e-3)
    assert reading.free is not None
    assert (reading.free.margin, reading.free.confidence) == pytest.approx((np.log(8), 0.72), rel=1e-3)
    assert reading.chars[1].runner_up == ("B", pytest.approx(0.8, rel=1e-3))
    assert reading.chars[1].status is CharStatus.MISMATCH


def test_columns_too_few_for_any_code_keep_the_free_reading() -> None:
    reading = read({"A": 0.9}, {"B": 0.9}, pattern=r"\d{4}")
    assert reading.text == reading.free_text == "AB"
    assert reading.free is not None
    assert reading.free.margin > 600


def test_a_glyph_outside_the_alphabet_matches_no_format() -> None:
    alphabet = Alphabet("AB1" + REJECT)
    scores = lines_of({"A": 0.9}, GAP, {REJECT: 0.9, "1": 0.05}, GAP, alphabet=alphabet)
    assert decode_columns(scores, alphabet).text == "A" + REJECT
    for pattern in (r"A.", r"A[^2]", r"[AB]\d"):
        search = CtcFormatSearch(format_of(pattern), alphabet)
        assert not search.matches("A" + REJECT)
        assert decode_columns(scores, alphabet, search=search).text != "A" + REJECT


@pytest.mark.parametrize(("count", "longer_than"), [(40, 0), (41, 40)])
def test_codes_longer_than_the_capacity_are_read_and_marked(count: int, longer_than: int) -> None:
    scores = lines_of(*[column for _ in range(count) for column in ({"A": 0.999}, GAP)])
    attention = np.zeros((40, len(scores)), np.float32)
    attention[range(40), range(0, 80, 2)] = 1
    reading = decode_columns(scores, SMALL, attention, (48, 4 * len(scores)))
    assert (reading.text, reading.longer_than) == ("A" * count, longer_than)
    assert [char.box for char in reading.chars] == [(8.0 * i, 0.0, 8.0 * i + 4, 48.0) for i in range(count)]


def test_a_reading_without_characters_has_the_probability_of_blanks() -> None:
    reading = read({"A": 0.1}, GAP, {"B": 0.2}, strings=1)
    assert (reading.chars, reading.posterior) == ((), pytest.approx(0.72, rel=1e-4))


def test_codes_of_up_to_40_characters_match_a_format() -> None:
    scores = lines_of(*[column for _ in range(30) for column in ({"1": 0.999}, GAP)])
    reading = decode_columns(scores, SMALL, search=CtcFormatSearch(format_of(r"1{29}\d"), SMALL))
    assert (reading.text, reading.free) == ("1" * 30, None)
    with pytest.raises(RecipeError, match=r"no code of 1 to 25 characters matches it\. Correct it\."):
        FormatSearch(format_of(r"1{29}\d"), Alphabet())


def test_the_glyphs_of_a_reading_are_evidence_for_it() -> None:
    columns = lines_of({"A": 0.9}, GAP, {"1": 0.9}, GAP)
    glyphs = np.log(np.array([[0.1, 0.7, 0.1, 0.05, 0.05], [0.1, 0.1, 0.4, 0.3, 0.1]], np.float32))
    card = ModelCard("m", SMALL, CropGeometry(), "r", 1, "ctc", 40)
    outputs = Outputs(columns, np.ones((40, 4), np.float32) / 4, glyph_scores=glyphs)
    pixels = np.zeros((32, 64), np.uint8)
    reading = reading_of(outputs, pixels, card, Code(), None)
    assert (reading.text, reading.glyph_evidence) == ("A1", pytest.approx(np.log(0.3), rel=1e-4))
    assert reading_of(outputs._replace(glyph_scores=None), pixels, card, Code(), None).glyph_evidence == 0


@given(st.integers(0, 99), st.sampled_from(["A", "AB", "BA"]))
def test_a_given_string_is_read_with_its_probability_and_a_box_a_character(seed: int, text: str) -> None:
    scores = columns_of(seed, 1.0)
    probability = dict(posteriors(scores, SMALL, [text]))[text]
    read = decode_as(text, probability, scores, SMALL, (32, 80))
    assert (read.text, read.posterior) == (text, probability)
    boxes = [char.box for char in read.chars if char.box]
    assert len(boxes) == len(text)
    assert all(box[0] < box[2] for box in boxes)
