"""The log of runs: intact until it is changed, and every change is detected."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from serialread import run_log
from serialread.errors import RecordsError
from serialread.run_log import GENESIS, LoggedRun, append, pictures_digest, verify


def logged(folder: Path, runs: int = 3) -> Path:
    """A log of runs, each with a file of its own."""
    log = folder / "runs.log"
    for number in range(runs):
        file = folder / f"{number}.csv"
        file.write_text(f"{number}")
        append(log, LoggedRun("read", {"n": number}, {"model_id": "m1"}, outputs=(file,), operator="Änne"))
    return log


def test_every_line_contains_the_hash_of_the_line_before(tmp_path: Path) -> None:
    log = logged(tmp_path)
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert [line["previous"] for line in lines] == [GENESIS, lines[0]["hash"], lines[1]["hash"]]
    assert lines[0]["operator"] == "Änne"
    assert lines[0]["versions"]["serialread"]
    assert lines[0]["machine"]["processor"]
    found = verify(log)
    assert (found.ok, found.lines, found.files, found.head) == (True, 3, 3, lines[2]["hash"])
    assert "the chain is intact (lines: 3, unchanged files: 3)." in found.summary()


def test_a_changed_line_is_found(tmp_path: Path) -> None:
    log = logged(tmp_path)
    log.write_text(log.read_text().replace('"n":1', '"n":7'))
    assert verify(log).problems == ("line 2 was changed after it was written.",)


def test_a_removed_line_is_found(tmp_path: Path) -> None:
    log = logged(tmp_path)
    first, _, third = log.read_text().splitlines(keepends=True)
    log.write_text(first + third)
    assert verify(log).problems == (
        "line 2 does not follow the one before: lines were removed, added or moved.",
    )


def test_moved_lines_are_found(tmp_path: Path) -> None:
    log = logged(tmp_path)
    first, second, third = log.read_text().splitlines(keepends=True)
    log.write_text(second + first + third)
    assert len(verify(log).problems) == 3


def test_a_changed_line_with_a_new_hash_breaks_the_next(tmp_path: Path) -> None:
    log = logged(tmp_path)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[0]["operator"] = "someone"
    lines[0]["hash"] = run_log._hash(lines[0])
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert verify(log).problems == (
        "line 2 does not follow the one before: lines were removed, added or moved.",
    )


def test_lines_cut_off_the_end_are_found_by_a_noted_head(tmp_path: Path) -> None:
    log = logged(tmp_path)
    head = verify(log).head
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    assert verify(log).ok
    assert verify(log, head).problems == (f"no line with the hash {head}: lines were cut off or rewritten.",)


def test_a_longer_log_still_contains_an_earlier_head(tmp_path: Path) -> None:
    head = verify(logged(tmp_path)).head
    assert verify(logged(tmp_path), head).lines == 6


def test_changed_and_missing_results_are_found_and_a_later_run_may_replace_them(tmp_path: Path) -> None:
    log = logged(tmp_path)
    (tmp_path / "0.csv").write_text("other")
    (tmp_path / "1.csv").unlink()
    assert verify(log).problems == (
        "0.csv was changed after the run of line 1.",
        "1.csv, written by the run of line 2, is missing.",
    )
    logged(tmp_path)
    assert verify(log).ok


def test_a_folder_can_be_moved_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    logged(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert verify(tmp_path / "new" / "runs.log").ok


@pytest.mark.parametrize("torn", ['{"line":4', "{}\n", "no json\n", "[]\n"])
def test_a_broken_end_is_found_and_not_appended_to(tmp_path: Path, torn: str) -> None:
    log = logged(tmp_path)
    log.write_text(log.read_text() + torn)
    assert verify(log).problems[0] == "line 4 is damaged: not a JSON object."
    with pytest.raises(RecordsError) as caught:
        append(log, LoggedRun("read", {}, {}))
    assert str(caught.value) == f"{log}: line 4 is damaged. Keep this log and start another with --log."


@pytest.mark.parametrize("name", ["outputs", "hash", "previous", "line", "command"])
@pytest.mark.parametrize(
    "value", [["a"], "a", 7, None, [], {"a": 1}, {"a\0": "1"}, {"a" * 5000: "1"}, {"\ud800": ["1"]}]
)
def test_a_value_of_a_wrong_type_is_a_problem_of_its_line(tmp_path: Path, name: str, value: object) -> None:
    log = logged(tmp_path)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[1][name] = value
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "line 2 was changed after it was written." in verify(log).problems
    assert run_log.run_of(log, "read", wrote=tmp_path / "2.csv")["line"] == 3


def test_a_line_that_is_nested_too_deeply_is_damaged(tmp_path: Path) -> None:
    log = logged(tmp_path)
    log.write_text(log.read_text() + "[" * 100_000 + "\n")
    assert verify(log).problems == ("line 4 is damaged: not a JSON object.",)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    append(tmp_path / "runs.log", LoggedRun("read", {}, {}, outputs=(file,)))
    file.unlink()
    file.symlink_to("b" * 300)
    assert verify(tmp_path / "runs.log").problems == (
        "a.csv, written by the run of line 1, cannot be read: File name too long.",
    )


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A log of two runs, and its bytes."""
    log = logged(tmp_path_factory.mktemp("log"), runs=2)
    return log, log.read_bytes()


@given(place=st.integers(0, 10_000), flip=st.integers(1, 127))
@settings(max_examples=60, deadline=None)
def test_every_changed_byte_is_detected(untouched: tuple[Path, bytes], place: int, flip: int) -> None:
    log, before = untouched
    data = bytearray(before)
    data[place % len(data)] ^= flip
    log.write_bytes(data)
    try:  # between the values, a byte may change and the log still says the same
        same = [json.loads(line) for line in bytes(data).splitlines()] == [
            json.loads(line) for line in before.splitlines()
        ]
    except ValueError:
        same = False
    assert same or not verify(log).ok


def test_a_missing_or_unwritable_log_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(
        RecordsError,
        match=r"none.log: no such log. serialread read and serialread audit write one with --log.",
    ):
        verify(tmp_path / "none.log")
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError, match=r"runs.log: cannot be written: .*\. Give another --log."):
        append(tmp_path / "file" / "runs.log", LoggedRun("read", {}, {}))
    with pytest.raises(RecordsError, match=r": cannot be read: Is a directory. Give another --log."):
        run_log.last(tmp_path)


HOLD_LOCK = """
import sys, time
from pathlib import Path
from serialread import run_log
with run_log._locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_two_runs_do_not_write_at_once_and_a_killed_run_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "_WAIT_S", 0.1)
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "runs.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(RecordsError) as caught:
            logged(tmp_path, 1)
        other.kill()
    assert str(caught.value) == (
        f"{tmp_path}/runs.log: another run is writing it. Wait until it has finished."
    )
    logged(tmp_path, 1)
    assert run_log.verify(tmp_path / "runs.log").ok


def test_the_digest_of_the_pictures_does_not_depend_on_their_order() -> None:
    pairs = [("a.png", "01"), ("b.png", "02")]
    assert pictures_digest(pairs) == pictures_digest(pairs[::-1]) != pictures_digest(pairs[:1])
