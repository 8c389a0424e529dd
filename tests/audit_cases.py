"""Readings and truths that the tests of the audit are made of."""

import csv
from pathlib import Path

import pandas as pd

from serialread.auditing.batch_scores import judge
from serialread.auditing.input_tables import BARCODE_CHECK, MEASURES, READING_COLUMNS, VERDICT
from serialread.auditing.matching import pair
from serialread.label_tables import TextTable

DATA = Path(__file__).parent / "data" / "audit"
WORDS = [VERDICT, BARCODE_CHECK]


def line(image: str, text: str, **cells: str) -> dict[str, str]:
    """One line of readings.csv, accepted and sure unless said otherwise."""
    batch = image.rpartition("/")[0]
    known = {"image": image, "batch": batch, "text": text, "confidence": "0.9", "decision": "ACCEPT"}
    return dict.fromkeys(READING_COLUMNS, "") | known | {"sha256": image} | cells


def readings(*lines: dict[str, str]) -> TextTable:
    rows = pd.DataFrame(list(lines), columns=[*READING_COLUMNS, *WORDS, *MEASURES], dtype=object)
    rows[WORDS] = rows[WORDS].fillna("")
    rows[list(MEASURES)] = rows[list(MEASURES)].astype(float)
    return TextTable(Path("readings.csv"), "00", rows)


def truths(*pairs: tuple[str, str]) -> TextTable:
    return TextTable(
        Path("labels.csv"), "00", pd.DataFrame(list(pairs), columns=["filename", "text"], dtype=object)
    )


def judged(lines: TextTable, labels: TextTable) -> pd.DataFrame:
    """Readings judged by their truths, without the tables of an audit."""
    return judge(pair(lines.rows, labels.rows).rows)


def write_readings(path: Path, *lines: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, lines[0] if lines else READING_COLUMNS)
        table.writeheader()
        table.writerows(lines)
    return path
