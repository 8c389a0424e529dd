"""Records to audit: what was read, held against the truth, counted and laid out for people."""

from pathlib import Path

from serialread.auditing.agreement_study import FILES as AGREEMENT_FILES
from serialread.auditing.agreement_study import agree
from serialread.auditing.console import console_view
from serialread.auditing.counting import BatchScore
from serialread.auditing.examination import Audit, Question, examine
from serialread.auditing.failures import Again, Cases
from serialread.auditing.findings import Finding, Severity
from serialread.auditing.plans import claim_plan, sampling_plan
from serialread.auditing.reader_comparison import FILES as COMPARE_FILES
from serialread.auditing.reader_comparison import compare
from serialread.auditing.rerunning import rerun
from serialread.auditing.sampling import SAMPLE
from serialread.auditing.tables import read_batches, read_readings, readings_path
from serialread.auditing.trending import freeze, read_frozen
from serialread.auditing.workbook import require_excel
from serialread.auditing.writing import FILES, WORKBOOK, require_free, write_audit
from serialread.label_tables import read_labels

__all__ = [
    "AGREEMENT_FILES",
    "COMPARE_FILES",
    "FILES",
    "WORKBOOK",
    "Again",
    "Audit",
    "BatchScore",
    "Finding",
    "Severity",
    "agree",
    "audit",
    "claim_plan",
    "compare",
    "console_view",
    "readings_path",
    "rerun",
    "sampling_plan",
]


def audit(
    results: Path,
    truth: Path | None,
    out: Path,
    *,
    batches: Path | None = None,
    by: str | None = None,
    baseline: Path | None = None,
    frozen: Path | None = None,
    sample: int = SAMPLE,
    excel: bool = False,
    again: Again | None = None,
) -> Audit:
    """Hold readings against the truth and write the audit.

    Args:
        results: readings.csv, or the folder that ``serialread read --out`` wrote.
        truth: table with the columns filename and text; None counts what was read, without judging it.
        out: folder for ``FILES``; made if it is missing, files of these names are replaced.
        batches: table with the column batch or filename, and others to sum up by.
        by: column that makes the batches; None takes the pictures' folders.
        baseline: control limits that an earlier audit froze.
        frozen: file to freeze this audit's control limits in.
        sample: images without truth to draw for labelling.
        excel: write ``WORKBOOK`` too.
        again: how to read the most telling failures again for the page; None leaves their pictures out.

    Raises:
        RecordsError: inputs that are missing or broken, or a folder that cannot be written.
    """
    if excel:
        require_excel()
    readings = read_readings(results)
    truths = None if truth is None else read_labels(truth)
    table = None if batches is None else read_batches(batches)
    question = Question(table, by, None if baseline is None else read_frozen(baseline), sample)
    inputs = [readings.path, truth, batches, baseline]
    require_free(out, [path for path in (*inputs, frozen) if path is not None])
    done = examine(readings, truths, question)
    if frozen is not None:
        freeze(done.trends, frozen)
    cases = Cases() if again is None else again.look(done.errors, readings.path)
    write_audit(done, out, cases, excel=excel)
    return done
