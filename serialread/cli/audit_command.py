"""The command ``audit``: readings in, report out."""

from pathlib import Path
from typing import Annotated

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Log, Operator, Quiet


def audit(
    results: Annotated[Path, typer.Argument(help="Folder that read --out wrote, or its readings.csv.")],
    out: Annotated[Path, options.out("Folder for the tables, audit.json, audit.md and report.html.")],
    truth: Annotated[
        Path | None, typer.Option(help="Table with the columns filename,text: the right codes.")
    ] = None,
    batches: Annotated[
        Path | None,
        typer.Option(help="Table with the column batch or filename, and others such as shift, tool or date."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Column of --batches that defines the batches. Without it, the folders do."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Control limits that an earlier audit wrote with --freeze.")
    ] = None,
    freeze: Annotated[Path | None, typer.Option(help="File for the control limits of this audit.")] = None,
    sample: Annotated[
        int, typer.Option(min=1, help="How many pictures without truth to draw for labelling.")
    ] = 299,
    excel: Annotated[bool, typer.Option("--excel", help="Also write audit.xlsx.")] = False,
    pictures: Annotated[
        bool, typer.Option(help="Read the most important failures again and show them in report.html.")
    ] = True,
    log: Log = None,
    operator: Operator = "",
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every finding, not only the first ten.")
    ] = False,
) -> None:
    """Audit the readings of a run.

    Counts what was read and, with --truth, how much of it is right; compares the batches with control charts.
    """
    from serialread import auditing, run_log
    from serialread.weights import shipped_model

    log = log or out / run_log.LOG
    run_log.last(log)
    done = auditing.audit(results, truth, batches=batches, by=by, baseline=baseline, sample=sample)
    if pictures:
        logs = (auditing.readings_path(results).with_name(run_log.LOG), log)
        done = done.with_failure_pictures(logs, shipped_model())
    if freeze is not None:
        done.freeze(freeze)
    written = done.write(out, excel=excel)
    terminal.table(auditing.console_view(done), quiet=quiet)
    if verbose:
        for finding in done.findings:
            terminal.note(f"{finding.severity}: {finding.text}")
    done.log(log, (*written, freeze) if freeze else written, operator)
    documents = [path.name for path in reversed(written) if path.suffix != ".csv"]
    tables = len(written) - len(documents)
    terminal.summary(f"{out}: {', '.join(documents)}, {tables} tables; run logged in {log}", quiet=quiet)
