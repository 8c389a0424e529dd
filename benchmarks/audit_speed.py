"""How long an audit takes, and how much memory: generated readings against their truth.

    python benchmarks/audit_speed.py [--rows 1000000]

One reading in twenty is wrong and one in a hundred rejected, in batches of a thousand.
"""

import argparse
import csv
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from serialread import auditing
from serialread.auditing.input_tables import MEASURES, READING_COLUMNS

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


def peak_mb() -> float:
    """Peak resident memory of this process, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Generate, audit, print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, rows)
        start = time.perf_counter()
        done = auditing.audit(folder, folder / "labels.csv")
        done.write(folder / "out")
        seconds = time.perf_counter() - start
    print(f"{rows:,} rows, {len(done.batches) - 1:,} batches, {len(done.errors):,} errors: ", end="")
    print(f"{seconds:.1f} s, {rows / seconds:,.0f} rows/s, peak {peak_mb():,.0f} MB")


if __name__ == "__main__":
    main()
