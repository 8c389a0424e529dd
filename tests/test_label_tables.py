"""One reader of ``filename,text`` tables for every entry point, in every form that spreadsheets write."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from audit_cases import line, write_readings

from serialread.auditing import audit
from serialread.calibration import load_labelled
from serialread.datasets import ImportSource
from serialread.evaluation import labelled_samples
from serialread.label_tables import read_labels, read_table

FORMS = {
    "UTF-8, comma, blank lines": "filename,text\n\ngehäuse.png,0012\n\n\n".encode(),
    "UTF-8 with mark, semicolon": "\ufefffilename;text\r\ngehäuse.png;0012\r\n".encode(),
    "UTF-16, tab": "filename\ttext\r\ngehäuse.png\t0012\r\n".encode("utf-16"),
    "Windows-1252, semicolon": "filename;text\r\ngehäuse.png;0012\r\n".encode("cp1252"),
    "named separator, quotes, old line ends": 'sep=;\r"Text";"Filename"\r"0012";"gehäuse.png"\r'.encode(),
}


def truth_of_audit(folder: Path) -> str:
    write_readings(folder / "readings.csv", line("gehäuse.png", "0012"))
    done = audit(folder, folder / "labels.csv")
    return "0012" if done.total["right"] == 1 else ""


def truth_of_calibration(folder: Path) -> str:
    return "".join(load_labelled(folder).truths)


def truth_of_import(folder: Path) -> str:
    return "".join(sample.text for sample in ImportSource(folder).samples())


def truth_of_evaluation(folder: Path) -> str:
    return "".join(sample.text for sample in labelled_samples(folder)[0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "truth_of", [truth_of_audit, truth_of_calibration, truth_of_import, truth_of_evaluation]
)
def test_every_entry_point_reads_every_form(
    tmp_path: Path, truth_of: Callable[[Path], str], form: str
) -> None:
    (tmp_path / "labels.csv").write_bytes(FORMS[form])
    pixels = np.full((20, 60), 200, np.uint8)
    (tmp_path / "gehäuse.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    assert truth_of(tmp_path) == "0012"


@pytest.mark.parametrize("text", ["0012", "NA", "1e5", "nan", "TRUE", " 7 ", "-", "+1"])
def test_texts_stay_the_texts_they_are(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(f"filename,text\na.png,{text}\n")
    assert read_labels(tmp_path / "labels.csv").pairs() == [("a.png", text)]


def test_columns_of_any_name_are_kept_as_text(tmp_path: Path) -> None:
    (tmp_path / "batches.csv").write_text("Batch; Shift ;\nb1;01;\n")
    table = read_table(tmp_path / "batches.csv", ("batch",))
    assert (list(table.rows), table.rows.to_numpy().tolist()) == (["batch", "shift"], [["b1", "01"]])


def test_lines_that_reviewers_labelled_as_no_reading_have_no_code(tmp_path: Path) -> None:
    for name in "abcd":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 80), 128, np.uint8))
    table = "filename,text,label\na.png,A1,read\nb.png,B2,wrong crop\nc.png,,no code\nd.png,D4,\n"
    (tmp_path / "labels.csv").write_text(table)
    found = load_labelled(tmp_path)
    assert (found.truths, found.unlabelled) == (("A1", "D4"), 2)
