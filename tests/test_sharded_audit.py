"""An audit of readings in shards finds what an audit of all readings at once finds."""

import csv
import json
import random
from pathlib import Path

import pandas as pd
import pytest

from serialread import audit
from serialread.auditing import sharded_audit
from serialread.auditing.report_files import FILES
from serialread.auditing.sharded_audit import PLAN, _quantile
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
    for name in set(found.tables) - {"sampling"}:
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
