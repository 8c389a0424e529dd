"""Reading folders: files, decisions, stations, scheduling, orientation, results on disk."""

import csv
import itertools
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from stub_model import GEOMETRY, MODEL_ID, digit, write_stub

from serialread.config import Code, Station, StationLimits, StationView, load
from serialread.errors import CalibrationError, RecipeError, RecordsError
from serialread.imaging import TIGHT_VIEWS, content_width, digest
from serialread.imaging.crops import turned_180
from serialread.inference.session import Engine, EngineKind, ModelCard, full_batch
from serialread.reader import (
    FILES,
    Picture,
    Reader,
    RunSummary,
    begin,
    decide,
    find_images,
    results,
    write_records,
)
from serialread.reader.orientation import CLEAR_ODDS, SURE_ODDS, choose_line, surely_upright, upside_down_text
from serialread.reader.outputs import Outputs, Steps, maps_of
from serialread.reader.pipeline import run_alone, side_by_side
from serialread.reader.scheduler import (
    COST_PX,
    MAX_COST,
    PHOTO_PX,
    Job,
    Scheduler,
    _bucket,
    _Lane,
    recognize_alone,
)
from serialread.reader.serialization import COLUMNS, csv_bytes, csv_row, json_bytes, json_line
from serialread.records import GRADES, CharReading, Crop, Decision, Floats, Pixels, Reading, Record, Verdict

CALIB = Path(__file__).parent.parent / "calib"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


