"""Contact sheets: every sample in its place, masks tinted on demand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from serialread.config import DataRecipe
from serialread.errors import RecordsError
from serialread.records import Origin, Sample
from serialread.synth import make_sample
from serialread.synth.preview import BOX, PAPER, SCALE, contact_sheet, save, write_preview


def sample(text: str = "A1", width: int = 90, *, masked: bool = True) -> Sample:
    glyphs = np.zeros((32, width), np.uint8)
    glyphs[8:24, 10:30], glyphs[8:24, 40:60] = 1, 2
    origin = Origin("ink", "DIN 1451", ((10, 8, 30, 24), (40, 8, 60, 24)))
    return Sample(np.full((32, width), 60, np.uint8), text, glyphs if masked else None, origin)


def crop_area(sheet: np.ndarray) -> int:
    return int((sheet == 60).all(axis=2).sum())


@pytest.mark.parametrize(("count", "columns"), [(1, 4), (4, 4), (5, 4), (3, 1), (7, 3)])
def test_every_sample_is_on_the_sheet_enlarged(count: int, columns: int) -> None:
    sheet = contact_sheet([sample() for _ in range(count)], columns)
    assert crop_area(sheet) == pytest.approx(count * 32 * 90 * SCALE**2, rel=0.01)


def test_a_sheet_is_as_wide_as_its_widest_row() -> None:
    wide, narrow = contact_sheet([sample(width=300)]), contact_sheet([sample(width=90)])
    both = contact_sheet([sample(width=width) for width in (300, 90, 90)], 2)
    assert both.shape[1] == wide.shape[1] + narrow.shape[1] - 10


def test_a_sheet_of_nothing_is_blank_paper() -> None:
    assert (contact_sheet([]) == PAPER).all()


def test_samples_of_any_width_and_text_share_a_sheet() -> None:
    sheet = contact_sheet([sample("~" * 25, 30), sample("é", 384, masked=False)], 2, masks=True)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3


def test_masks_tint_neighbouring_characters_differently() -> None:
    sheet = contact_sheet([sample()], masks=True)
    colours = {tuple(sheet[10 + SCALE * 16, 10 + SCALE * x].tolist()) for x in (20, 50)}
    assert len(colours) == 2
    assert all(max(c) - min(c) > 50 for c in colours)
    assert crop_area(sheet) < 32 * 90 * SCALE**2


def test_boxes_are_drawn_with_the_masks_and_only_then() -> None:
    drawn = (contact_sheet([sample()], masks=True) == BOX).all(axis=2)
    rows, columns = np.nonzero(drawn)
    assert (columns.min() - 10, rows.min() - 10) == (10 * SCALE, 8 * SCALE)
    assert (columns.max() - 10, rows.max() - 10) == (60 * SCALE, 24 * SCALE)
    assert not (contact_sheet([sample()]) == BOX).all(axis=2).any()


def test_a_sheet_is_saved_where_asked(tmp_path: Path) -> None:
    sheet = contact_sheet([sample()])
    save(sheet, tmp_path / "täg" / "sheet.png")
    stored = np.frombuffer((tmp_path / "täg" / "sheet.png").read_bytes(), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(stored, cv2.IMREAD_COLOR), sheet)


def test_a_preview_shows_the_first_samples_of_a_recipe(tmp_path: Path) -> None:
    recipe = DataRecipe.model_validate({"processes": [{"kind": "ink"}, {"kind": "pen"}]})
    write_preview(recipe, tmp_path / "sheet.png", count=3, seed=2, columns=2, masks=True)
    samples = [make_sample(recipe, 2, index) for index in range(3)]
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / "sheet.png")), contact_sheet(samples, 2, masks=True)
    )
    write_preview(recipe, tmp_path / "each.png", count=4, by_process=True)
    parts = [make_sample(part, 0, index) for part in recipe.by_process() for index in range(2)]
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "each.png")), contact_sheet(parts))


def test_a_sheet_that_cannot_be_saved_says_why(tmp_path: Path) -> None:
    sheet = contact_sheet([sample()])
    with pytest.raises(RecordsError) as caught:
        save(sheet, tmp_path / "sheet.jpg")
    assert str(caught.value) == f"{tmp_path}/sheet.jpg: a contact sheet is a PNG. Name it sheet.png."
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsError, match=r"cannot be written: .*\. Name another file\."):
        save(sheet, tmp_path / "file" / "sheet.png")
