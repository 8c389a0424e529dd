"""LabelledPictures pictures become a promise that is kept, or that is refused."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from scipy.special import expit
from scipy.stats import binom
from stub_model import MODEL_ID, write_stub
from typer.testing import CliRunner, Result

from serialread import cli
from serialread.calibration import (
    LabelledPictures,
    calibrate_confidence,
    fit_acceptance,
    load_labelled,
    refuse_to_replace,
    save_station,
)
from serialread.calibration.confidence import LENGTH_WEIGHT, fit_platt, fit_ranking, guarantee_of
from serialread.calibration.risk_control import (
    FIRST,
    RESERVED,
    STEPS,
    find_threshold,
    smallest_misread_rate,
)
from serialread.config import Calibration, Code, Station, StationLimits, load, to_toml
from serialread.config.station import EvidenceWeights, SecondReading
from serialread.errors import CalibrationError, RecipeError, RecordsError
from serialread.metrics.sampling_plans import pictures_needed
from serialread.reader import Picture, calibrated, decide, judge, log_odds, trust
from serialread.records import (
    CharReading,
    Decision,
    FreeReading,
    Reading,
    Record,
    SecondOpinion,
    Verdict,
)

# thresholds


@pytest.mark.parametrize(
    ("misread", "certainty", "needed"),
    [(0.05, 0.95, 59), (0.01, 0.95, 299), (0.005, 0.95, 598), (0.001, 0.95, 2995), (0.01, 0.99, 459)],
)
def test_a_guarantee_needs_a_number_of_pictures(misread: float, certainty: float, needed: int) -> None:
    assert pictures_needed(1 - misread, confidence=certainty) == needed
    assert smallest_misread_rate(needed, certainty) <= misread < smallest_misread_rate(needed - 1, certainty)


@pytest.mark.parametrize(
    ("right", "wrong_last", "misread", "expected"),
    [
        (59, 0, 0.05, (59, 0, True)),
        (58, 0, 0.05, None),
        (2995, 0, 0.001, (2995, 0, True)),
        (2994, 0, 0.001, None),
        (200, 100, 0.05, (204, 4, True)),
        (58, 1, 0.05, (59, 1, False)),
    ],
)
def test_the_lowest_threshold_that_passes_is_found(
    right: int, wrong_last: int, misread: float, expected: tuple[int, int, bool] | None
) -> None:
    outcomes = [True] * right + [False] * wrong_last
    found = find_threshold(np.linspace(1, 0, len(outcomes)).tolist(), outcomes, misread, 0.95)
    if expected is None or found is None:
        assert found is expected
    elif expected[2]:
        assert found.passed
        assert found.accepted - found.wrong == min(right, found.accepted)
        assert abs(found.accepted - expected[0]) <= 15
    else:
        assert (found.accepted, found.wrong, found.passed) == expected


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sharpness=st.floats(0.5, 4), misread=st.floats(0.02, 0.3))
def test_a_threshold_passes_if_the_binomial_test_does(seed: int, sharpness: float, misread: float) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(1.5, 1, 300) * sharpness
    right = rng.random(300) < 1 / (1 + np.exp(-odds))
    found = find_threshold(odds.tolist(), right.tolist(), misread, 0.95)
    assert found is not None
    kept = odds >= found.at
    assert (found.accepted, found.wrong) == (kept.sum(), (kept & ~right).sum())
    assert (binom.cdf(found.wrong, found.accepted, misread) <= 0.05 + 1e-12) == found.passed


@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires a monotonic risk")
@pytest.mark.parametrize("seed", range(6))
def test_the_threshold_equals_that_of_mapie(seed: int) -> None:
    risk_control = pytest.importorskip("mapie.risk_control")
    rng = np.random.default_rng(seed)
    sure = expit(rng.normal(2.5, 2, 400))
    right = rng.random(400) < sure
    found = find_threshold(sure.tolist(), right.tolist(), 0.1, 0.95)
    ranks = np.unique(np.linspace(FIRST * len(sure), len(sure), STEPS).astype(int))
    controller = risk_control.BinaryClassificationController(
        lambda x: np.column_stack((1 - x[:, 0], x[:, 0])),
        "precision",
        target_level=0.9,
        confidence_level=0.95,
        list_predict_params=np.sort(sure)[::-1][ranks - 1],
        fwer_method="fixed_sequence",
    )
    controller.calibrate(sure[:, None], right.astype(int))
    assert found is not None
    assert found.passed == (len(controller.valid_predict_params) > 0)
    if found.passed:
        assert found.at == controller.best_predict_param


@pytest.mark.parametrize(("pictures", "passes"), [(200, True), (186, True), (184, False)])
def test_no_single_error_decides_if_half_the_pictures_support_the_guarantee(
    pictures: int, passes: bool
) -> None:
    """5 % is supported by 93 accepted readings with one wrong among them."""
    outcomes = [number != 10 for number in range(pictures)]
    found = find_threshold(np.linspace(1, 0, pictures).tolist(), outcomes, 0.05, 0.95)
    assert found is not None
    assert (found.passed, found.wrong) == (passes, 1)
    assert found.accepted == (pictures if passes else 59)


def test_readings_of_equal_confidence_are_accepted_together() -> None:
    found = find_threshold([0.9] * 100 + [0.5] * 100, [True] * 100 + [False] * 100, 0.05, 0.95)
    assert found is not None
    assert (found.at, found.accepted, found.wrong, found.passed) == (0.9, 100, 0, True)


@pytest.mark.parametrize(("accuracy_offset", "pictures"), [(0.5, 200), (2.0, 200), (2.0, 600), (-3.0, 300)])
def test_a_guarantee_fails_in_at_most_one_calibration_of_twenty(
    accuracy_offset: float, pictures: int
) -> None:
    """The true misread rate above each limit is known here: log-odds are normal and honest."""
    rng = np.random.default_rng(7)
    many = np.sort(rng.normal(accuracy_offset, 2.5, 200_000))[::-1]
    risk = np.cumsum(1 / (1 + np.exp(many))) / np.arange(1, len(many) + 1)
    broken = 0
    for _ in range(400):
        odds = rng.normal(accuracy_offset, 2.5, pictures)
        right = rng.random(pictures) < 1 / (1 + np.exp(-odds))
        found = find_threshold(odds.tolist(), right.tolist(), 0.05, 0.95)
        if found and found.passed:
            broken += risk[np.searchsorted(-many, -found.at)] > 0.05
    assert broken <= binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize(("rate", "later"), [(0.05, 0.05), (0.0, 0.1), (0.02, 0.2)])
def test_thresholds_after_one_that_failed_keep_the_guarantee(rate: float, later: float) -> None:
    """The true misread rate: one value for the surest 150 readings, another for the other 150."""
    rng = np.random.default_rng(3)
    sure = np.linspace(1, 0.5, 300)
    rates = np.repeat((rate, later), 150)
    risk = np.cumsum(rates) / np.arange(1, 301)
    broken = 0
    for _ in range(400):
        found = find_threshold(sure.tolist(), (rng.random(300) >= rates).tolist(), 0.05, 0.95, RESERVED)
        assert found is not None
        broken += found.passed and risk[found.accepted - 1] >= 0.05
    assert broken <= binom.ppf(0.999, 400, 0.05)


def test_a_wrong_reading_of_high_confidence_does_not_end_the_search_where_some_is_reserved() -> None:
    right = [number not in (5, 20, 40) for number in range(300)]
    sure = np.linspace(1, 0.5, 300).tolist()
    found = find_threshold(sure, right, 0.05, 0.95)
    assert found is not None
    assert not found.passed
    found = find_threshold(sure, right, 0.05, 0.95, RESERVED)
    assert found is not None
    assert (found.accepted, found.wrong, found.passed) == (300, 3, True)


def test_of_two_codes_of_equal_log_odds_the_longer_one_is_the_surer_one() -> None:
    lengths = [2, 10] * 60
    probability = np.linspace(0.3, 0.99, 60).repeat(2).tolist()
    records = []
    for number, (length, p) in enumerate(zip(lengths, probability, strict=True)):
        chars = tuple(CharReading("A", p, ("", 0.0)) for _ in range(length))
        records.append(replace(record_of(number, "A", 0.9), reading=Reading(chars, 0.9999)))
    fitted = fit_ranking(records, [p > 0.4 for p in probability])
    short, long = fitted.confidences[::2], fitted.confidences[1::2]
    assert all(one < other for one, other in zip(short, long, strict=True))
    made = Calibration(
        slope=fitted.slope,
        offset=fitted.offset,
        evidence=fitted.evidence,
        misread=0.05,
        certainty=0.95,
        protocol="strict",
        pictures=120,
        accepted=120,
        wrong=0,
    )
    trusted = tuple(trust(record.reading, made) for record in records if record.reading)
    assert trusted == fitted.confidences


def test_further_evidence_is_weighed_where_it_predicts_errors() -> None:
    rng = np.random.default_rng(0)
    weakest, others = rng.uniform(0.7, 0.95, 600), rng.uniform(0.6, 0.9999, 600)
    right = rng.random(600) < expit(3 * np.log(others / (1 - others)) - 4)
    records = []
    for number, (one, two) in enumerate(zip(weakest, others, strict=True)):
        chars = [CharReading("A", p, ("", 0.0)) for p in (min(one, two), two, two, two)]
        records.append(replace(record_of(number, "A", 0.9), reading=Reading(tuple(chars), 0.99)))
    fitted = fit_ranking(records, right.tolist())
    assert fitted.evidence.mean_odds > 0
    plain = fit_ranking(records[:90], right[:90].tolist())
    assert plain.evidence == EvidenceWeights(length=LENGTH_WEIGHT * plain.slope)
    assert np.mean(np.array(fitted.confidences)[~right]) < np.mean(np.array(fitted.confidences)[right])


def test_a_calibration_names_its_second_reader_and_counts_confirmed_readings() -> None:
    confirmed = SecondOpinion("A1", 0.9)
    records = [record_of(i, "A1", 0.9 + i / 1e4, second=confirmed) for i in range(200)]
    refused = ("second reader: B1",)
    records[150:] = [replace(record, doubts=refused) for record in records[150:]]
    station = Station(second_reader=SecondReading(use="plant:read"))
    made = fit_acceptance(records, labelled_of(["A1"] * 200), station, 0.05)
    assert made.calibration is not None
    assert made.calibration.second_reader == "plant:read"
    assert (made.calibration.accepted, made.calibration.pictures) == (150, 200)


# calibration


@settings(max_examples=30, deadline=None)
@example(slope=0.203125, offset=0.1875, seed=2698931)
@given(slope=st.floats(0.2, 3), offset=st.floats(-3, 3), seed=st.integers(0, 2**32 - 1))
def test_the_fit_equals_that_of_scikit_learn(slope: float, offset: float, seed: int) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(seed)
    odds = rng.normal(1, 3, 500)
    right = rng.random(500) < 1 / (1 + np.exp(-(slope * odds + offset)))
    if not 5 <= right.sum() <= 495:
        return
    sure, unsure = (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2)
    targets = np.where(right, sure, unsure)  # a soft target is both outcomes, weighted
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(np.tile(odds, 2)[:, None], np.repeat([1, 0], 500), np.concatenate([targets, 1 - targets]))
    assert fit_platt(odds.tolist(), right.tolist()) == (
        pytest.approx(model.coef_[0, 0], abs=2e-3),
        pytest.approx(model.intercept_[0], abs=2e-3),
    )


@pytest.mark.parametrize("right", [True, False])
def test_pictures_that_are_all_right_or_all_wrong_give_a_moderate_fit(right: bool) -> None:
    slope, offset = fit_platt([1.0, 2.0, 5.0] * 20, [right] * 60)
    assert slope > 0
    assert 0.5 < calibrated(3.0, slope, offset) < 1 if right else calibrated(3.0, slope, offset) < 0.5


def reading_of(text: str, confidence: float) -> Reading:
    each = confidence ** (1 / (len(text) + 1))
    return Reading(tuple(CharReading(c, each, ("", 0.0)) for c in text), each)


@settings(deadline=None)
@given(
    p=st.floats(1e-9, 1 - 1e-9), q=st.floats(1e-9, 1 - 1e-9), slope=st.floats(0.1, 5), offset=st.floats(-5, 5)
)
def test_calibration_keeps_the_order(p: float, q: float, slope: float, offset: float) -> None:
    odds = sorted(log_odds(reading_of("AB", x)) for x in (p, q))
    assert calibrated(odds[0], slope, offset) <= calibrated(odds[1], slope, offset)


def test_log_odds_are_those_of_the_least_certain_position_at_any_length() -> None:
    sure, doubted = (CharReading(c, p, ("", 0.0)) for c, p in (("A", 0.99), ("B", 0.7)))
    short, long = Reading((sure, doubted), 0.99), Reading((sure,) * 9 + (doubted,), 0.99)
    assert log_odds(short) == log_odds(long) == pytest.approx(np.log(0.7 / 0.3))
    assert log_odds(Reading((sure,), 0.6)) == pytest.approx(np.log(0.6 / 0.4))


def test_extreme_confidences_can_be_calibrated() -> None:
    for confidence in (1.0, 1e-300):
        assert 0 < calibrated(log_odds(reading_of("A", confidence)), 1.0, 0.0) < 1


# stations


def record_of(number: int, text: str, confidence: float, **changes: object) -> Record:
    reading = reading_of(text, confidence)
    known = Record(
        image=f"{number}.png",
        image_sha256=f"sha {number}",
        batch="",
        reading=reading,
        confidence=reading.confidence,
        verdict=Verdict.NONE,
        upside_down_text="",
        decision=Decision.REVIEW,
        reason="",
        quad=None,
        text_height_px=30.0,
        contrast=0.5,
        tilt_deg=0.0,
        model_id=MODEL_ID,
        station_id="",
        read_at=datetime(2026, 1, 5, tzinfo=UTC),
        elapsed_ms=1.0,
    )
    return replace(known, **changes)


def labelled_of(truths: list[str]) -> LabelledPictures:
    pictures = tuple(Picture(Path(f"{i}.png"), f"{i}.png") for i in range(len(truths)))
    return LabelledPictures(Path("marks"), pictures, tuple(truths), 0)


def test_a_calibrated_station_accepts_readings_above_its_threshold(tmp_path: Path) -> None:
    confidences = np.linspace(0.999, 0.2, 200)
    records = [record_of(i, "A1", float(p)) for i, p in enumerate(confidences)]
    truths = ["A1"] * 180 + ["B1"] * 20
    made = fit_acceptance(records, labelled_of(truths), Station(name="s1"), 0.05)
    assert made.calibration is not None
    assert (made.model_id, made.calibration.pictures) == (MODEL_ID, 200)
    save_station(made, tmp_path / "s1.toml")
    again = load(tmp_path / "s1.toml", Station)
    assert again == made
    accepted = 0
    for record in records:
        assert record.reading is not None
        confidence = trust(record.reading, again.calibration)
        decision, _ = decide(record.reading, confidence, (), again.limits)
        accepted += decision is Decision.ACCEPT
    assert accepted == made.calibration.accepted
    assert guarantee_of(made) == (
        f"accepts readings of confidence {made.limits.accept_at:.4f} or more: {accepted} of 200 labelled "
        f"pictures ({accepted / 2:.3g} %), {made.calibration.wrong} of them wrong; at most 5 % of accepted "
        "readings are wrong with 95 % certainty, on pictures like these (strict)"
    )


def test_the_protocol_defines_what_counts_as_wrong() -> None:
    records = [record_of(i, "a-1", 0.9) for i in range(60)]
    made = fit_acceptance(records, labelled_of(["A1"] * 60), Station(), 0.05, protocol="mpsc")
    assert made.calibration is not None
    assert (made.calibration.accepted, made.calibration.wrong) == (60, 0)
    with pytest.raises(CalibrationError) as caught:
        fit_acceptance(records, labelled_of(["A1"] * 60), Station(), 0.05)
    assert str(caught.value) == (
        "marks: at most 5 % misread with 95 % certainty cannot be guaranteed: among the readings of highest "
        "confidence these are wrong: 0.png (a-1, label A1), 1.png (a-1, label A1), 2.png (a-1, label A1), "
        "3.png (a-1, label A1), 4.png (a-1, label A1). Check their labels, label more pictures."
    )


def test_a_refusal_names_what_stands_in_its_way_and_the_smallest_guarantee() -> None:
    records = [record_of(i, "A1", 0.99 - i / 1000) for i in range(80)]
    truths = ["A7" if i in (3, 7) else "A1" for i in range(80)]
    with pytest.raises(CalibrationError) as caught:
        fit_acceptance(records, labelled_of(truths), Station(), 0.05)
    message = str(caught.value)
    assert "these are wrong: 3.png (A1, label A7), 7.png (A1, label A7). Check their labels" in message
    least = float(message.rpartition("or allow ")[2].partition(" %")[0]) / 100
    fit_acceptance(records, labelled_of(truths), Station(), least)  # as it is written
    with pytest.raises(CalibrationError):
        fit_acceptance(records, labelled_of(truths), Station(), least * 0.9)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_sha256": "the same picture"},
        {"doubts": ("text is 4 px high, expected 10 to 1000",)},
        {"reading": None},
        {"reading": Reading((), 0.9)},
    ],
)
def test_too_few_pictures_are_refused_with_their_number(changes: dict[str, object]) -> None:
    records = [record_of(i, "A1", 0.9, **(changes if i >= 50 else {})) for i in range(80)]
    with pytest.raises(CalibrationError) as caught:
        fit_acceptance(records, labelled_of(["A1"] * 80), Station(), 0.05)
    left = 51 if "image_sha256" in changes else 50
    assert str(caught.value).startswith(
        "marks: at most 5 % misread with 95 % certainty needs 59 labelled pictures, all read correctly; "
        f"{left} are eligible. Label more, or allow {5.8 if left == 51 else 5.9} % misread."
    )


@pytest.mark.parametrize(
    ("eligible", "end"),
    [
        (5, "5 are eligible. Label more, or allow 46 % misread."),
        (4, "4 are eligible. Label more."),
        (
            0,
            'none of 30 is eligible: no text was read in 10, 20 have the doubt "lines at the border". '
            "Correct the station or the pictures, and calibrate again.",
        ),
    ],
)
def test_a_refusal_offers_only_what_the_command_takes_and_says_why_no_picture_counts(
    eligible: int, end: str
) -> None:
    unread: dict[str, object] = {"reading": None}
    doubted: dict[str, object] = {"doubts": ("lines at the border",)}
    records = [
        record_of(i, "A1", 0.9, **({} if i < eligible else unread if i >= 20 else doubted)) for i in range(30)
    ]
    with pytest.raises(CalibrationError) as caught:
        fit_acceptance(records, labelled_of(["A1"] * 30), Station(), 0.01)
    assert str(caught.value).endswith(f"needs 299 labelled pictures, all read correctly; {end}")


def test_an_uncalibrated_station_keeps_all_other_settings() -> None:
    station = Station(
        name="s",
        model_id="m",
        code=Code(format="vin"),
        limits=StationLimits(text_height_px=(20, 40), accept_at=0.5),
    )
    plain = station.uncalibrated()
    assert (plain.model_id, plain.is_limited, plain.code) == ("", False, station.code)
    assert plain.limits.text_height_px == (20, 40)


@pytest.mark.parametrize(
    "station",
    [
        Station(),
        Station(name="a.b-c", code=Code(format=r"\(01\)(?gs1:\d{14})")),
        Station(model_id="m", limits=StationLimits(accept_at=1e-7, text_height_px=(12.5, 40))),
    ],
)
def test_a_station_file_round_trips(tmp_path: Path, station: Station) -> None:
    (tmp_path / "s.toml").write_text(to_toml(station), encoding="utf-8")
    assert load(tmp_path / "s.toml", Station) == station


def test_a_station_file_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "s.toml"
    refuse_to_replace(out, None)
    out.write_text("")
    refuse_to_replace(out, out)
    with pytest.raises(CalibrationError) as caught:
        refuse_to_replace(out, None)
    assert str(caught.value) == (
        f"{out}: exists already. Name another file, or give it as --station to recalibrate it."
    )


# formats at stations


@pytest.mark.parametrize(
    ("text", "free", "ratio", "verdict"),
    [
        ("A1", None, 10.0, Verdict.OBEYS),
        ("A1", 0.5, 10.0, Verdict.FITTED),
        ("A1", 0.9, 2.0, Verdict.MISPRINT),
        ("", None, 10.0, Verdict.NONE),
    ],
)
def test_a_verdict_compares_both_readings(
    text: str, free: float | None, ratio: float, verdict: Verdict
) -> None:
    reading = reading_of(text, 0.1 if free else 0.9)
    reading = replace(reading, free=FreeReading("AI", math.log(free / 0.1), free) if free else None)
    assert judge(reading, Code(format="letters-digits", misprint_ratio=ratio)) is verdict
    assert judge(reading, Code()) is Verdict.NONE


def test_limits_hold_for_the_format_that_they_were_measured_with() -> None:
    station = Station(name="s", model_id="m", code=Code(format="vin"), limits=StationLimits(accept_at=0.5))
    assert station.with_format("vin") is station
    assert Station().with_format("vin").code.format == "vin"
    with pytest.raises(CalibrationError) as caught:
        station.with_format("imei")
    assert str(caught.value) == (
        "station s: calibrated with format vin, got imei. "
        "Calibrate it again with that format, or leave --format out."
    )
    with pytest.raises(RecipeError, match="no such format"):
        station.with_format("vni")


# folders and the command


def write_folder(folder: Path, count: int, truth: Callable[[int], str], images: str = "images") -> Path:
    (folder / images).mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "text"])
        for i in range(count):
            # noise in which no line is found
            pixels = np.random.default_rng(300 + i).integers(60, 200, (32, 60 + i), np.uint8)
            pixels[:, :8] = pixels[:, -8:] = 130  # nothing touches the borders
            cv2.imwrite(str(folder / images / f"{i}.png"), pixels)
            table.writerow([f"{i}.png", truth(i)])
    return folder


def test_labels_name_pictures_in_images_or_next_to_the_table(tmp_path: Path) -> None:
    for images in ("images", "."):
        folder = write_folder(
            tmp_path / images.replace(".", "x"), 3, lambda i: f"A {i}" if i else " ", images
        )
        found = load_labelled(folder)
        assert [p.path for p in found.pictures] == [folder / images / f"{i}.png" for i in (1, 2)]
        assert (found.truths, found.unlabelled) == (("A1", "A2"), 1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "cannot be read: No such file or directory. Give a table with the columns filename,text."),
        ("file,text\n", "no column filename. Its first line must name the columns filename,text."),
        ("filename,text\nx.png,1\n", "no picture x.png in images/ or the folder. Correct its name."),
        ("filename,text\nx.png,1\nx.png,2\n", "x.png is both 1 and 2. Keep the right line."),
    ],
)
def test_a_folder_without_usable_labels_is_refused(tmp_path: Path, table: str | None, message: str) -> None:
    if table is not None:
        (tmp_path / "labels.csv").write_text(table)
    with pytest.raises((CalibrationError, RecordsError)) as caught:
        load_labelled(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'labels.csv'}: {message}"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [*map(str, arguments)])


def test_a_station_is_calibrated_and_its_pictures_are_then_accepted(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    model = write_stub(tmp_path / "stub.onnx")
    folder = write_folder(tmp_path / "marks", 70, lambda i: "")
    (tmp_path / "crops.toml").write_text("[view]\nfind_lines = false\n")
    crops = ("--station", tmp_path / "crops.toml")
    invoke("read", folder / "images", "--out", tmp_path / "first", "--model", model, *crops)
    with (tmp_path / "first" / "readings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["decision"] for row in rows} == {"REVIEW"}
    labels = "".join(f"{row['image']},{row['text']}\n" for row in rows)
    (folder / "labels.csv").write_text("filename,text\n" + labels)
    out = tmp_path / "station.toml"
    arguments = ("station", "confidence", folder, "--model", model, "--out", out)
    refused = invoke(*arguments, "--misread", "0.001", *crops)
    assert "needs 2,995 labelled pictures, all read correctly; 70 are eligible." in str(refused.exception)
    assert not out.exists()
    done = invoke(*arguments, "--misread", "0.05", *crops)
    assert done.exit_code == 0, done.output
    assert "70 of 70 labelled pictures (100 %), 0 of them wrong" in done.output
    assert load(out, Station).view.retry_below == 1.0
    again = ("read", folder / "images", "--out", tmp_path / "second", "--model", model, "--station", out)
    assert invoke(*again, "--strict").exit_code == 0
    (tmp_path / "quick.toml").write_text("[view]\nretry_below = 0.8\nfind_lines = false\n")
    quick = ("--station", tmp_path / "quick.toml", "--out", tmp_path / "quick-station.toml")
    assert invoke(*arguments[:-2], "--misread", "0.05", *quick).exit_code == 0
    assert load(tmp_path / "quick-station.toml", Station).view.retry_below == 0.8
    other = invoke("read", folder / "images", "--out", tmp_path / "third", "--station", out)
    assert isinstance(other.exception, CalibrationError)


@pytest.mark.parametrize(
    ("misread", "certainty", "named"), [(2, 0.95, "misread 2"), (0.01, 1.0, "certainty 1.0")]
)
def test_a_share_that_is_none_is_refused_before_pictures_are_read(
    misread: float, certainty: float, named: str
) -> None:
    with pytest.raises(CalibrationError, match=f"{named}: not a share"):
        calibrate_confidence("no such folder", misread, certainty=certainty)
