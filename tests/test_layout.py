"""Where characters stand, and what is drawn around them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from serialread.config import DataRecipe, load
from serialread.config.data_recipe import Layout
from serialread.errors import RecipeError
from serialread.synth import distractors, fonts, make_sample
from serialread.synth.alphabets import dot_faces, segment_faces, stroke_faces
from serialread.synth.layout import Setting, TypesetLine, set_line
from serialread.synth.strokes import Tool, draw

MARKS = load(Path(__file__).parent.parent / "recipes" / "data" / "marks.toml", DataRecipe)
STROKES, DOTS = stroke_faces()[0], dot_faces()[0]
ALONE = Layout(
    perspective_share=0,
    neighbour_share=0,
    partial_neighbour_share=0,
    tool_mark_share=0,
    frame_share=0,
    logo_share=0,
    cropped_share=0,
    arc_share=0,
    cylinder_share=0,
    tilt_deg=0,
    slant_deg=(0, 0),
)
seeds = st.integers(0, 2**31)


def set_out(seed: int, text: str = "7H0-35", *, rows: int = 64, **knobs: object) -> TypesetLine:
    layout = ALONE.model_copy(update=knobs)
    return set_line(text, STROKES, DOTS, layout, Setting(), rows, 2000, np.random.default_rng(seed))


def lengths_of_sides(line: TypesetLine) -> np.ndarray:
    """Top, right, bottom and left side of every character's box, px."""
    corners = fonts.placed(line.runs[0].faces, line.runs[0].chars, line.runs[0].matrices)
    return np.hypot(*(np.roll(corners, -1, axis=1) - corners).transpose(2, 0, 1))


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.35, 1.1), (1.0, 1.1, 3.0)])
@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_gaps_of_a_code_are_as_wide_as_the_recipe_says(
    share: float, least: float, most: float, seed: int
) -> None:
    """The gap comes on top of the pitch, and both are stretched with the characters."""
    lines = [set_out(seed, text, wide_gap_share=share, stretch=(1, 1)) for text in ("HHHH", "HH HH")]
    together, apart = (np.diff(line.boxes[:, 0]) / line.cap_px for line in lines)
    gap = apart[1] - together[1]
    assert least - 0.05 <= gap <= most + 0.05
    np.testing.assert_allclose(apart[[0, 2]], together[[0, 2]], atol=0.05)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_long_dash_keeps_its_thickness_and_moves_what_follows(seed: int) -> None:
    even = {"stretch": (1, 1), "rotation_deg": (0, 0), "jitter": (0, 0)}
    short, long = (set_out(seed, "A-H", long_dash_share=share, **even) for share in (0.0, 1.0))
    (width, height), (wide, high) = (lengths_of_sides(line)[1, :2] / line.cap_px for line in (short, long))
    assert 1.29 * width < wide < 3.01 * width
    assert high == pytest.approx(height, rel=0.01)
    assert (np.diff(long.boxes[:, 0]) > 0).all()


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_narrow_slash_keeps_its_height_and_is_at_most_as_wide_as_the_typeface_s(seed: int) -> None:
    even = {"stretch": (1, 1), "rotation_deg": (0, 0), "jitter": (0, 0)}
    wide, slim = (set_out(seed, "A/H", narrow_slash_share=share, **even) for share in (0.0, 1.0))
    (width, height), (narrow, high) = (lengths_of_sides(line)[1, :2] / line.cap_px for line in (wide, slim))
    assert min(width, 0.27) <= narrow <= min(width, 0.56) + 0.01
    assert high == pytest.approx(height, rel=0.01)


@pytest.mark.parametrize(("text", "knob"), [("1-1", "long_dash_share"), ("1/1", "narrow_slash_share")])
def test_a_dot_matrix_keeps_its_own_dash_and_slash(text: str, knob: str) -> None:
    layouts = [ALONE.model_copy(update={knob: share}) for share in (0.0, 1.0)]
    own, given = (
        set_line(text, DOTS, STROKES, layout, Setting(), 64, 2000, np.random.default_rng(3))
        for layout in layouts
    )
    np.testing.assert_allclose(own.boxes, given.boxes)


