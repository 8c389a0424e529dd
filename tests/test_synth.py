from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serialread.codes import without_blanks
from serialread.errors import RecipeError
from serialread.recipe import DataRecipe, load
from serialread.synth import make_sample, typeface_names

RECIPES = Path(__file__).parent.parent / "recipes" / "data"
MARKS = load(RECIPES / "marks.toml", DataRecipe)
KINDS = [p.kind for p in MARKS.processes]


def only(kind: str) -> DataRecipe:
    return MARKS.model_copy(update={"processes": tuple(p for p in MARKS.processes if p.kind == kind)})


@given(seed=st.integers(0, 2**31), index=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_sample_is_a_function_of_recipe_seed_and_index(seed: int, index: int) -> None:
    one, two = make_sample(MARKS, seed, index), make_sample(MARKS, seed, index)
    assert one.text == two.text
    assert one.origin == two.origin
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.glyphs, two.glyphs)


@given(seed=st.integers(0, 2**31), index=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_pixels_masks_and_boxes_agree(seed: int, index: int) -> None:
    sample = make_sample(MARKS, seed, index)
    assert sample.glyphs is not None
    assert sample.origin is not None
    assert sample.pixels.dtype == sample.glyphs.dtype == np.uint8
    assert sample.pixels.shape == sample.glyphs.shape
    assert sample.pixels.shape[0] == MARKS.height
    assert sample.pixels.shape[1] <= MARKS.widest
    assert sample.text == without_blanks(sample.text) != ""
    assert len(sample.origin.boxes) == len(sample.text) <= MARKS.longest
    assert int(sample.glyphs.max()) <= len(sample.text)
    for number, (x0, y0, x1, y1) in enumerate(sample.origin.boxes, start=1):
        rows, columns = np.nonzero(sample.glyphs == number)
        if len(rows):
            # a box follows the centre of a stroke, whose width reaches over it
            assert x0 - 4 <= columns.min() <= columns.max() <= x1 + 4
            assert y0 - 4 <= rows.min() <= rows.max() <= y1 + 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_process_leaves_a_mark_for_every_character(kind: str) -> None:
    recipe = only(kind)
    drawn = wanted = 0
    for index in range(40):
        sample = make_sample(recipe, 3, index)
        assert sample.origin is not None
        assert sample.glyphs is not None
        assert sample.origin.process == kind
        wanted += len(sample.text)
        drawn += len(set(np.unique(sample.glyphs)) - {0})
    assert drawn >= 0.97 * wanted  # a full stop at 10 px may vanish under its neighbour


@pytest.mark.parametrize("kind", KINDS)
def test_the_mark_changes_the_picture_where_its_mask_is(kind: str) -> None:
    """Local contrast on the mask exceeds that of the bare surface around, in the mean of many crops."""
    recipe, inside, outside = only(kind), [], []
    for index in range(40):
        sample = make_sample(recipe, 5, index)
        assert sample.glyphs is not None
        grey = sample.pixels.astype(np.float32)
        steep = np.hypot(*np.gradient(grey))
        near = sample.glyphs > 0
        if near.mean() > 0.02 and (~near).mean() > 0.02:
            inside.append(float(steep[near].mean()))
            outside.append(float(steep[~near].mean()))
    assert np.mean(inside) > 1.15 * np.mean(outside)


def test_held_out_typefaces_never_train() -> None:
    heldout = load(RECIPES / "marks-heldout.toml", DataRecipe)
    train, held = set(typeface_names(MARKS)), set(typeface_names(heldout))
    assert train
    assert held
    assert not train & held


def test_a_typo_in_a_recipe_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[camera]\nblurr = [0, 1]\n[[processes]]\nkind = "engraved"\nslope = [2, 1]\n')
    with pytest.raises(RecipeError) as caught:
        load(path, DataRecipe)
    message = str(caught.value)
    assert "camera.blurr: no such key" in message
    assert "processes.0.engraved.slope" in message


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_data_recipe_loads(path: Path) -> None:
    assert load(path, DataRecipe).processes
