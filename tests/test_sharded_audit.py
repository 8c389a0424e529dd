"""An audit of readings in shards finds what an audit of all readings at once finds."""

import csv
import hashlib
import itertools
import json
import random
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from serialread import audit, run_log
from serialread.auditing import sharded_audit
from serialread.auditing.report_files import FILES
from serialread.auditing.sampling import LabelDraw, images_to_label
from serialread.auditing.sharded_audit import PLAN, _quantile
from serialread.cli import app
from serialread.errors import RecordsError
from serialread.reader.serialization import COLUMNS, NUMBERS

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
CHARS = "AB80O1I-"
ROWS = 900


def rows() -> list[tuple[dict[str, str], str]]:
    """Lines of readings.csv and their truths, in nine batches."""
    rng, found = random.Random(3), []
    for i in range(ROWS):
        truth = "".join(rng.choices(CHARS, k=rng.randint(3, 9)))
        text = {0: "", 7: truth[:-1] + "B", 13: truth[1:], 17: truth + "1"}.get(i % 20, truth)
        cells = dict.fromkeys(COLUMNS, "") | {
            "image": f"lot-{i // 100}/{i}.png",
            "batch": f"lot-{i // 100}",
            "text": text,
            "confidence": f"{rng.random():.6f}" if text else "",
            "decision": "REJECT" if not text else "ACCEPT" if rng.random() < 0.8 else "REVIEW",
            "read_at": f"2026-01-05T08:{i // 60:02d}:{i % 60:02d}Z",
            "station_id": "line-2",
            "model_id": "m1",
            "sha256": f"{rng.getrandbits(256):064x}",
            "text_height_px": f"{20 + rng.random():.1f}",
            "contrast": f"{rng.random():.3f}",
            "elapsed_ms": f"{4 + rng.random():.2f}",
            "mark_grade": rng.choice("ABC"),
        }
        found.append((cells, truth))
    return found


def write(folder: Path, shard: int, *, labels: bool = False) -> Path:
    """The same readings as readings.csv and as shards in another folder; the truths."""
    lines = rows()
    for name, columns, table in (
        ("readings.csv", COLUMNS, [[cells[one] for one in COLUMNS] for cells, _ in lines]),
        ("labels.csv", ("filename", "text"), [[cells["image"], truth] for cells, truth in lines if truth]),
    ):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *table])
    out = folder / "shards"
    out.mkdir()
    (out / PLAN).write_text(json.dumps({"fields": []}))
    for first in range(0, ROWS, shard):
        part = lines[first : first + shard]
        columns = {
            name: [float(c[name]) if c[name] else None for c, _ in part]
            if name in NUMBERS
            else [c[name] for c, _ in part]
            for name in COLUMNS
        }
        columns["truth"] = [truth if labels else None for _, truth in part]
        schema = pa.schema([(n, pa.float64() if n in NUMBERS else pa.string()) for n in columns])
        parquet.write_table(pa.table(columns, schema), out / f"readings-{first:06d}.parquet")
        (out / f"readings-{first:06d}.json").write_text("{}")
    return out


@pytest.mark.parametrize(("part", "labels"), [(150, False), (250, True), (10_000, False)])
def test_an_audit_of_shards_equals_one_of_all_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, labels: bool
) -> None:
    monkeypatch.setattr(sharded_audit, "PART", part)
    shards = write(tmp_path, 70, labels=labels)
    truth = tmp_path / "labels.csv"
    found, expected = audit(shards, None if labels else truth), audit(tmp_path / "readings.csv", truth)

    assert set(found.tables) == set(expected.tables)
    for name in found.tables:
        table, whole = found.tables[name], expected.tables[name]
        if name in ("errors", "waiting"):
            table = table.assign(confidence=pd.to_numeric(table["confidence"]))
            whole = whole.assign(confidence=pd.to_numeric(whole["confidence"]))
        pd.testing.assert_frame_equal(table, whole, check_dtype=False, obj=name, atol=2e-6)
    assert list(map(str, found.batches.dtypes)) == list(map(str, expected.batches.dtypes))
    assert found.total == pytest.approx(expected.total, nan_ok=True, abs=2e-6)
    assert found.confidence_quality.summary() == pytest.approx(expected.confidence_quality.summary())
    assert (found.models, found.stations, found.read_at) == (
        expected.models,
        expected.stations,
        expected.read_at,
    )
    assert {path.name for path in found.write(tmp_path / "out")} == set(FILES)


