"""Alignment, confidence, control charts, agreement, plans: textbook numbers, other libraries, laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import brier_score_loss, cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

from serialread.metrics import clopper_pearson, edits, mcnemar, paired_difference, wilson
from serialread.metrics.accuracy import Edits, count_characters, count_positions
from serialread.metrics.agreement import Appraisal, fleiss_kappa
from serialread.metrics.control_charts import (
    ControlLimits,
    ewma_chart,
    mean_limits,
    rises,
    runs,
    share_chart,
    share_limits,
)
from serialread.metrics.risk import Reliability, RiskCoverage
from serialread.metrics.sampling_plans import AQLS, chance_to_pass, lot_plan, pictures_needed

CODES = st.text("AB01-", max_size=8)


# --- shares ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(total=st.integers(1, 3000), share=st.floats(0, 1))
def test_intervals_are_those_of_statsmodels(total: int, share: float) -> None:
    right = round(share * total)
    assert wilson(right, total) == pytest.approx(proportion_confint(right, total, method="wilson"), abs=1e-9)
    assert clopper_pearson(right, total) == pytest.approx(
        proportion_confint(right, total, method="beta"), abs=1e-9
    )


@pytest.mark.parametrize(("only_a", "only_b"), [(5, 15), (0, 6), (7, 7), (121, 59)])
def test_mcnemar_is_that_of_statsmodels(only_a: int, only_b: int) -> None:
    a, b = [True] * only_a + [False] * only_b, [False] * only_a + [True] * only_b
    assert mcnemar(a, b) == pytest.approx(statsmodels_mcnemar([[3, only_a], [only_b, 4]], exact=True).pvalue)


def test_a_paired_difference_is_hand_worked_and_changes_sign_with_its_sides() -> None:
    # a alone 10, b alone 30 of 200: 11/202, 31/202, difference 0.0990, sd 0.0313
    low, high = paired_difference(10, 30, 200)
    assert (low, high) == pytest.approx((0.0376, 0.1604), abs=5e-5)
    assert paired_difference(30, 10, 200) == pytest.approx((-high, -low))
    assert paired_difference(0, 0, 10)[0] < 0 < paired_difference(0, 0, 10)[1]


# --- characters -----------------------------------------------------------------------------------


def test_edits_say_what_was_taken_for_what_and_where() -> None:
    found = Edits.of(["AB8", "X", "12", "007"], ["ABB", "X", "123", "07"])
    rows = list(zip(found.pair, found.position, found.truth, found.read, strict=True))
    assert rows[:2] == [(0, 3, "B", "8"), (2, 3, "3", "")]
    assert rows[2][0] == 3
    assert rows[2][2:] == ("", "0")


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(CODES, CODES), max_size=10))
def test_there_are_as_many_edits_as_the_distance_says(pairs: list[tuple[str, str]]) -> None:
    found = Edits.of([read for read, _ in pairs], [truth for _, truth in pairs])
    assert np.bincount(found.pair, minlength=len(pairs)).tolist() == [edits(*pair) for pair in pairs]
    for pair, position, truth in zip(found.pair, found.position, found.truth, strict=True):
        assert truth == "" or pairs[pair][1][position - 1] == truth


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=6), max_size=10))
def test_characters_and_positions_are_counted_all(texts: list[str]) -> None:
    counts = count_characters(texts)
    assert counts == {c: "".join(texts).count(c) for c in sorted(counts)}
    longest = max(map(len, texts), default=0)
    assert count_positions(texts).tolist() == [sum(len(t) > i for t in texts) for i in range(longest)]
    assert sum(counts.values()) == count_positions(texts).sum()


# --- confidence -----------------------------------------------------------------------------------


def test_reliability_is_hand_worked() -> None:
    confidence = np.array([0.1, 0.3, 0.8, 0.8, 1.0])
    right = np.array([False, True, True, False, True])
    found = Reliability.of(confidence, right, bins=2)
    assert (found.images.tolist(), found.right.tolist()) == ([2, 3], [1, 2])
    assert found.brier == pytest.approx((0.01 + 0.49 + 0.04 + 0.64 + 0) / 5)
    assert found.ece == pytest.approx((abs(0.2 - 0.5) * 2 + abs(2.6 / 3 - 2 / 3) * 3) / 5)


def test_nothing_to_calibrate_is_not_a_number() -> None:
    nothing = np.zeros(0)
    found = Reliability.of(nothing, nothing.astype(bool))
    assert math.isnan(found.brier)
    assert math.isnan(found.ece)
    assert math.isnan(RiskCoverage.of(nothing, nothing.astype(bool)).aurc)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0]), st.booleans()), min_size=1))
def test_brier_is_that_of_sklearn_and_bins_hold_all(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = np.array([p for p, _ in pairs]), np.array([r for _, r in pairs])
    found = Reliability.of(confidence, right)
    assert found.brier == pytest.approx(
        brier_score_loss(right, confidence, pos_label=True, labels=[False, True])
    )
    assert (found.images.sum(), found.right.sum()) == (len(pairs), right.sum())
    assert 0 <= found.ece <= 1


def test_risk_falls_with_coverage_as_worked_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.8, 0.3, math.nan])
    right = np.array([True, True, False, False, False])
    curve = RiskCoverage.of(confidence, right)
    assert curve.threshold.tolist() == [0.9, 0.8, 0.3]
    assert (curve.kept.tolist(), curve.wrong.tolist()) == ([1, 3, 4], [0, 1, 2])
    assert curve.coverage.tolist() == [0.2, 0.6, 0.8]
    assert (curve.wrong / curve.kept).tolist() == pytest.approx([0, 1 / 3, 0.5])
    assert curve.aurc == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)
    assert curve.thinned(2).tolist() == [0, 2]


# --- control --------------------------------------------------------------------------------------

JUICE = "12 15 8 10 4 7 16 9 14 10 5 6 17 12 22 8 10 5 13 11 20 18 24 15 9 12 7 13 9 6"
NIST = "52.0 47.0 53.0 49.3 50.1 47.0 51.0 50.1 51.2 50.5 49.6 47.6 49.9 51.3 47.8 51.2 52.6 52.4 53.6 52.1"
NIST_EWMA = (
    "50.60 49.52 50.56 50.18 50.16 49.21 49.75 49.85 50.26 50.33 50.11 49.36 49.52 50.05 49.38 49.92 50.73 "
    "51.23 51.94 51.99"
)


def test_the_p_chart_is_montgomery_s_of_orange_juice_cans() -> None:
    hits, totals = np.array([int(n) for n in JUICE.split()]), np.full(30, 50)
    limits = share_limits(hits, totals)
    assert limits.centre == pytest.approx(0.2313, abs=5e-5)
    chart = share_chart(hits, totals, ControlLimits("share", limits.centre, 1.0, 30))
    assert (chart.low[0], chart.high[0]) == pytest.approx((0.0524, 0.4102), abs=5e-5)
    assert (np.flatnonzero(chart.out) + 1).tolist() == [15, 23]


def test_large_batches_that_spread_get_laney_s_limits() -> None:
    # z = -2, 2, -2, 2 around 0.5 with n = 10,000: mean moving range 4, sigma_z 4 / 1.128
    hits, totals = np.array([4900, 5100, 4900, 5100]), np.full(4, 10_000)
    limits = share_limits(hits, totals)
    assert limits.sigma == pytest.approx(4 / 1.128)
    chart = share_chart(hits, totals, limits)
    assert chart.high[0] == pytest.approx(0.5 + 3 * 0.005 * 4 / 1.128)
    assert not chart.out.any()
    assert share_limits(np.array([5000] * 4), totals).sigma == 1.0


def test_one_hit_among_few_is_no_alarm_though_it_lies_beyond_three_sigma() -> None:
    limits = ControlLimits("share", 0.001, 1.0, 100)
    chart = share_chart(np.array([1, 3]), np.array([50, 50]), limits)
    assert (chart.value > chart.high).all()
    assert chart.out.tolist() == [0, 1]


def test_the_ewma_is_that_of_the_nist_handbook() -> None:
    means = np.array([float(n) for n in NIST.split()])
    chart = ewma_chart(means, ControlLimits("mean", 50.0, 2.0539, 20), weight=0.3)
    assert chart.value == pytest.approx([float(n) for n in NIST_EWMA.split()], abs=6e-3)
    assert (chart.low[-1], chart.high[-1]) == pytest.approx((47.4115, 52.5884), abs=2e-3)
    assert not chart.out.any()


def test_a_steady_process_is_never_out() -> None:
    same = np.full(12, 0.3)
    assert not ewma_chart(same, mean_limits(same)).out.any()
    none, totals = np.zeros(12, int), np.full(12, 7)
    assert not share_chart(none, totals, share_limits(none, totals)).out.any()


def test_runs_and_rises_are_seen_when_they_are_complete() -> None:
    assert runs(np.array([1, 1, 1, 0, 2, 3, 1.0]), 0.5, length=3).tolist() == [0, 0, 1, 0, 0, 0, 1]
    assert rises(np.array([1, 2, 3, 3, 2, 1, 0.0]), length=3).tolist() == [0, 0, 1, 0, 0, -1, -1]


# --- people ---------------------------------------------------------------------------------------


def test_fleiss_kappa_is_that_of_the_textbook() -> None:
    # Fleiss 1971 as worked in Wikipedia: 10 subjects, 14 raters, 5 categories
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    ratings = np.array(
        [[name for name, n in zip("abcde", row, strict=True) for _ in range(n)] for row in table]
    )
    assert fleiss_kappa(ratings.astype(object)) == pytest.approx(0.210, abs=5e-4)


def test_kappa_of_no_choice_is_not_a_number() -> None:
    assert math.isnan(fleiss_kappa(np.array([["a", "a"], ["a", "a"]], object)))
    assert math.isnan(fleiss_kappa(np.empty((0, 2), object)))
    assert fleiss_kappa(np.array([["a", "a"], ["b", "b"]], object)) == 1.0


def test_with_even_margins_fleiss_kappa_is_cohen_s() -> None:
    a, b = ["x", "x", "y", "y", "x", "y"], ["x", "y", "y", "x", "x", "y"]
    assert fleiss_kappa(np.array([a, b], object).T) == pytest.approx(cohen_kappa_score(a, b))


@pytest.mark.parametrize(
    ("misses", "alarms", "effectiveness", "miss", "alarm", "grade"),
    [  # AIAG MSA 4: 34 good and 16 bad parts, three trials
        (3, 5, 0.84, 0.063, 0.049, "not acceptable"),
        (3, 2, 0.90, 0.063, 0.020, "not acceptable"),
        (1, 4, 0.90, 0.021, 0.039, "marginal"),
        (0, 1, 0.98, 0.0, 0.0098, "acceptable"),
    ],
)
def test_appraisers_are_judged_as_aiag_does(
    misses: int, alarms: int, effectiveness: float, miss: float, alarm: float, grade: str
) -> None:
    truths = ["1"] * 34 + [""] * 16
    calls = [[truth] * 3 for truth in truths]
    for part in range(alarms):
        calls[part][0] = ""
    for part in range(34, 34 + misses):
        calls[part][2] = "1"
    found = Appraisal.of(calls, truths)
    assert (found.effectiveness, found.miss_rate, found.false_alarm_rate) == pytest.approx(
        (effectiveness, miss, alarm), abs=6e-4
    )
    assert (found.grade, found.consistent, found.repeated) == (grade, 50 - misses - alarms, 50)


# --- plans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "errors", "pictures"),
    [(0.99, 0, 299), (0.995, 0, 598), (0.999, 0, 2995), (0.9999, 0, 29956), (0.99, 1, 473), (0.95, 2, 124)],
)
def test_the_pictures_a_claim_needs(target: float, errors: int, pictures: int) -> None:
    assert pictures_needed(target, errors) == pictures
    right = pictures - errors
    assert (
        clopper_pearson(right, pictures, 0.90)[0]
        >= target
        > clopper_pearson(right - 1, pictures - 1, 0.90)[0]
    )
    assert chance_to_pass(pictures, errors, target) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(
    ("lot", "aql", "letter", "sample", "accept"),
    [  # ISO 2859-1 tables 1 and 2-A, arrows followed
        (1200, 0.65, "J", 80, 1),
        (1200, 1.0, "J", 80, 2),
        (1200, 0.15, "J", 80, 0),
        (1200, 0.25, "H", 50, 0),
        (1200, 0.40, "K", 125, 1),
        (500, 2.5, "H", 50, 3),
        (5000, 10.0, "K", 125, 21),
        (600_000, 0.025, "R", 2000, 1),
        (5, 10.0, "C", 5, 1),
        (40, 0.10, "K", 40, 0),
    ],
)
def test_lots_are_sampled_by_the_standard(
    lot: int, aql: float, letter: str, sample: int, accept: int
) -> None:
    plan = lot_plan(lot, aql)
    assert (plan.letter, plan.sample, plan.accept) == (letter, sample, accept)
    assert plan.chance_to_accept(plan.consumers_risk_share) == pytest.approx(0.10, abs=1e-4)


@pytest.mark.parametrize("wrong", [(1, 1.0), (100, 0.5)])
def test_a_lot_without_a_plan_is_refused(wrong: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="plan: "):
        lot_plan(*wrong)


@pytest.mark.parametrize("wrong", [(1.0, 0, 0.95), (0.99, -1, 0.95), (0.99, 0, 1.0)])
def test_a_claim_without_a_plan_is_refused(wrong: tuple[float, int, float]) -> None:
    with pytest.raises(ValueError, match="plan: "):
        pictures_needed(*wrong)


@pytest.mark.parametrize(
    ("lot", "letter", "plans"),
    [
        # rows of table 2-A: sample and acceptance number of every AQL from 0.10 to 10 %, arrows followed
        (
            500,
            "H",
            "125:0 80:0 50:0 32:0 80:1 50:1 50:2 50:3 50:5 50:7 50:10",
        ),
        (
            3000,
            "K",
            "125:0 80:0 200:1 125:1 125:2 125:3 125:5 125:7 125:10 125:14 125:21",
        ),
    ],
)
def test_a_whole_row_of_the_standard_s_table(lot: int, letter: str, plans: str) -> None:
    found = [lot_plan(lot, aql) for aql in AQLS if aql >= 0.10]
    assert letter in {plan.letter for plan in found}
    assert " ".join(f"{plan.sample}:{plan.accept}" for plan in found) == plans
