"""Shards: functions of (recipe, seed, range), whoever makes them; their manifest, merging and export."""

import json
import os
import signal
import tarfile
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serialread.cli import app
from serialread.config import DataRecipe
from serialread.datasets import SampleStore, StoreReport, export, generate, merge, write_store
from serialread.datasets.manifests import MANIFEST, read_manifest
from serialread.datasets.sample_store import PARTS
from serialread.errors import RecordsError, StoreError
from serialread.evaluation import labelled_samples
from serialread.scale import Processes, RayActors, generate_shards
from serialread.synth import make_sample

RECIPE = DataRecipe.model_validate(
    {
        "height": 32,
        "max_width": 150,
        "max_length": 6,
        "texts": {"patterns": ["##@", "SN###"]},
        "processes": [{"kind": "ink"}],
    }
)


def made(folder: Path, count: int = 10, size: int = 4, **options) -> Path:
    assert list(generate_shards(RECIPE, folder, count, shard_size=size, seed=5, **options))[-1] == count
    return folder


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("shards") / "ten")


def values(store: SampleStore) -> list[dict[str, bytes]]:
    return [store.parts(number) for number in range(len(store))]


def test_shards_hold_the_samples_of_one_store(ten: Path, tmp_path: Path) -> None:
    list(generate(RECIPE, tmp_path / "one", 10, seed=5))

    assert values(SampleStore(ten)) == values(SampleStore(tmp_path / "one"))
    assert [sample.text for sample in SampleStore(ten / MANIFEST)[3:6]] == [
        make_sample(RECIPE, 5, index).text for index in (3, 4, 5)
    ]


def test_a_manifest_names_the_range_and_the_digest_of_every_shard(ten: Path) -> None:
    manifest = read_manifest(ten / MANIFEST)

    assert [(shard.path, shard.first, shard.count) for shard in manifest.shards] == [
        ("00000", 0, 4),
        ("00001", 4, 4),
        ("00002", 8, 2),
    ]
    assert {shard.seed for shard in manifest.shards} == {5}
    assert [SampleStore(ten / shard.path).digest() for shard in manifest.shards] == [
        shard.sha256 for shard in manifest.shards
    ]
    assert manifest.about["samples"] == len(SampleStore(ten)) == 10
    assert DataRecipe.model_validate(manifest.recipes[manifest.shards[0].recipe_id]) == RECIPE


@pytest.mark.parametrize("runner", [Processes(2), RayActors(1)], ids=["processes", "ray"])
@pytest.mark.filterwarnings("ignore")
def test_whoever_renders_writes_the_same_bytes(
    ten: Path, tmp_path: Path, runner: Processes | RayActors, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(runner, RayActors):
        pytest.importorskip("ray")
        monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: slow where tests share cores
    two = made(tmp_path / "two", runner=runner)

    names = [MANIFEST, *(f"0000{shard}/{name}" for shard in range(3) for name in ("data.mdb", "shard.json"))]
    assert {name: (two / name).read_bytes() for name in names} == {
        name: (ten / name).read_bytes() for name in names
    }


def test_a_resumed_run_makes_what_is_missing(ten: Path, tmp_path: Path) -> None:
    shards = generate_shards(RECIPE, tmp_path / "s", 10, shard_size=4, seed=5)
    assert next(shards) == 4
    shards.close()
    first = (tmp_path / "s/00000/data.mdb").stat().st_mtime_ns
    made(tmp_path / "s", resume=True)

    assert (tmp_path / "s/00000/data.mdb").stat().st_mtime_ns == first
    assert (tmp_path / "s" / MANIFEST).read_bytes() == (ten / MANIFEST).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "{0}: is not empty. Add --resume to continue its shards, or name a new folder."),
        (
            {"resume": True, "seed": 6},
            "{0}/00000: holds samples 0 to 3 of recipe {1}, seed 5. Resume with the same recipe, seed and "
            "shard size, or name a new folder.",
        ),
    ],
)
def test_shards_of_another_run_are_refused(ten: Path, options: dict, message: str) -> None:
    named = read_manifest(ten / MANIFEST).shards[0].recipe_id
    with pytest.raises(StoreError) as refused:
        list(generate_shards(RECIPE, ten, 10, shard_size=4, **{"seed": 5, **options}))
    assert str(refused.value) == message.format(ten, named)


def test_a_check_names_a_shard_that_is_not_that_of_the_manifest(tmp_path: Path) -> None:
    folder = made(tmp_path / "s")
    document = json.loads((folder / MANIFEST).read_text())
    document["shards"][1]["sha256"] = "0" * 64
    document["shards"][2]["count"] = 1
    (folder / MANIFEST).write_text(json.dumps(document))

    report = StoreReport()
    assert list(report.check(SampleStore(folder)))[-1] == 9
    assert [(problem.index, problem.what) for problem in report.problems] == [
        (4, "shard 00001 has other bytes than the manifest says"),
        (8, "shard 00002 has 2 samples, not 1"),
    ]


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"format": 1}')
    with pytest.raises(StoreError) as refused:
        len(SampleStore(tmp_path))
    assert str(refused.value) == (
        f"{tmp_path / MANIFEST}: no manifest of shards ('shards'). Make the store again."
    )


# Merging and export