def test_the_lists_of_a_large_audit_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded_audit, "PART", 150)
    monkeypatch.setattr(sharded_audit, "LISTED", 20)
    done = audit(write(tmp_path, 100), tmp_path / "labels.csv")

    assert len(done.errors) == 20
    confidence = pd.to_numeric(done.errors["confidence"]).dropna()
    assert list(confidence) == sorted(confidence, reverse=True)
    wrong = int(done.total["wrong"])
    assert f"errors.csv lists 20 lines; {wrong - 20:,} more are only counted." in [
        finding.text for finding in done.findings
    ]


def test_a_batch_that_is_too_large_for_a_part_has_sums_but_no_medians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded_audit, "PART", 150)
    done = audit(write(tmp_path, 100), tmp_path / "labels.csv", by="station_id")
    batch, total = done.batches.to_dict("records")

    assert (batch["batch"], batch["images"]) == ("line-2", ROWS)
    assert (batch["right"], batch["accuracy"]) == (total["right"], total["accuracy"])
    assert pd.isna(batch["elapsed_ms_p50"])
    assert total["elapsed_ms_p50"] == pytest.approx(4.5, abs=0.1)
    assert any("their medians are left out" in finding.text for finding in done.findings)


@pytest.mark.parametrize("by", [None, "station_id", "mark_grade"])
@pytest.mark.parametrize("sample", [1, 5, 40, 299, 5000])
def test_the_pictures_to_label_next_are_those_of_an_audit_of_all_readings(
    sample: int, by: str | None
) -> None:
    lots = {"a": 1200, "b": 60, "c": 1, "d": 300}
    whole = pd.DataFrame(
        [
            {"image": f"{lot}/{i}.png", "batch": lot, "station_id": "s", "mark_grade": "AB"[i % 2]}
            for lot, size in lots.items()
            for i in range(size)
        ]
    )
    whole["sha256"] = [hashlib.sha256(image.encode()).hexdigest() for image in whole["image"]]
    whole["known"] = [i % 7 == 0 for i in range(len(whole))]
    if by:
        whole["batch"] = whole[by]
    expected = images_to_label(whole, sample)
    for ends in ([1200, 1260, 1261], [700, 1300], list(range(50, 1561, 50))):
        draw = LabelDraw(sample)
        for first, end in itertools.pairwise([0, *ends, len(whole)]):
            draw.add(whole.iloc[first:end].reset_index(drop=True))
        pd.testing.assert_frame_equal(draw.table(), expected)
    assert len(expected) == min(sample, int((~whole["known"]).sum()))


def test_a_large_audit_keeps_few_pictures_to_draw_from() -> None:
    draw = LabelDraw(299)
    for part in range(20):
        rows = pd.DataFrame({"image": [f"{part}/{i}" for i in range(2000)]})
        rows["sha256"] = [hashlib.sha256(image.encode()).hexdigest() for image in rows["image"]]
        draw.add(rows.assign(batch=[f"{part}-{i // 200}" for i in range(2000)], known=False))
    assert len(draw.table()) == 299
    assert len(draw.kept) < 200 * 20


