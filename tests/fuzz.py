"""Fuzz the reader with damaged picture files; each must become a record.

    python tests/fuzz.py [--count 10000] [--seed 0]

Reads mutated files with the shipped model, 500 at a time, and prints the reasons, the longest time per file
and the peak memory. Fails if a record is missing or has no reason.
"""

import argparse
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from serialread.reader import Picture, Reader
from serialread.records import Record

LOT = 500
FORMATS = (
    ("PNG", "L", {}), ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "P", {}), ("PNG", "1", {}),
    ("PNG", "I;16", {}), ("JPEG", "L", {"quality": 80}), ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "CMYK", {}), ("BMP", "RGB", {}), ("BMP", "P", {}), ("TIFF", "L", {}), ("TIFF", "I;16", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", "RGB", {"quality": 60}), ("WEBP", "RGBA", {"lossless": True}), ("GIF", "P", {}),
)  # fmt: skip


def seeds() -> list[bytes]:
    """One intact file of every format: a code on a grey background, 40 x 160 px."""
    grey = np.full((40, 160), 170, np.uint8)
    cv2.putText(grey, "SN-40217", (8, 29), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 40, 2)
    whole = []
    for kind, mode, options in FORMATS:
        deep = Image.fromarray(grey.astype(np.uint16) * 200)
        image = deep if mode == "I;16" else Image.fromarray(grey).convert(mode)
        file = io.BytesIO()
        image.save(file, kind, **options)
        whole.append(file.getvalue())
    return whole


def mutated(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """The bytes after one to four mutations, most of them near the header."""
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, max(min(len(data), 64 if rng.random() < 0.5 else len(data)), 1)))
        length = int(rng.integers(1, 33))
        match int(rng.integers(0, 7)):
            case 0:  # a flipped bit
                flipped = bytearray(data)
                if flipped:
                    flipped[at] ^= 1 << int(rng.integers(0, 8))
                data = bytes(flipped)
            case 1:
                data = data[:at]
            case 2:  # all ones or zeros
                data = data[:at] + (b"\xff" if rng.random() < 0.5 else b"\0") * length + data[at + length :]
            case 3:
                data = data[:at] + rng.bytes(length) + data[at:]
            case 4:
                data = data[:at] + data[at + length :]
            case 5:
                data = data[: at + length] + data[at:]
            case _:
                other = others[int(rng.integers(0, len(others)))]
                data = data[:at] + other[at:]
    return data


def written(folder: Path, count: int, seed: int) -> list[Picture]:
    """Write mutated files."""
    whole, rng, pictures = seeds(), np.random.default_rng(seed), []
    for number in range(count):
        path = folder / f"{number:05d}.png"  # the suffix need not match the format
        path.write_bytes(mutated(whole[int(rng.integers(0, len(whole)))], whole, rng))
        pictures.append(Picture(path, path.name))
    return pictures


def read_mutated(reader: Reader, count: int, seed: int) -> Iterator[Record]:
    """Records of mutated files, in lots with different seeds."""
    for lot, first in enumerate(range(0, count, LOT)):
        with TemporaryDirectory() as folder:
            pictures = written(Path(folder), min(LOT, count - first), seed + lot)
            records = list(reader.read_many(pictures))
        assert [r.image for r in records] == [p.image for p in pictures]
        yield from records


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Read mutated files with the shipped model and print statistics."""
    from serialread.weights import shipped_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    reader = Reader(shipped_model())
    reasons: Counter[str] = Counter()
    slowest, peaks = 0.0, [peak_mb()]
    for number, record in enumerate(read_mutated(reader, arguments.count, arguments.seed), start=1):
        assert record.reason
        reasons["read" if record.reading is not None else record.reason.split("(")[0].split(":")[0]] += 1
        slowest = max(slowest, record.elapsed_ms)
        if number % 2000 == 0:
            peaks.append(peak_mb())
    for reason, times in reasons.most_common():
        print(f"{times:6d}  {reason}")
    print(f"slowest {slowest:.0f} ms; peak memory, MB, every 2,000 files: {[round(p) for p in peaks]}")


if __name__ == "__main__":
    main()
