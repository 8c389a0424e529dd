"""Test-time augmentation: when a crop is read in another view, and how views are fused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from serialread.codes import Alphabet, format_of
from serialread.config import Code, CropGeometry
from serialread.imaging.views import MIN_TEXT_PX, PITCH, TIGHT_VIEWS, Extent, LevelView, TightView, extent_of
from serialread.inference import FormatSearch, decode
from serialread.inference.ctc_format_search import CtcFormatSearch
from serialread.inference.session import ModelCard
from serialread.reader.decisions import judge, log_odds
from serialread.reader.fusion import fuse, likely_string, next_view
from serialread.reader.outputs import compared
from serialread.records import CharReading, Floats, FreeReading, Reading, Verdict

SLOT_VIEWS = TIGHT_VIEWS["slots"]
EVERY_VIEW = [*SLOT_VIEWS, *TIGHT_VIEWS["ctc"]]


def reading(text: str, confidence: float = 0.9, runner_up: str = "?") -> Reading:
    rest = (1 - confidence) / 2
    chars = tuple(CharReading(c, confidence, (runner_up, rest), (8.0 * i, 0, 8.0 * i + 6, 64))
                  for i, c in enumerate(text))  # fmt: skip
    return Reading(chars, confidence)


@pytest.mark.parametrize(
    ("texts", "tight_view"),
    [
        ([("A1", 0.99)], None),
        ([("A1", 0.5)], SLOT_VIEWS[0]),
        ([("A1", 0.5), ("A1", 0.1)], None),
        ([("A1", 0.5), ("AI", 0.9)], SLOT_VIEWS[1]),
        ([("A1", 0.5), ("AI", 0.9), ("A", 0.9)], None),
        ([("", 0.5), ("", 0.5)], None),
    ],
)
def test_a_doubtful_crop_is_retried_until_two_views_agree(
    texts: list[tuple[str, float]], tight_view: TightView | None
) -> None:
    assert (
        next_view([reading(text, confidence ** (1 / (len(text) + 1))) for text, confidence in texts])
        == tight_view
    )


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        ([("81150", 0.9)], "81150"),
        ([("681150", 0.7), ("81150", 0.6), ("81150", 0.6)], "81150"),
        ([("681150", 0.99), ("81150", 0.5), ("81150", 0.5)], "681150"),
        ([("A", 0.5), ("B", 0.5)], "A"),
        ([("", 0.9), ("A", 0.2), ("A", 0.2)], ""),
    ],
)
def test_the_string_with_the_highest_total_confidence_wins(
    texts: list[tuple[str, float]], winner: str
) -> None:
    assert fuse([reading(text, confidence) for text, confidence in texts]).text == winner


def test_views_that_agree_have_their_mean_confidence() -> None:
    fused = fuse([reading("A1", 0.9), reading("A1", 0.7)])
    assert [c.confidence for c in fused.chars] == pytest.approx([0.8, 0.8])
    assert fused.end_confidence == pytest.approx(0.8)


def test_what_each_view_read_is_kept() -> None:
    assert fuse([reading("AI", 0.5), reading("A1", 0.9)]).view_texts == ("AI", "A1")
    assert fuse([reading("A1", 0.9)]).view_texts == ()


def test_a_view_that_differs_in_one_character_gives_its_runner_up() -> None:
    fused = fuse([reading("A1", 0.9), reading("AI", 0.8)])
    assert fused.text == "A1"
    assert fused.chars[1].confidence == pytest.approx(0.45)
    assert fused.chars[1].runner_up == ("I", pytest.approx(0.4))
    assert fused.chars[0].confidence == pytest.approx(0.85)


def test_a_view_of_another_length_lowers_the_end_confidence() -> None:
    fused = fuse([reading("A1", 0.9), reading("A1", 0.9), reading("A11", 0.3)])
    assert [c.confidence for c in fused.chars] == pytest.approx([0.9, 0.9])
    assert fused.end_confidence == pytest.approx(0.6)


ODDS = st.floats(-6, 6)


def reading_of_odds(text: str, odds: float) -> Reading:
    """A reading whose weakest character has these log-odds."""
    return reading(text, 1 / (1 + math.exp(-odds)))


@given(ODDS, ODDS, st.floats(0, 3))
def test_joint_odds_rise_with_agreeing_views_and_fall_with_disagreeing_ones(
    one: float, other: float, more: float
) -> None:
    def fused(*odds: float, against: float | None = None) -> float:
        views = [reading_of_odds("A1", 6), *(reading_of_odds("A1", x) for x in odds)]
        views += [] if against is None else [reading_of_odds("AI", against)]
        result = fuse(views)
        assert result.text == "A1"
        return log_odds(result)

    assert fused(one, other + more) >= fused(one, other) - 1e-6
    assert fused(one, against=min(other + more, 5)) <= fused(one, against=min(other, 5)) + 1e-6


def test_two_agreeing_views_have_higher_odds_than_one() -> None:
    alone, two = reading_of_odds("A1", 3.0), fuse([reading_of_odds("A1", 3.0), reading_of_odds("A1", 3.0)])
    assert log_odds(alone) == pytest.approx(3.0)
    assert log_odds(two) == pytest.approx(4.0)
    assert log_odds(fuse([reading_of_odds("A1", 3.0), reading_of_odds("AI", 2.0)])) == pytest.approx(2 / 3)


def test_a_single_view_is_unchanged() -> None:
    assert fuse([reading("A1", 0.8)]) == reading("A1", 0.8)


@given(
    st.lists(st.tuples(st.text("AB1", max_size=4), st.floats(0.01, 1)), min_size=1, max_size=6),
)
def test_a_fused_reading_is_valid(texts: list[tuple[str, float]]) -> None:
    fused = fuse([reading(text, confidence) for text, confidence in texts])
    assert fused.text in {text for text, _ in texts}
    assert 0 <= fused.confidence <= max(confidence for _, confidence in texts) + 1e-9
    assert all(0 <= c.runner_up[1] <= 1 and 0 <= c.confidence <= 1 for c in fused.chars)


ALPHABET = Alphabet("01A")
DIGITS = FormatSearch(format_of(r"[01]+"), ALPHABET)


def read_views(views: list[list[list[float]]], search: FormatSearch | None) -> Reading:
    """The fused reading of a crop whose views have these scores; each is read only if requested."""
    readings = list[Reading]()
    for scores in views:
        table = np.log(np.array(scores) / np.sum(scores, axis=1, keepdims=True))
        readings.append(decode(table, ALPHABET, search=search))
        if next_view(readings) is None:
            break
    return fuse(readings)


SCORES = st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=3, max_size=3)


@given(st.lists(SCORES, min_size=3, max_size=3))
def test_a_matching_code_that_wins_without_the_format_wins_with_it(
    views: list[list[list[float]]],
) -> None:
    text = read_views(views, None).text
    assert not DIGITS.matches(text) or read_views(views, DIGITS).text == text


def read_column_views(views: list[list[list[float]]], search: FormatSearch | None) -> Reading:
    """As ``read_views``, of a model with CTC columns."""
    card = ModelCard("m", ALPHABET, CropGeometry(), "r", 1, topology="ctc")
    tables, readings = list[Floats](), list[Reading]()
    for scores in views:
        tables.append(np.log(np.array(scores) / np.sum(scores, axis=1, keepdims=True)))
        readings.append(decode(tables[-1], ALPHABET, search=search, topology="ctc"))
        readings = compared(readings, tables, card)
        if next_view(readings, topology="ctc") is None:
            break
    return fuse(readings)


@example(
    [
        [[0.5, 0.75, 0.5, 0.5], [0.5, 1.0, 0.25, 1.0], [0.625, 0.53125, 0.71875, 0.5]],
        [[0.5, 0.8125, 1.0, 0.25], [1.0, 0.5, 1.0, 0.5], [0.5, 0.75, 0.5, 0.5]],
        [[0.25, 0.25, 0.25, 0.5], [0.5, 1.0, 1.0, 1.0], [1.0, 0.25, 0.25, 1.0]],
    ]
)
@given(st.lists(SCORES, min_size=3, max_size=3))
def test_a_matching_code_that_wins_over_columns_without_the_format_wins_with_it(
    views: list[list[list[float]]],
) -> None:
    text = read_column_views(views, None).text
    search = CtcFormatSearch(format_of(r"[01]+"), ALPHABET)
    assert not search.matches(text) or read_column_views(views, search).text == text


def columns_reading(posteriors: dict[str, float], free: FreeReading | None = None) -> Reading:
    """Of a model with CTC columns: the first string is read, and the others are its alternatives."""
    text, posterior = next(iter(posteriors.items()))
    return replace(
        reading(text, 0.9), end_confidence=1.0, posterior=posterior, free=free,
        alternatives=tuple(posteriors.items()),
    )  # fmt: skip


def test_views_of_columns_add_up_the_logarithms_of_their_strings() -> None:
    views = [
        columns_reading({"81": 0.5, "61": 0.45}),
        columns_reading({"61": 0.5, "81": 0.1}),
        columns_reading({"81": 0.6, "61": 0.2}),
    ]
    fused = fuse(views)
    assert fused.text == "61"
    assert fused.confidence == fused.posterior == pytest.approx((0.45 + 0.5 + 0.2) / 3)
    expected = 2 * (math.log(0.45 / 0.55) + 0 + math.log(0.2 / 0.8)) / 4
    assert log_odds(fused) == pytest.approx(expected)
    assert log_odds(views[0]) == pytest.approx(0.0)


def test_a_string_that_one_view_of_columns_excludes_loses_to_one_that_both_find_possible() -> None:
    assert (
        fuse([columns_reading({"81": 0.9, "B1": 0.1}), columns_reading({"B1": 0.3, "81": 1e-4})]).text == "B1"
    )
    assert (
        fuse([columns_reading({"81": 0.9, "B1": 0.1}), columns_reading({"B1": 0.3, "81": 0.1})]).text == "81"
    )


def test_no_further_view_is_read_once_views_of_columns_prefer_one_string_clearly() -> None:
    surer = [columns_reading({"81": 0.7, "B1": 0.02}), columns_reading({"B1": 0.4, "81": 0.3})]
    assert next_view(surer, topology="ctc") is None
    closer = [columns_reading({"81": 0.7, "B1": 0.3}), columns_reading({"B1": 0.4, "81": 0.3})]
    assert next_view(closer, topology="ctc") == TIGHT_VIEWS["ctc"][1]


def test_a_string_against_the_format_is_not_preferred_clearly_enough_to_stop() -> None:
    free = FreeReading("81", 1.0, 0.7)
    fitted = replace(columns_reading({"81": 0.7, "B1": 0.1, "8": 0.01}, free), chars=reading("8").chars)
    views = [fitted, columns_reading({"B1": 0.4, "81": 0.3, "8": 0.01})]
    assert next_view(views, topology="ctc") == TIGHT_VIEWS["ctc"][1]


def test_the_likely_string_need_not_be_the_first_of_any_view() -> None:
    views = [
        columns_reading({"10S630": 0.5, "1O5630": 0.01}),
        columns_reading({"1O5630": 0.5, "10S630": 0.01}),
    ]
    nearest = [{"10S630": 0.5, "105630": 0.4, "19S630": 1e-4}, {"1O5630": 0.5, "105630": 0.3, "105830": 1e-4}]
    asked = list[str]()

    def exact(text: str) -> list[float]:
        asked.append(text)
        return [view[text] for view in nearest]

    assert likely_string(views, nearest, exact) == "105630"
    assert asked == ["105630"]  # the others cannot win, whatever the other view says


def test_the_string_of_a_view_stays_if_nothing_is_more_likely() -> None:
    views = [columns_reading({"81": 0.9, "B1": 0.1}), columns_reading({"81": 0.3, "B1": 0.1})]
    nearest = [{"81": 0.9, "B1": 0.1, "B2": 0.01}] * 2
    assert likely_string(views, nearest, lambda text: [0.01, 0.01]) == "81"


def test_runs_of_letters_and_digits_decide_between_strings_that_are_nearly_as_likely() -> None:
    near = [columns_reading({"10S63": 0.5, "10563": 0.3}), columns_reading({"10563": 0.3, "10S63": 0.3})]
    assert fuse(near).text == "10563"
    far = [columns_reading({"10S63": 0.9, "10563": 0.01}), columns_reading({"10563": 0.3, "10S63": 0.3})]
    assert fuse(far).text == "10S63"


def test_a_view_of_columns_in_which_nothing_is_likely_weighs_little() -> None:
    surer = [columns_reading({"81": 0.5, "B1": 0.1}), columns_reading({"B1": 1e-3, "81": 1e-4})]
    assert fuse(surer).text == "81"


def test_views_of_columns_know_what_the_others_read() -> None:
    tables = [np.log(np.array(view)) for view in ([[0.2, 0.5, 0.2, 0.1]], [[0.1, 0.3, 0.5, 0.1]])]
    readings = [decode(table, ALPHABET, topology="ctc") for table in tables]
    card = ModelCard("m", ALPHABET, CropGeometry(), "r", 1, topology="ctc")
    first, second = compared(readings, tables, card)
    assert [r.text for r in readings] == ["0", "1"]
    assert dict(first.alternatives) == pytest.approx({"0": 0.5, "1": 0.2})
    assert dict(second.alternatives) == pytest.approx({"0": 0.3, "1": 0.5})
    assert fuse([first, second]).text == "0"
    assert compared(readings, tables, replace(card, topology="slots")) == readings
    assert compared(readings[:1], tables[:1], card) == readings[:1]


def test_a_glyph_that_reads_as_another_character_lowers_the_odds() -> None:
    view = columns_reading({"81": 0.9})
    doubtful = replace(view, glyph_evidence=math.log(0.05))
    assert log_odds(doubtful) == pytest.approx(log_odds(view) + 0.2 * math.log(0.05))
    assert log_odds(replace(view, glyph_evidence=-40.0)) == pytest.approx(log_odds(view) - 3)


def test_columns_that_the_format_changed_vote_for_what_they_read_freely() -> None:
    free = FreeReading("1B", 1.0, 0.6)
    fitted = replace(
        columns_reading({"1B": 0.6, "13": 0.3, "18": 0.1}, free), chars=reading("18").chars, posterior=0.1
    )
    other = columns_reading({"13": 0.4, "18": 0.35, "1B": 0.1})
    fused = fuse([fitted, other])
    assert fused.text == "13"
    assert fused.posterior == pytest.approx((0.3 + 0.4) / 2)
    assert fused.free is None  # it also wins without the format
    surer = replace(fitted, alternatives=(("1B", 0.9), ("13", 0.05), ("18", 0.01)))
    free_text = fuse([surer, other]).free_text
    assert free_text == "1B"


def test_fitted_views_do_not_outvote_one_that_matches_the_format() -> None:
    fitted = replace(reading("18", 0.9), free=FreeReading("1B", 0.05, 0.9))
    assert fuse([fitted, reading("13", 0.5), fitted]).text == "13"
    assert fuse([fitted, replace(reading("13", 0.5), free=FreeReading("I3", 0.5, 0.3))]).text == "18"


def test_confident_free_readings_lower_the_odds_of_a_code_of_one_view() -> None:
    """Two confident views break the format, one reads a code: the verdict is FITTED, at low odds."""
    fitted = replace(reading("18", 0.01), free=FreeReading("1B", 12.0, 0.99))
    fused = fuse([fitted, reading("13", 0.8), fitted])
    assert fused.text == "13"
    assert fused.free is not None
    assert fused.free.text == fused.free_text == "1B"
    assert fused.free.margin == pytest.approx(math.log(2 * 0.99 / 0.8**3))
    assert fused.free.confidence == pytest.approx(0.66)
    assert log_odds(fused) < -3
    assert judge(fused, Code(format="digits", misprint_ratio=3)) is Verdict.MISPRINT
    assert judge(fused, Code(format="digits", misprint_ratio=5)) is Verdict.FITTED


def test_fitted_views_that_agree_are_followed_by_another_view() -> None:
    fitted = replace(reading("18", 0.5), free=FreeReading("1B", 0.5, 0.2))
    assert next_view([fitted, fitted]) == SLOT_VIEWS[1]
    assert next_view([fitted, fitted, fitted]) is None


def test_the_level_view_of_a_tilted_crop_comes_last() -> None:
    views = [reading("A1", 0.5), reading("AI", 0.5), reading("4I", 0.5)]
    assert next_view(views[:2], tilt_deg=8.0) == SLOT_VIEWS[1]
    assert next_view(views, tilt_deg=8.0) == LevelView(8.0)
    assert next_view([*views, reading("41", 0.5)], tilt_deg=8.0) is None
    assert next_view(views) is None


def test_widely_spaced_text_is_narrowed() -> None:
    wide, usual = Extent(10, 210, 20, 40, chars=5), Extent(10, 70, 20, 40, chars=5)
    assert wide.narrowed == pytest.approx(PITCH * 20 * 5 / 200)
    assert (usual.narrowed, Extent(10, 210, 20, 40).narrowed) == (1.0, 1.0)
    tight, whole = (tight_view.of(wide, (60, 300)) for tight_view in SLOT_VIEWS)
    assert tight.size[1] == pytest.approx((200 + 2 * 0.35 * 20) * wide.narrowed, abs=1)
    assert whole.size[1] == 300
    pixels = np.full((60, 300), 200, np.uint8)
    pixels[20:40, 150:160] = 10
    (x,) = np.nonzero((tight.cut(pixels) < 100).any(axis=0))
    box = CharReading("1", 1.0, ("", 0.0), (float(x.min()), 0.0, float(x.max() + 1), 20.0))
    placed = tight.to_crop(Reading((box,), 1.0), (60, 300)).chars[0].box
    assert placed is not None
    assert placed[::2] == pytest.approx((150, 160), abs=2)


EXTENTS = st.builds(
    lambda left, wide, top, high, slope, chars: Extent(left, left + wide, top, top + high, slope, chars),
    st.floats(0, 300),
    st.floats(1, 300),
    st.floats(-5, 60),
    st.floats(0, 64),
    st.floats(-0.3, 0.3),
    st.integers(0, 25),
)


@given(st.sampled_from(EVERY_VIEW), EXTENTS, st.integers(1, 80), st.integers(8, 600))
def test_a_view_has_its_size_and_is_never_empty(
    tight_view: TightView, extent: Extent, height: int, width: int
) -> None:
    view = tight_view.of(extent, (height, width))
    seen = view.cut(np.full((height, width), 90, np.uint8))
    assert seen.dtype == np.uint8
    assert seen.shape == view.size
    assert seen.shape[0] == round(extent.height / tight_view.share)
    assert min(seen.shape) >= MIN_TEXT_PX
    assert (seen == 90).all()


@pytest.mark.parametrize("slope", [0.0, 0.1, -0.2])
@pytest.mark.parametrize("tight_view", EVERY_VIEW)
def test_a_view_levels_the_text_and_maps_boxes_back_to_the_crop(tight_view: TightView, slope: float) -> None:
    """Marks at both ends of a sloping line have the same height in the view."""
    pixels, marks = np.full((64, 300), 200, np.uint8), list[tuple[int, int]]()
    extent = Extent(40, 260, 22, 42, slope)
    for x in (40, 250):
        y = round(22 + slope * (x + 5 - extent.middle))
        pixels[y : y + 20, x : x + 10] = 10
        marks.append((x, y))
    view = tight_view.of(extent, (64, 300))
    seen = view.cut(pixels)
    half, boxes = seen.shape[1] // 2, []
    for start in (0, half):
        rows, columns = np.nonzero(seen[:, start : start + half] < 100)
        x0, x1 = columns.min() + start, columns.max() + start + 1
        boxes.append((float(x0), float(rows.min()), float(x1), float(rows.max() + 1)))
    assert abs(boxes[0][1] - boxes[1][1]) <= 2
    chars = tuple(CharReading("1", 1.0, ("", 0.0), box) for box in boxes)
    for char, (x, y) in zip(view.to_crop(Reading(chars, 1.0), (64, 300)).chars, marks, strict=True):
        assert char.box == pytest.approx((x, y, x + 10, y + 20), abs=1.5 + 10 * abs(slope))


@given(
    left=st.integers(0, 8), high=st.integers(2, 5), top=st.integers(0, 3), slope=st.sampled_from([0, 1, -1])
)
def test_glyph_maps_give_the_extent_of_the_text(left: int, high: int, top: int, slope: int) -> None:
    """Eight glyphs of three columns, 4 px per cell; the second half is one row lower or higher."""
    maps = np.zeros((8, 12, 40), np.float32)
    for number in range(8):
        down = 2 + top + (slope if number >= 4 else 0)
        maps[number, down : down + high, left + 4 * number : left + 4 * number + 3] = 0.9
    extent = extent_of(maps, (48, 160))
    assert extent is not None
    assert extent.left == pytest.approx(4 * left, abs=4)
    assert extent.right == pytest.approx(4 * (left + 31), abs=4)
    assert np.sign(round(extent.slope, 3)) == slope
    middle = 4 * (2 + top + high / 2 + slope / 2)
    assert (extent.top + extent.bottom) / 2 == pytest.approx(middle, abs=3)
    assert extent.bottom - extent.top == pytest.approx(4 * high, abs=4)


def test_empty_glyph_maps_have_no_extent() -> None:
    assert extent_of(np.zeros((0, 8, 40), np.float32), (32, 160)) is None
    assert extent_of(np.zeros((2, 8, 40), np.float32), (32, 160)) is None


def test_a_station_may_read_sure_crops_in_a_second_view_too() -> None:
    sure = reading("A1", 1.0)
    assert next_view([sure]) is None
    assert next_view([sure], 0.0, "slots", 1.0) == SLOT_VIEWS[0]
    assert next_view([sure, sure], 0.0, "slots", 1.0) is None