@pytest.mark.parametrize("part", [150, 10_000])
@pytest.mark.parametrize(
    "truth",
    [
        [("lot-0/5.png", "A"), ("lot-0/5.png", "B"), ("lot-8/850.png", "A"), ("lot-8/850.png", "B")],
        [("nowhere/x1.png", "A"), ("nowhere/x2.png", "B")],
        [("nowhere/x1.png", "A"), ("nowhere/x1.png", "B"), ("lot-3/333.png", "")],
        [(f"lot-{i // 100}/{i}.png", "A") for i in range(ROWS) if i % 100],
    ],
)
def test_the_findings_about_truths_are_those_of_an_audit_of_all_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, truth: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(sharded_audit, "PART", part)
    shards = write(tmp_path, 70)
    (tmp_path / "labels.csv").write_text("filename,text\n" + "".join(f"{n},{t}\n" for n, t in truth))
    found, expected = (audit(one, tmp_path / "labels.csv") for one in (shards, tmp_path / "readings.csv"))
    whole = [finding for finding in expected.findings if "sequence finding" not in finding.text]
    assert [finding for finding in found.findings if "sequence finding" not in finding.text] == whole
    ways = (found.unmatched, expected.unmatched)
    assert len({tuple(sorted(table["name"])) for table in ways}) == 1


@pytest.mark.parametrize("every", [1, 20])  # with 1 no character of a reading is confused
def test_labels_of_reviewers_count_in_shards_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(sharded_audit, "PART", 150)
    shards = write(tmp_path, 70)
    lines = rows()
    words = ["read", "no code", "wrong crop", "unreadable"]
    table = [
        f"{cells['image']},{truth},{words[i // every % 4]}\n"
        for i, (cells, truth) in enumerate(lines)
        if truth
    ]
    (tmp_path / "labels.csv").write_text("filename,text,label\n" + "".join(table))
    found, expected = (audit(one, tmp_path / "labels.csv") for one in (shards, tmp_path / "readings.csv"))
    assert found.total == pytest.approx(expected.total, nan_ok=True, abs=2e-6)
    for name in ("releases", "sampling", "characters", "confusions"):
        pd.testing.assert_frame_equal(found.tables[name], expected.tables[name], check_dtype=False)


def test_the_audit_of_a_url_is_logged_with_the_url_and_its_digest(tmp_path: Path) -> None:
    shards = write(tmp_path, 900)
    url, out = f"file://{shards}", tmp_path / "out"
    arguments = ["audit", url, "--truth", str(tmp_path / "labels.csv"), "--out", str(out), "--no-pictures"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    line = run_log.run_of(out / run_log.LOG, "audit")
    plan = hashlib.sha256((shards / PLAN).read_bytes()).hexdigest()
    assert line["about"]["inputs"] == {f"{url}/{PLAN}": plan}
    assert list(line["inputs"]) == ["../labels.csv"]
    assert run_log.verify(out / run_log.LOG).ok


def test_a_shard_without_a_marker_does_not_count(tmp_path: Path) -> None:
    shards = write(tmp_path, 300)
    (shards / "readings-000300.json").unlink()
    assert audit(shards).total["images"] == 600


def test_what_an_audit_of_shards_does_not_know_is_refused(tmp_path: Path) -> None:
    shards = write(tmp_path, 900)
    with pytest.raises(RecordsError) as refused:
        audit(shards, fold_lookalikes=True)
    assert str(refused.value) == ("--fold-lookalikes: does not go with readings in shards. Leave it out.")
    with pytest.raises(RecordsError, match=r"--by shift: no such column\. Give one of image, batch"):
        audit(shards, by="shift")
    (shards / "readings-000000.parquet").write_bytes(b"torn")
    with pytest.raises(
        RecordsError, match=r"readings-000000\.parquet: cannot be read: .* Read the shard again"
    ):
        audit(shards)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.95])
def test_a_quantile_of_counts_is_that_of_the_values(q: float) -> None:
    values = [1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 9.5]
    counts = {value: values.count(value) for value in values}
    assert _quantile(counts, q) == pytest.approx(float(pd.Series(values).quantile(q)))
