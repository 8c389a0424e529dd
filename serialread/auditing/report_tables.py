"""An audit as tables: what each file and sheet holds."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pandas as pd

from serialread.auditing.counting import BatchScore
from serialread.auditing.examination import Audit
from serialread.auditing.rates import rate_columns
from serialread.auditing.tables import MARK_PARTS
from serialread.auditing.trending import trends_table
from serialread.metrics import AccuracyCounts
from serialread.records import GRADES

TABLES = (
    "batches",
    "groups",
    "errors",
    "characters",
    "confusions",
    "positions",
    "lengths",
    "confidence",
    "coverage",
    "trends",
    "sampling",
    "unmatched",
)
"""Names of the tables, in the order of the sheets."""


def tables(audit: Audit) -> dict[str, pd.DataFrame]:
    """Every table of an audit by its name; those of ``TABLES``."""
    counted, certainty = audit.characters, audit.certainty
    found = (
        score_table((*audit.batches, audit.total)),
        _groups(audit),
        audit.errors,
        counted.characters,
        counted.confusions,
        counted.positions,
        counted.lengths,
        certainty.reliability,
        certainty.coverage,
        trends_table(audit.trends),
        audit.sampling,
        audit.unmatched,
    )
    return dict(zip(TABLES, found, strict=True))


def score_table(scores: Sequence[BatchScore]) -> pd.DataFrame:
    """Lines of batches.csv; rates have six decimals, what is undefined is nan."""
    names = [field.name for field in fields(BatchScore)]
    of = {name: [getattr(score, name) for score in scores] for name in names}
    quantiles = np.array(of["confidence"], np.float64).reshape(len(scores), 3)
    parts = np.array(of["mark_parts"], np.float64).reshape(len(scores), len(MARK_PARTS))
    known = [score.strict.total for score in scores]
    return pd.DataFrame(
        {
            **{name: of[name] for name in ("batch", "images", "read", "accepted", "review", "rejected")},
            "no_read": of["no_read"],
            **rate_columns("no_read_rate", of["no_read"], of["images"]),
            "no_truth": [score.no_truth for score in scores],
            **_tally_columns(of["strict"], ""),
            **_tally_columns(of["mpsc"], "mpsc_"),
            "length_errors": of["length_errors"],
            **rate_columns("length_error_rate", of["length_errors"], known),
            "accepted_known": of["accepted_known"],
            "misread": of["misread"],
            **rate_columns("misread_rate", of["misread"], of["accepted_known"]),
            "verdicts": of["verdicts"],
            "misformed": of["misformed"],
            **rate_columns("misformed_rate", of["misformed"], of["verdicts"]),
            **{f"confidence_p{p}": quantiles[:, i].round(6) for i, p in enumerate(("05", "50", "95"))},
            **{f"{m}_p50": np.round(of[m], 6) for m in ("text_height_px", "contrast", "elapsed_ms")},
            **{f"mark_{grade}": [g[i] for g in of["grades"]] for i, grade in enumerate(GRADES)},
            "mark_grade_mean": np.round([score.mark_grade for score in scores], 6),
            **{f"{part}_p50": parts[:, i].round(6) for i, part in enumerate(MARK_PARTS)},
        }
    )


def _tally_columns(tallies: Sequence[AccuracyCounts], prefix: str) -> dict[str, object]:
    right, total = [tally.right for tally in tallies], [tally.total for tally in tallies]
    cells = {
        "right": right,
        "wrong": [tally.wrong for tally in tallies],
        **rate_columns("accuracy", right, total),
        "edits": [tally.edits for tally in tallies],
        "truth_chars": [tally.truth_chars for tally in tallies],
        "cer": np.round([tally.cer for tally in tallies], 6),
        "one_minus_ned": np.round([tally.one_minus_ned for tally in tallies], 6),
    }
    return {prefix + name: column for name, column in cells.items()}


def _groups(audit: Audit) -> pd.DataFrame:
    """One line a column of the batch table and value; the columns are those of batches.csv."""
    parts = [
        score_table(scores).rename(columns={"batch": "value"}).assign(column=name)
        for name, scores in audit.groups.items()
    ]
    empty = score_table(()).rename(columns={"batch": "value"}).assign(column="")
    joined = pd.concat(parts, ignore_index=True) if parts else empty
    return joined[["column", *joined.columns.drop("column")]]
