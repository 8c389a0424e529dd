"""Scenes: whole pictures whose lines stand where their cells say, in any direction."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread.codes import without_blanks
from serialread.config import DataRecipe, load
from serialread.config.scene import Scene
from serialread.datasets import SampleStore, StoreReport, write_store
from serialread.errors import RecipeError
from serialread.records import Sample, SceneLine
from serialread.synth import fonts, make_sample
from serialread.synth.layout import GlyphRun
from serialread.synth.preview import BOX, contact_sheet
from serialread.synth.scene_layout import Plane, cells, on_circle

RECIPES = Path(__file__).parent.parent / "recipes" / "data"
MARKS = load(RECIPES / "marks.toml", DataRecipe)
SMALL = Scene(longer_px=(320, 420), text_px=(10, 30))


def scene(seed: int, index: int = 0, **changes: object) -> Sample:
    return make_sample(MARKS.model_copy(update={"scene": SMALL.model_copy(update=changes)}), seed, index)


@given(seed=st.integers(0, 2**31), index=st.integers(0, 2**31))
@settings(max_examples=6, deadline=None)
def test_a_scene_is_a_function_of_recipe_seed_and_index(seed: int, index: int) -> None:
    one, two = scene(seed, index), scene(seed, index)
    assert one.lines == two.lines
    np.testing.assert_array_equal(one.pixels, two.pixels)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=12, deadline=None)
def test_every_character_of_a_scene_has_a_cell_in_reading_direction(seed: int) -> None:
    sample = scene(seed)
    assert sample.pixels.dtype == np.uint8
    assert sample.lines is not None
    assert (sample.text, sample.glyphs) == ("", None)
    for line in sample.lines:
        corners = np.array(line.cells)
        assert line.text == without_blanks(line.text) != ""
        assert corners.shape == (len(line.text), 4, 2)
        middles = corners.mean(axis=1)
        along, steps = corners[:-1, 1] - corners[:-1, 0], np.diff(middles, axis=0)
        assert ((along * steps).sum(axis=1) > 0).all()
        up, right = corners[:, 0] - corners[:, 3], corners[:, 1] - corners[:, 0]
        assert (right[:, 0] * up[:, 1] - right[:, 1] * up[:, 0] < 0).all()  # never mirrored


def test_lines_on_circles_may_stand_on_bands() -> None:
    """A band changes the ground beside the characters, and not where they stand."""
    ring = {"carriers": {"ring": 1}, "distractors": 0.0, "empty_share": 0.0, "several": (1,)}
    plain, banded = (scene(4, 3, band_share=share, **ring) for share in (0.0, 1.0))
    assert plain.lines
    assert banded.lines
    assert plain.lines[0].cells == banded.lines[0].cells
    changed = np.abs(plain.pixels.astype(int) - banded.pixels) > 12
    assert changed.mean() > 0.01


def test_lines_are_where_their_cells_are() -> None:
    inside, around = [], []
    for index in range(8):
        sample = scene(3, index, carriers={"surface": 1}, distractors=0.0)
        edges = np.abs(cv2.Laplacian(cv2.GaussianBlur(sample.pixels, (5, 5), 1.0), cv2.CV_32F))
        mask = np.zeros(edges.shape, np.uint8)
        for line in sample.lines or ():
            for cell in line.cells:
                cv2.fillConvexPoly(mask, np.array(cell).round().astype(np.int32), 1)
        near = cv2.dilate(mask, np.ones((31, 31), np.uint8)) - cv2.dilate(mask, np.ones((9, 9), np.uint8))
        if mask.any():
            inside.append(edges[mask > 0].mean())
            around.append(edges[near > 0].mean())
    assert np.mean(inside) > 1.5 * np.mean(around)


def test_an_empty_scene_has_no_line() -> None:
    assert all(scene(seed, empty_share=1.0).lines == () for seed in range(5))


def test_lines_of_rings_run_around_their_middle() -> None:
    turns = []
    for index in range(20):
        sample = scene(1, index, carriers={"ring": 1}, several=(1.0,), empty_share=0.0)
        for line in sample.lines or ():
            corners = np.array(line.cells)
            directions = np.arctan2(*(corners[:, 1] - corners[:, 0]).T[::-1])
            turns.append(np.abs(np.diff(np.unwrap(directions))).sum())
    assert np.degrees(max(turns)) > 90


@pytest.mark.parametrize("outward", [True, False])
@pytest.mark.parametrize("start_deg", [0, 90, 180])
def test_a_line_on_a_circle_stands_at_its_radius(outward: bool, start_deg: float) -> None:
    face = fonts.outline_faces()[0]
    flat = np.repeat(np.eye(3)[None], 6, axis=0)
    flat[:, 0, 2] = 0.8 * np.arange(6)
    plane = Plane(np.array([[1.0, 0, 300], [0, 1, 200], [0, 0, 1]]), (150.0, 150.0), 0.0)
    run = GlyphRun((face,) * 6, "HHHHHH", flat)
    start = float(np.radians(start_deg))
    placed = cells(on_circle(run, plane, 100.0, start, 20.0, outward=outward)) - (300, 200)
    middles = placed.mean(axis=1)
    assert np.linalg.norm(middles, axis=1) == pytest.approx(100, abs=2)
    middle = middles.mean(axis=0)
    assert np.arctan2(middle[0], -middle[1]) == pytest.approx(start, abs=0.03) or start_deg == 180
    tops = np.linalg.norm(placed[:, :2].mean(axis=1), axis=1)
    assert ((tops > 105) if outward else (tops < 95)).all()


def test_a_store_keeps_the_lines_of_scenes_and_checks_them(tmp_path: Path) -> None:
    samples = [scene(5, index) for index in range(3)]
    cell = ((0.0, 0.0), (5.0, 0.0), (5.0, 9.0), (0.0, 9.0))
    away = tuple((x - 99, y) for x, y in cell)
    wrong = (SceneLine("AB", "ink", "face", (cell,)), SceneLine("A", "ink", "face", (away,)))
    spoilt = Sample(255 - samples[0].pixels, "", None, samples[0].origin, wrong)
    write_store(tmp_path / "store", [*samples, spoilt], about={})
    store, report = SampleStore(tmp_path / "store"), StoreReport()
    assert [sample.lines for sample in store] == [*(sample.lines for sample in samples), wrong]
    assert [*report.check(store)] == [1, 2, 3, 4]
    assert [(p.index, p.what) for p in report.problems] == [
        (3, "line 0: it has 1 cells for 2 characters"),
        (3, "line 1: it lies outside the picture"),
    ]
    assert report.lengths.total() == sum(len(sample.lines or ()) for sample in samples) + 2


def test_the_sheet_of_a_scene_shows_its_cells() -> None:
    cell = ((20.0, 20.0), (60.0, 20.0), (60.0, 70.0), (20.0, 70.0))
    line = SceneLine("A", "ink", "face", (cell,))
    sheet = contact_sheet([Sample(np.full((960, 480), 90, np.uint8), "", None, None, (line,))])
    assert sheet.shape[0] < 600
    assert (sheet == BOX).all(axis=2).any()


def test_carriers_need_a_weight(tmp_path: Path) -> None:
    recipe = tmp_path / "scenes.toml"
    recipe.write_text('[scene]\ncarriers = { chip = 0.0 }\n[[processes]]\nkind = "ink"\n')
    with pytest.raises(RecipeError) as error:
        load(recipe, DataRecipe)
    assert str(error.value) == (
        f"{recipe}: 1 problem: scene.carriers: weights must be 0 or more, and one above 0. Correct the file."
    )
