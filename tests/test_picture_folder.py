"""Pictures of parts that did not pass are files, and never more than the limits allow."""

import os
import time
from pathlib import Path

from interface_cases import StubLine, result
from line_cases import eventually, picture, read, running, settings

from serialread.line import Outcome
from serialread.line.picture_folder import prune_pictures
from serialread.line.registry import open_sink


def test_pictures_of_parts_that_did_not_pass_are_written(tmp_path: Path) -> None:
    sinks = [{"kind": "pictures", "name": "failed", "folder": "failed"}]
    with running(settings(tmp_path, sinks=sinks)) as service:
        failed = read(service, picture(), expected="X")
        passed = read(service, picture())
        torn = read(service, b"no picture")
        eventually(lambda: not service.health().sinks["failed"].waiting)
    assert [one.outcome for one in (failed, passed, torn)] == [Outcome.FAIL, Outcome.PASS, Outcome.FAIL]
    files = sorted((tmp_path / "failed").glob("press/*/*"))
    assert [path.name for path in files] == [f"00000001-FAIL-{failed.text}-0.png", "00000003-FAIL--0.bin"]
    assert files[0].read_bytes() == picture()


def test_old_pictures_and_those_beyond_the_size_are_deleted(tmp_path: Path) -> None:
    now = time.time()
    for number, age_days in enumerate((0, 1, 2, 40)):
        path = tmp_path / "press" / f"2026-11-2{number}" / f"0000000{number}-FAIL-A-0.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(400_000))
        os.utime(path, (now, now - 86_400 * age_days))
    prune_pictures(tmp_path, days=30, size_mb=10)
    assert [path.name[7] for path in sorted(tmp_path.glob("*/*/*"))] == ["0", "1", "2"]
    prune_pictures(tmp_path, days=30, size_mb=1)
    assert [path.name[7] for path in sorted(tmp_path.glob("*/*/*"))] == ["0", "1"]
    assert len(list(tmp_path.glob("*/*"))) == 2


def test_only_pictures_that_were_written_are_deleted(tmp_path: Path) -> None:
    day = tmp_path / "press" / "2026-11-20"
    (day / "00000001-FAIL-A-1.png").mkdir(parents=True)
    kept = [day / "notes.txt", day / "1.png", tmp_path / "press" / "00000001-FAIL-A-0.png"]
    kept += [tmp_path / "press" / "old" / "00000001-FAIL-A-0.png"]
    for path in (*kept, day / "00000001-FAIL-A-0.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"BM")
        os.utime(path, (0, 0))
    os.utime(day / "00000001-FAIL-A-1.png", (0, 0))
    (tmp_path / "press" / "2026-11-19").write_bytes(b"")
    prune_pictures(tmp_path, days=30, size_mb=10)
    left = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted([*kept, tmp_path / "press" / "2026-11-19"])
    assert (day / "00000001-FAIL-A-1.png").is_dir()


def test_a_result_has_no_place_outside_the_folder(tmp_path: Path) -> None:
    sinks = [{"kind": "pictures", "name": "failed", "folder": "failed", "outcomes": ["PASS"]}]
    config = settings(tmp_path, sinks=sinks)

    context = StubLine().context
    object.__setattr__(context, "picture", lambda trigger, frame: None if frame else b"BM")
    open_sink(config.sinks[0], context).deliver([result("../../A/B", 5)])
    (path,) = (tmp_path / "failed").glob("press/*/*")
    assert path.name == "00000005-PASS-AB-0.bmp"
