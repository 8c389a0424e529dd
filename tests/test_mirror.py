"""Mirrored pictures: moulds, stamps, glass."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from serialread import Reader, Station, StationView
from serialread.codes import mirror_image
from serialread.imaging import as_image, normalize
from serialread.imaging.crops import prepare

SAMPLE = Path(__file__).parent.parent / "sample_images" / "assembly" / "01.jpg"


@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_a_mirrored_picture_is_normalized_like_the_plain_one(rotation: int) -> None:
    pixels = as_image(SAMPLE).pixels
    seen = np.rot90(pixels[:, ::-1], rotation // 90)
    view = StationView.model_validate({"rotation": rotation, "mirror": True})
    crop = normalize(as_image(np.ascontiguousarray(seen)), view)
    np.testing.assert_array_equal(crop.pixels, normalize(as_image(pixels), StationView()).pixels)


def test_points_of_a_mirrored_frame_map_to_the_picture() -> None:
    pixels = np.zeros((40, 100), np.uint8)
    *_, (name, frame) = prepare(as_image(pixels), StationView(mirror=True))
    assert name == "mirror"
    assert frame.sources(np.array([[10.0, 5.0]])).tolist() == [[90.0, 5.0]]


def test_a_mirrored_mark_is_read_at_a_station_that_says_so() -> None:
    plain = Reader().read(SAMPLE)
    mirrored = np.ascontiguousarray(as_image(SAMPLE).pixels[:, ::-1])
    record = Reader(station=Station(view=StationView(mirror=True))).read(mirrored)
    assert (record.text, record.confidence) == (plain.text, plain.confidence)
    assert plain.quad is not None
    assert record.quad is not None
    width = mirrored.shape[1]
    assert record.quad == tuple((width - x, y) for x, y in plain.quad)


def test_a_mirrored_line_in_a_photograph_is_not_taken_for_an_upside_down_one() -> None:
    canvas = np.full((420, 900), 190, np.uint8)
    crop = as_image(SAMPLE).pixels
    canvas[150 : 150 + crop.shape[0], 250 : 250 + crop.shape[1]] = crop
    plain = Reader().read(canvas)
    mirrored = Reader(station=Station(view=StationView(mirror=True))).read(
        np.ascontiguousarray(canvas[:, ::-1])
    )
    assert (mirrored.text, mirrored.confidence) == (plain.text, plain.confidence)


@pytest.mark.parametrize(
    ("text", "image"), [("88JLVUUYA", "AYUUVJL88"), ("AHA", "AHA"), ("08", "80"), ("A7H", ""), ("", "")]
)
def test_a_code_of_symmetric_characters_has_a_mirror_image(text: str, image: str) -> None:
    assert mirror_image(text) == image


def test_a_mirrored_mark_of_symmetric_characters_is_doubted_unless_the_station_says_so() -> None:
    pixels = np.full((72, 400), 200, np.uint8)
    cv2.putText(pixels, "AUTX8HAVY", (20, 54), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 4, cv2.LINE_AA)
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    record, declared = (
        Reader().read(mirrored),
        Reader(station=Station(view=StationView(mirror=True))).read(mirrored),
    )
    assert (record.text, declared.text) == ("YVAH8XTUA", "AUTX8HAVY")
    assert "reads AUTX8HAVY mirrored" in record.doubts
    assert not any("mirrored" in doubt for doubt in declared.doubts)


def test_a_mirrored_mark_that_reads_like_a_code_is_doubted_as_the_mirrored_line_reads_better() -> None:
    pixels = np.full((72, 400), 200, np.uint8)
    cv2.putText(pixels, "9MUXBALUM", (20, 54), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 4, cv2.LINE_AA)
    plain, mirrored = Reader().read(pixels), Reader().read(np.ascontiguousarray(pixels[:, ::-1]))
    assert plain.text == "9MUXBALUM"
    assert not any("mirrored" in doubt for doubt in plain.doubts)
    assert "reads 9MUXBALUM mirrored" in mirrored.doubts