def picture(path: Path, width: int = 100, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 200, (32, width), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def reading_of(text: str, confidence: float = 0.9) -> Reading:
    return Reading(
        tuple(CharReading(c, confidence, ("", 0.05), (0.0, 0.0, 9.0, 32.0)) for c in text), confidence
    )


def record_of(image: str, text: str = "AB12", **changes: object) -> Record:
    record = Record(
        image=image,
        image_sha256=f"sha of {image}",
        batch=image.rpartition("/")[0],
        reading=reading_of(text),
        confidence=0.7,
        verdict=Verdict.NONE,
        upside_down_text="",
        decision=Decision.REVIEW,
        reason="why",
        quad=((0.0, 0.0), (9.0, 0.0), (9.0, 4.0), (0.0, 4.0)),
        text_height_px=24.0,
        contrast=0.5,
        tilt_deg=0.0,
        model_id=MODEL_ID,
        station_id="",
        read_at=datetime(2026, 1, 5, 8, 0, tzinfo=UTC),
        elapsed_ms=3.25,
    )
    return replace(record, **changes)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "readings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def json_lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "readings.jsonl").read_text(encoding="utf-8").splitlines()]


# files


def test_pictures_are_found_below_folders_in_natural_order(tmp_path: Path) -> None:
    names = ["a/1.jpeg", "a/2.tif", "a/10.webp", "b9.jpg", "b10.PNG", "Ä ö/x.bmp"]
    for name in reversed(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert [p.image for p in found.pictures] == [
        "a/1.jpeg",
        "a/2.tif",
        "a/10.webp",
        "Ä ö/x.bmp",
        "b9.jpg",
        "b10.PNG",
    ]
    assert [p.batch for p in found.pictures] == ["a", "a", "a", "Ä ö", "", ""]


def test_other_files_are_listed_and_hidden_ones_skipped(tmp_path: Path) -> None:
    for name in ("1.jpg", "labels.csv", "._1.jpg", ".hidden/2.jpg", "noext"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert ([p.image for p in found.pictures], found.skipped) == (
        ["1.jpg"],
        ("._1.jpg", "labels.csv", "noext"),
    )


def test_a_file_given_by_name_is_always_included(tmp_path: Path) -> None:
    odd = tmp_path / "scan.dat"
    odd.touch()
    assert find_images([odd]).pictures == (Picture(odd, "scan.dat"),)


def test_paths_are_read_in_the_order_they_are_given(tmp_path: Path) -> None:
    for name in ("z/1.jpg", "a/1.jpg"):
        picture(tmp_path / name)
    found = find_images([tmp_path / "z", tmp_path / "a"])
    assert [p.path.parent.name for p in found.pictures] == ["z", "a"]


def test_a_link_to_a_parent_folder_is_entered_once(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "dangling.jpg").symlink_to(tmp_path / "none")
    assert [p.image for p in find_images([tmp_path]).pictures] == ["a/1.jpg", "a/dangling.jpg"]


def test_an_empty_folder_and_a_missing_path_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordsError, match=r"empty: no pictures here. Give a folder with .avif, .bmp, .dib"):
        find_images([tmp_path / "empty"])
    with pytest.raises(RecordsError) as caught:
        find_images([tmp_path / "none"])
    assert str(caught.value) == f"{tmp_path / 'none'}: no such file or folder. Check the path."


# decisions


CALIBRATED = StationLimits(accept_at=0.9, review_at=0.2, text_height_px=(10, 60))


@pytest.mark.parametrize(
    ("text", "confidence", "doubts", "limits", "decision", "reason"),
    [
        ("", 0.9, (), StationLimits(), Decision.REJECT, "no character found"),
        (
            "A1",
            1.0,
            (),
            StationLimits(),
            Decision.REVIEW,
            "not calibrated: the station has no acceptance threshold",
        ),
        ("", 0.9, ("torn",), StationLimits(), Decision.REJECT, "no character found; torn"),
        ("A1", 1.0, (), CALIBRATED, Decision.ACCEPT, ""),
        ("A1", 0.9, (), CALIBRATED, Decision.REVIEW, "confidence 0.729 is below 0.900"),
        ("A1", 0.5, ("too high",), CALIBRATED, Decision.REJECT, "confidence 0.125 is below 0.200"),
        ("A1", 1.0, ("too high", "too dark"), CALIBRATED, Decision.REVIEW, "too high; too dark"),
    ],
)
def test_decisions_have_reasons(
    text: str,
    confidence: float,
    doubts: tuple[str, ...],
    limits: StationLimits,
    decision: Decision,
    reason: str,
) -> None:
    reading = reading_of(text, confidence)
    assert decide(reading, reading.confidence, doubts, limits) == (decision, reason)


@given(confidence=st.floats(0, 1), text=st.text("A1", min_size=1, max_size=25), doubt=st.booleans())
def test_an_uncalibrated_station_never_accepts(confidence: float, text: str, doubt: bool) -> None:
    reading = reading_of(text, confidence)
    assert decide(reading, confidence, ("doubt",) * doubt, StationLimits())[0] is Decision.REVIEW


# stations


def test_the_example_station_is_valid_and_accepts_nothing() -> None:
    station = load(CALIB / "bench-camera.toml", Station)
    assert station.station_id.startswith("bench-camera-")
    assert station.limits.accept_at is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[limits]\naccept_at = 0.9",
            "limits.accept_at and limits.review_at need the model_id of their model",
        ),
        ("model_id = 'm'\n[limits]\naccept_at = 0.5\nreview_at = 0.6", "review_at must not exceed accept_at"),
        ("[limits]\ntext_height_px = [9, 3]", "text_height_px must be (minimum, maximum)"),
        (
            "[view]\nregion = [[0,0],[0,1],[1,1],[1,0]]",
            "corners must enclose an area clockwise, from the text's top-left",
        ),
        ("[view]\nrotation = 45", "view.rotation"),
        ("name = 'a b'", "name"),
        ("[view]\ntighen = true", "view.tighen: no such key"),
    ],
)
def test_an_invalid_station_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "station.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load(path, Station)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_station_calibrated_with_another_model_is_refused(model: Path) -> None:
    with pytest.raises(CalibrationError) as caught:
        Reader(model, Station(name="s1", model_id="other"))
    assert str(caught.value) == (
        f"station s1: calibrated with model other, got {MODEL_ID}. "
        "Calibrate it again, or give that model and engine."
    )


def test_a_stations_id_changes_with_any_of_its_values() -> None:
    plain = Station(name="s1")
    assert plain.station_id != Station(name="s1", limits=StationLimits(text_height_px=(10, 50))).station_id
    assert Station().station_id == ""


# reading


def expected(width: int) -> str:
    filled = content_width(np.zeros((32, width), np.uint8), GEOMETRY)
    return digit(filled / GEOMETRY.bucket(filled)) + "7"


@dataclass(frozen=True, slots=True)
class _Array:
    number: int
    array: Floats


def doubt(width: int) -> float:
    """Uncertainty of the stub, 0..0.5: how close the bucket's filling is to the next digit."""
    filled = content_width(np.zeros((32, width), np.uint8), GEOMETRY)
    return 0.5 - abs(10 * filled / GEOMETRY.bucket(filled) % 1 - 0.5)


