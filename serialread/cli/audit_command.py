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
) -> None:
    """Audit the readings of a run.

    Counts what was read and, with --truth, how much of it is right; compares the batches with control charts.
    """
    from serialread import auditing, run_log
    from serialread.weights import shipped_model

    kept = log or out / run_log.LOG
    run_log.last(kept)
    beside = auditing.readings_path(results).with_name(run_log.LOG)
    done = auditing.audit(
        results,
        truth,
        out,
        batches=batches,
        by=by,
        baseline=baseline,
        frozen=freeze,
        sample=sample,
        excel=excel,
        again=auditing.Again((beside, kept), shipped_model()) if pictures else None,
    )
    terminal.table(auditing.console_view(done), quiet=quiet)
    written = [*auditing.FILES, *([auditing.WORKBOOK] if excel else [])]
    inputs = [path for path in (auditing.readings_path(results), truth, batches, baseline) if path]
    outputs = [*(out / name for name in written), *([freeze] if freeze else [])]
    settings = {"by": by, "sample": sample, "excel": excel}
    about = {"models": done.models, "stations": done.stations, "images": done.total.images}
    run_log.append(kept, run_log.LoggedRun("audit", settings, about, tuple(inputs), tuple(outputs), operator))
    documents = [name for name in reversed(written) if not name.endswith(".csv")]
    tables = len(written) - len(documents)
    terminal.summary(f"{out}: {', '.join(documents)}, {tables} tables; run logged in {kept}", quiet=quiet)
