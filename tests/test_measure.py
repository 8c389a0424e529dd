"""The measurement of models: what is chosen on what, and how readers are compared."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.measure import card, crops as grounds, readers, scores, speed, views
from benchmarks.measure.crops import BOLD, LabelledCrop
from benchmarks.measure.readers import GENERAL, Answer

MARKS = Path("recipes/data/marks-heldout.toml")


def crop(image: str, truth: str = "A1", ground: str = "metal_stamp", process: str = "") -> LabelledCrop:
    return LabelledCrop(ground, image, Path(image), truth, process)


def read(*texts: str) -> list[Answer]:
    return [Answer(text, 1.0) for text in texts]


def test_the_halves_of_a_set_depend_on_the_names_of_its_files_alone() -> None:
    names = [f"{number}.png" for number in range(1000)]
    halves = [crop(name).is_for_choosing for name in names]
    assert 450 < sum(halves) < 550
    assert halves == [crop(name, "other", "vin_plate").is_for_choosing for name in names]
    assert [crop(name).is_for_choosing for name in ("img105-0.jpg", "0.png", "1.png")] == [False, False, True]


def test_accuracy_counts_the_whole_set_the_reported_half_and_case() -> None:
    some = [crop("0.png", "A1"), crop("1.png", "B-2"), crop("img105-0.jpg", "C3")]
    found = scores.Accuracy.of(some, read("a1", "B2", "C8"))
    assert found == scores.Accuracy(right=2, crops=3, reported_right=1, reported=2, strict=0)
    assert (round(found.percent, 1), found.reported_percent, found.strict_percent) == (66.7, 50.0, 0.0)
    tables = [
        table(some, {"m": read("a1", "B2", "C8")}) for table in (scores.accuracy_table, scores.halves_table)
    ]
    assert [table.splitlines()[2] for table in tables] == [
        "| **metal_stamp** | 3 | 66.7 (21-94) |",
        "| **metal_stamp** | 3 | 50.0 (0.0) |",
    ]


def test_the_mean_of_the_bold_sets_gives_each_set_the_same_weight() -> None:
    some = [crop(f"{name}{i}", "X", name) for name in BOLD for i in range(1 if name == BOLD[0] else 4)]
    given = [Answer("x" if one.ground == BOLD[0] else "y", 0.0) for one in some]
    found = scores.accuracies(some, {"reader": given})["reader"]
    assert scores.bold_mean(found) == 25.0
    assert math.isnan(scores.bold_mean({BOLD[0]: found[BOLD[0]]}))


def test_edits_are_split_into_their_kinds() -> None:
    assert scores.edit_rates(["abXc", "ac", "aXc"], ["abc", "abc", "abc"]) == ["11.11", "11.11", "11.11"]


def test_two_readers_are_compared_on_the_crops_that_one_alone_reads() -> None:
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    pair = scores.Pair.of(first, second)
    assert (pair.only_first, pair.only_second, pair.crops, pair.p) == (2, 1, 5, 1.0)
    assert pair.gain == pytest.approx(20.0)
    assert pair.cells()[3].startswith("+20.0 (")


def test_a_model_at_one_view_is_not_compared_with_one_as_the_command_reads() -> None:
    some = [crop("0.png"), crop("1.png")]
    answers = {name: read("A1", "B") for name in ("m", "m, one view", GENERAL)}
    pairs = {line.split(" | ")[0] for line in scores.pairs_table(some, answers).splitlines()[2:]}
    assert pairs == {f"| m - {GENERAL}", f"| m, one view - {GENERAL}"}


@pytest.mark.parametrize(
    ("good", "risk", "expected"),
    [([1, 1, 0, 1], 0.25, 1.0), ([1, 1, 0, 1], 0.05, 3.0), ([0, 1, 1, 1], 0.05, math.inf)],
)
def test_the_threshold_is_the_lowest_that_keeps_the_risk(
    good: list[int], risk: float, expected: float
) -> None:
    assert scores.threshold(np.array([4.0, 3.0, 2.0, 1.0]), np.array(good, bool), risk) == expected


def test_calibration_and_threshold_come_from_the_other_half() -> None:
    odds = np.array([3.0, 2.0, -1.0, 3.0, 2.5, -1.0])
    good = np.array([1, 1, 0, 1, 0, 0], bool)
    found = scores.Confidence.of(odds, good, np.array([1, 1, 1, 0, 0, 0], bool))
    assert (found.coverage, found.risk) == (pytest.approx(2 / 3), 0.5)
    assert found.aurc == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)


def test_an_empty_reading_is_never_accepted() -> None:
    assert readers.odds_of([Answer("A", 1.0), Answer("", 27.0)]).tolist() == [1.0, -math.inf]


def test_errors_at_gaps_are_counted_against_the_same_codes_without() -> None:
    some = [crop("0", "A12", "even"), crop("1", "B34", "even"), crop("0", "A12", "gap")]
    some.append(crop("1", "B34", "gap"))
    row = scores.gap_table(some, {"m": read("A12", "B34", "A12", "B3")}).splitlines()[2]
    assert row == "| m | 2 | 0 | 1 | +50.0 | 1.0000 | +0.00 | +16.67 | +0.00 |"


def test_targets_say_which_sets_are_behind_the_general_reader() -> None:
    some = [crop(f"{i}", "X", name) for name in (*BOLD, "cute80") for i in range(2)]
    good = read(*("X" for _ in some))
    worse = [*read("y"), *good[1:-1], *read("y")]
    made = scores.accuracy_targets(some, {"m": worse, GENERAL: good, "old": worse}, "m", "old")
    assert [(t.found, t.is_met) for t in made] == [
        ("87.5", False),
        ("atomhack_marking", False),
        ("-12.5 points, p 1.0000", False),
        ("-20.0 points, p 0.5000", False),
        ("+0.0 points, p 1.0000", True),
        ("+0.0 points, p 1.0000", True),
    ]


def test_marks_that_no_reader_reads_are_a_column() -> None:
    some = [crop("0", process="laser"), crop("1", process="laser")]
    table = scores.process_table(some, {"a": read("A1", "x"), "b": read("x", "x")})
    assert table.splitlines()[2] == "| laser | 2 | 50.0 (9-91) | 0.0 (0-66) | 50.0 |"


def test_each_process_has_crops_of_its_own(tmp_path: Path) -> None:
    found = grounds.rendered_crops(MARKS, "marks", 1, 2, tmp_path, by_process=True)
    assert len({crop.truth for crop in found}) == len(found) == 2 * len({crop.process for crop in found})
    assert all(cv2.imread(str(crop.path)).shape[0] == 48 for crop in found)


def test_answers_are_saved_for_later_runs(tmp_path: Path) -> None:
    some = [crop("0.png"), crop("1.png")]
    given = [Answer("A1", 2.5, "a1"), Answer("", -math.inf)]
    readers.save(given, some, tmp_path / "real-m.csv")
    assert readers.saved(tmp_path / "real-m.csv", some[::-1]) == given[::-1]
    with pytest.raises(SystemExit, match=r"no answer for metal_stamp/2\.png\. Read these crops again\."):
        readers.saved(tmp_path / "real-m.csv", [crop("2.png")])


def test_speed_counts_what_reading_adds_to_the_start(tmp_path: Path) -> None:
    found = speed.Speed(11, speed.Run(1.0, 0.5, 100), speed.Run(3.0, 1.5, 200))
    assert (found.images_per_s, found.processor_ms) == (5.0, 100.0)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"png")
    (tmp_path / "many").mkdir()
    paths = speed.repeated([LabelledCrop("s", "a.png", picture, "A1")], 3, tmp_path / "many")
    assert [path.name for path in paths] == ["000000.png", "000001.png", "000002.png"]


def test_among_views_that_read_alike_those_with_the_fewest_are_chosen() -> None:
    def choice(name: str, further: float, share: float) -> views.Choice:
        return views.Choice((name,), 0.8, further, share, share, share, share, 0.1)

    found = views.ranked([choice("many", 0.9, 0.802), choice("few", 0.4, 0.8), choice("none", 0.0, 0.7)])
    assert [c.names[0] for c in found] == ["few", "many", "none"]


def test_hours_of_training_follow_from_the_speed_in_the_log() -> None:
    log = [
        {"step": 50, "crops_per_s": 100.0},
        {"step": 60, "validation": 0.0},
        {"step": 100, "crops_per_s": 50.0},
    ]
    assert card.hours(log, batch=72) == pytest.approx((50 * 72 / 100 + 50 * 72 / 50) / 3600)


def test_the_card_shows_confident_misreadings_of_the_weakest_processes() -> None:
    names = ("a", "b", "c", "d", "e")
    made_by = {f"{name}{i}": name for name in names for i in range(3)}
    rows = [
        {"image": image, "truth": "A1", "text": "a-1" if image[1] == "0" else "x", "odds": f"{number}"}
        for number, image in enumerate(made_by)
        if image not in ("e1", "e2")
    ]
    found = [row["image"] for row in card.misread(rows, made_by)]
    assert found == ["d2", "d1", "c2", "c1", "b2", "b1", "a2", "a1"]
