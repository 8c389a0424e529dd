"""The hot folder reads each picture once: written slowly, renamed, overwritten, there before the start."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from line_cases import STATION, eventually, picture, running, settings

from serialread.config.line_config import LineConfig
from serialread.errors import RecipeError
from serialread.line import LineService, Outcome


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


def test_a_good_picture_without_the_circle_of_its_station_is_done(tmp_path: Path) -> None:
    config = line(tmp_path)
    (tmp_path / "press.toml").write_text(STATION + "[view.arc]\nradii = [0.2, 0.4]\n")
    with running(config) as service:
        (tmp_path / "in" / "a.png").write_bytes(picture(5))
        eventually(lambda: files(tmp_path / "done") == ["a.png"])
        ((_, result),) = service.journal.results()
    assert (result.outcome, result.record["decision"]) == (Outcome.FAIL, "REJECT")
    assert "circle" in result.reasons[0]
    assert files(tmp_path / "failed") == []


def test_a_picture_whose_name_is_not_utf8_is_read_and_done(tmp_path: Path) -> None:
    with running(line(tmp_path)) as service:
        name = os.fsdecode(b"caf\xe9.png")
        (tmp_path / "in" / name).write_bytes(picture(5))
        eventually(lambda: files(tmp_path / "done") == [name])
        assert images(service) == [r"caf\udce9.png"]


def test_a_picture_under_a_known_name_is_another_picture(tmp_path: Path) -> None:
    with running(line(tmp_path)) as service:
        for number, digit in enumerate((5, 9, 5), 1):
            (tmp_path / "in" / "same.png").write_bytes(picture(digit))
            eventually(lambda number=number: len(files(tmp_path / "done")) == number)
        found = [result.text for _, result in service.journal.results()]
        assert images(service) == files(tmp_path / "done")
    assert found == ["57", "97", "57"]
    assert "same.png" in files(tmp_path / "done")


def test_records_name_the_files_that_are_done_also_while_others_of_the_name_wait(tmp_path: Path) -> None:
    config = line(tmp_path)
    (tmp_path / "failed" / "shift").mkdir(parents=True)
    (tmp_path / "failed" / "shift" / "same.png").write_bytes(b"")
    service = LineService(config)  # reads nothing yet: claims wait
    source, stop = service._sources["source 1 (folder)"], threading.Event()
    service._accepting = True
    with ThreadPoolExecutor() as pool:
        polling = pool.submit(source.run, service.accept, stop)
        for name in ("same.png", "same.png", "shift/same.png"):
            waiting = service.journal.waiting()
            (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "in" / name).write_bytes(picture(5, note=waiting))
            eventually(lambda waiting=waiting: service.journal.waiting() == waiting + 1)
        stop.set()
        polling.result(20)
    service.close()
    with running(config) as service:
        done = eventually(lambda: len(found := files(tmp_path / "done")) == 3 and found)
        assert images(service) == done
    assert "same.png" in done
    assert "shift/same.png" not in done


def test_a_picture_that_is_moved_back_is_read_again(tmp_path: Path) -> None:
    with running(line(tmp_path)) as service:
        (tmp_path / "in" / "a.png").write_bytes(picture(5))
        for number in (1, 2):
            eventually(lambda: files(tmp_path / "done") == ["a.png"])
            assert images(service) == ["a.png"] * number
            (tmp_path / "done" / "a.png").rename(tmp_path / "in" / "a.png")


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


@pytest.mark.parametrize("nested", ["in", "in/shift", "in/shift/.."])
def test_hot_folders_that_share_pictures_are_refused(tmp_path: Path, nested: str) -> None:
    config = line(tmp_path)
    other = config.sources[0].model_copy(update={"path": tmp_path / nested, "done": tmp_path / "b" / "done"})
    with pytest.raises(RecipeError) as caught:
        LineService(config.model_copy(update={"sources": (*config.sources, other)}))
    assert (
        f"source 1 (folder) and source 2 (folder): {tmp_path / 'in'} and {tmp_path / nested} are the same "
        "folder, or one lies in the other, and each picture would reach only one of them. "
        "Name separate folders."
    ) in str(caught.value)


def test_a_folder_of_results_within_the_hot_folder_of_another_source_is_refused(tmp_path: Path) -> None:
    config = line(tmp_path)
    other = config.sources[0].model_copy(update={"path": tmp_path / "b", "failed": tmp_path / "in" / "bad"})
    with pytest.raises(RecipeError) as caught:
        LineService(config.model_copy(update={"sources": (*config.sources, other)}))
    assert str(caught.value) == (
        f"source 2 (folder): failed: {tmp_path / 'in' / 'bad'} lies in the hot folder of source 1 (folder), "
        f"{tmp_path / 'in'}, which would read its pictures again. Name another folder."
    )


def test_hot_folders_side_by_side_share_their_folders_of_results(tmp_path: Path) -> None:
    config = line(tmp_path)
    (tmp_path / "in 2").mkdir()
    other = config.sources[0].model_copy(update={"path": tmp_path / "in 2"})
    with running(config.model_copy(update={"sources": (*config.sources, other)})):
        (tmp_path / "in" / "a.png").write_bytes(picture(5))
        (tmp_path / "in 2" / "b.png").write_bytes(picture(9))
        eventually(lambda: files(tmp_path / "done") == ["a.png", "b.png"])


def test_a_folder_of_results_around_the_hot_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        LineService(line(tmp_path, done="."))
    assert str(caught.value) == (
        f"source 1 (folder): done: {tmp_path} contains the hot folder. Name another folder."
    )