def test_merged_stores_stay_where_they_are(ten: Path, tmp_path: Path) -> None:
    list(generate(RECIPE, tmp_path / "lmdb", 3, seed=9))
    write_store(tmp_path / "imported", SampleStore(ten)[:2], about={"imported": "pictures"})
    merged = merge([ten, tmp_path / "lmdb", tmp_path / "imported"], tmp_path / "merged")

    store = SampleStore(tmp_path / "merged")
    assert merged.count == len(store) == 15
    assert store[10].text == make_sample(RECIPE, 9, 0).text
    assert [path.name for path in (tmp_path / "merged").iterdir()] == [MANIFEST]
    report = StoreReport()
    assert list(report.check(store))[-1] == 15
    assert {problem.what for problem in report.problems} == {
        "its picture is that of sample 0",
        "its picture is that of sample 1",
    }


def test_samples_that_two_stores_hold_are_refused(ten: Path, tmp_path: Path) -> None:
    list(generate(RECIPE, tmp_path / "lmdb", 6, seed=5))
    with pytest.raises(StoreError, match=r"lmdb: holds samples that .*00000 holds, too .* seed 5"):
        merge([ten, tmp_path / "lmdb"], tmp_path / "merged")


def test_archives_hold_the_parts_of_every_sample(ten: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert [*export(SampleStore(ten), str(tmp_path / name), "webdataset", file_samples=6)] == [6, 10]

    assert (tmp_path / "one/00001.tar").read_bytes() == (tmp_path / "two/00001.tar").read_bytes()
    with tarfile.open(tmp_path / "one/00001.tar") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    assert members["000000006.txt"].decode() == make_sample(RECIPE, 5, 6).text
    assert members["000000006.pgm"].startswith(b"P5 ")
    assert {name.partition(".")[2] for name in members} == {"pgm", "txt", "glyphs.png", "meta.json"}


def test_an_export_leaves_no_file_of_a_longer_one_before(ten: Path, tmp_path: Path) -> None:
    for samples in (3, 6):
        list(export(SampleStore(ten), str(tmp_path), "webdataset", file_samples=samples))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.tar", "00001.tar"]


def test_a_manifest_is_evaluated_as_the_store_is(ten: Path) -> None:
    samples, left_out = labelled_samples(ten)
    assert [sample.text for sample in samples] == [sample.text for sample in SampleStore(ten)]
    assert not left_out


def test_parquet_files_hold_the_parts_of_every_sample(ten: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    store = SampleStore(ten)
    list(export(store, str(tmp_path), "parquet", file_samples=6))

    rows = [
        row
        for name in ("00000", "00001")
        for row in parquet.read_table(tmp_path / f"{name}.parquet").to_pylist()
    ]
    assert set(rows[0]) == set(PARTS)
    assert [row["label"] for row in rows] == [sample.text for sample in store]
    assert rows[7]["image"] == store.parts(7)["image"]


def test_the_commands_make_check_merge_and_export_shards(tmp_path: Path) -> None:
    (tmp_path / "ink.toml").write_text(
        'height = 32\n[texts]\npatterns = ["SN###"]\n[[processes]]\nkind = "ink"\n'
    )
    run = partial(CliRunner().invoke, app)
    shards, merged = tmp_path / "shards", tmp_path / "merged"
    recipe = str(tmp_path / "ink.toml")
    for command in (
        ["generate-synth", recipe, "-o", str(shards), "--count", "5", "--shards", "2", "--workers", "1"],
        ["data", "merge", str(shards), "-o", str(merged)],
        ["data", "check", str(merged)],
        ["data", "export", str(merged), "--to", "webdataset", "-o", str(tmp_path / "tars")],
    ):
        done = run([*command, "--quiet"])
        assert done.exit_code == 0, done.output
    assert [shard.count for shard in read_manifest(shards / MANIFEST).shards] == [3, 2]
    assert [path.name for path in (tmp_path / "tars").iterdir()] == ["00000.tar"]


# Processes that die


class Dying:
    """Doubles a number; the process dies once at each number in ``at``, and always at ``never``."""

    def __init__(self, folder: Path, at: tuple[int, ...] = (), never: int = -1) -> None:
        self.folder, self.at, self.never = folder, at, never

    def __call__(self):
        return self.double

    def double(self, number: int) -> tuple[int, int]:
        once = self.folder / f"died-{number}"
        if number == self.never or (number in self.at and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 99:
            raise StoreError("shard 99: is bad. Mend it.")
        return number, 2 * number


def test_a_shard_whose_process_dies_is_given_to_another(tmp_path: Path) -> None:
    done = list(Processes(2).run(Dying(tmp_path, at=(1, 6)), range(8)))
    assert sorted(done) == [(number, 2 * number) for number in range(8)]


def test_a_shard_that_kills_every_process_ends_the_work(tmp_path: Path) -> None:
    with pytest.raises(RecordsError) as refused:
        list(Processes(2).run(Dying(tmp_path, never=0), [0]))
    assert str(refused.value) == (
        "processes of this machine: 3 died in a row, perhaps because memory ran out. What is finished is "
        "kept: take fewer workers or smaller shards, and add --resume."
    )


def test_the_error_of_a_shard_ends_the_work(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"shard 99: is bad\. Mend it\."):
        list(Processes(2).run(Dying(tmp_path), [99]))
