"""Workbooks of readings: texts stay texts, numbers are numbers."""

import sys
from pathlib import Path

import pytest
from stub_model import write_stub
from test_reading import record_of

from serialread import read_folder
from serialread.errors import RecordsError
from serialread.reader import begin, write_records
from serialread.reader.results import WORKBOOK
from serialread.reader.workbooks import write_readings_workbook

TEXTS = ("00123", "=1+1", "+49", "-5", "@A1", "1E5", "2026-01-05", "TRUE", "NA")


def cells(path: Path) -> list[dict[str, object]]:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(path)
    header, *rows = book["readings"].iter_rows()
    names = [cell.value for cell in header]
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_texts_stay_texts_and_numbers_are_numbers(tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    begin(tmp_path, "new", (), "m", "")
    list(write_records((record_of(f"{i}.png", text) for i, text in enumerate(TEXTS)), tmp_path))
    write_readings_workbook(tmp_path / "readings.csv", tmp_path / WORKBOOK)
    rows = cells(tmp_path / WORKBOOK)
    assert [(row["text"].value, row["text"].data_type) for row in rows] == [(text, "s") for text in TEXTS]
    assert (rows[0]["confidence"].value, rows[0]["confidence"].data_type) == (0.7, "n")
    assert rows[0]["mark_contrast"].value is None


def test_a_run_writes_the_workbook_on_request(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("xlsxwriter")
    model, out = write_stub(tmp_path / "stub.onnx"), tmp_path / "out"
    (tmp_path / "broken.png").write_bytes(b"no picture")
    list(read_folder(tmp_path / "broken.png", out, model=model))
    assert not (out / WORKBOOK).exists()
    list(read_folder(tmp_path / "broken.png", out, model=model, overwrite=True, excel=True))
    (row,) = cells(out / WORKBOOK)
    assert (row["image"].value, row["decision"].value) == ("broken.png", "REJECT")


@pytest.mark.parametrize("again", ["overwrite", "resume"])
def test_a_run_without_the_workbook_leaves_none_of_an_earlier_run(tmp_path: Path, again: str) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("xlsxwriter")
    model, out = write_stub(tmp_path / "stub.onnx"), tmp_path / "out"
    (tmp_path / "broken.png").write_bytes(b"no picture")
    list(read_folder(tmp_path / "broken.png", out, model=model, excel=True))
    list(read_folder(tmp_path / "broken.png", out, model=model, **{again: True}))
    assert not (out / WORKBOOK).exists()


def test_a_workbook_without_xlsxwriter_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(RecordsError) as caught:
        read_folder(tmp_path, tmp_path / "out", excel=True)
    expected = "readings.xlsx: XlsxWriter is not installed. Install it: pip install 'serialread[excel]'"
    assert str(caught.value) == expected
