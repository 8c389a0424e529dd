"""Concurrent runs, interrupted runs and hostile file names lose no records."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_model import write_stub

from serialread.errors import RecordsError
from serialread.reader import Reader, begin, claim, find_images, write_records
from serialread.reader.results import LOCK

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((32, 100), 140, np.uint8))[1].tobytes())
    return path


def lines(out: Path) -> list[str]:
    return [json.loads(line)["image"] for line in (out / "readings.jsonl").read_bytes().splitlines()]


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with claim(tmp_path):
        with pytest.raises(RecordsError) as caught, claim(tmp_path):
            pass
        (tmp_path / "readings.jsonl").touch()
    message = f"{tmp_path}: another run is writing there. Wait for it, or name another folder."
    assert str(caught.value) == message
    with claim(tmp_path):  # released
        pass


def test_a_folder_that_cannot_be_locked_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(RecordsError, match=r"file: a file, or below one\. Name a folder"),
        claim(tmp_path / "file"),
    ):
        pass


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_terminated_run_keeps_its_records_and_can_be_resumed(model: Path, tmp_path: Path) -> None:
    total = 400
    first = picture(tmp_path / "in" / "0.png")
    for number in range(1, total):
        os.link(first, first.with_name(f"{number}.png"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "serialread", "read", str(first.parent), "--model", str(model)]
    command += ["--out", str(out)]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "readings.jsonl").exists() or not (out / "readings.jsonl").stat().st_size:
        assert run.poll() is None or (out / "readings.jsonl").exists()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    run.wait(30)
    pictures = find_images([first.parent]).pictures
    reader = Reader(model)
    with claim(out):  # the system has released the terminated run's lock
        start = begin(out, "resume", pictures, reader.model_id, "")
        list(write_records(reader.read_many(start.pictures), out))
    assert start.kept > 0
    assert sorted(lines(out)) == sorted(p.image for p in pictures)


HOSTILE = (
    "=cmd|' /C calc'!A1.png",
    "a,b\";'.png",
    "line\nbreak.png",
    "tab\there.png",
    "\u202egnp.exe.png",
    "-rf.png",
    "%s%n{0}.png",
    "..png",
    "Ü" * 100 + ".png",
    "emoji \U0001f600.png",
)


@pytest.mark.skipif(os.name != "posix", reason="names that other systems do not allow")
def test_hostile_names_are_kept_and_do_no_harm(model: Path, tmp_path: Path) -> None:
    import csv

    names = [*HOSTILE, os.fsdecode(b"no \xff unicode.png")]
    for name in names:
        picture(tmp_path / "in" / name)
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "round.png").symlink_to("round.png")
    (tmp_path / "in" / "device.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    found, reader, out = find_images([tmp_path / "in"]), Reader(model), tmp_path / "out"
    begin(out, "new", found.pictures, reader.model_id, "")
    records = {record.image: record for record in write_records(reader.read_many(found.pictures), out)}
    assert set(records) == {*names, "round.png", "device.png", "pipe.png"} - {"..png"}
    assert all(records[name].reading for name in names if name in records)
    assert all(
        records[name].reading is None and records[name].reason.startswith("cannot be read")
        for name in ("round.png", "device.png", "pipe.png")
    )
    with (out / "readings.csv").open(encoding="utf-8", newline="") as table:
        rows = [row["image"] for row in csv.DictReader(table)]
    assert rows == [name.encode("utf-8", "backslashreplace").decode() for name in records]
    assert sorted(p.name for p in out.iterdir()) == ["readings.csv", "readings.jsonl"]
    assert not (out / LOCK).exists()
