"""Sequence checks within a batch, and the barcode cross-check."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from stub_model import write_stub
from test_reading import record_of

from serialread.auditing import Severity
from serialread.auditing.batch_scores import sequence_failures, sequence_findings
from serialread.codes import SequenceChecker
from serialread.errors import RecipeError
from serialread.reader import Reader, begin, check_sequences, write_records
from serialread.reader.barcodes import check_barcodes
from serialread.reader.serialization import csv_row, json_line
from serialread.records import BarcodeCheck, Decision

TEN = [f"SN-{number}" for number in range(100, 110)]


def findings_of(codes: list[str]) -> dict[int, str]:
    checker = SequenceChecker()
    findings = [checker.check(code, f"{place}.jpg") for place, code in enumerate(codes)]
    return {place: "; ".join(what) for place, what in enumerate(findings) if what}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (TEN, {}),
        (TEN[::-1], {}),
        (TEN[::3], {}),
        (TEN[:5] + TEN[6:], {5: "1 missing after SN-104"}),
        (TEN[:5] + TEN[8:], {5: "3 missing after SN-104"}),
        ([*TEN[:5], "SN-195", *TEN[6:]], {5: "90 missing after SN-104"}),  # misread: no second finding
        ([*TEN[:5], TEN[6], TEN[5], *TEN[7:]], {5: "1 missing after SN-104", 6: "out of order after SN-106"}),
        ([*TEN[:5], TEN[4], *TEN[5:]], {5: "same code as 4.jpg"}),
        ([*TEN[:5], "XX12", *TEN[5:]], {5: "has the form AA99, most have AA-999"}),
        ([*TEN[:5], "", *TEN[5:]], {}),
        (["LOT7"] * 9, {}),  # a lot number, not a serial number
        (["17", "92", "40", "61", "23"], {}),  # not consecutive
        ([*TEN, "SN-900123"], {10: "has the form AA-999999, most have AA-999"}),
        ([], {}),
    ],
)
def test_sequence_checks_have_findings(codes: list[str], expected: dict[int, str]) -> None:
    assert findings_of(codes) == expected


@given(start=st.integers(10, 10**6), step=st.integers(-9, 9).filter(bool), count=st.integers(0, 40))
def test_consecutive_numbers_have_no_findings(start: int, step: int, count: int) -> None:
    assert findings_of([f"A{start + 400 + step * place:09d}" for place in range(count)]) == {}


@given(st.lists(st.text("A19-", max_size=5), max_size=30))
def test_any_codes_can_be_checked(codes: list[str]) -> None:
    assert all(place > 0 and what for place, what in findings_of(codes).items())


def test_batches_are_checked_separately_and_records_keep_the_findings(tmp_path: Path) -> None:
    records = [record_of(f"{batch}/{n}.png", f"SN-{n}") for n in (11, 12, 13, 14, 16) for batch in "ab"]
    found = list(check_sequences(records))
    assert [(r.image, r.sequence_findings) for r in found if r.sequence_findings] == [
        ("a/16.png", ("1 missing after SN-14",)),
        ("b/16.png", ("1 missing after SN-14",)),
    ]
    assert [replace(record, sequence_findings=()) for record in found] == records
    assert json_line(found[-1])["sequence_findings"] == ["1 missing after SN-14"]
    assert "1 missing after SN-14" in csv_row(json_line(found[-1]))


def test_a_resumed_run_checks_against_earlier_codes(tmp_path: Path) -> None:
    records = [record_of(f"{n}.png", f"SN-{n}") for n in (11, 12, 13, 14, 16)]
    begin(tmp_path, "new", (), "stub-000000000000", "")
    list(write_records(records[:4], tmp_path))
    start = begin(tmp_path, "resume", (), "stub-000000000000", "")
    assert start.codes[-1] == ("", "SN-14", "14.png")
    assert [r.sequence_findings for r in check_sequences(records[4:], start.codes)] == [
        ("1 missing after SN-14",)
    ]


def test_an_audit_names_the_batches_with_sequence_findings() -> None:
    codes = [*TEN[:5], *TEN[6:], TEN[2]]
    rows = [("a", f"a/{n}.png", code) for n, code in enumerate(codes)] + [("b", "b/1.png", "X1")]
    judged = pd.DataFrame(rows, columns=["batch", "image", "text"])
    (finding,) = sequence_findings(sequence_failures(judged))
    assert finding.severity is Severity.WARNING
    assert finding.text == (
        "Batch a: 3 sequence findings: a/5.png 1 missing after SN-104; "
        "a/9.png same code as a/2.png; a/9.png out of order after SN-109."
    )


@pytest.mark.parametrize(
    ("text", "barcodes", "expected"),
    [
        ("SN-4021", (), BarcodeCheck.NONE),
        ("SN-4021", ("SN-4021",), BarcodeCheck.AGREES),
        ("SN-4021", ("sn-4021 ",), BarcodeCheck.AGREES),
        ("SN-4021", ("other", "(21)SN-4021(10)A"), BarcodeCheck.AGREES),
        ("SN-4O21", ("SN-4021",), BarcodeCheck.DIFFERS),
        ("402", ("SN-4021",), BarcodeCheck.DIFFERS),
        ("402", ("402",), BarcodeCheck.AGREES),
        ("SN-40", ("SN-4021",), BarcodeCheck.DIFFERS),  # lost its end
        ("N-4021", ("(21)SN-4021",), BarcodeCheck.DIFFERS),
        ("SN4021", ("PN77SN4021",), BarcodeCheck.AGREES),  # another field
        ("1111", ("11111", "A-1111"), BarcodeCheck.AGREES),
        ("", ("SN-4021",), BarcodeCheck.DIFFERS),
    ],
)
def test_a_barcode_agrees_or_differs(text: str, barcodes: tuple[str, ...], expected: BarcodeCheck) -> None:
    assert check_barcodes(text, barcodes) is expected


@pytest.mark.parametrize("kind", ["DataMatrix", "QRCode", "Code128"])
def test_barcodes_in_the_picture_are_in_the_record(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("onnx")
    zxing = pytest.importorskip("zxingcpp")
    drawn = zxing.create_barcode("SN-4021", getattr(zxing.BarcodeFormat, kind)).to_image(scale=4)
    code = np.pad(np.array(drawn, np.uint8), 60, constant_values=255)
    cv2.imwrite(str(tmp_path / "1.png"), code)
    cv2.imwrite(str(tmp_path / "2.png"), np.full((40, 160), 200, np.uint8))
    model = write_stub(tmp_path / "stub.onnx")
    pictures = [tmp_path / "1.png", tmp_path / "2.png"]
    with_code, without = Reader(model, barcodes=True).read_many(pictures)
    assert (with_code.barcodes, with_code.barcode_check) == (("SN-4021",), BarcodeCheck.DIFFERS)
    assert (without.barcodes, without.barcode_check) == ((), BarcodeCheck.NONE)
    assert (with_code.decision, with_code.reason) == (Decision.REVIEW, "barcode says SN-4021")
    assert with_code.doubts == ("barcode says SN-4021",)
    by_default = Reader(model).read(pictures[0])
    assert replace(by_default, read_at=with_code.read_at, elapsed_ms=with_code.elapsed_ms) == with_code
    plain = Reader(model, barcodes=False).read(pictures[0])
    assert (plain.barcode_check, plain.reading) == (BarcodeCheck.NOT_CHECKED, with_code.reading)


def test_barcodes_without_zxing_cpp_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    with pytest.raises(RecipeError) as caught:
        Reader(write_stub(tmp_path / "stub.onnx"), barcodes=True)
    assert Reader(write_stub(tmp_path / "stub.onnx")).barcodes is False
    expected = "barcodes: zxing-cpp is not installed. Install it: pip install 'serialread[barcodes]'"
    assert str(caught.value) == expected