@given(seed=seeds)
@settings(deadline=None)
def test_without_perspective_a_character_keeps_parallel_sides(seed: int) -> None:
    top, right, bottom, left = lengths_of_sides(set_out(seed)).T
    np.testing.assert_allclose([top, right], [bottom, left], rtol=1e-6)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_perspective_makes_a_keystone_of_the_line_and_of_every_character(seed: int) -> None:
    line = set_out(
        seed, "HHHHHHHH", perspective_share=1.0, perspective_deg=(30, 30), perspective_distance=(3, 3)
    )
    top, right, bottom, left = lengths_of_sides(line).T
    assert line.parameters["perspective_deg"] == 30
    across = np.ptp(np.concatenate([left, right[-1:]])) / left.mean()
    down = np.abs(top - bottom).max() / top.mean()
    assert max(across, down) > 0.02
    within = np.abs(left - right) / left.mean() + np.abs(top - bottom) / top.mean()
    assert within.max() > 0.005  # no affine map, not even of one character


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_masks_and_boxes_follow_the_perspective(seed: int) -> None:
    line = set_out(seed, perspective_share=1.0, perspective_deg=(25, 35), perspective_distance=(3, 5))
    mark = draw(line, Tool(width=0.12), np.random.default_rng(seed))
    for number, (x0, y0, x1, y1) in enumerate(line.boxes, start=1):
        rows, columns = np.nonzero(mark.owners == number)
        assert x0 - 6 <= columns.min() <= columns.max() <= x1 + 6
        assert y0 - 6 <= rows.min() <= rows.max() <= y1 + 6


def test_a_camera_inside_the_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "near.toml"
    path.write_text('[layout]\nperspective_distance = [1, 3]\n[[processes]]\nkind = "ink"\n')
    with pytest.raises(RecipeError) as caught:
        load(path, DataRecipe)
    assert str(caught.value) == (
        f"{path}: 1 problem: layout.perspective_distance: below 2 parts of the line are behind "
        "the camera (got [1, 3]). Correct the file."
    )


def test_an_unmarked_side_has_no_depth_and_keeps_its_mask() -> None:
    line = set_out(1, "HHHH", rows=96)
    whole = draw(line, Tool(width=0.14), np.random.default_rng(0))
    partly = draw(line, Tool(width=0.14, partial=1.0, unstruck=(0.4, 0.4)), np.random.default_rng(0))
    assert whole.partial == ()
    assert partly.partial == (1, 2, 3, 4)
    np.testing.assert_array_equal(partly.owners, whole.owners)
    for number in partly.partial:
        body = whole.owners == number
        assert 0.1 < np.mean(partly.coverage[body] == 0) < 0.7
        assert np.mean(partly.coverage[body] > 0.9 * whole.coverage[body]) > 0.15


def test_the_record_names_the_partly_marked_characters() -> None:
    stamped = tuple(
        p.model_copy(update={"partial_share": 1.0}) for p in MARKS.processes if p.kind == "stamped"
    )
    recipe = MARKS.model_copy(update={"processes": stamped})
    named = 0
    for index in range(12):
        sample = make_sample(recipe, 4, index)
        assert sample.origin is not None
        numbers = [int(n) for n in str(sample.origin.parameters.get("partial", "")).split()]
        assert all(1 <= n <= len(sample.text) for n in numbers)
        named += bool(numbers)
    assert named > 4
    plain = MARKS.model_copy(update={"processes": tuple(p for p in MARKS.processes if p.kind == "ink")})
    origin = make_sample(plain, 4, 0).origin
    assert origin is not None
    assert "partial" not in origin.parameters


def test_lines_above_and_below_have_a_typeface_and_size_of_their_own_and_no_label() -> None:
    sizes = []
    for seed in range(40):
        line = set_out(seed, neighbour_share=0.4, margin=(0.3, 0.6))
        mark = draw(line, Tool(width=0.12), np.random.default_rng(seed))
        assert int(mark.owners.max()) <= line.length == 6
        for run in line.runs[1:]:
            assert set(run.faces) == {DOTS}
            sizes.append(float(np.median(fonts.scales(run.matrices))) / line.cap_px)
    assert len(sizes) > 20
    assert min(sizes) < 0.8
    assert max(sizes) > 1.3


