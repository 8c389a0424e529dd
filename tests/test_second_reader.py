"""Second readers: they confirm readings, and never replace them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from stub_model import write_stub

from serialread.calibration import calibrate_confidence
from serialread.config import Calibration, Code, Station
from serialread.config.station import SecondReading
from serialread.errors import CalibrationError, RecipeError
from serialread.reader import Reader
from serialread.reader.second_reader import SecondReader, TextComparison, name_of, open_second_reader
from serialread.reader.serialization import csv_row, json_line
from serialread.records import Decision, Pixels, SecondOpinion

SAMPLES = Path(__file__).parent.parent / "sample_images" / "assembly"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture
def crop() -> Pixels:
    pixels = np.full((32, 100), 200, np.uint8)
    pixels[8:24, 20:80:8] = 40
    return pixels


def lenient(**changes: object) -> Station:
    """A station that accepts every reading without a doubt."""
    station = Station.model_validate({"model_id": "stub-000000000000", "limits": {"accept_at": 0.0}})
    return station.model_copy(update=changes)


def says(text: str, confidence: float = 0.9) -> SecondReader:
    def read(crop: Pixels) -> tuple[str, float]:
        assert crop.dtype == np.uint8
        assert crop.ndim == 2
        return text, confidence

    return read


def test_a_reading_that_the_second_reader_confirms_is_accepted(model: Path, crop: Pixels) -> None:
    text = Reader(model).read(crop).text
    record = Reader(model, lenient(), second_reader=says(f" {text[0]} {text[1:]}", 0.8)).read(crop)
    assert record.second == SecondOpinion(text, 0.8)
    assert (record.decision, record.text) == (Decision.ACCEPT, text)
    assert json_line(record)["second_text"] == text
    assert json_line(record)["second_confidence"] == 0.8
    assert text in csv_row(json_line(record))


@pytest.mark.parametrize(("other", "shown"), [("OTHER", "OTHER"), ("", "nothing"), ("a\x01b", "a b")])
def test_a_disagreement_is_for_review_and_both_texts_are_kept(
    model: Path, crop: Pixels, other: str, shown: str
) -> None:
    text = Reader(model).read(crop).text
    record = Reader(model, lenient(), second_reader=says(other)).read(crop)
    assert (record.decision, record.reason) == (Decision.REVIEW, f"second reader: {shown}")
    assert record.text == text


def test_a_second_reader_that_fails_leaves_the_reading_for_review(model: Path, crop: Pixels) -> None:
    def broken(crop: Pixels) -> tuple[str, float]:
        raise ValueError("no licence")

    record = Reader(model, lenient(), second_reader=broken).read(crop)
    assert record.decision is Decision.REVIEW
    assert record.reason == "second reader: failed (ValueError: no licence)"
    assert record.second == SecondOpinion("", 0.0, "ValueError: no licence")


def test_it_is_asked_about_doubtful_readings_alone(model: Path, crop: Pixels) -> None:
    confidence = Reader(model).read(crop).confidence
    assert confidence is not None
    for below, asked in ((confidence, False), (confidence + 1e-6, True)):
        reader = Reader(model, lenient(), second_reader=says("OTHER"), second_reader_below=below)
        record = reader.read(crop)
        assert (record.second is not None) == asked
        assert record.decision is (Decision.REVIEW if asked else Decision.ACCEPT)
    assert Reader(model, lenient()).read(crop).second is None


def test_it_reads_the_crop_that_was_read(model: Path, crop: Pixels) -> None:
    seen: list[Pixels] = []

    def keep(crop: Pixels) -> tuple[str, float]:
        seen.append(crop)
        return "", 0.0

    reader = Reader(model, second_reader=keep)
    reader.read(crop)
    assert np.array_equal(seen[0], reader.propose(crop)[0].pixels)


@pytest.mark.parametrize(
    ("code", "other", "form", "has_cases", "agree"),
    [
        ("AB12", "A B 1 2", "", True, True),
        ("AB12", "ab12", "", True, False),
        ("AB12", "ab12", "", False, True),
        ("AB12", "АВ12", "", True, True),  # Cyrillic
        ("AB12", "AB-12", "", True, False),
        ("10", "IO", "", True, False),
        ("10", "IO", "digits", True, True),
        ("10", "1Q", "[0-9Q]+", True, False),  # the format allows it
        ("15", "17", "digits", True, False),  # no look-alike
        ("AB", "ab", "[A-Z]+", True, True),
        ("12", "123", "digits", True, False),
    ],
)
def test_texts_are_compared_as_alphabet_and_format_see_them(
    code: str, other: str, form: str, has_cases: bool, agree: bool
) -> None:
    assert TextComparison(form, has_cases).agree(code, other) == agree


def test_letters_and_digits_alone_count_where_the_station_says_so() -> None:
    assert TextComparison("", True, "mpsc").agree("AB-12", "ab 12")
    assert not TextComparison("", True, "mpsc").agree("AB-12", "AB13")


def test_a_station_is_calibrated_with_a_second_reader(model: Path, tmp_path: Path) -> None:
    lines = ["filename,text"]
    for i in range(64):
        pixels = np.full((32, 100), 200, np.uint8)
        pixels[8:24, 20:80:8] = 40 + i
        cv2.imwrite(str(tmp_path / f"{i}.png"), pixels)
        lines.append(f"{i}.png,{Reader(model).read(pixels).text}" if i == 0 else f"{i}.png,{lines[1][6:]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    text = lines[1][6:]
    made = calibrate_confidence(tmp_path, 0.05, model=model, second_reader=says(text), protocol="mpsc")
    station = made.station
    assert station.calibration is not None
    assert station.calibration.second_reader == station.second_reader.use == name_of(says(text))
    assert station.second_reader.compare == "mpsc"
    pixels = np.full((32, 100), 200, np.uint8)
    pixels[8:24, 20:80:8] = 40
    assert Reader(model, station, second_reader=says(text)).read(pixels).decision is Decision.ACCEPT
    assert Reader(model, station, second_reader=says("OTHER")).read(pixels).reason == "second reader: OTHER"


def test_a_station_names_its_second_reader(
    model: Path, crop: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = ModuleType("plant")
    plant.read = says("OTHER")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plant", plant)
    station = lenient(second_reader=SecondReading(use="plant:read"))
    assert Reader(model, station).read(crop).reason == "second reader: OTHER"
    assert name_of(says("")) == "test_second_reader:says.<locals>.read"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tesseract", "second reader tesseract: neither rapidocr nor module:function. Correct it."),
        (
            "nowhere:read",
            "second reader nowhere:read: cannot be imported (No module named 'nowhere'). "
            "Name a function of an installed module.",
        ),
    ],
)
def test_an_unknown_second_reader_is_one_clear_error(model: Path, name: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Reader(model, second_reader=name)
    assert str(caught.value) == expected


def test_a_limit_without_a_second_reader_is_refused(model: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        Reader(model, second_reader_below=0.9)
    assert str(caught.value) == ("second reader: a confidence below which to ask, but none to ask. Name one.")


def test_without_the_extra_its_name_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("serialread.reader.second_reader.find_spec", lambda name: None)
    with pytest.raises(RecipeError) as caught:
        open_second_reader("rapidocr")
    assert str(caught.value) == (
        "second reader rapidocr: it is not installed. Install it: pip install 'serialread[second-reader]'"
    )


def test_a_calibrated_station_keeps_its_second_reader() -> None:
    station = Station(name="s", model_id="m", code=Code(), second_reader=SecondReading(use="a:b", below=0.9))
    made = Calibration(
        slope=1, offset=0, misread=0.1, certainty=0.9, protocol="mpsc", pictures=9, accepted=9, wrong=0
    )
    calibrated = station.model_copy(update={"calibration": made})
    assert calibrated.with_second_reader("a:b", 0.9) is calibrated
    with pytest.raises(CalibrationError) as caught:
        calibrated.with_second_reader("rapidocr")
    assert str(caught.value) == (
        "station s: calibrated with second reader a:b below 0.9, got second reader rapidocr below 0.9. "
        "Calibrate it again with that second reader, or leave --second-reader out."
    )


def test_rapidocr_confirms_a_printed_code() -> None:
    pytest.importorskip("rapidocr")
    pixels = np.full((64, 420), 200, np.uint8)
    cv2.putText(pixels, "SN 402173", (20, 46), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 30, 3, cv2.LINE_AA)
    text, confidence = open_second_reader("rapidocr")(pixels)
    assert text.replace(" ", "") == "SN402173"
    assert 0.8 < confidence <= 1
