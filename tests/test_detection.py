"""From maps to lines: straight, on arcs and circles, in any direction; and their cut-outs."""

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from serialread.detection import Maps, TextLine, cut_line, lines_of, lone_mark, spanning
from serialread.detection.line_finder import LineFinder, apart, merged
from serialread.detection.text_lines import CELL_PX, REFERENCE_PX
from serialread.imaging.frames import Frame
from serialread.records import Pixels
from serialread.weights import shipped_detector

SIZE = 480


def maps_of(*lines: tuple[NDArray[np.float64], float]) -> Maps:
    """The maps of a perfect detector for centre lines [k, 2] of a height, px."""
    cells = SIZE // CELL_PX
    core, height = np.zeros((cells, cells), np.float32), np.zeros((cells, cells), np.float32)
    direction = np.zeros((2, cells, cells), np.float32)
    for centre, high in lines:
        for (x0, y0), (x1, y1) in itertools.pairwise(centre):
            length = float(np.hypot(x1 - x0, y1 - y0))
            for step in np.linspace(0, 1, max(int(length), 2)):
                for aside in np.linspace(-0.2 * high, 0.2 * high, 5):
                    x = x0 + step * (x1 - x0) - aside * (y1 - y0) / length
                    y = y0 + step * (y1 - y0) + aside * (x1 - x0) / length
                    cell = int(y // CELL_PX), int(x // CELL_PX)
                    core[cell], height[cell] = 0.95, np.log2(high / REFERENCE_PX)
                    direction[:, cell[0], cell[1]] = (x1 - x0) / length, (y1 - y0) / length
    return Maps(core, direction, height)


def circle(radius: float, start: float, length: float, *, clockwise: bool = True) -> NDArray[np.float64]:
    """An arc around the middle; angles clockwise from the x-axis."""
    angles = start + np.linspace(0, length, 60) * (1 if clockwise else -1)
    return SIZE / 2 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.mark.parametrize("degrees", range(0, 360, 30))
def test_a_straight_line_is_found_in_its_direction(degrees: int) -> None:
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    centre = SIZE / 2 + np.stack([-100 * along, 100 * along])
    (line,) = lines_of(maps_of((centre, 20.0)))
    assert line.is_straight
    assert np.linalg.norm(line.centre - centre, axis=1).max() < 6
    assert line.height == pytest.approx(20, rel=0.01)
    assert (line.direction_deg - degrees + 180) % 360 - 180 == pytest.approx(0, abs=1.5)


@pytest.mark.parametrize("clockwise", [True, False])
@pytest.mark.parametrize("length", [1.0, 3.0, 5.5])
def test_a_line_on_a_circle_is_found_with_its_ends(length: float, clockwise: bool) -> None:
    centre = circle(120, 0.7, length, clockwise=clockwise)
    (line,) = lines_of(maps_of((centre, 24.0)))
    assert not line.is_straight
    assert np.linalg.norm(line.centre[[0, -1]] - centre[[0, -1]], axis=1).max() < 7
    assert np.linalg.norm(line.centre - SIZE / 2, axis=1) == pytest.approx(120, abs=3)
    assert line.length == pytest.approx(120 * length, rel=0.06, abs=10)


def test_a_curve_that_is_no_circle_is_followed() -> None:
    x = np.linspace(60, 420, 50)
    centre = np.stack([x, 240 + 25 * np.sin((x - 240) / 60)], axis=1)
    (line,) = lines_of(maps_of((centre, 18.0)))
    found = np.interp(line.centre[:, 0], x, centre[:, 1])
    assert np.abs(found - line.centre[:, 1]).max() < 8


def test_gaps_within_a_line_are_bridged_and_wide_ones_separate_lines() -> None:
    parts = [np.array([[a, 200.0], [b, 200.0]]) for a, b in ((60, 140), (160, 240), (300, 400))]
    lines = lines_of(maps_of(*((part, 20.0) for part in parts)))
    assert sorted(round(line.length / 10) for line in lines) == [10, 18]


def test_rows_stay_apart() -> None:
    rows = [np.array([[80.0, y], [380.0, y]]) for y in (200.0, 230.0, 260.0)]
    assert len(lines_of(maps_of(*((row, 20.0) for row in rows)))) == 3


def test_rows_that_touch_are_told_apart() -> None:
    rows = [np.array([[80.0, y], [380.0, y + 12]]) for y in (200.0, 228.0, 256.0)]
    bridge = np.array([[230.0, 190.0], [230.0, 280.0]])
    maps = maps_of(*((row, 20.0) for row in rows))
    joined = maps_of((bridge, 20.0))
    core = np.where(maps.core > 0, maps.core, joined.core)
    height = np.where(maps.core > 0, maps.height, np.log2(20 / REFERENCE_PX))
    direction = np.where(maps.core > 0, maps.direction, np.array([1.0, 0.0])[:, None, None])
    lines = lines_of(Maps(core, direction.astype(np.float32), height.astype(np.float32)))
    long = [line for line in lines if line.length > 200]
    assert len(long) == 3
    assert all(line.length == pytest.approx(300, abs=12) for line in long)


def test_short_lines_must_be_sure() -> None:
    short = np.array([[200.0, 200.0], [218.0, 200.0]])
    maps = maps_of((short, 24.0))
    assert len(lines_of(maps)) == 1
    assert lines_of(maps._replace(core=maps.core * np.float32(0.75))) == ()


def test_a_long_line_of_which_the_detector_is_not_sure_is_possible() -> None:
    maps = maps_of((np.array([[100.0, 200.0], [300.0, 200.0]]), 24.0))
    (sure,) = lines_of(maps, possible=True)
    assert sure.is_sure
    doubtful = maps._replace(core=maps.core * np.float32(0.75))
    assert lines_of(doubtful) == ()
    (line,) = lines_of(doubtful, possible=True)
    assert not line.is_sure
    assert line.length == pytest.approx(sure.length, abs=8)
    short = maps_of((np.array([[200.0, 200.0], [218.0, 200.0]]), 24.0))
    assert lines_of(short._replace(core=short.core * np.float32(0.75)), possible=True) == ()


def test_possible_lines_lie_where_no_sure_one_does() -> None:
    def row(y: float, score: float) -> TextLine:
        return TextLine(np.array([[20.0, y], [220.0, y]]), 20.0, score)

    sure, beside, across = row(50, 0.97), row(100, 0.7), row(55, 0.7)
    assert apart([beside, across], [sure], (150, 300)) == [beside]


def test_nothing_is_found_in_empty_maps() -> None:
    assert lines_of(maps_of()) == ()


def ringed(radius: float) -> Frame:
    """A picture with a bright ring of two px and a dark spot at each of four places on it."""
    pixels = np.full((SIZE, SIZE), 90, np.uint8)
    cv2.circle(pixels, (SIZE // 2, SIZE // 2), round(radius), 200, 2, cv2.LINE_AA)
    return Frame(pixels, np.eye(3))


def test_a_circle_is_unwrapped_to_a_straight_strip_that_knows_its_source() -> None:
    line = TextLine(circle(120, 0.5, 5.0), 24.0, 0.9)
    strip = cut_line(ringed(120), line)
    rows = np.argmax(strip.pixels[:, 12:-12].astype(np.float32), axis=0)
    assert np.ptp(rows) <= 3
    assert abs(float(rows.mean()) - strip.pixels.shape[0] / 2) < 2
    middle = np.array([[strip.pixels.shape[1] / 2, strip.pixels.shape[0] / 2]])
    assert strip.sources(middle)[0] == pytest.approx(
        SIZE / 2 + 120 * np.array([np.cos(3.0), np.sin(3.0)]), abs=2
    )


@pytest.mark.parametrize("degrees", [0, 37, 180, 250])
def test_a_straight_line_is_cut_out_level(degrees: int) -> None:
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    down = np.array([-along[1], along[0]])
    pixels = np.full((SIZE, SIZE), 50, np.uint8)
    ends = SIZE / 2 + np.stack([-80 * along, 80 * along])
    cv2.line(pixels, *(tuple(np.round(end + 5 * down).astype(int).tolist()) for end in ends), 220, 3)
    strip = cut_line(Frame(pixels, np.eye(3)), TextLine(ends, 20.0, 0.9))
    rows, columns = np.nonzero(strip.pixels > 150)
    assert rows.mean() == pytest.approx(strip.pixels.shape[0] / 2 + 5, abs=1)
    assert strip.pixels.shape[1] - np.ptp(columns) == pytest.approx(20, abs=4)


def test_a_polygon_surrounds_its_line() -> None:
    line = TextLine(np.array([[100.0, 100.0], [200.0, 100.0]]), 20.0, 0.9)
    assert line.polygon().tolist() == [[100, 90], [200, 90], [200, 110], [100, 110]]
    assert line.polygon(0.5).tolist() == [[90, 80], [210, 80], [210, 120], [90, 120]]
    assert line.scaled(2).polygon().max() == 400


def test_lines_with_a_gap_between_them_may_be_parts_of_one() -> None:
    first, second = (
        TextLine(np.array(ends, np.float64), 20.0, 0.9)
        for ends in (((10, 50), (90, 50)), ((230, 54), (150, 52)))
    )
    ((one, other, whole),) = spanning([first, second])
    assert (one, other) == (0, 1)
    assert whole.centre.tolist() == [[10, 50], [230, 54]]
    far, aside, large = (
        TextLine(np.array(ends, np.float64), height, 0.9)
        for ends, height in (
            (((190, 50), (300, 50)), 20.0),
            (((100, 75), (200, 75)), 20.0),
            (((100, 50), (200, 50)), 40.0),
        )
    )
    assert (
        spanning([first, far]) == spanning([first, aside]) == spanning([first, large]) == spanning([]) == []
    )


def level(left: float, right: float, height: float = 20.0) -> TextLine:
    return TextLine(np.array([[left, 50.0], [right, 50.0]]), height, 0.9)


@pytest.mark.parametrize(
    ("fine", "coarse", "kept"),
    [
        ([level(10, 200)], [level(20, 205)], 1),  # one line, twice
        ([level(10, 90), level(110, 200)], [level(10, 200)], 3),  # cut in two, and whole
        ([level(10, 200)], [level(20, 190, height=40)], 2),  # of other heights
        ([level(10, 200), level(20, 190, height=40)], [], 1),
    ],
)
def test_lines_that_two_scales_see_differently_are_both_found(
    fine: list[TextLine], coarse: list[TextLine], kept: int
) -> None:
    assert len(merged([(1.0, fine), (1.0, coarse)], (100, 300))) == kept


@pytest.mark.parametrize(
    ("height", "score", "kept"), [(20, 0.9, 1), (14, 0.9, 0), (14, 0.98, 1), (8, 0.99, 0)]
)
def test_a_low_line_at_a_coarse_scale_has_to_be_sure(height: float, score: float, kept: int) -> None:
    line = replace(level(10, 200, height=height), score=score)
    assert len(merged([(1.0, []), (1.0, [line])], (100, 300))) == kept


def test_small_print_is_searched_at_a_larger_size() -> None:
    rng = np.random.default_rng(3)
    pixels = np.clip(rng.normal(190, 4, (900, 1200)), 0, 255).astype(np.uint8)
    places = [(x, y) for y in range(60, 860, 40) for x in (60, 420, 780)]
    for place in places:
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789"), rng.integers(6, 18)))
        cv2.putText(pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 40, 1, cv2.LINE_AA)
    lines = LineFinder(shipped_detector()).find(cv2.GaussianBlur(pixels, (0, 0), 0.7))
    starts = np.array([line.centre[0] for line in lines])
    for x, y in places:
        assert (np.abs(starts - (x, y - 4)).max(axis=1) < 10).any()


def plate_with(*places: tuple[int, int]) -> Pixels:
    """900 x 600 px with the character R, 46 px high, with its lower left corner at each place."""
    pixels = np.clip(np.random.default_rng(2).normal(160, 3, (600, 900)), 0, 255).astype(np.uint8)
    for place in places:
        cv2.putText(pixels, "R", place, cv2.FONT_HERSHEY_SIMPLEX, 2.2, 60, 5, cv2.LINE_AA)
    return pixels


def test_the_only_mark_of_a_picture_is_found() -> None:
    line = lone_mark(plate_with((300, 400)))
    assert line is not None
    assert line.height == pytest.approx(46, abs=5)
    assert np.abs(line.centre.mean(axis=0) - (322, 377)).max() < 8


@pytest.mark.parametrize("places", [(), ((300, 400), (600, 200)), ((-20, 400),)])
def test_no_mark_several_and_one_at_the_border_are_no_lone_mark(places: tuple[tuple[int, int], ...]) -> None:
    assert lone_mark(plate_with(*places)) is None