@pytest.mark.parametrize("count", [0, 1, 63, 150])
def test_records_come_in_the_order_of_the_pictures(model: Path, tmp_path: Path, count: int) -> None:
    candidates = np.random.default_rng(3).integers(60, 400, 3 * count).tolist()
    widths = [width for width in candidates if doubt(width) < 0.35][:count]
    paths = [picture(tmp_path / f"{i}.png", width, seed=i) for i, width in enumerate(widths)]
    records = list(Reader(model).read_many(paths))
    assert [r.image for r in records] == [p.name for p in paths]
    texts = [r.reading.text if r.reading else None for r in records]
    assert texts == [expected(width) for width in widths]
    assert all(r.decision is Decision.REVIEW and r.model_id == MODEL_ID for r in records)


def counted_crops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the size of every batch that any engine runs from now on."""
    batch_sizes: list[int] = []
    run = Engine.run

    def counting(engine: Engine, batch: Floats) -> tuple[Floats, ...]:
        batch_sizes.append(len(batch))
        return run(engine, batch)

    monkeypatch.setattr(Engine, "run", counting)
    return batch_sizes


def test_only_a_doubtful_crop_is_retried_with_tighter_views(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_sizes = counted_crops(monkeypatch)
    plain, doubtful = min(range(100, 300), key=doubt), 104
    assert doubt(doubtful) > 0.4  # and a tighter view reads another text
    list(Reader(model).read_many([picture(tmp_path / "plain.png", plain)]))
    assert sum(batch_sizes) == 1
    list(Reader(model).read_many([picture(tmp_path / "doubtful.png", doubtful)]))
    assert sum(batch_sizes) == 1 + 1 + len(TIGHT_VIEWS["slots"])


def test_the_text_extent_does_not_depend_on_the_format(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stub reads two characters, the format allows one: the extent covers both."""
    counts: list[int] = []

    def counting(outputs: Outputs, pixels: Pixels, card: ModelCard, count: int) -> Outputs:
        counts.append(count)
        return maps_of(outputs, pixels, card, count)

    monkeypatch.setattr("serialread.reader.pipeline.maps_of", counting)
    for code in (Code(), Code(format=r"\d")):
        list(Reader(model, Station(code=code)).read_many([picture(tmp_path / "doubtful.png", 104)]))
    assert set(counts) == {2}


@given(
    sizes=st.lists(st.lists(st.integers(20, 300), min_size=1, max_size=40), max_size=60),
    costly=st.integers(0, 9),
)
@settings(max_examples=15, deadline=None)
def test_batches_have_one_width_and_do_not_depend_on_timing(
    model: Path, sizes: list[list[int]], costly: int
) -> None:
    engine = Engine(model, outputs=None)

    def steps(widths: list[int], pause: float) -> Steps[list[int]]:
        """Request all crops at once, then another one."""
        outputs = yield [np.full((32, width), width % 251, np.uint8) for width in widths]
        time.sleep(pause)
        yield [np.full((32, widths[0]), 7, np.uint8)]
        return [len(one.scores) for one in outputs]

    def run(pause: float, streams: int) -> tuple[list[int], list[tuple[int, ...]]]:
        batches: list[tuple[int, ...]] = []
        scheduler = Scheduler[list[int]](engine, streams + 1, streams)
        start = scheduler._start

        def recorded(lane: _Lane[list[int]]) -> None:
            first = sorted(lane.places, key=lambda place: place[0].number)[: lane.full]
            batches.append(tuple(_bucket(job.crops[number], engine) for job, number in first))
            start(lane)

        scheduler._start = recorded  # type: ignore[method-assign]
        jobs = (Job(steps(widths, pause), 99_999 * (n % 7 == costly)) for n, widths in enumerate(sizes))
        return [len(found) for found, _ in scheduler.run(jobs)], batches

    counts, batches = run(0, 1)
    assert counts == [len(widths) for widths in sizes]
    assert sum(map(len, batches)) == sum(counts) + len(sizes)
    assert all(len(set(batch)) == 1 and len(batch) <= full_batch(batch[0]) for batch in batches)
    assert run(0, 1) == (counts, batches)
    assert run(0.0005, 1) == (counts, batches)


def test_a_reading_does_not_depend_on_other_crops_in_the_batch(model: Path, tmp_path: Path) -> None:
    widths = range(90, 390, 7)
    paths = [picture(tmp_path / f"{width}.png", width, seed=width) for width in widths]
    together = [r.reading for r in Reader(model).read_many(paths)]
    alone = [next(iter(Reader(model).read_many([path]))).reading for path in paths[::6]]
    for one, other in zip(together[::6], alone, strict=True):
        assert one is not None
        assert other is not None
        assert one.text == other.text
        assert one.confidence == pytest.approx(other.confidence, abs=0.02)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_all_engines_read_the_same(model: Path, tmp_path: Path, engine: EngineKind) -> None:
    paths = [picture(tmp_path / f"{w}.png", w) for w in (70, 130, 300)]
    texts = [r.reading.text for r in Reader(model, engine=engine).read_many(paths) if r.reading]
    assert texts == [expected(w) for w in (70, 130, 300)]