def test_a_partial_neighbour_crosses_the_edge_and_keeps_its_distance_from_the_code() -> None:
    for seed in range(30):
        line = set_out(seed, partial_neighbour_share=1.0)
        (beside_it,) = line.runs[1:]
        x = fonts.placed(beside_it.faces, beside_it.chars, beside_it.matrices)[0, :, 0]
        wide = line.size[1]
        assert x.min() < -1 or x.max() > wide + 1
        assert x.min() < wide - 1
        assert x.max() > 1
        gap = max(line.boxes[0, 0] - x.max(), x.min() - line.boxes[-1, 2])
        assert gap > 0.2 * line.cap_px


@given(seed=seeds)
@settings(deadline=None)
def test_tool_marks_differ_from_every_character_of_the_code(seed: int) -> None:
    bounds = 0.0, -1.0, 5.0, 0.0
    for stroke in distractors.strokes(bounds, np.random.default_rng(seed)):
        (xa, top), (xb, bottom) = stroke.points
        at_caps = np.interp([-1.0, 0.0], [top, bottom], [xa, xb])
        assert at_caps.max() < 0.2 or at_caps.min() > 4.8
        assert stroke.strength < 0.5 or top < -1.09 or bottom > 0.09


def test_tool_marks_are_inside_the_crop_and_have_no_mask() -> None:
    for seed in range(30):
        line = set_out(seed, tool_mark_share=1.0)
        mark = draw(line, Tool(width=0.12), np.random.default_rng(seed))
        assert line.shapes
        middles = [float(shape.points[:, 0].mean()) for shape in line.shapes]
        assert 0 <= min(middles) <= max(middles) <= line.size[1]
        assert mark.coverage[mark.owners == 0].max() > 0.15


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_suffix_is_smaller_ends_higher_and_is_underlined(seed: int) -> None:
    line = set_out(seed, "888888", suffix_share=1.0)
    assume(line.parameters["tilt_deg"] == 0)  # one in ten is tilted
    heights, lows = line.boxes[:, 3] - line.boxes[:, 1], line.boxes[:, 3]
    assert heights[-1] < 0.87 * heights[0]
    assert lows[-1] < lows[0] - 0.1 * heights[0]
    for shape in line.shapes:
        assert len(shape.points) == 2
        assert shape.points[:, 1].min() > lows[-1] - 1


def test_a_display_s_last_digits_are_smaller_on_its_baseline_and_keep_their_label() -> None:
    face, lowered = segment_faces()[0], 0
    for seed in range(20):
        layout = ALONE.model_copy(update={"suffix_share": 1.0})
        rng = np.random.default_rng(seed)
        line = set_line("00888.8", face, DOTS, layout, Setting(straight=True), 64, 2000, rng)
        heights = line.boxes[:, 3] - line.boxes[:, 1]
        assert line.runs[0].chars == "00888.8"
        assert heights[-1] < 0.9 * heights[0]
        assert heights[:5] == pytest.approx(heights[0], rel=0.02)
        assert not line.shapes
        lowered += bool(abs(line.boxes[-1, 3] - line.boxes[-3, 3]) < 0.1 * heights[0])
    assert 10 < lowered < 20


def test_a_part_beside_a_change_of_kind_is_smaller_within_the_line_and_keeps_its_label() -> None:
    lifted = 0
    for seed in range(30):
        line = set_out(seed, "50HH", resized_share=1.0)
        top, low = line.boxes[:, 1], line.boxes[:, 3]
        heights = low - top
        assert line.runs[0].chars == "50HH"
        assert heights[[0, 2]] == pytest.approx(heights[[1, 3]], rel=0.1)
        if line.parameters["tilt_deg"] or line.parameters["bend_deg"]:
            continue
        small, large = (2, 0) if heights[2] < heights[0] else (0, 2)
        assert 0.3 < heights[small] / heights[large] < 0.87
        assert top[small] > top[large] - 0.1 * heights[large]
        assert low[small] < low[large] + 0.1 * heights[large]
        lifted += bool(low[small] < low[large] - 0.1 * heights[large])
    assert 5 < lifted < 28


def test_a_code_of_one_kind_keeps_one_size() -> None:
    line = set_out(3, "888888", resized_share=1.0)
    assert np.ptp(line.boxes[:, 3] - line.boxes[:, 1]) < 0.2 * line.cap_px


