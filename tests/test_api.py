"""What Python users import: one reader for paths, bytes and arrays; the command line's results."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

import serialread
from serialread import Decision, Reader, Record, RecordsError, Station, read_folder
from serialread.imaging.loading import ImageSource

SAMPLES = Path(__file__).parent.parent / "sample_images"
PICTURES = sorted(SAMPLES.glob("assembly/*.jpg"))[:4]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def expected(reader: Reader) -> list[Record]:
    return list(reader.read_many(PICTURES))


def outcome(record: Record) -> tuple[str, float | None, Decision]:
    return record.text, record.confidence, record.decision


def test_every_public_name_can_be_imported_and_has_a_docstring() -> None:
    assert sorted(serialread.__all__) == sorted(set(serialread.__all__))
    for name in serialread.__all__:
        assert getattr(serialread, name).__doc__, name
    assert set(serialread.__all__) <= set(dir(serialread))
    assert {"Reader", "Record", "read_folder", "audit", "render", "SampleStore"} <= set(serialread.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"No serialread attribute Raeder$"):
        serialread.Raeder  # noqa: B018


def test_a_path_bytes_and_an_array_are_read_alike(reader: Reader, expected: list[Record]) -> None:
    path, pixels = PICTURES[0], cv2.imread(str(PICTURES[0]), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    sources: list[ImageSource] = [path, str(path), path.read_bytes(), pixels, pixels[..., None]]
    records = [reader.read(source) for source in sources]
    assert [outcome(record) for record in records] == [outcome(expected[0])] * len(sources)
    assert [record.image for record in records] == ["01.jpg", "01.jpg", "0", "0", "0"]
    assert reader.read(pixels, name="station 4").image == "station 4"


def test_one_picture_at_a_time_reads_as_many_do(reader: Reader, expected: list[Record]) -> None:
    assert [outcome(reader.read(path)) for path in PICTURES] == [outcome(record) for record in expected]
    assert expected[0].chars == (expected[0].reading.chars if expected[0].reading else ())
    assert all(record.elapsed_ms > 0 for record in expected)


def test_several_threads_share_one_reader(reader: Reader, expected: list[Record]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(reader.read, PICTURES * 3))
    assert [outcome(record) for record in found] == [outcome(record) for record in expected] * 3


def test_frames_of_a_camera_are_read_in_order_while_they_come(reader: Reader, expected: list[Record]) -> None:
    frames = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in PICTURES]
    given, before = 0, set(threading.enumerate())

    def camera() -> Iterator[np.ndarray]:
        nonlocal given
        while True:
            yield frames[given % len(frames)]
            given += 1

    records = reader.read_many(camera())
    found = [next(records) for _ in range(10)]
    records.close()
    assert [record.image for record in found] == [str(number) for number in range(10)]
    assert [record.text for record in found[:4]] == [record.text for record in expected]
    assert given < 1000
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("network")]


def test_what_cannot_be_read_is_a_record_with_its_reason(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(PICTURES[0].read_bytes()[:900])
    sources: list[ImageSource] = [
        tmp_path / "torn.jpg",
        tmp_path / "none.jpg",
        b"",
        np.zeros((40, 90, 3), np.float64),
    ]
    records = [reader.read(source) for source in sources]
    assert {record.decision for record in records} == {Decision.REJECT}
    assert [record.reason.split(".")[0] for record in records] == [
        "truncated: the file ends before the picture does",
        "cannot be read (No such file or directory)",
        "the file is empty",
        "an array of float64 is ambiguous",
    ]
    assert [(record.text, record.confidence, record.chars) for record in records] == [("", None, ())] * 4


@pytest.mark.parametrize("one", [PICTURES[0], str(PICTURES[0]), b"bytes of a picture"])
def test_one_picture_is_not_taken_for_many(reader: Reader, one: str | Path | bytes) -> None:
    with pytest.raises(RecordsError, match=r"^read_many needs several pictures, .* Use read for one\.$"):
        next(reader.read_many(one))  # type: ignore[arg-type]


def test_an_unknown_engine_is_one_clear_error() -> None:
    with pytest.raises(serialread.CheckpointError) as caught:
        Reader(engine="torch")  # type: ignore[arg-type]
    assert str(caught.value) == "engine torch: no such engine. Use openvino or onnxruntime."


def test_folders_and_files_may_be_given_as_text(expected: list[Record], tmp_path: Path) -> None:
    run = read_folder([str(path) for path in PICTURES], str(tmp_path / "out"))
    assert [record.text for record in run] == [record.text for record in expected]
    audited = serialread.audit(str(tmp_path / "out"), str(SAMPLES / "labels.csv"))
    audited.write(str(tmp_path / "audit"))
    assert (tmp_path / "audit" / "report.html").is_file()
    assert serialread.verify(str(tmp_path / "out" / "runs.log")).ok


def test_files_of_one_name_are_named_with_their_folders(tmp_path: Path) -> None:
    names = ("assembly/01.jpg", "machining/01.jpg", "machining/02.jpg")
    both = [SAMPLES / name for name in names]
    records = list(read_folder(both, tmp_path))
    assert [record.image for record in records] == ["assembly/01.jpg", "machining/01.jpg", "02.jpg"]
    assert [record.batch for record in records] == ["assembly", "machining", ""]
    assert serialread.audit(tmp_path, SAMPLES / "labels.csv").batches["right"].iloc[-1] >= 2


def test_a_format_and_a_station_may_be_names_or_values(tmp_path: Path, expected: list[Record]) -> None:
    path = tmp_path / "line.toml"
    path.write_text('name = "line"\n[limits]\ntext_height_px = [5, 900]\n', encoding="utf-8")
    by_path, by_value = Reader(station=path), Reader(station=Station(name="line"), format="digits")
    assert (by_path.station.name, by_value.station.code.format) == ("line", "digits")
    assert by_path.read(PICTURES[0]).text == expected[0].text
    assert by_value.read(PICTURES[0]).text.isdigit()


def test_the_drawing_is_the_picture_in_colour_below_a_caption(reader: Reader) -> None:
    pixels = cv2.imread(str(PICTURES[0]), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    before = pixels.copy()
    drawn = reader.draw(pixels)
    height, width = pixels.shape
    assert (drawn.shape[1:], drawn.dtype) == ((width, 3), np.uint8)
    assert 20 <= drawn.shape[0] - height <= max(height // 16, 20)
    np.testing.assert_array_equal(pixels, before)
    changed = (drawn[-height:] != pixels[..., None]).any(axis=2).mean()
    assert 0.01 < changed < 0.6


def test_an_explanation_reads_what_the_record_says(reader: Reader) -> None:
    """Codes in several rows, too: their rows are shown from top to bottom."""
    for path in PICTURES:
        record, found = reader.read(path), reader.explain(path)
        assert found.reading == record.reading
        assert "".join(c.char for line in found.lines for c in line.chars) == record.text
        assert found.drawn().shape[2] == 3


def test_a_folder_is_read_by_one_call(expected: list[Record], tmp_path: Path) -> None:
    run = read_folder(PICTURES, tmp_path / "out")
    assert (run.total, run.kept, run.skipped) == (4, 0, ())
    records = list(run)
    assert [outcome(record) for record in records] == [outcome(record) for record in expected]
    assert (run.summary.images, run.not_accepted) == (4, 4)
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        "readings.csv",
        "readings.jsonl",
        "runs.log",
    ]
    lines = (tmp_path / "out" / "readings.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == [record.text for record in expected]
    with pytest.raises(RecordsError, match=r"out: this run has ended\. Begin another with read_folder\.$"):
        next(iter(run))
    again = read_folder(PICTURES, tmp_path / "out", resume=True)
    assert (again.total, again.kept, list(again)) == (0, 4, [])


def test_a_folder_that_holds_results_is_left_alone(tmp_path: Path) -> None:
    list(read_folder(PICTURES[:1], tmp_path))
    with pytest.raises(RecordsError, match="already holds results"):
        read_folder(PICTURES[:1], tmp_path)
    with pytest.raises(RecordsError, match=r"resume keeps the results, overwrite replaces them\. Set one"):
        read_folder(PICTURES[:1], tmp_path, resume=True, overwrite=True)