@pytest.mark.parametrize(
    ("code_format", "verdict"), [("digits", Verdict.OBEYS), ("[A-Z]{2}", Verdict.MISPRINT)]
)
def test_a_code_matches_the_station_s_format_and_the_free_reading_is_kept(
    model: Path, tmp_path: Path, code_format: str, verdict: Verdict
) -> None:
    (record,) = Reader(model, Station(code=Code(format=code_format))).read_many(
        [picture(tmp_path / "1.png", 130)]
    )
    assert record.reading is not None
    line = json_line(record)
    assert (record.verdict, line["verdict"], line["free_text"]) == (verdict, verdict.value, expected(130))
    assert (line["text"] == line["free_text"]) == (verdict is Verdict.OBEYS)
    assert line["text"].isdigit() == (code_format == "digits")
    assert all(c["status"] == "mismatch" for c in line["chars"]) == (verdict is Verdict.MISPRINT)
    assert record.decision is Decision.REVIEW
    assert record.station_id.startswith("unnamed-")


def test_an_unreadable_picture_becomes_a_record_with_a_reason(model: Path, tmp_path: Path) -> None:
    paths = [picture(tmp_path / "1.jpg"), tmp_path / "2.jpg", tmp_path / "3.jpg", picture(tmp_path / "4.png")]
    paths[1].write_bytes(paths[0].read_bytes()[:-400])
    records = list(Reader(model).read_many(paths))
    assert [r.decision for r in records] == [
        Decision.REVIEW,
        Decision.REJECT,
        Decision.REJECT,
        Decision.REVIEW,
    ]
    assert records[1].reason == "truncated: the file ends before the picture does. Copy it again."
    assert records[1].reading is None
    assert len(records[1].image_sha256) == 64
    assert records[2].reason.startswith("cannot be read (No such file")
    assert records[2].image_sha256 == ""


