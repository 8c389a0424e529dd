"""Records to audit: what was read, held against the truth, counted and laid out for people."""

from pathlib import Path

from serialread.reporting.auditing import Audit, examine
from serialread.reporting.console import console_view
from serialread.reporting.counting import BatchScore
from serialread.reporting.findings import Finding, Severity
from serialread.reporting.tables import read_readings, read_truth
from serialread.reporting.writing import FILES, require_free, write_audit

__all__ = ["FILES", "Audit", "BatchScore", "Finding", "Severity", "audit", "console_view"]


def audit(results: Path, truth: Path | None, out: Path) -> Audit:
    """Hold readings against the truth and write the audit.

    Args:
        results: readings.csv, or the folder that ``serialread read --out`` wrote.
        truth: table with the columns filename and text; None counts what was read, without judging it.
        out: folder for ``FILES``; made if it is missing, files of these names are replaced.

    Raises:
        RecordsError: inputs that are missing or broken, or a folder that cannot be written.
    """
    readings = read_readings(results)
    truths = None if truth is None else read_truth(truth)
    require_free(out, [readings.path, *([truths.path] if truths else [])])
    done = examine(readings, truths)
    write_audit(done, out)
    return done
