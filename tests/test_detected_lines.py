"""Reading whole pictures with a line detector: every line is read, and crops never meet the detector."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from test_imaging import written

from serialread.config import Station, StationLimits, StationView
from serialread.detection import LineFinder, TextLine
from serialread.errors import CheckpointError
from serialread.imaging.frames import Frame
from serialread.reader import Reader
from serialread.reader.expected_lines import expected_lines
from serialread.reader.pipeline import is_clear
from serialread.reader.serialization import csv_row, json_line
from serialread.records import CharReading, Decision, Pixels, Reading
from serialread.weights import shipped_detector

SAMPLE = Path(__file__).parent.parent / "sample_images" / "assembly" / "01.jpg"


class Finder:
    """A line detector that knows where the lines of ``picture`` are, and counts its calls."""

    model_id = "lines-known"
    calls = 0

    def __init__(self, path: Path, threads: int = 0, *, kind: str = "openvino") -> None:
        self.path = path

    def find(
        self, pixels: Pixels, heights: tuple[float, float] | None = None, *, possible: bool = False
    ) -> tuple[TextLine, ...]:
        Finder.calls += 1
        upright = TextLine(np.array([[568.0, 380.0], [768.0, 380.0]]), 34.0, 0.9)
        turned = TextLine(np.array([[190.0, 350.0], [190.0, 150.0]]), 34.0, 0.8)
        return upright, turned


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr("serialread.reader.reader.LineFinder", Finder)
    Finder.calls = 0
    return Reader(station=Station(view=StationView(detector=Path("lines.onnx"))), barcodes=False)


def picture() -> Pixels:
    """1000 x 600 px with the same digits twice: upright, and turned by a quarter counter-clockwise."""
    pixels = np.clip(np.random.default_rng(4).normal(170, 5, (600, 1000)), 0, 255).astype(np.uint8)
    digits = np.where(written() < 120, 50, 170).astype(np.uint8)
    pixels[350:410, 550:790] = digits
    pixels[132:372, 160:220] = np.rot90(digits)
    return pixels


def test_every_detected_line_is_read_in_its_direction(reader: Reader) -> None:
    record = reader.read(picture())
    assert len(record.lines) == 2
    assert {line.text for line in record.lines} == {record.text}
    assert sorted(round(line.direction_deg) for line in record.lines) == [-90, 0]
    upright = next(line for line in record.lines if round(line.direction_deg) == 0)
    corners = np.array(upright.polygon, np.float32)
    assert cv2.pointPolygonTest(corners, (668.0, 380.0), False) > 0
    assert len(corners) == 4
    assert 20 < upright.height_px < 60
    assert reader.model_id.endswith("+lines-known")
    assert record.model_id == reader.model_id


def test_a_line_of_which_the_detector_is_not_sure_counts_where_it_reads_clearly(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, nothing = (
        TextLine(np.array([[x, y], [x + 200, y]]), 34.0, 0.7) for x, y in ((568.0, 380.0), (300.0, 60.0))
    )
    both = {True: (code, nothing), False: ()}
    monkeypatch.setattr(Finder, "find", lambda self, pixels, heights=None, possible=False: both[possible])
    record = reader.read(picture())
    assert [line.text for line in record.lines] == [record.text]
    assert len(record.text) == 6


def test_an_explanation_shows_the_picture_with_all_its_lines(reader: Reader) -> None:
    pixels = picture()
    shown = reader.explain(pixels).picture
    assert shown is not None
    assert shown.shape == (576, 960, 3)
    coloured = (shown.max(axis=2).astype(int) - shown.min(axis=2) > 60).astype(np.uint8)
    for x, y, width, height in ((520, 320, 250, 90), (150, 120, 70, 250)):
        place = np.s_[
            round(y * 0.96) : round((y + height) * 0.96), round(x * 0.96) : round((x + width) * 0.96)
        ]
        assert coloured[place].sum() > 400
    assert coloured.sum() < 0.05 * coloured.size
    assert reader.explain(pixels).drawn().shape[0] > 576
    assert reader.explain(SAMPLE).picture is None


def test_lines_are_in_the_results(reader: Reader) -> None:
    line = json_line(reader.read(picture()))
    assert [set(one) for one in line["lines"]] == [
        {"text", "confidence", "polygon", "direction_deg", "height_px"}
    ] * 2
    json.dumps(line)
    assert len(csv_row(line)) == len(csv_row(json_line(reader.read(SAMPLE))))


def test_a_crop_of_one_line_never_meets_the_detector(reader: Reader) -> None:
    assert reader.read(SAMPLE).lines == ()
    assert Finder.calls == 0


def bent_crop(radius: float) -> Pixels:
    """A crop of 300 x 170 px, a single line: a code on an arc of a radius, px."""
    straight = np.full((60, 330), 205, np.uint8)
    cv2.putText(straight, "7R4-K92", (12, 46), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 40, 4, cv2.LINE_AA)
    y, x = np.mgrid[0:170, 0:300].astype(np.float32)
    angle, away = np.arctan2(x - 150, radius + 14 - y), np.hypot(x - 150, radius + 14 - y)
    place = (165 + angle * radius).astype(np.float32), (15 + radius - away).astype(np.float32)
    return np.asarray(cv2.remap(straight, *place, cv2.INTER_LINEAR, borderValue=205), np.uint8)


@pytest.mark.parametrize("radius", [110, 130, 150, 180])
def test_a_bent_line_is_read_from_a_crop_of_it_alone(radius: float) -> None:
    reader = Reader(barcodes=False)
    record = reader.read(bent_crop(radius))
    assert record.text == "7R4-K92"
    assert [line.text for line in record.lines] == ["7R4-K92"]
    fits = reader.at(Station(view=StationView(find_lines=False)))
    straight = fits.read(bent_crop(radius))
    assert straight.text != "7R4-K92" or (straight.confidence or 0) < 0.3 < (record.confidence or 0)


def test_a_crop_that_is_too_wide_for_a_bent_line_never_meets_the_detector(reader: Reader) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (60, 400), dtype=np.uint8)
    assert reader.read(noise).lines == ()
    assert Finder.calls == 0


@pytest.mark.parametrize(
    ("setting", "directions"),
    [
        ({}, [-90, 0]),
        ({"direction": "upright"}, [0]),
        ({"vertical_text": "never"}, [0]),
        ({"lines": 1}, [0]),
        ({"region": ((0.3, 0.1), (0.5, 0.1), (0.5, 0.8), (0.3, 0.8))}, []),
    ],
)
def test_a_station_says_which_lines_it_expects(
    reader: Reader, setting: dict[str, object], directions: list[int]
) -> None:
    view = StationView.model_validate({"detector": Path("lines.onnx"), **setting})
    lines = reader.at(Station(view=view)).read(picture()).lines
    assert sorted(round(line.direction_deg) for line in lines) == directions


@pytest.mark.parametrize("end", [630.0, 645.0, 660.0, 675.0, 690.0, 705.0, 720.0])
def test_a_line_that_goes_on_beyond_its_cut_out_is_cut_out_longer(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, end: float
) -> None:
    short = TextLine(np.array([[568.0, 380.0], [end, 380.0]]), 34.0, 0.9)  # six digits, up to x = 750
    monkeypatch.setattr(Finder, "find", lambda self, pixels, heights=None, possible=False: (short,))
    (line,) = reader.read(picture()).lines
    assert line.text == "905247"


@pytest.mark.parametrize("end", range(300, 620, 40))
def test_half_a_line_is_found_and_all_of_it_is_read(monkeypatch: pytest.MonkeyPatch, end: int) -> None:
    pixels = np.clip(np.random.default_rng(2).normal(150, 3, (400, 1000)), 0, 255).astype(np.uint8)
    cv2.putText(pixels, "72GUPSSE2L2HTVBEAKUHP", (100, 210), cv2.FONT_HERSHEY_DUPLEX, 1.2, 40, 2, cv2.LINE_AA)
    half = TextLine(np.array([[100.0, 198.0], [end, 198.0]]), 26.0, 0.9)
    monkeypatch.setattr(LineFinder, "find", lambda self, pixels, heights=None, possible=False: (half,))
    (line,) = Reader(barcodes=False).read(pixels).lines
    assert line.text == "72GUPSSE2L2HTVBEAKUHP"


def test_every_doubtful_line_is_read_in_further_views(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, retried = picture(), list[float]()
    pixels[132:372, 160:220] = cv2.GaussianBlur(pixels[132:372, 160:220], (0, 0), 6)  # hardly legible

    def next_view(readings: Sequence[Reading], *args: object) -> None:
        retried.append(readings[0].confidence)

    monkeypatch.setattr("serialread.reader.pipeline.next_view", next_view)
    confidences = [line.confidence for line in reader.read(pixels).lines]
    assert len(confidences) == 2
    assert set(confidences) <= set(retried)


def test_parts_of_a_line_with_characters_between_them_are_read_as_one(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = (
        TextLine(np.array([[568.0, 380.0], [628.0, 380.0]]), 34.0, 0.9),  # the first two digits of six
        TextLine(np.array([[768.0, 380.0], [737.0, 380.0]]), 34.0, 0.9),  # the last one, found turned round
    )
    monkeypatch.setattr(Finder, "find", lambda self, pixels, heights=None, possible=False: parts)
    record = reader.read(picture())
    assert [line.text for line in record.lines] == ["905247"]
    assert record.text == "905247"


def test_a_whole_picture_that_reads_as_a_mark_alone_is_still_searched() -> None:
    def reading_of(text: str) -> Reading:
        return Reading(tuple(CharReading(c, 0.99, ("?", 0.01)) for c in text), 0.99)

    assert [text for text in ("A", "-7", "-", "") if is_clear(reading_of(text))] == ["A", "-7"]


def test_one_character_alone_on_a_plate_is_read_and_left_for_review() -> None:
    pixels = np.clip(np.random.default_rng(2).normal(160, 3, (600, 900)), 0, 255).astype(np.uint8)
    cv2.putText(pixels, "R", (300, 400), cv2.FONT_HERSHEY_SIMPLEX, 2.2, 60, 5, cv2.LINE_AA)
    record = Reader(barcodes=False).read(pixels)
    assert (record.text, record.decision) == ("R", Decision.REVIEW)
    assert "one character alone" in record.doubts


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_scan_is_read(turned: bool) -> None:
    pixels = np.clip(np.random.default_rng(2).normal(160, 3, (2000, 9000)), 0, 255).astype(np.uint8)
    cv2.putText(pixels, "SN74LS06N", (6100, 700), cv2.FONT_HERSHEY_SIMPLEX, 2.4, 60, 5, cv2.LINE_AA)
    record = Reader(barcodes=False).read(np.ascontiguousarray(np.rot90(pixels)) if turned else pixels)
    assert record.text == "SN74LS06N"


def test_the_expected_height_chooses_the_size_at_which_a_picture_is_searched() -> None:
    pixels = np.clip(np.random.default_rng(4).normal(170, 5, (3000, 4000)), 0, 255).astype(np.uint8)
    cv2.putText(pixels, "SN74LS06N", (900, 1400), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 60, 1, cv2.LINE_AA)
    anywhere, small = Reader(barcodes=False), StationView(text_height=(0.002, 0.004))
    assert anywhere.read(pixels).lines == ()
    assert [line.text for line in anywhere.at(Station(view=small)).read(pixels).lines] == ["SN74LS06N"]


def test_lines_of_an_unexpected_height_are_not_read(reader: Reader) -> None:
    view = StationView(detector=Path("lines.onnx"), text_height=(0.1, 0.2))
    assert reader.at(Station(view=view)).read(picture()).lines == ()


def test_all_lines_of_a_nameplate_are_read() -> None:
    class NameplateFinder(Finder):
        def find(
            self, pixels: Pixels, heights: tuple[float, float] | None = None, *, possible: bool = False
        ) -> tuple[TextLine, ...]:
            return tuple(TextLine(np.array([[40.0, y], [400.0, y]]), 8.0, 0.9) for y in range(20, 980, 14))

    frame = Frame(np.full((1000, 800), 160, np.uint8), np.eye(3))
    finder = cast("LineFinder", NameplateFinder(Path("lines.onnx")))  # of which only find is called
    assert len(expected_lines(finder, frame, StationView())) == 69


def test_the_shipped_detector_is_opened_by_the_first_picture_that_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(
        "serialread.reader.reader.LineFinder",
        lambda path, threads, kind: opened.append(path) or Finder(path, threads),
    )
    reader = Reader(barcodes=False)
    reader.read(SAMPLE)
    assert opened == []
    assert len(reader.read(picture()).lines) == 2
    assert len(reader.read(picture()).lines) == 2
    assert opened == [shipped_detector()]
    assert "lines" not in reader.model_id


def test_lines_are_read_regardless_of_the_format_and_fields_with_their_own(reader: Reader) -> None:
    field = {"name": "left", "region": [[0.0, 0.0], [0.4, 0.0], [0.4, 1.0], [0.0, 1.0]]}
    station = Station.model_validate(
        {"view": {"detector": "lines.onnx"}, "code": {"format": "[A-F]{6}"}, "fields": [field]}
    )
    record = reader.at(station).read(picture())
    assert {line.text for line in record.lines} == {"905247"}
    assert record.fields["left"].text == "905247"
    assert np.array(record.fields["left"].polygon)[:, 0].max() < 400
    assert record.decision == "REVIEW"
    assert record.reason == "field left: not calibrated: the station has no acceptance threshold"
    small = station.model_copy(update={"limits": StationLimits(text_height_px=(100, 200))})
    assert reader.at(small).read(picture()).reason.startswith("field left: text is ")


class AloneFinder(Finder):
    """A line detector that finds the upright line alone."""

    def find(
        self, pixels: Pixels, heights: tuple[float, float] | None = None, *, possible: bool = False
    ) -> tuple[TextLine, ...]:
        return super().find(pixels)[:1]


@pytest.mark.parametrize(
    ("finder", "reason"), [(AloneFinder, "reads 6006 upside down"), (Finder, "not calib")]
)
def test_a_field_that_reads_upside_down_needs_another_line_that_shows_what_is_up(
    monkeypatch: pytest.MonkeyPatch, finder: type[Finder], reason: str
) -> None:
    monkeypatch.setattr("serialread.reader.reader.LineFinder", finder)
    field = {"name": "value", "format": r"\d{4}"}
    station = Station.model_validate({"view": {"detector": "lines.onnx"}, "fields": [field]})
    pixels = picture()
    pixels[350:410, 550:790] = np.where(written("9009") < 120, 50, 170)
    if finder is Finder:
        pixels[350:410, 110:350] = np.where(written("905247") < 120, 50, 170)
    record = Reader(station=station, barcodes=False).read(pixels)
    assert record.fields["value"].reason.startswith(reason)


def test_a_missing_detector_is_an_error() -> None:
    with pytest.raises(CheckpointError) as error:
        Reader(station=Station(view=StationView(detector=Path("no.onnx"))))
    assert str(error.value) == (
        "no.onnx: cannot be read: No such file or directory. Give a detector's model file."
    )


def test_where_openvino_cannot_compile_the_detector_onnx_runtime_searches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.full((300, 480), 200, np.uint8)
    cv2.putText(pixels, "A7X-208", (60, 160), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 40, 5, cv2.LINE_AA)
    exact = LineFinder(shipped_detector(), int8=False).find(pixels)

    def refused(*_: object) -> None:
        raise RuntimeError("unsupported instruction set")

    monkeypatch.setattr("openvino.Core.compile_model", refused)
    for finder in (LineFinder(shipped_detector()), LineFinder(shipped_detector(), kind="onnxruntime")):
        found = finder.find(pixels)
        assert len(found) == len(exact) == 1
        np.testing.assert_allclose(found[0].polygon(), exact[0].polygon(), atol=3)
