"""Every damaged file becomes a record and stops no run. The long run is ``tests/fuzz.py``."""

from pathlib import Path

import fuzz
import numpy as np
import pytest
from stub_model import write_stub

from serialread.imaging.loading import LARGEST_PX, load_image
from serialread.reader import Reader
from serialread.records import Decision

COUNT = 200


def test_every_mutated_file_becomes_a_record_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    reader = Reader(write_stub(tmp_path / "stub.onnx"))
    records = list(fuzz.read_mutated(reader, COUNT, seed=1))
    assert len(records) == COUNT
    assert all(record.reason and record.decision is not Decision.ACCEPT for record in records)
    unread = [record for record in records if record.reading is None]
    assert COUNT / 2 < len(unread) < COUNT
    assert all(record.confidence is None and record.image_sha256 for record in unread)
    assert all("\n" not in record.reason and str(tmp_path) not in record.reason for record in records)


def test_intact_files_of_every_format_are_loaded(tmp_path: Path) -> None:
    for number, data in enumerate(fuzz.seeds()):
        path = tmp_path / f"{number}.img"
        path.write_bytes(data)
        assert load_image(path).pixels.shape[:2] == (40, 160), fuzz.FORMATS[number]


@pytest.mark.parametrize("sides", [(60_000, 60_000), (LARGEST_PX // 8, 9), (2**31 - 1, 2**31 - 1)])
def test_a_huge_picture_is_refused_by_its_header(
    tmp_path: Path, sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import struct
    import zlib

    from serialread.errors import ImageError
    from serialread.imaging import loading

    def decoded(*_: object) -> np.ndarray:
        raise AssertionError("decoded")

    for decoder in ("_jpeg", "_png", "_pixels"):
        monkeypatch.setattr(loading, decoder, decoded)
    header = b"IHDR" + struct.pack(">IIBBBBB", *sides, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 10**6) + b"IDAT" + bytes(64))
    with pytest.raises(ImageError, match=r"(are too many|million pixels)\. Crop or shrink it"):
        load_image(path)
