"""The grade of a mark falls as the mark gets worse, one defect at a time, on rendered ladders."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from serialread.config import DataRecipe
from serialread.reader import Reader, segmentation
from serialread.reader.grading import LIMITS, grade_mark
from serialread.reader.segmentation import segment
from serialread.records import GRADES, CharReading, MarkQuality, Pixels, Reading, Sample
from serialread.synth import make_sample

SAMPLE = Path(__file__).parent.parent / "sample_images" / "assembly" / "01.jpg"

Severities = tuple[DataRecipe, ...]

SEEDS = (1, 2, 3)
EACH = 10
"""Marks per severity and seed."""

CALM_LAYOUT = {
    "jitter": (0, 0),
    "rotation_deg": (0, 0),
    "tilt_deg": 0,
    "slant_deg": (0, 0),
    "stretch": (0.95, 1.0),
    "spacing": (0.08, 0.12),
    "margin": (0.15, 0.3),
} | dict.fromkeys(
    (
        "perspective_share",
        "tool_mark_share",
        "arc_share",
        "cropped_share",
        "partial_neighbour_share",
        "neighbour_share",
        "frame_share",
        "logo_share",
        "edge_share",
        "hole_share",
    ),
    0,
)
CALM_SURFACES = {
    "roughness": (0.02, 0.05),
    "legibility": (7, 7),
    "legibility_grain": (5, 5),
    "legibility_print": (20, 20),
} | dict.fromkeys(("scratch_share", "stain_share", "glare_share", "curved_share"), 0)
CALM_CAMERA = {"blur": (0, 0.3), "noise": (0, 0)} | dict.fromkeys(
    ("low_resolution_share", "uneven_focus_share", "motion_share", "jpeg_share", "sharpen_share"), 0
)
RELIEF = {"strength": (0.2, 0.2), "floor_tone": (0, 0), "filled_share": 0, "shadow_share": 0, "rim": (0, 0.2)}
INK = {"kind": "ink", "contrast": (0.6, 0.6), "worn": (0, 0), "effects_share": 0}
JET = {"kind": "ink_jet", "contrast": (0.6, 0.6), "dot": (0.9, 1), "missing": (0, 0)} | dict.fromkeys(
    ("scatter", "satellites", "drift"), (0, 0)
)
PEEN = RELIEF | {"kind": "dot_peen", "pitch": (0.12, 0.14), "dot": (0.9, 1.0)}
PEEN |= dict.fromkeys(("missing", "doubled", "scatter", "drift"), (0, 0))
STAMPED = RELIEF | {"kind": "stamped", "doubled_share": 0, "partial_share": 0}
STAMPED |= dict.fromkeys(("depth_spread", "tilt", "wear"), (0, 0))


def recipe(process: dict[str, Any], **sections: dict[str, Any]) -> DataRecipe:
    """Marks without other defects than those given; a span of two equal values is constant."""
    texts = dict.fromkeys(
        ("digits", "mixed", "arbitrary", "gap_share", "symbol_share", "confusable_share"), 0
    )
    return DataRecipe.model_validate(
        {
            "height": 48,
            "max_width": 576,
            "overprint_share": 0,
            "fading_share": 0,
            "min_visibility": 0,
            "texts": texts | {"templates": 1, "patterns": ("######", "@@####", "@#@##@#")},
            "processes": [process],
            "layout": CALM_LAYOUT | sections.get("layout", {}) | {"cylinder_share": 0},
            "surfaces": CALM_SURFACES | sections.get("surfaces", {}),
            "camera": CALM_CAMERA | sections.get("camera", {}),
        }
    )


def rough_surface(least: float) -> dict[str, Any]:
    """A rough surface, limited by this legibility of the mark."""
    return {"roughness": (0.5, 0.5)} | dict.fromkeys(("legibility", "legibility_grain"), (least, least))


DEFECTS: dict[str, tuple[tuple[str, ...], Severities]] = {
    "fainter ink": (("contrast",), tuple(recipe(INK | {"contrast": (c, c)}) for c in (0.6, 0.3, 0.15, 0.08))),
    "shallower dots": (
        ("contrast",),
        tuple(recipe(PEEN | {"strength": (c, c)}) for c in (0.26, 0.15, 0.08, 0.04)),
    ),
    "punch held askew": (
        ("strokes",),
        tuple(recipe(STAMPED | {"tilt": (t, t)}) for t in (0.1, 0.5, 0.9, 1.4)),
    ),
    "worn ink": (
        ("strokes", "completeness"),
        tuple(recipe(INK | {"worn": (w, w)}) for w in (0.001, 0.25, 0.45, 0.65)),
    ),
    "characters out of step": (
        ("spacing",),
        tuple(recipe(STAMPED, layout={"jitter": (j, j)}) for j in (0, 0.06, 0.12, 0.22)),
    ),
    "sensor noise": (
        ("cleanness",),
        tuple(recipe(INK, camera={"noise": (n, n)}) for n in (0.001, 0.06, 0.12, 0.24)),
    ),
    "rough ground": (("cleanness",), tuple(recipe(PEEN, surfaces=rough_surface(n)) for n in (14, 7, 4, 2))),
    "missing dots, struck": (
        ("completeness",),
        tuple(recipe(PEEN | {"missing": (m, m)}) for m in (0.001, 0.15, 0.3, 0.5)),
    ),
    "missing drops, jetted": (
        ("completeness",),
        tuple(recipe(JET | {"missing": (m, m)}) for m in (0.001, 0.15, 0.3, 0.5)),
    ),
}
"""Per defect: the parts that it lowers, and recipes of rising severity. Severity 0 would draw fewer random
numbers, and so other marks."""


def read_as_written(sample: Sample) -> Reading:
    assert sample.origin is not None
    chars = zip(sample.text, sample.origin.boxes, strict=True)
    return Reading(tuple(CharReading(c, 1.0, ("", 0.0), box) for c, box in chars), 1.0)


def graded(sample: Sample) -> MarkQuality:
    found = graded_as(sample.pixels, read_as_written(sample).chars)
    assert found is not None
    return found


def graded_as(pixels: Pixels, chars: tuple[CharReading, ...]) -> MarkQuality | None:
    line = segment(pixels, chars)
    return grade_mark(line, "".join(char.char for char in chars)) if line else None


@cache
def grades_by_severity(defect: str) -> list[list[list[MarkQuality]]]:
    """Grades by severity and seed."""
    return [
        [[graded(make_sample(severity, seed, i)) for i in range(EACH)] for seed in SEEDS]
        for severity in DEFECTS[defect][1]
    ]


@pytest.mark.parametrize("defect", DEFECTS)
def test_affected_parts_fall_with_the_severity_of_a_defect(defect: str) -> None:
    for part in DEFECTS[defect][0]:
        means = np.array(
            [
                [np.mean([getattr(mark, part) for mark in marks]) for marks in severity]
                for severity in grades_by_severity(defect)
            ]
        )
        assert (np.diff(means.mean(axis=1)) < 0).all(), (part, means)
        assert (means[-1] < means[0]).all(), (part, means)  # for every seed


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_grade_falls_with_the_severity_of_a_defect(defect: str) -> None:
    points = [
        np.mean([4 - GRADES.index(m.grade) for marks in severity for m in marks])
        for severity in grades_by_severity(defect)
    ]
    assert (np.diff(points) < 0.15).all(), points  # 30 marks per severity
    assert points[-1] < points[0] - 0.2, points


def test_the_grade_is_that_of_the_worst_part() -> None:
    marks = [
        m
        for defect in DEFECTS
        for severity in grades_by_severity(defect)
        for marks in severity
        for m in marks
    ]
    assert {m.grade for m in marks} == set(GRADES)
    for mark in marks:
        ranks = [
            sum(value < least for least in limits)
            for name, limits in LIMITS.items()
            if (value := getattr(mark, name)) is not None
        ]
        assert GRADES[max(ranks)] == mark.grade
        assert all(0.0 <= getattr(mark, name) <= 1.0 for name in LIMITS if getattr(mark, name) is not None)


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5])
@pytest.mark.parametrize("part", ["completeness", "contrast"])
def test_parts_depend_little_on_the_size_of_the_crops(factor: float, part: str) -> None:
    samples = [make_sample(recipe(INK), 5, i) for i in range(12)]
    sizes = [[getattr(graded(s), part) for s in (sample, scaled(sample, factor))] for sample in samples]
    as_taken, other = np.mean(sizes, axis=0)
    assert other == pytest.approx(as_taken, abs=0.08)


def scaled(sample: Sample, factor: float) -> Sample:
    assert sample.origin is not None
    pixels = cv2.resize(sample.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    boxes = tuple(tuple(v * factor for v in box) for box in sample.origin.boxes)
    return Sample(pixels, sample.text, None, replace(sample.origin, boxes=boxes))  # type: ignore[arg-type]


def test_no_characters_or_boxes_give_no_grade_and_few_characters_no_spacing() -> None:
    pixels = np.full((32, 90), 128, np.uint8)
    assert graded_as(pixels, ()) is None
    assert graded_as(pixels, (CharReading("1", 1.0, ("", 0.0), None),)) is None
    blank = graded_as(pixels, (CharReading("1", 1.0, ("", 0.0), (10.0, 0.0, 20.0, 32.0)),))
    assert blank is not None
    assert (blank.grade, blank.spacing) == ("F", None)


@pytest.mark.parametrize("size", [(6, 6), (8, 300), (64, 6), (64, 700)])
def test_unusual_crops_and_boxes_are_graded_without_warnings(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    height, width = size
    pixels = rng.integers(0, 256, size, dtype=np.uint8)
    for count in (1, 4, 25):
        edges = np.sort(rng.uniform(0, width, (count, 2)), axis=1)
        boxes = [(float(a), 0.0, float(b), float(height)) for a, b in edges]  # unordered
        chars = tuple(CharReading("8", 0.5, ("B", 0.4), box) for box in boxes)
        found = graded_as(pixels, chars)
        assert found is not None
        assert found.grade in GRADES


def test_a_line_is_segmented_once_for_all_that_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    monkeypatch.setattr(segmentation, "segment", lambda *args: calls.append(args) or segment(*args))
    record = Reader().read(SAMPLE)
    assert record.quality is not None
    assert len(calls) == 1
