"""How long an audit takes, and how much memory: generated readings against their truth.

    python benchmarks/audit_speed.py [--rows 1000000] [--shards]

One reading in twenty is wrong and one in a hundred rejected, in batches of a thousand. With --shards the
readings are in Parquet files of 10,000, with their truths, and the audit goes through them part by part.
"""

import argparse
import csv
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import Process
from pathlib import Path
from typing import Any

from serialread import auditing
from serialread.auditing.input_tables import MEASURES, READING_COLUMNS
from serialread.auditing.sharded_audit import PLAN
from serialread.reader.serialization import NUMBERS

SHARD = 10_000
CHARS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789-"


def readings(rows: int, rng: random.Random) -> Iterator[tuple[dict[str, str], str]]:
    """Yield lines of readings.csv and their truths."""
    for i in range(rows):
        truth = "".join(rng.choices(CHARS, k=rng.randint(5, 17)))
        rejected, wrong = i % 100 == 0, i % 20 == 7
        text = "" if rejected else truth[:-1] + "?" if wrong else truth
        line = {
            "image": f"batch-{i // 1000:04d}/{i:07d}.png",
            "batch": f"batch-{i // 1000:04d}",
            "text": text,
            "confidence": "" if rejected else f"{rng.random():.4f}",
            "weakest_char": text[:1],
            "weakest_position": "1" if text else "",
            "weakest_confidence": "0.9" if text else "",
            "decision": "REJECT" if rejected else "ACCEPT",
            "reason": "nothing to read" if rejected else "",
            "read_at": "2026-01-05T08:00:00Z",
            "station_id": "line-2",
            "model_id": "m1",
            "sha256": f"{rng.getrandbits(256):064x}",
            "text_height_px": "24.5",
            "contrast": f"{rng.random():.3f}",
            "elapsed_ms": "4.21",
        }
        yield line, truth


def write(folder: Path, rows: int) -> None:
    """Write readings.csv and labels.csv."""
    with (
        (folder / "readings.csv").open("w", newline="", encoding="utf-8") as read,
        (folder / "labels.csv").open("w", newline="", encoding="utf-8") as labels,
    ):
        lines, truths = csv.DictWriter(read, [*READING_COLUMNS, *MEASURES]), csv.writer(labels)
        lines.writeheader()
        truths.writerow(["filename", "text"])
        for line, truth in readings(rows, random.Random(0)):
            lines.writerow(line)
            truths.writerow([line["image"], truth])


def write_shards(folder: Path, rows: int) -> None:
    """Write the readings as ``serialread read --runner`` does; codes repeat from shard to shard."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    names = (*READING_COLUMNS, *MEASURES, "truth")
    schema = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in names])
    (folder / PLAN).write_text(json.dumps({"fields": []}))
    lines = [{**line, "truth": truth} for line, truth in readings(SHARD, random.Random(0))]
    columns: dict[str, Any] = {
        name: [float(row[name]) if row.get(name) else None for row in lines]
        if name in NUMBERS
        else [row.get(name, "") for row in lines]
        for name in names
    }
    given, rng = np.array([row["confidence"] != "" for row in lines]), np.random.default_rng(0)
    for number in range(rows // SHARD):
        places = range(number * SHARD, (number + 1) * SHARD)
        columns["image"] = [f"batch-{i // 1000:06d}/{i:09d}.png" for i in places]
        columns["batch"] = [f"batch-{i // 1000:06d}" for i in places]
        columns["confidence"] = np.where(given, rng.random(SHARD).round(6), np.nan)
        table = pa.table(columns, schema)
        parquet.write_table(table, folder / f"readings-{number:06d}.parquet")
        (folder / f"readings-{number:06d}.json").write_text("{}")


def peak_mb() -> float:
    """Peak resident memory of this process, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Generate, audit, print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", action="store_true")
    asked = parser.parse_args()
    rows = asked.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in another process, so that its memory does not count
        writing = Process(target=write_shards if asked.shards else write, args=(folder, rows))
        writing.start()
        writing.join()
        start, used = time.perf_counter(), time.process_time()
        done = auditing.audit(folder, None if asked.shards else folder / "labels.csv")
        done.write(folder / "out")
        seconds, used = time.perf_counter() - start, time.process_time() - used
    print(f"{rows:,} rows, {len(done.batches) - 1:,} batches, {done.total['wrong']:,} errors: ", end="")
    print(f"{seconds:.1f} s ({used:.1f} s of a core), {rows / used:,.0f} rows/s, peak {peak_mb():,.0f} MB")


if __name__ == "__main__":
    main()