def test_reading_is_deterministic_for_any_number_of_workers(model: Path, tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{i}.png", 90 + i, seed=i) for i in range(20)]
    first, second = ([r.reading for r in Reader(model, workers=n).read_many(paths)] for n in (1, 3))
    assert first == second


def line_at(quarter: int = 0, row: float = 0) -> Crop:
    """A line, rotated clockwise by quarter turns."""
    corners = np.array([[0, 0], [200, 0], [200, 40], [0, 40]], np.float32)
    return Crop(
        np.zeros((40, 200), np.uint8), np.roll(corners, quarter, axis=0) + np.float32(row), 30, 0.5, 0
    )


@pytest.mark.parametrize(
    ("texts", "best"),
    [
        ([("1", 0.99), ("12345", 0.8), ("1234567", 0.4)], 1),
        ([("", 0.9), ("77", 0.3)], 0),
        ([("123", 0.9), ("1234", 0.9)], 0),
    ],
)
def test_the_proposal_with_most_clear_characters_is_chosen(texts: list[tuple[str, float]], best: int) -> None:
    assert choose_line([line_at() for _ in texts], [reading_of(*text) for text in texts]) == best


def test_lines_of_the_same_orientation_support_each_other() -> None:
    readings = [reading_of(text) for text in ("", "SN74LS19", "N6IS7vLNS", "19ATEJK", "X31Y")]
    assert choose_line([line_at(), line_at(), line_at(2), line_at(0, 50), line_at(2, 50)], readings) == 1
    assert choose_line([line_at(), line_at(), line_at(2), line_at(1, 50), line_at(3, 50)], readings) == 2


def test_an_upside_down_line_needs_more_evidence_if_pictures_are_mostly_upright() -> None:
    crops, readings = (
        [line_at(), line_at(), line_at(2)],
        [reading_of(t) for t in ("", "12345678", "123456789")],
    )
    assert choose_line(crops, readings) == 2
    assert choose_line(crops, readings, mostly_upright=True) == 1


@pytest.mark.parametrize(
    ("size_px", "max_in_progress"), [(0, MAX_COST), (7 * COST_PX, MAX_COST // 8), (PHOTO_PX, 2)]
)
def test_the_number_of_pictures_in_progress_is_bounded_by_their_size(
    model: Path, size_px: int, max_in_progress: int
) -> None:
    started = 0

    def endless() -> Iterator[Job[int]]:
        nonlocal started
        for number in itertools.count():
            started += 1
            yield Job(steps(number), size_px)

    def steps(number: int) -> Steps[int]:
        yield [np.zeros((32, 64), np.uint8)]
        return number

    results_ = Scheduler[int](Engine(model, outputs=None), 2, 1).run(endless())
    for number, (result, _) in enumerate(itertools.islice(results_, 50)):
        assert result == number
        assert started <= number + 1 + max_in_progress
    results_.close()


def test_an_early_stop_leaves_no_threads(model: Path, tmp_path: Path) -> None:
    before = threading.active_count()
    records = Reader(model).read_many([picture(tmp_path / f"{i}.png") for i in range(80)])
    next(records)
    records.close()
    for _ in range(50):
        if threading.active_count() <= before:
            break
        time.sleep(0.02)
    assert threading.active_count() <= before


# results


def pictures_of(tmp_path: Path, count: int) -> tuple[Picture, ...]:
    for i in range(count):
        picture(tmp_path / "in" / f"{i}.png", 90 + i, seed=i)
    return find_images([tmp_path / "in"]).pictures


def run(out: Path, pictures: tuple[Picture, ...], mode: results.Mode = "new") -> results.Start:
    """What the command does, with made-up readings."""
    start = begin(out, mode, pictures, MODEL_ID, "")
    made = (record_of(p.image, image_sha256=digest(p.path), batch=p.batch) for p in start.pictures)
    for _ in write_records(made, out):
        pass
    return start


def test_the_csv_table_has_its_columns_and_the_json_lines_all_fields(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin(out, "new", (), MODEL_ID, "")
    list(write_records(Reader(model).read_many(pictures_of(tmp_path, 3)), out))
    header = (out / "readings.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == (
        "image,batch,text,free_text,verdict,confidence,weakest_char,weakest_position,weakest_confidence,decision,reason,"
        "other_texts,second_text,second_confidence,sequence_findings,barcodes,barcode_check,"
        "text_height_px,contrast,tilt_deg,mark_grade,mark_contrast,mark_strokes,mark_spacing,mark_cleanness,"
        "mark_completeness,elapsed_ms,read_at,station_id,model_id,sha256"
    )
    row, line = rows(out)[1], json_lines(out)[1]
    assert (row["image"], row["text"], row["decision"]) == ("1.png", expected(91), "REVIEW")
    assert {str(line[c]) for c in ("text", "confidence", "sha256")} <= set(row.values())
    assert [c["char"] for c in line["chars"]] == list(expected(91))
    assert len(line["chars"][0]["box"]) == 4
    assert row["mark_grade"] == line["mark_grade"]
    assert row["mark_grade"] in tuple(GRADES)
    assert row["mark_spacing"] == ""  # two characters
    assert 0 <= line["mark_contrast"] <= 1


@pytest.mark.parametrize("text", ['A,"1"', "=1+2", "00123", "1E5", "-7", "'", "NA", ";|"])
def test_any_text_survives_the_csv_table(tmp_path: Path, text: str) -> None:
    begin(tmp_path, "new", (), MODEL_ID, "")
    list(write_records([record_of("a.png", text)], tmp_path))
    assert rows(tmp_path)[0]["text"] == text


def test_the_position_of_the_weakest_character_counts_from_one() -> None:
    chars = tuple(CharReading(c, p, ("", 0.0)) for c, p in (("A", 0.9), ("B", 0.4), ("C", 0.8)))
    row = dict(zip(COLUMNS, csv_row(json_line(record_of("x", reading=Reading(chars, 1.0)))), strict=True))
    assert (row["weakest_char"], row["weakest_position"], row["weakest_confidence"]) == ("B", "2", "0.4")


def test_an_unread_picture_has_empty_cells(tmp_path: Path) -> None:
    changes = dict.fromkeys(("reading", "confidence", "quad", "text_height_px", "contrast", "tilt_deg"))
    row = dict(zip(COLUMNS, csv_row(json_line(record_of("x", **changes))), strict=True))
    assert {row[c] for c in ("text", "confidence", "weakest_char", "tilt_deg")} == {""}


def test_names_that_are_not_valid_unicode_are_written(tmp_path: Path) -> None:
    line = json_line(record_of("bad\udcff.png"))
    assert b"bad" in json_bytes(line)
    assert json.loads(json_bytes(line))["image"] == "bad\udcff.png"
    assert b"bad" in csv_bytes(csv_row(line))


def test_existing_results_are_kept_without_resume_or_overwrite(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 2)
    out = tmp_path / "out"
    run(out, pictures)
    with pytest.raises(RecordsError) as caught:
        run(out, pictures)
    assert str(caught.value) == (
        f"{out}: already holds results. Use --resume to continue or --overwrite to replace them "
        "(in Python, resume=True or overwrite=True)."
    )
    run(out, pictures[:1], "overwrite")
    assert [r["image"] for r in rows(out)] == ["0.png"]


@settings(max_examples=25, deadline=None)
@given(shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_killed_run_resumes_wherever_its_files_end(
    tmp_path_factory: pytest.TempPathFactory, shares: tuple[float, float]
) -> None:
    tmp_path = tmp_path_factory.mktemp("cut")
    pictures = pictures_of(tmp_path, 5)
    out = tmp_path / "out"
    run(out, pictures)
    whole = json_lines(out)
    for name, share in zip(FILES, shares, strict=True):
        os.truncate(out / name, int((out / name).stat().st_size * share))
    start = run(out, pictures, "resume")
    assert start.kept + len(start.pictures) == 5
    assert json_lines(out) == whole
    assert [r["image"] for r in rows(out)] == [p.image for p in pictures]


def test_resume_reads_only_missing_pictures(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 6)
    out = tmp_path / "out"
    run(out, pictures[:4])
    before = (out / "readings.jsonl").read_bytes()
    start = run(out, pictures, "resume")
    assert (start.kept, start.again, [p.image for p in start.pictures]) == (4, 0, ["4.png", "5.png"])
    assert start.not_accepted == 4
    assert (out / "readings.jsonl").read_bytes().startswith(before)
    assert start.kept == 4


def test_a_changed_picture_is_read_again_and_has_one_record(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 3)
    out = tmp_path / "out"
    run(out, pictures)
    picture(pictures[1].path, 260)
    start = run(out, pictures, "resume")
    assert (start.kept, start.again) == (2, 1)
    assert sorted(r["image"] for r in rows(out)) == ["0.png", "1.png", "2.png"]


def test_pictures_of_equal_names_keep_their_records(tmp_path: Path) -> None:
    first = picture(tmp_path / "a" / "1.png", 90)
    (tmp_path / "b").mkdir()
    shutil.copy(first, tmp_path / "b" / "1.png")
    pictures = find_images([tmp_path / "a", tmp_path / "b"]).pictures
    run(tmp_path / "out", pictures)
    start = begin(tmp_path / "out", "resume", pictures, MODEL_ID, "")
    assert (start.kept, start.pictures) == (2, ())


def test_resume_with_another_model_or_station_is_refused(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 1)
    run(tmp_path / "out", pictures)
    for ids, said in (
        (("other", ""), f"was read with model {MODEL_ID}, not other. Give the same --model to continue, or"),
        (
            (MODEL_ID, "s1-000000"),
            "was read with no station or format, not station s1-000000. Give the same --station and --format",
        ),
    ):
        with pytest.raises(RecordsError) as caught:
            begin(tmp_path / "out", "resume", pictures, *ids)
        assert str(caught.value).startswith(f"{tmp_path / 'out'}: {said}")


def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError) as caught:
        begin(tmp_path / "file", "new", (), MODEL_ID, "")
    assert str(caught.value) == f"{tmp_path / 'file'}: a file, or below one. Name a folder for the results."


class _SmallDisk:
    """A file on a disk with few free bytes."""

    def __init__(self, file: object, free_bytes: int) -> None:
        self._file, self._free_bytes = file, free_bytes

    def write(self, data: memoryview) -> int:
        if not self._free_bytes:
            raise OSError(28, "No space left on device")
        written = self._file.write(data[: self._free_bytes])
        self._free_bytes -= written
        return int(written)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("free_bytes", [0, 1, 300])
def test_a_full_disk_leaves_complete_lines(tmp_path: Path, free_bytes: int) -> None:
    path = tmp_path / "readings.jsonl"
    line = json_bytes(json_line(record_of("1.png")))
    path.write_bytes(line)
    with path.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space"):
        results._append(_SmallDisk(file, free_bytes), line)
    assert path.read_bytes() == line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(RecordsError, match=r"cannot be written \(.*\). Free disk space"):
        list(write_records([record_of("1.png")], tmp_path))


def test_the_summary_counts_records_and_lists_the_lowest_confidences() -> None:
    summary = RunSummary()
    for i in range(9):
        summary.add(record_of(f"{i}.png", confidence=0.01 * i))
    summary.add(record_of("none.png", reading=None, decision=Decision.REJECT))
    summary.add(record_of("sure.png", decision=Decision.ACCEPT))
    assert (summary.images, summary.read, summary.not_accepted) == (11, 10, 10)
    assert [entry[2] for entry in sorted(summary.least_confident, reverse=True)] == [
        f"{i}.png" for i in range(5)
    ]


# upside down


def crop_of(quad: list[tuple[float, float]]) -> Crop:
    return Crop(np.zeros((8, 8), np.uint8), np.array(quad, np.float32), 20.0, 0.5, 0.0)


UPRIGHT = [(0.0, 0.0), (80.0, 0.0), (80.0, 20.0), (0.0, 20.0)]
ROTATED = [UPRIGHT[2], UPRIGHT[3], UPRIGHT[0], UPRIGHT[1]]
ELSEWHERE = [(x, y + 40) for x, y in ROTATED]


@pytest.mark.parametrize(
    ("quad", "text", "confidence", "found"),
    [
        (ROTATED, "69", 0.9, "69"),
        (ROTATED, "89", 0.9, ""),
        (ROTATED, "69", 0.5, ""),
        (ELSEWHERE, "69", 0.9, ""),
        (UPRIGHT, "69", 0.9, ""),
    ],
)
def test_a_code_that_reads_as_another_one_upside_down_is_reported(
    quad: list[tuple[float, float]], text: str, confidence: float, found: str
) -> None:
    crops = [crop_of(UPRIGHT), crop_of(quad)]
    readings = [reading_of("89" if text == "89" else "68", 0.95), reading_of(text, confidence)]
    assert upside_down_text(crops, readings, 0) == found


def with_upright(reading: Reading, upright: float) -> Reading:
    return replace(reading, upright=upright)


@pytest.mark.parametrize(
    ("text", "upside_down", "odds", "best"),
    [
        ("74LS", "ST7hZ", (5.0, -5.0), 1),  # upright, although more is read upside down
        ("ST7hZ", "74LS", (-5.0, 5.0), 2),
        ("74LS", "ST7hZ", (0.5, -0.5), 2),  # unsure: the longer reading
        ("SN74LS19", "6IS7vL", (-1.1, 1.1), 1),  # the reading contradicts it
        ("SN74LS19", "6IS7vL", (-2.5, 2.5), 2),  # not enough
        ("6910", "016980", (5.0, -5.0), 2),  # legible in both orientations
    ],
)
def test_of_both_orientations_of_a_line_the_upright_one_is_chosen(
    text: str, upside_down: str, odds: tuple[float, float], best: int
) -> None:
    crops = [line_at(), crop_of(UPRIGHT), crop_of(ROTATED)]
    readings = [
        reading_of(""),
        with_upright(reading_of(text), odds[0]),
        with_upright(reading_of(upside_down), odds[1]),
    ]
    assert choose_line(crops, readings) == best


def test_a_line_that_is_surely_upside_down_needs_no_further_evidence() -> None:
    crops = [line_at(), line_at(0, 50), crop_of(UPRIGHT), crop_of(ROTATED)]
    readings = [reading_of(""), reading_of("AB12"), reading_of("x"), reading_of("SN74LS")]
    assert choose_line(crops, readings, mostly_upright=True) == 1
    scored = [*readings[:2], with_upright(readings[2], -5.0), with_upright(readings[3], 5.0)]
    assert choose_line(crops, scored, mostly_upright=True) == 3


def test_with_an_orientation_score_only_a_code_legible_in_both_orientations_is_reported() -> None:
    crops = [crop_of(UPRIGHT), crop_of(ROTATED)]
    for texts, found in ((("A7", "LV"), ""), (("68", "89"), "89")):
        readings = [with_upright(reading_of(texts[0]), 6.0), with_upright(reading_of(texts[1]), -6.0)]
        assert upside_down_text(crops, readings, 0) == found


@pytest.mark.parametrize(
    ("odds", "crops_read"), [(SURE_ODDS + 1, 1), (SURE_ODDS - 1, 2), (-SURE_ODDS - 1, 2)]
)
def test_a_line_is_read_upside_down_unless_it_is_surely_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odds: float, crops_read: int
) -> None:
    batch_sizes = counted_crops(monkeypatch)
    reader = Reader(
        write_stub(tmp_path / "stub.onnx", upright=odds), Station(view=StationView(upside_down="both"))
    )
    sure = min(range(100, 300), key=doubt)  # no retry
    (record,) = reader.read_many([picture(tmp_path / "1.png", sure)])
    assert sum(batch_sizes) == crops_read
    assert record.reading is not None
    assert record.reading.text == expected(sure)


@pytest.mark.parametrize(
    ("odds", "upside_down", "crops_read"),
    [(-SURE_ODDS - 1, "found", 2), (-SURE_ODDS + 1, "found", 1), (-SURE_ODDS - 1, "never", 1)],
)
def test_a_line_that_fills_its_picture_is_read_upside_down_only_if_it_surely_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odds: float, upside_down: str, crops_read: int
) -> None:
    batch_sizes = counted_crops(monkeypatch)
    view = StationView.model_validate({"upside_down": upside_down})
    reader = Reader(write_stub(tmp_path / "stub.onnx", upright=odds), Station(view=view))
    (record,) = reader.read_many([picture(tmp_path / "1.png", min(range(100, 300), key=doubt))])
    assert sum(batch_sizes) == crops_read
    assert record.upside_down_text == ""  # the stub reads the same either way


@pytest.mark.parametrize(
    ("text", "confidence", "odds", "sure"),
    [
        ("74LS191", 0.99, CLEAR_ODDS, True),
        ("74LS191", 0.99, CLEAR_ODDS - 0.1, False),
        ("74LS191", 0.8, CLEAR_ODDS, False),  # doubtful
        ("74LS191", 0.8, SURE_ODDS, True),
        ("74L", 0.99, CLEAR_ODDS, False),  # short
        ("6910", 0.99, SURE_ODDS + 1, False),  # legible in both orientations
    ],
)
def test_the_clearer_a_line_the_less_evidence_shows_that_it_is_upright(
    text: str, confidence: float, odds: float, sure: bool
) -> None:
    assert surely_upright(with_upright(reading_of(text, confidence), odds)) is sure


def test_generators_side_by_side_share_their_requests_and_keep_their_results() -> None:
    def steps(name: int, *sizes: int) -> Steps[list[str]]:
        got = []
        for size in sizes:
            outputs = yield [np.full((1, 1), name, np.uint8)] * size
            got += [str(output) for output in outputs]
        return got

    requests = []

    def recognize(crops: Sequence[Pixels]) -> list[Outputs]:
        requests.append(len(crops))
        # the drivers hand outputs on unseen: numbers show which crop each belongs to
        return [int(crop[0, 0]) for crop in crops]  # type: ignore[misc]

    every = side_by_side([steps(1, 2, 1), steps(2), steps(3, 0, 1, 1)])
    assert run_alone(every, recognize) == [["1"] * 3, [], ["3"] * 2]
    assert requests == [2, 2, 1]


def test_batches_of_one_picture_give_the_same_outputs_side_by_side(model: Path) -> None:
    engine = Engine(model, streams=2)
    crops = [np.full((32, 20 * n), 10 * n, np.uint8) for n in range(1, 12)]
    with ThreadPoolExecutor(2) as pool:
        together = recognize_alone(engine, crops, pool)
    for one, other in zip(together, recognize_alone(engine, crops), strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)


def test_a_rotated_crop_keeps_its_place_in_the_picture() -> None:
    crop = replace(crop_of(UPRIGHT), pixels=np.arange(6, dtype=np.uint8).reshape(2, 3))
    upside_down = turned_180(crop)
    assert upside_down.pixels.tolist() == [[5, 4, 3], [2, 1, 0]]
    np.testing.assert_array_equal(upside_down.quad, crop_of(ROTATED).quad)
    np.testing.assert_array_equal(turned_180(upside_down).pixels, crop.pixels)


def test_a_station_with_both_orientations_proposes_every_line_twice(model: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "1.png", 130)
    reader = Reader(model)
    (plain,) = reader.at(Station(view=StationView(find_lines=False))).propose(path)
    both = reader.at(Station(view=StationView(find_lines=False, upside_down="both"))).propose(path)
    assert len(both) == 2
    np.testing.assert_allclose(both[0].quad, plain.quad)
    np.testing.assert_allclose(both[1].quad, np.roll(plain.quad, 2, axis=0), atol=1)
    (record,) = Reader(model, Station(view=StationView(upside_down="both"))).read_many([tmp_path / "1.png"])
    assert record.reading is not None
    assert record.upside_down_text == ""  # the stub reads the same either way
