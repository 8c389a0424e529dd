"""Protocols, distances, intervals: textbook numbers and laws."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread import metrics
from serialread.metrics import (
    AccuracyCounts,
    clopper_pearson,
    edits,
    edits_each,
    mcnemar,
    mpsc,
    one_minus_ned,
    strict,
    wilson,
)

Estimate = Callable[..., metrics.Interval]
TEXTS = st.text(max_size=12)
CODES = st.text("AB01-", max_size=8)
PROPORTIONS = st.integers(0, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("text", "as_strict", "as_mpsc"),
    [
        ("SN 007-b", "SN007-b", "sn007b"),
        ("\t12\u00a034\n", "1234", "1234"),
        ("NA", "NA", "na"),
        ("Ärger №5", "Ärger№5", "rger5"),
        ("", "", ""),
    ],
)
def test_protocols_drop_what_they_say(text: str, as_strict: str, as_mpsc: str) -> None:
    assert (strict(text), mpsc(text)) == (as_strict, as_mpsc)


@pytest.mark.parametrize(
    ("read", "truth", "distance", "cer", "similarity"),
    [
        ("kitten", "sitting", 3, 3 / 7, 4 / 7),
        ("7", "007", 2, 2 / 3, 1 / 3),
        ("", "1234", 4, 1.0, 0.0),
        ("ABCDEF", "AB", 4, 2.0, 2 / 6),
        ("A1", "A1", 0, 0.0, 1.0),
    ],
)
def test_distances_of_one_pair(read: str, truth: str, distance: int, cer: float, similarity: float) -> None:
    assert edits(read, truth) == distance
    assert metrics.cer(read, truth) == pytest.approx(cer)
    assert one_minus_ned(read, truth) == pytest.approx(similarity)


def test_an_empty_truth_has_no_error_rate_but_a_similarity() -> None:
    assert math.isnan(metrics.cer("A", ""))
    assert (one_minus_ned("", ""), one_minus_ned("A", "")) == (1.0, 0.0)


def test_corpus_error_rate_is_edits_over_characters_not_a_mean_of_rates() -> None:
    tally = AccuracyCounts.of([("12345678", "12345678"), ("X", "Y"), ("A B", "ab")])
    assert tally == AccuracyCounts(right=1, total=3, edits=3, truth_chars=11, similarity=1.0)
    assert (tally.cer, tally.accuracy, tally.one_minus_ned, tally.wrong) == (3 / 11, 1 / 3, 1 / 3, 2)
    assert AccuracyCounts.of([("A B", "ab")], mpsc).right == 1


def test_nothing_counted_is_not_a_number_and_an_open_interval() -> None:
    empty = AccuracyCounts.of([])
    assert empty == AccuracyCounts()
    assert all(math.isnan(rate) for rate in (empty.accuracy, empty.cer, empty.one_minus_ned))
    assert empty.interval == clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("right", "total", "by_wilson", "exact"),
    [  # Newcombe 1998, table I, methods 3 and 5; the last row: 48 of 50
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
        (48, 50, (0.8654, 0.9890), (0.8629, 0.9951)),
    ],
)
def test_intervals_are_those_of_the_textbook(
    right: int, total: int, by_wilson: metrics.Interval, exact: metrics.Interval
) -> None:
    assert wilson(right, total) == pytest.approx(by_wilson, abs=5e-5)
    assert clopper_pearson(right, total) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize(
    ("errors_free", "claim"), [(299, 0.99), (598, 0.995), (2995, 0.999), (29956, 0.9999)]
)
def test_error_free_images_needed_for_a_one_sided_claim_at_95_percent(errors_free: int, claim: float) -> None:
    assert clopper_pearson(errors_free, errors_free, confidence=0.90)[0] >= claim
    assert clopper_pearson(errors_free - 2, errors_free - 2, confidence=0.90)[0] < claim


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@pytest.mark.parametrize(
    ("right", "total", "confidence"), [(2, 1, 0.95), (-1, 1, 0.95), (1, 2, 1.0), (1, 2, 0.0)]
)
def test_an_impossible_proportion_is_refused(
    interval: object, right: int, total: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match="interval: "):
        interval(right, total, confidence)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@settings(deadline=None)
@given(counts=PROPORTIONS)
def test_intervals_hold_the_share_mirror_and_widen_with_confidence(
    interval: object, counts: tuple[int, int]
) -> None:
    right, total = counts
    low, high = interval(right, total)
    mirrored = interval(total - right, total)
    wide = interval(right, total, 0.99)
    assert 0 <= low <= (right / total if total else 0.5) <= high <= 1
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)
    assert wide[0] <= low + 1e-12
    assert wide[1] >= high - 1e-12


@settings(deadline=None)
@given(right=st.integers(0, 60), extra=st.integers(0, 60))
def test_the_exact_interval_keeps_its_promise(right: int, extra: int) -> None:
    # At its own bounds the observed count lies exactly in a tail of 2.5 %.
    total = right + extra
    low, high = clopper_pearson(right, total)
    at_least = sum(math.comb(total, k) * low**k * (1 - low) ** (total - k) for k in range(right, total + 1))
    at_most = sum(math.comb(total, k) * high**k * (1 - high) ** (total - k) for k in range(right + 1))
    assert right == 0 or at_least == pytest.approx(0.025, rel=1e-6)
    assert extra == 0 or at_most == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (5, 15, 0.04139), (1, 1, 1.0), (0, 6, 0.03125), (10, 0, 0.001953), (121, 59, 4.434e-06)],
)
def test_mcnemar_is_the_exact_sign_test_of_the_discordant(only_a: int, only_b: int, p: float) -> None:
    a = [True] * only_a + [False] * only_b + [True, False]
    b = [False] * only_a + [True] * only_b + [True, False]
    assert mcnemar(a, b) == mcnemar(b, a) == pytest.approx(p, rel=1e-3)


def test_mcnemar_compares_the_same_images_only() -> None:
    with pytest.raises(ValueError, match="mcnemar: 1 against 2 images"):
        mcnemar([True], [True, False])


def test_edits_need_one_truth_a_read() -> None:
    with pytest.raises(ValueError, match="edits_each: 1 reads for 0 truths"):
        edits_each(["A"], [])


@given(a=TEXTS, b=TEXTS, c=TEXTS)
def test_edits_are_a_distance(a: str, b: str, c: str) -> None:
    assert (edits(a, b) == 0) == (a == b)
    assert edits(a, b) == edits(b, a)
    assert edits(a, c) <= edits(a, b) + edits(b, c)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
    assert 0 <= one_minus_ned(a, b) <= 1


@given(text=TEXTS)
def test_protocols_are_idempotent_and_mpsc_ignores_what_strict_drops(text: str) -> None:
    assert strict(strict(text)) == strict(text)
    assert mpsc(mpsc(text)) == mpsc(text) == mpsc(strict(text))


@given(pairs=st.lists(st.tuples(CODES, CODES), max_size=20))
def test_edits_of_each_pair_are_the_edits_of_that_pair(pairs: list[tuple[str, str]]) -> None:
    reads, truths = [read for read, _ in pairs], [truth for _, truth in pairs]
    assert edits_each(reads, truths).tolist() == [edits(read, truth) for read, truth in pairs]
    assert edits_each(reads, truths).dtype == np.int32


@settings(deadline=None)
@given(first=st.lists(st.tuples(CODES, CODES)), second=st.lists(st.tuples(CODES, CODES)))
def test_tallies_add_up(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
    added, whole = AccuracyCounts.of(first) + AccuracyCounts.of(second), AccuracyCounts.of(first + second)
    assert (added.right, added.total, added.edits, added.truth_chars) == (
        whole.right,
        whole.total,
        whole.edits,
        whole.truth_chars,
    )
    assert added.similarity == pytest.approx(whole.similarity)


@given(pairs=st.lists(st.tuples(CODES, CODES)))
def test_what_is_right_strictly_is_right_by_mpsc(pairs: list[tuple[str, str]]) -> None:
    assert AccuracyCounts.of(pairs, strict).right <= AccuracyCounts.of(pairs, mpsc).right
