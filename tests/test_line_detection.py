"""Lines of whole pictures, with the shipped models."""

import cv2
import numpy as np
import pytest
from test_imaging import written

from serialread.config import Station, StationView
from serialread.imaging.crops import estimate_tilt
from serialread.reader import Reader
from serialread.records import Crop, Floats, Pixels

READER = Reader()


DEFAULT_VIEW = StationView()


def propose(pixels: Pixels, view: StationView = DEFAULT_VIEW) -> tuple[Crop, ...]:
    return READER.at(Station(view=view)).propose(pixels)


def placed(tilt_deg: float = 0.0, *, lines: bool = False) -> tuple[Pixels, Floats]:
    """A picture of 1000 x 600 px, digits in a fifth of its width, and the corners of the digits."""
    rng = np.random.default_rng(4)
    canvas = rng.normal(170, 5, (600, 1000)).astype(np.float32)
    if lines:  # like milling marks
        canvas += 12 * np.sin(np.arange(600, dtype=np.float32) / 1.5)[:, None]
    ink = np.full((600, 1000), 170, np.uint8)
    ink[350:410, 550:790] = np.where(written() < 120, 50, 170)
    turn = cv2.getRotationMatrix2D((670, 380), tilt_deg, 1.0)
    ink = cv2.warpAffine(ink, turn, (1000, 600), borderValue=170.0).astype(np.uint8)
    canvas += ink.astype(np.float32) - 170
    corners = np.array([[568, 363], [768, 363], [768, 397], [568, 397]], np.float32)
    return np.clip(canvas, 0, 255).astype(np.uint8), cv2.transform(corners[None], turn)[0].astype(np.float32)


def holds(crop_quad: Floats, corners: Floats) -> bool:
    """Whether the corners lie in the quad, and the quad is not much larger."""
    inside = all(cv2.pointPolygonTest(crop_quad, (float(x), float(y)), True) > -3 for x, y in corners)
    return inside and cv2.contourArea(crop_quad) < 4 * cv2.contourArea(corners)


@pytest.mark.parametrize("tilt_deg", [0.0, -10.0, 6.0, 12.0])
@pytest.mark.parametrize("lines", [False, True])
def test_a_code_in_a_fifth_of_the_width_is_found(tilt_deg: float, lines: bool) -> None:
    pixels, corners = placed(tilt_deg, lines=lines)
    whole, *found = propose(pixels)
    assert any(holds(crop.quad, corners) for crop in found)
    np.testing.assert_allclose(whole.quad[2], [1000, 600])


def test_a_detected_line_is_level() -> None:
    pixels, corners = placed(10.0)
    crop = next(c for c in propose(pixels) if holds(c.quad, corners))
    assert abs(estimate_tilt(crop.pixels)) <= 2.0
    (x0, y0), (x1, y1) = crop.quad[:2].tolist()
    assert np.degrees(np.arctan2(y0 - y1, x1 - x0)) == pytest.approx(10.0, abs=2.5)


def test_vertical_text_is_detected_and_rotated_both_ways() -> None:
    pixels, corners = placed()
    upright = np.ascontiguousarray(np.rot90(pixels))
    turned_corners = np.column_stack((corners[:, 1], 1000 - corners[:, 0])).astype(np.float32)
    crops = propose(upright)[1:]
    found = [c for c in crops if holds(c.quad, turned_corners)]
    assert len(found) >= 2  # in both orientations
    assert all(c.pixels.shape[1] > 2 * c.pixels.shape[0] for c in found)


def test_proposals_are_few_even_on_a_texture() -> None:
    texture = np.random.default_rng(0).integers(0, 255, (500, 700), np.uint8)
    blurred = cv2.GaussianBlur(texture, (0, 0), 3).astype(np.uint8)
    assert len(propose(blurred)) <= 17


def test_a_plain_surface_proposes_nothing() -> None:
    assert len(propose(np.full((500, 700), 128, np.uint8))) == 1


@pytest.mark.parametrize(("text_height", "expected"), [((0.02, 0.06), True), ((0.08, 0.3), False)])
def test_text_of_an_unexpected_height_is_not_proposed(
    text_height: tuple[float, float], expected: bool
) -> None:
    pixels, corners = placed()
    _, *found = propose(pixels, StationView(text_height=text_height))
    assert any(holds(crop.quad, corners) for crop in found) is expected


def test_vertical_lines_are_not_searched_if_the_station_has_none() -> None:
    vertical = np.ascontiguousarray(np.rot90(placed()[0]))

    def vertical_lines(view: StationView) -> list[Crop]:
        found = propose(vertical, view)[1:]
        return [
            crop
            for crop in found
            if abs(np.subtract(*crop.quad[:2])[0]) < abs(np.subtract(*crop.quad[:2])[1])
        ]

    assert vertical_lines(StationView())
    assert not vertical_lines(StationView(vertical_text="never"))


def test_the_same_picture_gives_the_same_lines() -> None:
    pixels, _ = placed(6.0, lines=True)
    first, second = (propose(pixels) for _ in range(2))
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_crop_is_searched_only_if_rows_show_one_below_the_other() -> None:
    assert len(propose(np.pad(written(), ((50, 50), (10, 10)), "edge"))) == 1
    rows = np.concatenate([written(width=300, size=30)] * 3)
    level = [crop for crop in propose(rows)[1:] if crop.quad[1, 0] - crop.quad[0, 0] > 150]
    assert {int(crop.quad[:, 1].mean() // 60) for crop in level} == {0, 1, 2}


@pytest.mark.parametrize(("height", "width"), [(64, 64), (70, 900), (900, 70), (66, 4000)])
def test_pictures_of_any_shape_are_searched(height: int, width: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (height, width), np.uint8)
    for crop in propose(pixels):
        assert min(crop.pixels.shape) >= 1
        assert np.isfinite(crop.quad).all()
