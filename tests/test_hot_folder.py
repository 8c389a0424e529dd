"""The hot folder reads each picture once: written slowly, renamed, overwritten, there before the start."""

import json
import os
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from line_cases import eventually, picture, running, settings

from serialread.config.line_config import LineConfig
from serialread.errors import RecipeError
from serialread.line import LineService


def line(folder: Path, **more: object) -> LineConfig:
    (folder / "in").mkdir(exist_ok=True)
    source = {"kind": "folder", "station": "press", "path": "in", "poll_s": 0.05, "settle_s": 0.15, **more}
    return settings(folder, sources=[source], sinks=[{"kind": "jsonl", "name": "out", "folder": "out"}])


def files(folder: Path) -> list[str]:
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names]  # folders may vanish
    return sorted(path.relative_to(folder).as_posix() for path in found)


def images(service: LineService) -> list[str]:
    return sorted(result.record["image"] for _, result in service.journal.results(limit=10_000))


def test_pictures_are_read_and_moved_to_done_or_failed(tmp_path: Path) -> None:
    (tmp_path / "in" / "shift").mkdir(parents=True)
    (tmp_path / "in" / "shift" / "before.png").write_bytes(picture(5))
    with running(line(tmp_path, give_up_s=0.5)) as service:
        (tmp_path / "in" / "torn.png").write_bytes(picture(9)[:100])
        (tmp_path / "in" / "notes.txt").write_text("no picture")
        (tmp_path / "in" / ".hidden.png").write_bytes(picture(9))
        eventually(lambda: files(tmp_path / "in") == [".hidden.png", "notes.txt"])
        assert images(service) == ["shift/before.png", "torn.png"]
    assert files(tmp_path / "done") == ["shift/before.png"]
    assert files(tmp_path / "failed") == ["torn.png", "torn.png.txt"]
    assert "truncated" in (tmp_path / "failed" / "torn.png.txt").read_text()


def test_a_picture_under_a_known_name_is_another_picture(tmp_path: Path) -> None:
    with running(line(tmp_path)) as service:
        for number, digit in enumerate((5, 9, 5), 1):
            (tmp_path / "in" / "same.png").write_bytes(picture(digit))
            eventually(lambda number=number: len(files(tmp_path / "done")) == number)
        found = [result.text for _, result in service.journal.results()]
    assert found == ["57", "97", "57"]
    assert "same.png" in files(tmp_path / "done")


def test_a_picture_that_was_claimed_before_a_crash_is_read_once(tmp_path: Path) -> None:
    config = line(tmp_path)
    claimed = tmp_path / "in" / ".serialread" / "0123" / "a.png"
    claimed.parent.mkdir(parents=True)
    claimed.write_bytes(picture(5))
    with running(config) as service:
        eventually(lambda: files(tmp_path / "done") == ["a.png"])
        first = images(service)
    claimed.parent.mkdir(parents=True)
    (tmp_path / "done" / "a.png").rename(claimed)  # killed after the result, before the move
    with running(config) as service:
        eventually(lambda: files(tmp_path / "done") == ["a.png"])
        assert images(service) == first == ["a.png"]


def test_results_within_the_hot_folder_are_not_read_again(tmp_path: Path) -> None:
    with running(line(tmp_path, done="in/done", failed="in/failed")) as service:
        (tmp_path / "in" / "a.png").write_bytes(picture(5))
        eventually(lambda: files(tmp_path / "in") == ["done/a.png"])
        time.sleep(0.5)
        assert images(service) == ["a.png"]


def test_a_folder_of_results_around_the_hot_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        LineService(line(tmp_path, done="."))
    assert str(caught.value) == (
        f"source 1 (folder): done: {tmp_path} contains the hot folder. Name another folder."
    )


@pytest.mark.parametrize("count", [60])
def test_every_picture_of_a_slow_writer_is_read_once(tmp_path: Path, count: int) -> None:
    """The writer writes in pieces, under a temporary or the final name, and overwrites some pictures."""
    folder = tmp_path / "in"

    def write() -> None:
        for number in range(count):
            data, name = picture(5, note=number), folder / f"{number:04}.png"
            half = len(data) // 2
            temporary = name.with_suffix(".part") if number % 3 == 0 else name
            with temporary.open("wb") as file:
                file.write(data[:half])
                file.flush()
                time.sleep(0.3 if number % 20 == 0 else 0.002)
                file.write(data[half:])
            if number % 3 == 0:
                temporary.rename(name)
            if number % 7 == 1:
                name.write_bytes(picture(9, note=number))

    writer = threading.Thread(target=write)
    with running(line(tmp_path)) as service:
        writer.start()
        writer.join()
        eventually(lambda: not [name for name in files(folder) if name.endswith(".png")], 120)
        texts = {result.record["image"]: result.text for _, result in service.journal.results(limit=10_000)}
        names = Counter(images(service))
    assert set(names) == {f"{number:04}.png" for number in range(count)}
    assert {name for name, times in names.items() if times > 2} == set()
    assert files(tmp_path / "failed") == []
    overwritten = {f"{number:04}.png" for number in range(count) if number % 7 == 1}
    assert {name for name, times in names.items() if times > 1} <= overwritten
    assert {name for name, text in texts.items() if text != "57"} <= overwritten
    (lines,) = (tmp_path / "out").iterdir()
    assert len([json.loads(line) for line in lines.read_text().splitlines()]) == sum(names.values())