def test_a_unit_behind_the_code_is_smaller_and_has_no_box() -> None:
    shown = 0
    for seed in range(20):
        line = set_out(seed, "888888", unit_share=1.0)
        assert len(line.boxes) == 6
        for unit in line.runs[1:]:
            x = fonts.placed(unit.faces, unit.chars, unit.matrices)[:, :, 0]
            assert x.min() > line.boxes[-1, 2] - 0.1 * line.cap_px
            assert fonts.scales(unit.matrices).max() < 0.7 * line.cap_px
            shown += bool(x.min() < line.size[1])
    assert shown > 10


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_an_emblem_touches_no_character_and_has_no_box_and_no_mask(seed: int) -> None:
    line = set_out(seed, "888 888", logo_share=1.0, gap=(0.6, 1.0))
    assert line.shapes
    assert len(line.boxes) == len(line.runs[0].chars) == 6
    assume(line.parameters["tilt_deg"] == 0)  # boxes of tilted characters meet what is beside them
    for shape in line.shapes:
        left, right = shape.points[:, 0].min(), shape.points[:, 0].max()
        assert ((line.boxes[:, 2] < left + 1) | (line.boxes[:, 0] > right - 1)).all()
    mark = draw(line, Tool(width=0.12), np.random.default_rng(seed))
    alone = draw(replace(line, shapes=()), Tool(width=0.12), np.random.default_rng(seed))
    assert (mark.owners == alone.owners).all()


def test_low_points_are_closer_to_their_neighbours_and_stay_near_the_baseline() -> None:
    for seed in range(10):
        far, close = (
            set_out(seed, "17.07", low_point_share=share, spacing=(0.1, 0.1)) for share in (0.0, 1.0)
        )
        if far.parameters["tilt_deg"] or close.parameters["tilt_deg"]:  # one in ten is tilted
            continue
        steps = [(line.boxes[3, 0] - line.boxes[1, 2]) / line.cap_px for line in (far, close)]
        assert steps[1] < steps[0] - 0.01
        drops = [(line.boxes[2, 3] - line.boxes[1, 3]) / line.cap_px for line in (far, close)]
        assert 0 < drops[1] - drops[0] < 0.2


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_box_is_around_characters_and_crosses_none(seed: int) -> None:
    line = set_out(seed, "80 8880 8", boxed_share=1.0, spacing=(0.1, 0.3))
    assume(line.parameters["tilt_deg"] == 0)  # one in ten is tilted
    assert line.shapes
    x0, x1 = line.boxes[:, 0], line.boxes[:, 2]
    for shape in line.shapes:
        left, right = shape.points[:, 0].min(), shape.points[:, 0].max()
        inside = (x0 > left) & (x1 < right)
        assert inside.any()
        assert ((x1 < left + 2) | (x0 > right - 2))[~inside].all()


def test_a_name_is_in_another_typeface_than_its_value() -> None:
    sizes = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        line = set_line("SN 4711", STROKES, STROKES, ALONE, Setting(), 64, 2000, rng, named=DOTS)
        assert line.runs[0].faces == (DOTS,) * 2 + (STROKES,) * 4
        sizes.add(round(float((line.boxes[0, 3] - line.boxes[0, 1]) / line.cap_px), 1))
    assert len(sizes) > 2
    line = set_line(
        "47 11", STROKES, STROKES, ALONE, Setting(), 64, 2000, np.random.default_rng(1), named=DOTS
    )
    assert set(line.runs[0].faces) == {STROKES}


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_barcode_is_above_or_below_the_code(seed: int) -> None:
    line = set_out(seed, "888888", barcode_share=1.0)
    assume(line.parameters["tilt_deg"] == 0)  # one in ten is tilted
    low, high = line.boxes[:, 1].min(), line.boxes[:, 3].max()
    rows = [(shape.points[:, 1].min(), shape.points[:, 1].max()) for shape in line.shapes]
    assert len(rows) > 10
    assert all(bottom < low for _, bottom in rows) or all(top > high for top, _ in rows)


def test_loose_crops_are_wider_and_cut_ones_narrower_than_the_code() -> None:
    loose, cut = (
        [set_out(seed, **knobs) for seed in range(30)]
        for knobs in ({"loose_share": 1.0}, {"side_cut_share": 1.0})
    )
    spare = [max(line.boxes[0, 0], line.size[1] - line.boxes[-1, 2]) / line.cap_px for line in loose]
    assert min(spare) > 0.3
    assert max(spare) > 1.5
    assert all(line.boxes[0, 0] <= 2 or line.boxes[-1, 2] >= line.size[1] - 2 for line in cut)
