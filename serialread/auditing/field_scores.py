"""Fields of nameplates: how many values are right, for every column that readings and truths share."""

import numpy as np
import pandas as pd

from serialread.metrics import TextDistances, strict
from serialread.metrics.intervals import rate_columns, ratio

READ_AS, STATED_AS = "field:", "truth:"
"""Begin the names of columns with the values that were read, and with their truths."""

FIGURES = ("field", "images", "found", "known", "right", "wrong", "missing")


def field_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per field: the columns of fields.csv.

    Args:
        rows: readings with the columns of their fields and of their truths, named as above.
    """
    names = [name.removeprefix(READ_AS) for name in rows.columns if name.startswith(READ_AS)]
    lines = [_scores(name, rows) for name in names if STATED_AS + name in rows]
    table = pd.DataFrame(lines, columns=[*FIGURES, "edits", "truth_chars", "cer"])
    rates = rate_columns("accuracy", table["right"], table["known"])
    return table.assign(**rates)


def _scores(name: str, rows: pd.DataFrame) -> tuple[str | int | float, ...]:
    texts, truths = rows[READ_AS + name].fillna(""), rows[STATED_AS + name].fillna("")
    found = np.array([strict(text) != "" for text in texts], bool)
    known = np.array([strict(truth) != "" for truth in truths], bool)
    marks = TextDistances.of(texts[known], truths[known], strict)
    edits, chars = int(marks.edits.sum()), int(marks.truth_chars.sum())
    right, count = int((marks.edits == 0).sum()), int(known.sum())
    missing = int((known & ~found).sum())
    figures = (len(rows), int(found.sum()), count, right, count - right, missing, edits, chars)
    return (name, *figures, round(ratio(edits, chars), 6))
