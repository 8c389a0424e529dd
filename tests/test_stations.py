"""Effects of a station's settings on whole readings: rows, orientations, tuned settings."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_reading import record_of
from typer.testing import CliRunner

from serialread.calibration import load_labelled
from serialread.calibration.geometry import tune_view
from serialread.cli import app
from serialread.config import Station, StationView, load
from serialread.errors import CalibrationError
from serialread.reader import Picture, Reader, log_odds
from serialread.reader.rows import join_rows, other_texts, rows_of
from serialread.records import CharReading, Crop, LineReading, Pixels, Reading, Record
from serialread.weights import shipped_model

FACE = cv2.FONT_HERSHEY_SIMPLEX


def part(rows: Sequence[str], *, width: int = 1200, size: float = 1.0, tilt_deg: float = 0.0) -> Pixels:
    """Dark rows of print on a bright plate, 4:3; nine characters of size 1 take a fifth of 1200 px."""
    height = width * 3 // 4
    pixels = np.random.default_rng(2).normal(165, 4, (height, width)).astype(np.float32)
    ink = np.zeros((height, width), np.uint8)
    for number, text in enumerate(rows):
        (wide, high), _ = cv2.getTextSize(text, FACE, size, 2)
        at = (width // 2 - wide // 2, height // 2 + round((number - len(rows) / 2 + 1) * 1.9 * high))
        cv2.putText(ink, text, at, FACE, size, 255, 2, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), tilt_deg, 1.0)
    pixels -= cv2.warpAffine(ink, turn, (width, height)).astype(np.float32) * np.float32(0.5)
    return np.clip(cv2.GaussianBlur(pixels, (0, 0), 0.7), 0, 255).astype(np.uint8)


def saved(folder: Path, name: str, pixels: Pixels) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), pixels)
    return folder / name


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(shipped_model())


def text_of(reader: Reader, path: Path) -> str:
    (record,) = reader.read_many([path])
    return record.reading.text if record.reading else ""


# whole pictures


@pytest.mark.parametrize("tilt_deg", [0.0, -9.0, 14.0])
@pytest.mark.parametrize("code", ["SN74LS06N", "6G9N-6028"])
def test_a_code_that_covers_a_fifth_of_the_width_is_read(
    reader: Reader, tmp_path: Path, code: str, tilt_deg: float
) -> None:
    assert text_of(reader, saved(tmp_path, "1.png", part([code], tilt_deg=tilt_deg))) == code


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_detected_code_is_read_in_every_orientation(reader: Reader, tmp_path: Path, turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(part(["SN74LS06N"]), turns))
    either = reader.at(Station(view=StationView(upside_down="both")))
    assert text_of(either, saved(tmp_path, "1.png", turned)) == "SN74LS06N"


def test_a_code_in_two_rows_is_read_as_one(reader: Reader, tmp_path: Path) -> None:
    path = saved(tmp_path, "1.png", part(["SN74LS06N", "28CHK32E4"]))
    (record,) = reader.read_many([path])
    assert record.reading is not None
    assert record.reading.text == "SN74LS06N28CHK32E4"
    boxes = [char.box for char in record.reading.chars]
    assert all(box is not None for box in boxes)
    tops = [box[1] for box in boxes if box]
    assert max(tops[:9]) < min(tops[9:])  # the second row lies below the first, in px of one crop
    best = reader.at(Station(view=StationView(rows="best")))
    assert text_of(best, path) in ("SN74LS06N", "28CHK32E4")


def test_a_code_that_is_another_upside_down_is_reported(reader: Reader, tmp_path: Path) -> None:
    (record,) = reader.read_many([saved(tmp_path, "1.png", part(["6608098"], size=1.5))])
    assert record.reading is not None
    assert {record.reading.text, record.upside_down_text} == {"6608098", "8608099"}
    assert record.reason == f"reads {record.upside_down_text} upside down"


# joining


def crop_at(left: float, top: float, wide: float = 200, high: float = 40, *, over: bool = False) -> Crop:
    corners = [[left, top], [left + wide, top], [left + wide, top + high], [left, top + high]]
    quad = np.array(corners[2:] + corners[:2] if over else corners, np.float32)
    return Crop(np.zeros((40, round(wide)), np.uint8), quad, 30.0, 0.5, 0.0)


def reading_of(text: str, confidence: float = 0.95) -> Reading:
    return Reading(
        tuple(CharReading(c, confidence, ("", 0.0), (5.0, 5.0, 9.0, 35.0)) for c in text), confidence
    )


WHOLE = crop_at(0, 0, 1000, 700)


def test_other_texts_lie_apart_are_long_and_read_with_confidence() -> None:
    crops = [
        WHOLE,
        crop_at(100, 100),
        crop_at(100, 300),
        crop_at(104, 302),
        crop_at(100, 500),
        crop_at(100, 600),
    ]
    texts = [("AB12CD34", 0.5), ("AB12", 0.95), ("CD34", 0.95), ("CD84", 0.7), ("EF56", 0.5), ("X1", 0.95)]
    readings: list[Reading | None] = [reading_of(text, confidence) for text, confidence in texts]
    assert other_texts(crops, readings, (1,)) == ("CD34",)  # the whole picture covers the code
    assert other_texts(crops, readings, (0,)) == ()
    assert other_texts(crops, [None, readings[1], None, *readings[3:]], (1,)) == ("CD84",)


@pytest.mark.parametrize(
    ("crop", "confidence", "belongs"),
    [
        (crop_at(110, 350), 0.95, True),  # below
        (crop_at(120, 250), 0.95, True),  # above
        (crop_at(330, 302), 0.95, True),  # next to it
        (crop_at(110, 350), 0.5, False),  # not surely read
        (crop_at(110, 350, high=90), 0.95, False),  # far higher
        (crop_at(110, 500), 0.95, False),  # far away
        (crop_at(110, 310), 0.95, False),  # the same line again
        (crop_at(110, 350, over=True), 0.95, False),  # upside down
    ],
)
def test_rows_of_one_code_are_similar_and_adjacent(crop: Crop, confidence: float, belongs: bool) -> None:
    readings = [reading_of("1"), reading_of("AB12"), reading_of("CD34", confidence)]
    rows = rows_of([WHOLE, crop_at(100, 300), crop], readings, 1)
    assert set(rows) == ({1, 2} if belongs else {1})


def test_rows_are_joined_from_top_to_bottom_and_from_left_to_right() -> None:
    crops = [WHOLE, crop_at(100, 300), crop_at(330, 304), crop_at(120, 352), crop_at(90, 252)]
    readings = [reading_of(text) for text in ("", "AB", "CD", "EF", "GH")]
    rows = rows_of(crops, readings, 1)
    assert rows == (4, 1, 2, 3)
    joined = join_rows([crops[n] for n in rows], [readings[n] for n in rows], 1)
    assert joined.text == "GHABCDEF"
    assert joined.confidence == pytest.approx(np.prod([r.confidence for r in readings[1:]]))
    assert joined.chars[2].box == (5.0, 5.0, 9.0, 35.0)
    assert joined.chars[6].box == pytest.approx((25.0, 57.0, 29.0, 87.0), abs=0.01)


def test_a_code_in_rows_has_the_log_odds_of_its_least_certain_row() -> None:
    crops = [crop_at(100, 300), crop_at(120, 352)]
    doubtful = replace(reading_of("AB"), joint_odds=-1.5)
    assert log_odds(join_rows(crops, [doubtful, reading_of("CD")], 1)) == -1.5
    assert log_odds(join_rows(crops, [reading_of("AB"), reading_of("CD", 0.7)], 0)) == pytest.approx(
        np.log(0.7 / 0.3)
    )


def test_the_whole_picture_is_not_joined() -> None:
    assert rows_of([WHOLE, crop_at(100, 300)], [reading_of("AB12"), reading_of("CD")], 0) == (0,)


# tuned settings


def labelled(folder: Path, count: int) -> Path:
    """Small pictures, upside down, of a code in two rows."""
    rows = []
    for number in range(count):
        code = f"{7264 + 119 * number}KX"
        pixels = part(["SN74LS06N", code], width=320, size=0.5)
        saved(folder / "images", f"{number}.png", np.ascontiguousarray(np.rot90(pixels, 2)))
        rows.append((f"{number}.png", "SN74LS06N" + code))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("filename", "text"), *rows])
    return folder


def test_geometry_is_calibrated_by_a_few_labelled_pictures(tmp_path: Path) -> None:
    out = tmp_path / "calib" / "s.toml"
    arguments = ["station", "geometry", str(labelled(tmp_path, 6)), "--out", str(out), "--learn", "5"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    shown = done.output.replace("\n", " ")
    assert "on 5 pictures; these: 5 exact" in shown
    assert "-> 5 exact" in shown
    assert "the other 1: " in shown
    station = load(out, Station)
    assert station.model_id == Reader(shipped_model()).model_id
    pictures = [Picture(path, path.name) for path in sorted((tmp_path / "images").glob("*.png"))]
    texts = [r.reading.text for r in Reader(shipped_model(), station).read_many(pictures) if r.reading]
    assert sum(text.startswith("SN74LS06N") for text in texts) >= 5


def found_in(path: Path, turned: int) -> Record:
    """A record of a picture, 800 x 600 px, whose code is one of two lines, tilted by 5 degrees."""
    number = int(path.stem)
    x, y = 200.0 + 40 * number, 250.0 + 10 * number
    along, down = np.array([190.0, 16.6]), np.array([-2.6, 29.9])
    start = np.array([x, y])
    quad = np.array([start, start + along, start + along + down, start + down])
    if turned:
        quad = np.stack([600 - quad[:, 1], quad[:, 0]], axis=1)
    line = LineReading(f"{7264 + 119 * number}KX", 0.9, tuple(map(tuple, quad.tolist())), 0.0, 30.0)
    other = replace(line, text="ACME", polygon=((0.0, 0.0), (90.0, 0.0), (90.0, 20.0), (0.0, 20.0)))
    return record_of(path.name, "ACME", lines=(other, line), quad=other.polygon)


@pytest.mark.parametrize("turned", [0, 90])
def test_heights_directions_and_the_tilted_region_come_from_the_lines_found(
    tmp_path: Path, turned: int
) -> None:
    codes = [f"{7264 + 119 * number}KX" for number in range(5)]
    for number in range(5):
        size = (800, 600) if turned else (600, 800)
        saved(tmp_path / "images", f"{number}.png", np.full(size, 90, np.uint8))
    (tmp_path / "labels.csv").write_text(
        "filename,text\n" + "".join(f"{number}.png,{code}\n" for number, code in enumerate(codes))
    )
    tried: list[StationView] = []

    def read(station: Station, pictures: Sequence[Picture]) -> list[Record]:
        tried.append(station.view)
        wanted = station.view.rotation == 270 if turned else station.view.region is not None
        records = [found_in(picture.path, turned) for picture in pictures]
        good = [replace(r, reading=reading_of(code)) for r, code in zip(records, codes, strict=True)]
        return good if wanted else records

    view = tune_view(load_labelled(tmp_path), Station(), "m", read, 5).station.view
    assert tried[1].text_height == (pytest.approx(0.6 * 30 / 800), pytest.approx(1.6 * 30 / 800))
    assert (tried[2].rotation, tried[2].direction) == (-turned % 360, "upright")
    if turned:
        assert view.rotation == 270
        return
    assert view.region is not None
    (left, top), (right, bottom) = (
        np.array(view.region[0]) * (800, 600),
        np.array(view.region[1]) * (800, 600),
    )
    assert np.degrees(np.arctan2(bottom - top, right - left)) == pytest.approx(5.0, abs=0.5)
    assert left < 200
    assert right > 550


def test_too_few_labelled_pictures_are_one_clear_error(tmp_path: Path) -> None:
    known = load_labelled(labelled(tmp_path, 4))
    with pytest.raises(CalibrationError) as caught:
        tune_view(known, Station(), "m", lambda station, pictures: [], 10)
    assert str(caught.value) == f"{tmp_path}: at least 5 labelled pictures are needed, got 4. Label more."


def test_the_steps_of_normalization_are_drawn(tmp_path: Path) -> None:
    path = saved(tmp_path, "1.png", part(["SN74LS06N"]))
    done = CliRunner().invoke(app, ["station", "normalize", str(path), "--out", str(tmp_path / "steps.png")])
    assert done.exit_code == 0, done.output
    assert cv2.imread(str(tmp_path / "steps.png")).shape[0] > 300


def test_an_explanation_of_a_code_in_two_rows_shows_both_as_read_reads_them(
    reader: Reader, tmp_path: Path
) -> None:
    path = saved(tmp_path, "1.png", part(["SN74LS06N", "28CHK32E4"]))
    record, found = reader.read(path), reader.explain(path)
    assert record.text == "SN74LS06N28CHK32E4"
    assert found.reading == record.reading
    assert ["".join(c.char for c in line.chars) for line in found.lines] == ["SN74LS06N", "28CHK32E4"]
    assert found.drawn().shape[0] > found.lines[0].overlay(40).shape[0] * 2
