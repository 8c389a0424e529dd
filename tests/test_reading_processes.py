"""Several processes read one folder."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_model import write_stub

from serialread.errors import CheckpointError, RecordsError
from serialread.reader import Reader, processes_for, read_folder, reading_processes
from serialread.reader.reading_processes import work_in_processes
from serialread.records import Record


def pictures_in(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    rng, paths = np.random.default_rng(0), [folder / f"{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        pixels = rng.integers(60, 200, (32, 60 + number), np.uint8)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return paths


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


def lasting(record: Record) -> Record:
    """A record without times."""
    return replace(record, elapsed_ms=0, read_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_two_processes_read_the_same_in_the_same_order(model: Path, tmp_path: Path) -> None:
    paths = pictures_in(tmp_path / "in", 40)
    paths.insert(7, tmp_path / "missing.png")
    pixels = np.full((32, 90), 130, np.uint8)
    alone, together = (
        [lasting(record) for record in Reader(model).read_many([*paths, pixels], processes=count)]
        for count in (1, 2)
    )
    assert alone == together
    assert [record.image for record in together] == [*(path.name for path in paths), "41"]


def test_a_run_writes_the_same_with_two_processes(model: Path, tmp_path: Path) -> None:
    pictures_in(tmp_path / "in", 30)
    for workers in (1, 2):
        assert (
            len(list(read_folder(tmp_path / "in", tmp_path / f"out-{workers}", model=model, workers=workers)))
            == 30
        )
    first, second = (
        [line.split(",")[:4] for line in (tmp_path / f"out-{n}/readings.csv").read_text().splitlines()]
        for n in (1, 2)
    )
    assert first == second


def test_a_stop_ends_the_processes(model: Path, tmp_path: Path) -> None:
    before = set(threading.enumerate())  # of which some of an earlier test may end meanwhile
    records = Reader(model).read_many(pictures_in(tmp_path / "in", 40), processes=3)
    next(records)
    assert len(multiprocessing.active_children()) == 2
    del records
    assert not multiprocessing.active_children()
    assert set(threading.enumerate()) <= before


def test_the_opened_reader_is_one_of_those_that_read(model: Path, tmp_path: Path) -> None:
    for workers in (1, 4):  # one of four threads is opened again with one
        reader = Reader(model, workers=workers)
        records = list(reader.read_many(pictures_in(tmp_path / f"in-{workers}", 40), processes=2))
        assert [record.image for record in records] == [f"{number:03d}.png" for number in range(40)]


def test_what_a_process_cannot_open_is_one_clear_error(model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(model.read_bytes())
    reader = Reader(moved)
    moved.unlink()
    with pytest.raises(CheckpointError, match="no such model"):
        list(reader.read_many([tmp_path / "0.png"], processes=2))


def doubled(numbers: Iterator[int], note: Path) -> Iterator[int]:
    for number in numbers:
        if not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield 2 * number


def waiting(numbers: Iterator[int]) -> Iterator[int]:
    """Leaves the work to the others."""
    yield from ()


def doubling(note: Path) -> Callable[[Iterator[int]], Iterator[int]]:
    return partial(doubled, note=note)


def test_every_result_comes_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "note").touch()
    setup = partial(doubling, tmp_path / "note")
    for count in (0, 1, 17, 100):
        results = work_in_processes(setup, setup(), range(count), 3)
        assert list(results) == [2 * number for number in range(count)]


def test_a_process_that_dies_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="a process that reads pictures has died"):
        list(work_in_processes(partial(doubling, tmp_path / "note"), waiting, range(40), 2))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("pictures", "cores", "gigabytes", "processes"),
    [(1, 8, 64, 1), (399, 8, 64, 1), (400, 2, 8, 2), (10**6, 64, 64, 8), (10**6, 8, 5, 2), (10**6, 8, 1, 1)],
)
def test_as_many_processes_read_as_the_machine_has_cores_and_memory_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pictures: int, cores: int, gigabytes: int, processes: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(reading_processes, "_memory_bytes", lambda: gigabytes * 10**9)
    assert processes_for([tmp_path / "none.png"] * pictures) == processes


@pytest.mark.parametrize(("photographs", "crops", "processes"), [(39, 1, 1), (40, 0, 2), (30, 100, 2)])
def test_a_photograph_counts_as_ten_crops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photographs: int, crops: int, processes: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(reading_processes, "_memory_bytes", lambda: 8 * 10**9)
    cv2.imwrite(str(tmp_path / "part.jpg"), np.zeros((500, 600), np.uint8))
    cv2.imwrite(str(tmp_path / "crop.png"), np.zeros((48, 300), np.uint8))
    pictures = [tmp_path / "part.jpg"] * photographs + [tmp_path / "crop.png"] * crops
    assert processes_for(pictures) == processes
