from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread.codes import without_blanks
from serialread.config import DataRecipe, load, marks
from serialread.config.data_recipe import Camera
from serialread.config.marks import Span
from serialread.errors import RecipeError
from serialread.records import Sample
from serialread.synth import make_sample, processes, render, typeface_names
from serialread.synth.alphabets import Segments, segment_faces
from serialread.synth.lighting import ToneAppearance
from serialread.synth.photography import Shaded, photograph, visibility
from serialread.synth.strokes import Mark, Tool

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
    assert sample.pixels.shape[1] <= MARKS.max_width
    assert sample.text == without_blanks(sample.text) != ""
    assert len(sample.origin.boxes) == len(sample.text) <= MARKS.max_length
    assert int(sample.glyphs.max()) <= len(sample.text)
    room = MARKS.height // 8
    for number, (x0, y0, x1, y1) in enumerate(sample.origin.boxes, start=1):
        rows, columns = np.nonzero(sample.glyphs == number)
        if len(rows):
            # a box follows the centre of a stroke, whose width reaches over it
            assert x0 - room <= columns.min() <= columns.max() <= x1 + room
            assert y0 - room <= rows.min() <= rows.max() <= y1 + room


@cache
def forty(kind: str) -> list[Sample]:
    """The samples that several tests examine."""
    return [make_sample(only(kind), 3, index) for index in range(40)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_process_leaves_a_mark_for_every_character(kind: str) -> None:
    drawn = wanted = 0
    for sample in forty(kind):
        assert sample.origin is not None
        assert sample.glyphs is not None
        assert sample.origin.process == kind
        wanted += len(sample.text)
        drawn += len(set(np.unique(sample.glyphs)) - {0})
    assert drawn >= 0.97 * wanted  # a full stop at 10 px may vanish under its neighbour


@pytest.mark.parametrize("kind", KINDS)
def test_the_mark_changes_the_picture_where_its_mask_is(kind: str) -> None:
    """Local contrast on the mask exceeds that of the bare surface around, in the mean of many crops."""
    inside, outside = [], []
    for sample in forty(kind):
        assert sample.glyphs is not None
        grey = sample.pixels.astype(np.float32)
        steep = np.hypot(*np.gradient(grey))
        near = sample.glyphs > 0
        if near.mean() > 0.02 and (~near).mean() > 0.02:
            inside.append(float(steep[near].mean()))
            outside.append(float(steep[~near].mean()))
    assert np.mean(inside) > 1.15 * np.mean(outside)


def test_handwritten_characters_vary_and_engraved_ones_do_not() -> None:
    """Spread of one character's mask over a code of it alone, set by each without any other chance."""

    def spread(kind: str) -> float:
        layout = MARKS.layout.model_copy(
            update={"perspective_share": 0.0, "arc_share": 0.0, "cylinder_share": 0.0}
        )
        texts = MARKS.texts.model_copy(
            update={"digits": 0.0, "mixed": 0.0, "arbitrary": 0.0, "patterns": ("33333333",)}
        )
        recipe = only(kind).model_copy(update={"layout": layout, "texts": texts})
        found = []
        for index in range(12):
            glyphs = make_sample(recipe, 8, index).glyphs
            assert glyphs is not None
            areas = [int((glyphs == number).sum()) for number in range(2, 8)]
            found.append(np.std(areas) / np.mean(areas))
        return float(np.median(found))

    assert spread("scribed") > 1.3 * spread("engraved")


def test_every_process_of_the_configuration_has_exactly_one_spec() -> None:
    sections = get_args(get_args(marks.Process)[0])
    assert {spec.section for spec in processes.SPECS.values()} == set(sections)
    assert list(processes.SPECS) == [spec.kind for spec in processes.SPECS.values()]
    assert {spec.kind for spec in processes.SPECS.values()} == set(KINDS)


class Etched(marks.Tone):
    """A process that only this test knows."""

    kind: Literal["etched"]
    contrast: Span = (0.6, 0.6)


def test_one_spec_adds_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = processes.ProcessSpec(
        section=Etched,
        face_kind=lambda process, rng: "strokes",
        tool=lambda process, rng: Tool(width=0.12),
        surface_weights={"anodised": 1},
        appearance=ToneAppearance[Etched](bright=lambda process, rng: True),
        writable=lambda text, process, rng: "7" * len(text),
    )
    monkeypatch.setitem(processes.SPECS, spec.kind, spec)
    recipe = MARKS.model_copy(update={"processes": (Etched(kind="etched"),)})
    for sample in render(recipe, seed=4, count=5):
        assert sample.origin is not None
        assert sample.glyphs is not None
        assert (sample.origin.process, set(sample.text)) == ("etched", {"7"})
        assert sample.origin.parameters["surface"] == "anodised"
        assert set(np.unique(sample.glyphs)) == set(range(len(sample.text) + 1))


def test_a_stream_of_samples_follows_the_index_and_needs_no_end() -> None:
    path = RECIPES / "flat-print.toml"
    recipe = load(path, DataRecipe)
    wanted = [make_sample(recipe, 6, index).pixels for index in range(3)]
    for stream in (render(path, 6, count=3), islice(render(recipe, 6), 3), render(str(path), 6, count=3)):
        for sample, pixels in zip(stream, wanted, strict=True):
            np.testing.assert_array_equal(sample.pixels, pixels)
    with pytest.raises(RecipeError):
        render(RECIPES / "none.toml")


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


def test_a_typo_in_the_only_process_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[[processes]]\nkind = "scribed"\nwandr = [0.1, 0.2]\n')
    with pytest.raises(RecipeError) as refused:
        load(path, DataRecipe)
    assert str(refused.value) == (
        f"{path}: 1 problem: processes.0.scribed.wandr: no such key (did you mean wander?). Correct the file."
    )


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_data_recipe_loads(path: Path) -> None:
    assert load(path, DataRecipe).processes


@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_an_upside_down_crop_is_the_upright_one_rotated_by_180_degrees(seed: int) -> None:
    turned = MARKS.model_copy(update={"layout": MARKS.layout.model_copy(update={"upside_down_share": 1.0})})
    upright, flipped = make_sample(MARKS, seed, 0), make_sample(turned, seed, 0)
    assert flipped.text == upright.text
    assert upright.glyphs is not None
    assert upright.origin is not None
    assert flipped.origin is not None
    np.testing.assert_array_equal(flipped.pixels, upright.pixels[::-1, ::-1])
    np.testing.assert_array_equal(flipped.glyphs, upright.glyphs[::-1, ::-1])
    assert flipped.origin.parameters["flipped"] is True
    assert "flipped" not in upright.origin.parameters
    rows, columns = upright.pixels.shape
    x0, y0, x1, y1 = flipped.origin.boxes[0]
    assert upright.origin.boxes[0] == pytest.approx((columns - x1, rows - y1, columns - x0, rows - y0))


def test_crops_are_upright_by_default() -> None:
    assert MARKS.layout.upside_down_share == 0


def test_every_sample_records_its_visibility_and_few_are_below_the_minimum() -> None:
    seen, tries = [], []
    for index in range(120):
        origin = make_sample(MARKS, 9, index).origin
        assert origin is not None
        seen.append(float(origin.parameters["visibility"]))
        tries.append(int(origin.parameters["lightings"]))
    assert 1 < max(tries) <= 4  # some were lit again
    assert np.mean(np.array(seen) < MARKS.min_visibility) < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_a_crop_without_a_code_has_no_text_and_no_mask_but_a_surface(kind: str) -> None:
    recipe = only(kind).model_copy(update={"background_share": 1.0})
    for index in range(12):
        sample = make_sample(recipe, 3, index)
        assert sample.glyphs is not None
        assert sample.origin is not None
        assert (sample.text, sample.glyphs.any(), sample.origin.boxes) == ("", False, ())
        assert sample.origin.parameters["bare"] is True
        assert sample.pixels.shape == sample.glyphs.shape
        assert int(np.ptp(sample.pixels)) > 0


def test_the_light_without_the_mark_is_that_on_the_marked_surface() -> None:
    ground = np.random.default_rng(0).normal(0.5, 0.1, (8, 20)).astype(np.float32)
    signal = np.zeros_like(ground)
    signal[2:6, 5:9] = 0.3
    bare = Shaded(ground + signal, signal, 0.3, {"surface": "cast"}).bare

    np.testing.assert_allclose(bare.pixels, ground, atol=1e-6)
    assert not bare.signal.any()
    assert (bare.strength, bare.parameters) == (0.3, {"surface": "cast"})


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_a_fading_mark_weakens_towards_one_end_and_keeps_its_masks(seed: int) -> None:
    mark = Mark(np.ones((8, 100), np.float32), np.ones((8, 100), np.uint8), 2.0)
    faded = mark.fading(0.6, np.random.default_rng(seed))

    steps = np.diff(faded.coverage[0])
    assert (steps <= 0).all() or (steps >= 0).all()
    assert sorted(faded.coverage[0, [0, -1]].tolist()) == pytest.approx([0.4, 1.0])
    np.testing.assert_array_equal(faded.owners, mark.owners)


def test_uneven_focus_blurs_one_end_of_the_line() -> None:
    stripes = np.tile(np.repeat([0.2, 0.8], 6), 40).astype(np.float32)[None].repeat(96, 0)
    plain = Camera(
        blur=(0, 0), noise=(0, 0), low_resolution_share=0, motion_share=0, jpeg_share=0, sharpen_share=0
    )
    askew = plain.model_copy(update={"uneven_focus_share": 1.0, "uneven_focus_blur": (2.0, 2.0)})
    pixels, drawn = photograph(stripes, 0.3, 66, askew, 48, np.random.default_rng(0))

    ends = sorted(float(end.std()) for end in (pixels[:, :30], pixels[:, -30:]))
    assert ends[0] < 0.5 * ends[1]
    assert drawn["uneven_focus_px"] == 2.0


def test_visibility_falls_when_the_mark_gets_weaker() -> None:
    rng = np.random.default_rng(0)
    signal = np.zeros((64, 200), np.float32)
    signal[16:48, 20:40] = signal[16:48, 100:120] = 0.3
    ground = rng.normal(0.5, 0.05, signal.shape).astype(np.float32)
    boxes = np.array([[20, 16, 40, 48], [100, 16, 120, 48]])

    def seen(strength: float, noise: float = 0.0) -> float:
        weak = signal * np.float32(strength)
        return visibility(Shaded(ground + weak, weak, 0.1, {}), boxes, 32, noise)

    assert seen(1.0) > 1.5 * seen(0.5) > 0
    assert seen(1.0, noise=0.1) < 0.6 * seen(1.0)
    signal[:, 100:] *= 0.1
    assert seen(1.0) < 0.3 * visibility(Shaded(ground + signal, signal, 0.1, {}), boxes[:1], 32, 0.0)


@pytest.mark.parametrize("seed", [2, 7, 16])
def test_the_visibility_of_a_character_without_a_mark_is_none_at_all(seed: int) -> None:
    signal = np.exp(10 * (np.random.default_rng(seed).standard_normal((64, 96)) - 0.9)).astype(np.float32)
    signal[:, 40:] = 0  # sums over the rest are so large that those over this box round to less than 0
    box = np.array([[60.0 + seed % 7, 20.0 + seed % 5, 76.0, 40.0]])
    assert visibility(Shaded(signal, signal, 0.1, {}), box, 32, 0.0) == pytest.approx(0, abs=1e-3)


def test_a_display_shows_what_seven_segments_can() -> None:
    texts = {sample.text for sample in forty("display")}
    assert set("".join(texts)) <= set("0123456789-.:AbCdEFHJLPUhnortuy")
    assert any("." in text and text.replace(".", "").isdigit() for text in texts)
    assert 0.6 < np.mean([not any(c.isalpha() for c in text) for text in texts]) < 1


@pytest.mark.parametrize("face", segment_faces(), ids=lambda face: face.name)
def test_all_characters_of_a_display_differ(face: Segments) -> None:
    shapes = [frozenset(on) for char, on in face.glyphs.items() if char not in ".:"]
    assert len(set(shapes)) == len(shapes)
    assert set("0123456789-.:") <= set(face.glyphs)


def test_a_code_around_a_shaft_narrows_towards_its_ends() -> None:
    layout = MARKS.layout.model_copy(
        update={"cylinder_share": 1.0, "perspective_share": 0.0, "tilt_deg": 0.0, "spacing": (0.1, 0.1)}
    )
    texts = MARKS.texts.model_copy(
        update={"digits": 0, "mixed": 0, "arbitrary": 0, "patterns": ("88888888888",)}
    )
    recipe = only("ink").model_copy(update={"layout": layout, "texts": texts})
    ratios = []
    for index in range(20):
        origin = make_sample(recipe, 1, index).origin
        assert origin is not None
        widths = [x1 - x0 for x0, _, x1, _ in origin.boxes]
        assert float(origin.parameters["around_deg"]) > 20
        ratios.append((widths[0] + widths[-1]) / 2 / widths[5])
    assert np.mean(ratios) < 0.9


def with_photographs(folder: Path) -> DataRecipe:
    surfaces = MARKS.surfaces.model_copy(
        update={"photographs": (folder,), "metal": {"photograph": 1.0}, "printed": {"photograph": 1.0}}
    )
    return MARKS.model_copy(update={"surfaces": surfaces})


def test_own_surface_photographs_carry_the_mark(tmp_path: Path) -> None:
    stripes = np.repeat(np.where(np.arange(300) % 40 < 20, 60, 200).astype(np.uint8)[None], 200, axis=0)
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    recipe = with_photographs(tmp_path)
    used = set()
    for index in range(20):
        sample = make_sample(recipe, 3, index)
        assert sample.origin is not None
        np.testing.assert_array_equal(sample.pixels, make_sample(recipe, 3, index).pixels)
        used.add(sample.origin.parameters["surface"])
    assert "photograph" in used


def test_a_folder_without_surface_photographs_is_refused(tmp_path: Path) -> None:
    recipe = with_photographs(tmp_path).by_process()[0]
    with pytest.raises(RecipeError) as caught:
        make_sample(recipe, 3, 0)
    assert str(caught.value) == (
        f"{tmp_path}: no surface photographs here. Name folders of pictures in surfaces.photographs, or "
        "remove the kind photograph from the recipe."
    )


def test_surfaces_need_a_weight(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[surfaces]\nmetal = { brushed = 0 }\n[[processes]]\nkind = "engraved"\n')
    with pytest.raises(RecipeError, match="weights must be 0 or more, and one above 0"):
        load(path, DataRecipe)


def test_the_metal_around_a_punch_rises_most_where_strokes_enclose_it() -> None:
    ring = np.zeros((80, 80), np.float32)
    cv2.circle(ring, (40, 40), 12, 1.0, 4)
    none, all_of_it = (
        marks.Stamped(kind="stamped", bulge_share=share, bulge=(1.0, 1.0)) for share in (0.0, 1.0)
    )
    rng = np.random.default_rng(1)
    assert processes.bulged(ring, 4.0, none, rng) is ring
    depth = processes.bulged(ring, 4.0, all_of_it, rng)
    counter, beside, far = depth[40, 40], depth[40, 60], depth[4, 4]
    assert counter < beside < far == pytest.approx(0, abs=1e-3)
    assert depth[40, 52] > 0.2
