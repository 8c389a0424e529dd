"""Stores: the LMDB's keys, the same bytes for any number of workers and stops, and errors."""

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serialread.datasets import SampleStore, grow, write_store
from serialread.datasets.sample_store import decode_sample, encode_sample
from serialread.errors import StoreError
from serialread.records import Origin, Sample

ABOUT = {"recipe": {"height": 32}, "recipe_id": "abc", "seed": 7}


def stub(index: int, size: int = 40, seed: int = 7) -> Sample:
    rng = np.random.default_rng([seed, index])
    text = f"SN{index:04d}"
    glyphs = np.repeat(np.arange(size, dtype=np.uint8)[None, :] % (len(text) + 1), 32, axis=0)
    boxes = tuple((float(i), 0.0, i + 0.1, 32.0) for i in range(len(text)))
    origin = Origin("ink", f"face-{index % 3}", boxes, {"contrast": 0.5, "nested": {"tilt": [1, 2.5]}})
    return Sample(rng.integers(0, 256, (32, size), dtype=np.uint8), text, glyphs, origin)


def noisy(index: int) -> Sample:
    return stub(index, size=400)


def slow(index: int) -> Sample:
    time.sleep(0.002)
    return stub(index)


def failing(index: int) -> Sample:
    if index == 20:
        raise ValueError("no such glyph")
    return stub(index)


def dying(index: int) -> Sample:
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return stub(index)


