"""Reading in shards: every result once, whoever reads and whatever dies, on disks and in object stores."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from sample_cases import sample, samples
from stub_model import MODEL_ID, write_stub
from typer.testing import CliRunner

from serialread import Reader, run_log
from serialread.cli import app
from serialread.datasets import write_store
from serialread.errors import RecordsError
from serialread.imaging.loading import ImageSource
from serialread.scale import Processes, RayActors, read_shards
from serialread.scale.sharded_reading import PLAN, RECORD, RESULTS, ReaderOptions, ShardedRun
from serialread.scale.sources import FolderSource, Item
from serialread.storage import Storage

parquet = pytest.importorskip("pyarrow.parquet")
PICTURES = 11
TIMES = ("elapsed_ms", "read_at", RECORD)
"""Columns that differ from run to run."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(PICTURES):
        place = folder / f"lot-{number % 2}" / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(place), sample(number).pixels)
    (folder / "lot-0" / "2.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


def table(out: Path) -> list[dict]:
    """Rows of all shards, without times."""
    rows = [row for path in sorted(out.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]
    return [{name: cell for name, cell in row.items() if name not in TIMES} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(model: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    out = tmp_path_factory.mktemp("out")
    list(read_shards(pictures, out, model=model, shard_size=4))
    return table(out)


def test_a_shard_holds_the_records_of_its_pictures(
    model: Path, pictures: Path, undisturbed: list[dict], tmp_path: Path
) -> None:
    run = read_shards(pictures, tmp_path / "out", model=model, shard_size=4)
    assert [(shard.name, shard.rows) for shard in run] == [
        ("readings-000000", 4),
        ("readings-000001", 4),
        ("readings-000002", 3),
    ]
    assert run.total == PICTURES
    assert sum(run.decisions.values()) == PICTURES

    names = [row["image"] for row in undisturbed]
    records = {
        f"{path.parent.name}/{path.name}": Reader(model, workers=1).read(path)
        for path in pictures.glob("*/*.png")
    }
    assert names == sorted(records, key=lambda name: (name[:5], int(name[6:-4])))
    for row in undisturbed:
        record = records[row["image"]]
        assert (row["text"], row["decision"], row["sha256"], row["batch"], row["model_id"]) == (
            record.text,
            record.decision.value,
            record.image_sha256,
            row["image"][:5],
            MODEL_ID,
        )
    assert undisturbed[1]["reason"] == (
        "not a picture of a known format. Give a JPEG, PNG, TIFF, BMP or WebP."
    )


def test_the_results_name_the_digest_of_every_shard_and_are_logged(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    list(read_shards(pictures, tmp_path, model=model, shard_size=6, operator="kim"))
    found = json.loads((tmp_path / RESULTS).read_text())

    assert (found["model_id"], found["pictures"], found["shard_size"]) == (MODEL_ID, PICTURES, 6)
    for shard in found["shards"]:
        assert json.loads((tmp_path / f"{shard['name']}.json").read_text()) == shard
    assert run_log.verify(tmp_path / "runs.log").ok
    assert json.loads((tmp_path / "runs.log").read_text())["operator"] == "kim"


def test_processes_read_what_one_reads(
    model: Path, pictures: Path, undisturbed: list[dict], tmp_path: Path
) -> None:
    list(read_shards(pictures, tmp_path, model=model, shard_size=4, runner=Processes(2)))
    assert table(tmp_path) == undisturbed


def test_a_resumed_run_reads_the_shards_that_are_not_done(
    model: Path, pictures: Path, undisturbed: list[dict], tmp_path: Path
) -> None:
    run = iter(read_shards(pictures, tmp_path, model=model, shard_size=4))
    next(run)
    run.close()
    (tmp_path / "readings-000001.parquet").write_bytes(b"torn: it has no marker")
    first = (tmp_path / "readings-000000.parquet").read_bytes()
    resumed = read_shards(pictures, tmp_path, model=model, shard_size=4, resume=True)

    assert resumed.kept == 4
    assert [shard.name for shard in resumed] == ["readings-000001", "readings-000002"]
    assert (tmp_path / "readings-000000.parquet").read_bytes() == first
    assert table(tmp_path) == undisturbed
    assert list(read_shards(pictures, tmp_path, model=model, shard_size=4, resume=True)) == []


def test_results_are_replaced_only_on_request(model: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    list(read_shards(pictures, out, model=model, shard_size=2))
    with pytest.raises(RecordsError) as refused:
        read_shards(pictures, out, model=model)
    assert str(refused.value) == (
        f"{out}: already holds results. Use --resume to continue or --overwrite to replace them."
    )
    with pytest.raises(RecordsError) as refused:
        read_shards(pictures, out, model=model, shard_size=3, resume=True)
    assert str(refused.value) == (
        f"{out}: was read with another shard_size (2, now 3). Resume with the same pictures, model, station "
        "and shard size, or --overwrite the results."
    )
    list(read_shards(pictures, out, model=model, overwrite=True))
    assert [path.name for path in out.glob("*.parquet")] == ["readings-000000.parquet"]


def test_samples_are_read_with_their_labels(model: Path, tmp_path: Path) -> None:
    drawn = samples(5)
    write_store(tmp_path / "store", drawn, about={})
    list(read_shards(tmp_path / "store", tmp_path / "out", model=model, shard_size=2))

    rows = table(tmp_path / "out")
    assert [row["image"] for row in rows] == [f"{number:09d}" for number in range(5)]
    assert [row["truth"] for row in rows] == [one.text for one in drawn]


def test_the_command_reads_in_shards(
    model: Path, pictures: Path, undisturbed: list[dict], tmp_path: Path
) -> None:
    command = ["read", str(pictures), "-o", str(tmp_path), "--model", str(model), "--runner", "processes"]
    done = CliRunner().invoke(app, [*command, "--workers", "1", "--shard-size", "4", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "images": 11,
        "accept": 0,
        "review": 10,
        "reject": 1,
        "kept": 0,
        "shards": 3,
    }
    assert table(tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runner", "ray"], "--runner requires --out: shards are written, not printed"),
        (["-o", "out", "--shard-size", "2"], "--shard-size requires --runner"),
        (["-o", "out", "--runner", "ray", "--excel"], "--excel does not go with --runner"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["read", "pictures", *options])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


# Workers that die


@dataclass(frozen=True, slots=True)
class DyingSource(FolderSource):
    """Pictures; the process that opens one of ``at`` for the first time dies."""

    notes: Path
    at: tuple[str, ...]

    def fetch(self, item: Item) -> ImageSource:
        note = self.notes / item.image.replace("/", "-")
        if item.image in self.at and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return FolderSource.fetch(self, item)


@pytest.mark.parametrize("runner", [Processes(2), RayActors(2)], ids=["processes", "ray"])
@pytest.mark.filterwarnings("ignore")
def test_killed_workers_leave_every_result_once(
    model: Path,
    pictures: Path,
    undisturbed: list[dict],
    tmp_path: Path,
    runner: Processes | RayActors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if isinstance(runner, RayActors):
        pytest.importorskip("ray")
        monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: slow where tests share cores
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # actors import this module
    (tmp_path / "notes").mkdir()
    source = DyingSource((pictures,), tmp_path / "notes", ("lot-0/6.png", "lot-1/9.png"))
    out = tmp_path / "out"
    list(ShardedRun(source, Storage(str(out)), ReaderOptions(model), shard_size=4, runner=runner))

    assert len(list((tmp_path / "notes").iterdir())) == 2
    assert table(out) == undisturbed


def test_a_cluster_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def init(*_: object, **__: object) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(RecordsError) as refused:
        list(RayActors(1, "10.0.0.1:6379").run(int, []))
    assert str(refused.value) == (
        "ray: no cluster at 10.0.0.1:6379: no answer. Check the address; on a busy machine try again."
    )


def test_a_cluster_on_a_busy_machine_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, starts = pytest.importorskip("ray"), list[str]()

    def init(*_: object, **__: object) -> None:
        starts.append("start")
        raise Exception("The current node timed out")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(RecordsError, match="ray: no cluster at this machine: The current node timed out"):
        list(RayActors(1).run(int, []))
    assert len(starts) == 3


# Object stores


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A URL in an S3-compatible store on this machine."""
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    served = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    client.create_bucket(Bucket="plant")
    yield f"s3://plant/{{}}?endpoint_override={host}:{port}&scheme=http"
    client.close()
    served.stop()


@pytest.mark.filterwarnings("ignore")
def test_pictures_and_results_may_be_in_an_object_store(
    model: Path, pictures: Path, undisturbed: list[dict], tmp_path: Path, bucket: str
) -> None:
    given, results = Storage(bucket.format("pictures")), Storage(bucket.format("results"))
    for path in pictures.rglob("*.*"):
        given.write(path.relative_to(pictures).as_posix(), path.read_bytes())
    run = iter(read_shards(given.url, results.url, model=model, shard_size=4))
    next(run)
    run.close()
    resumed = read_shards(given.url, results.url, model=model, shard_size=4, resume=True)
    assert [shard.rows for shard in resumed] == [4, 3]

    names = [file.name for file in results.files()]
    assert [name for name in names if name.endswith(".json")] == [
        PLAN,
        "readings-000000.json",
        "readings-000001.json",
        "readings-000002.json",
        RESULTS,
    ]
    for name in names:
        (tmp_path / name).write_bytes(results.read(name))
    assert table(tmp_path) == undisturbed


def test_fsspec_serves_other_urls(tmp_path: Path) -> None:
    folder = Storage("memory://shards")
    folder.write("deep/one.bin", b"1")
    assert [(file.name, file.size) for file in folder.files()] == [("deep/one.bin", 1)]
    assert Storage("memory://shards").read("deep/one.bin") == b"1"
    folder.delete(["deep/one.bin"])
    assert folder.files() == []


def test_a_url_without_pictures_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(
        RecordsError, match=r"memory://empty: no pictures here\. Give a URL below which there"
    ):
        read_shards("memory://empty", "out")
    with pytest.raises(RecordsError, match=r"nowhere://x: no such URL .*\. Give a path, s3:// or gs://\."):
        Storage("nowhere://x")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    with pytest.raises(TypeError), folder.writing("x.bin") as stream:
        stream.write("no bytes")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordsError, match=r"file/x: cannot be written: .* Check the URL, the keys and the"):
        Storage(str(tmp_path / "file")).write("x", b"")