def everything(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return dict(transaction.cursor())


def grown(path: Path, count: int = 40, make=stub, **options) -> Path:
    assert list(grow(path, make, count, about=ABOUT, **options))[-1] == count
    return path


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown(tmp_path_factory.mktemp("stores") / "forty")


def assert_same(one: Sample, other: Sample) -> None:
    assert (one.text, one.origin) == (other.text, other.origin)
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert (one.glyphs is None) == (other.glyphs is None)
    if one.glyphs is not None:
        np.testing.assert_array_equal(one.glyphs, other.glyphs)


# Reading what was written


def test_samples_come_back_as_they_were_made(forty: Path) -> None:
    store = SampleStore(forty)
    assert len(store) == 40
    for index in (0, 17, 39):
        assert_same(store[index], stub(index))


def test_a_store_is_a_sequence(forty: Path) -> None:
    store = SampleStore(forty)
    assert store[-1].text == "SN0039"
    assert [s.text for s in store[2:6:2]] == ["SN0002", "SN0004"]
    assert [s.text for s in store] == [f"SN{i:04d}" for i in range(40)]
    with pytest.raises(IndexError):
        store[40]


def test_a_store_records_how_it_was_made(forty: Path) -> None:
    about = SampleStore(forty).about
    assert about.items() >= {**ABOUT, "count": 40, "complete": True}.items()
    assert about["typefaces"] == ["face-0", "face-1", "face-2"]


@settings(max_examples=20, deadline=None)
@given(
    text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=25),
    rows=st.integers(1, 40),
    columns=st.integers(1, 60),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_sample_survives_encoding_and_decoding(
    text: str, rows: int, columns: int, masked: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
    sample = Sample(pixels, text, rng.integers(0, 26, (rows, columns), dtype=np.uint8) if masked else None)
    assert_same(decode_sample(dict(encode_sample(sample, 3)).get, 3), sample)


def test_other_programs_can_read_a_store(forty: Path) -> None:
    values = everything(forty)
    assert int(values[b"num-samples"]) == 40
    assert values[b"label-000000001"].decode() == "SN0000"
    pixels = cv2.imdecode(np.frombuffer(values[b"image-000000040"], np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels, stub(39).pixels)
    assert b"image-000000000" not in values
    assert b"image-000000041" not in values


def test_a_store_of_another_program_opens_without_masks(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(
            b"image-000000001", cv2.imencode(".jpg", np.full((20, 50, 3), 128, np.uint8))[1].tobytes()
        )
        transaction.put(b"label-000000001", b"A B 1")
        transaction.put(b"num-samples", b"1")
    (sample,) = SampleStore(tmp_path)
    assert (sample.text, sample.pixels.shape, sample.glyphs, sample.origin) == ("AB1", (20, 50), None, None)
    assert SampleStore(tmp_path).about == {}


def test_two_sequences_read_one_store_and_a_pickled_one_too(forty: Path) -> None:
    one, other = SampleStore(forty), SampleStore(forty)
    assert one[5].text == other[5].text == pickle.loads(pickle.dumps(one))[5].text


def test_a_store_closes_with_its_block_and_opens_again_at_the_next_access(tmp_path: Path) -> None:
    grown(tmp_path / "s", 4)
    with SampleStore(tmp_path / "s") as store:
        assert (len(store), store[3].text) == (4, "SN0003")
        with SampleStore(tmp_path / "s") as other:
            assert other[0].text == "SN0000"
        assert store[1].text == "SN0001"
        assert opened(tmp_path / "s")
    assert not opened(tmp_path / "s")
    assert store[2].text == "SN0002"
    assert opened(tmp_path / "s")
    del store, other
    assert not opened(tmp_path / "s")
    with pytest.raises(StoreError), SampleStore(tmp_path / "none"):
        pass


def opened(path: Path) -> bool:
    """Whether this process has the store's file open."""
    files = list(Path("/proc/self/fd").iterdir())
    return path / "data.mdb" in [file.readlink() for file in files if file.is_symlink()]


def test_a_forked_process_reads_a_store_that_its_parent_opened(forty: Path) -> None:
    store = SampleStore(forty)
    assert store[0].text == "SN0000"
    child = os.fork()
    if child == 0:
        os._exit(0 if store[7].text == SampleStore(forty)[7].text == "SN0007" else 1)
    assert os.waitpid(child, 0)[1] == 0


# The same values, however they were made


def test_two_workers_write_what_one_writes(forty: Path, tmp_path: Path) -> None:
    assert everything(grown(tmp_path / "two", make=slow, workers=2)) == everything(forty)


def test_samples_that_exist_already_are_written_alike(forty: Path, tmp_path: Path) -> None:
    assert write_store(tmp_path / "s", (stub(i) for i in range(40)), about=ABOUT) == 40
    assert everything(tmp_path / "s") == everything(forty)


def test_a_stopped_run_keeps_its_samples_and_resumes_to_the_same_store(forty: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        list(grow(tmp_path / "s", failing, 40, about=ABOUT))
    assert str(caught.value) == (
        f"{tmp_path / 's'}: sample 20 could not be made: ValueError: no such glyph. "
        "What came before it is kept; correct the cause and add --resume."
    )
    assert len(SampleStore(tmp_path / "s")) == 20
    assert not SampleStore(tmp_path / "s").about["complete"]
    assert next(steps := grow(tmp_path / "s", stub, 40, about=ABOUT, resume=True)) == 20
    assert list(steps)[-1] == 40
    assert everything(tmp_path / "s") == everything(forty)


def test_a_killed_run_ends_its_workers_and_resumes_to_the_same_store(tmp_path: Path) -> None:
    command = "from test_store import *; grown(Path('killed'), 20_000, make=slow, workers=2)"
    search = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))}
    process = subprocess.Popen([sys.executable, "-c", command], cwd=tmp_path, env=search)
    deadline = time.monotonic() + 120
    while _written(tmp_path / "killed") < 500 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    while alive := [worker for worker in workers if running(worker)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    written = _written(tmp_path / "killed")
    assert 500 <= written < 20_000
    grown(tmp_path / "killed", written + 40, resume=True)
    grown(tmp_path / "straight", written + 40)
    assert everything(tmp_path / "killed") == everything(tmp_path / "straight")


def running(pid: str) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _written(path: Path) -> int:
    try:
        return len(SampleStore(path))
    except StoreError:
        return 0


def test_a_store_outgrows_its_first_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serialread.datasets.store_writing.FIRST_MAP", 1 << 16)
    store = SampleStore(grown(tmp_path / "s", 100, make=noisy))
    assert_same(store[99], noisy(99))


def test_a_complete_store_can_be_grown(forty: Path, tmp_path: Path) -> None:
    grown(tmp_path / "s", 10)
    assert everything(grown(tmp_path / "s", 40, resume=True)) == everything(forty)


# Refusals


def test_resuming_a_complete_store_changes_nothing(forty: Path) -> None:
    before = everything(forty)
    assert list(grow(forty, failing, 40, about=ABOUT, resume=True)) == [40, 40]
    assert everything(forty) == before


@pytest.mark.parametrize(
    ("count", "about", "resume", "message"),
    [
        (
            40,
            ABOUT,
            False,
            "a sample store is here already. Add --resume to go on with it, or name a new folder.",
        ),
        (
            40,
            {**ABOUT, "seed": 8},
            True,
            "was made with another seed (7, now 8). Resume with the same, or name a new folder.",
        ),
        (
            40,
            {**ABOUT, "recipe": {"height": 48}},
            True,
            "was made with another recipe. Resume with the same, or name a new folder.",
        ),
        (
            30,
            ABOUT,
            True,
            "holds 40 samples, more than the 30 requested. Ask for at least 40, or name another folder.",
        ),
    ],
)
def test_a_store_that_cannot_be_continued_is_unchanged(
    forty: Path, count: int, about: dict[str, object], resume: bool, message: str
) -> None:
    before = everything(forty)
    with pytest.raises(StoreError) as caught:
        list(grow(forty, stub, count, about=about, resume=resume))
    assert str(caught.value) == f"{forty}: {message}"
    assert everything(forty) == before


@pytest.mark.parametrize("resume", [False, True])
def test_other_files_are_unchanged(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(StoreError, match=r"a folder with other files in it\. Name a new folder\."):
        list(grow(tmp_path, stub, 4, about=ABOUT, resume=resume))
    with pytest.raises(StoreError, match=r"a file is in the way\. Name a new folder\."):
        list(grow(tmp_path / "thesis.txt", stub, 4, about=ABOUT, resume=resume))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_foreign_store_is_not_continued(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"num-samples", b"1")
    with pytest.raises(StoreError, match=r"an LMDB that serialread did not write\. Name another folder\."):
        list(grow(tmp_path, stub, 4, about=ABOUT, resume=True))


def test_a_dead_worker_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        list(grow(tmp_path / "s", dying, 40, about=ABOUT, workers=2))
    assert str(caught.value) == (
        f"{tmp_path / 's'}: a worker process died, perhaps because memory ran out or because the calling "
        "script does not guard its code by if __name__ == '__main__'. What came before it is kept; correct "
        "the cause and add --resume."
    )


def test_a_full_disk_is_one_error_and_the_store_stays_readable(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    steps = grow(tmp_path / "s", partial(stub, size=600), 1200, about=ABOUT)
    assert [next(steps), next(steps)] == [0, 500]
    resource.setrlimit(
        resource.RLIMIT_FSIZE, ((tmp_path / "s" / "data.mdb").stat().st_size + 4096, limits[1])
    )
    try:
        with pytest.raises(
            StoreError, match=r"cannot be written: .*\. What is in it can be read; free some space and add"
        ):
            list(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store = SampleStore(tmp_path / "s")
    assert len(store) == 500
    assert_same(store[499], stub(499, size=600))


def test_an_unwritable_folder_is_refused_before_anything_is_made() -> None:
    with pytest.raises(StoreError, match=r"^/proc/store: cannot be written: "):
        list(grow(Path("/proc/store"), stub, 4, about=ABOUT))


# Not a store


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        len(SampleStore(tmp_path / "none"))
    place = tmp_path / "none"
    assert str(caught.value) == (
        f"{place}: no sample store here. Make one: serialread generate-synth RECIPE --out {place}"
    )


def test_an_empty_store_and_another_database_have_different_errors(tmp_path: Path) -> None:
    next(grow(tmp_path / "begun", stub, 4, about=ABOUT))
    with pytest.raises(StoreError, match=r"no samples in it yet\. Finish it: .* --resume"):
        len(SampleStore(tmp_path / "begun"))
    with lmdb.open(str(tmp_path / "other")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"users", json.dumps([1]).encode())
    with pytest.raises(StoreError, match=r"an LMDB, but not of samples \(no num-samples in it\)"):
        len(SampleStore(tmp_path / "other"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "data.mdb").write_bytes(b"x" * 100_000)
    with pytest.raises(StoreError, match="cannot be opened as a sample store: "):
        len(SampleStore(tmp_path / "bad"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (b"image-000000002", None, "sample 1 is broken: its picture or its label is missing"),
        (b"image-000000002", b"not a picture", "sample 1 is broken: its picture cannot be decoded"),
        (b"meta-000000002", b"{}", "sample 1 is broken: 'boxes'"),
        (b"meta-000000002", b"{", "sample 1 is broken: Expecting"),
    ],
)
def test_a_broken_sample_names_itself(tmp_path: Path, key: bytes, value: bytes | None, message: str) -> None:
    write_store(tmp_path / "s", [stub(0), stub(1)], about=ABOUT)
    with lmdb.open(str(tmp_path / "s")) as environment, environment.begin(write=True) as transaction:
        transaction.delete(key) if value is None else transaction.put(key, value)
    store = SampleStore(tmp_path / "s")
    assert store[0].text == "SN0000"
    with pytest.raises(StoreError, match=message):
        store[1]
