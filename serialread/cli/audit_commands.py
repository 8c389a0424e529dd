"""The command ``audit``, and the groups ``study`` and ``log``: all that works on written results."""

from pathlib import Path
from typing import Annotated

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Log, Operator, Quiet, Truth

study = typer.Typer(no_args_is_help=True, help="Compare readers, plan checks, rate people.")
log_of_runs = typer.Typer(no_args_is_help=True, help="Verify a log of runs, or repeat a run of it.")


def audit(
    results: Annotated[
        str, typer.Argument(help="Folder (or URL of shards) that read --out wrote, or its readings.csv.")
    ],
    out: Annotated[Path, options.out("Folder for the tables, audit.json, audit.md and report.html.")],
    truth: Annotated[
        Path | None,
        typer.Option(help="Table with the columns filename,text: the right codes. Others: of fields."),
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
    fold_lookalikes: Annotated[
        bool,
        typer.Option(
            "--fold-lookalikes",
            help="Take characters of the truths that look like ASCII ones (Cyrillic, dashes) for these.",
        ),
    ] = False,
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
    done = auditing.audit(
        results,
        truth,
        batches=batches,
        by=by,
        baseline=baseline,
        sample=sample,
        fold_lookalikes=fold_lookalikes,
        log=log,
    )
    if pictures:
        logs = (auditing.readings_path(Path(results)).with_name(run_log.LOG), log)
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


@study.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Results of the first reader: a folder or readings.csv.")],
    b: Annotated[Path, typer.Argument(help="Results of the second reader on the same pictures.")],
    truth: Truth,
    out: Annotated[Path, options.out("Folder for compare.csv, compare.html, compare.json and compare.md.")],
    quiet: Quiet = False,
) -> None:
    """Compare two readers by McNemar's test.

    Says whether the second reader is better than the first, and lists the pictures that got better or worse.
    """
    from serialread import auditing

    done = auditing.compare(a, b, truth)
    written = done.write(out)
    terminal.summary(done.summary(), quiet=quiet)
    terminal.summary(f"{out}: {', '.join(path.name for path in written)}", quiet=quiet)


@study.command()
def plan(
    target: Annotated[float | None, typer.Option(help="Accuracy to claim, such as 0.999.")] = None,
    confidence: Annotated[float, typer.Option(help="One-sided confidence of the claim.")] = 0.95,
    aql: Annotated[
        float | None, typer.Option(help="Acceptance quality limit in percent defective, such as 0.65.")
    ] = None,
    lot: Annotated[int | None, typer.Option(min=2, help="Parts in the lot; required with --aql.")] = None,
) -> None:
    """Plan how many pictures or parts to check.

    With --target, prints how many labelled pictures a claim about accuracy needs. With --aql and --lot,
    prints the sample size and acceptance number for a lot.
    """
    from serialread import auditing

    if (target is None) == (aql is None) or (aql is None) != (lot is None):
        raise typer.BadParameter("give --target, or --aql with --lot")
    if target is not None:
        terminal.result(auditing.plan_claim(target, confidence).summary())
    elif aql is not None and lot is not None:
        terminal.result(auditing.plan_sampling(lot, aql).summary())


@study.command()
def agreement(
    calls: Annotated[
        Path,
        typer.Argument(
            help="Table with the columns filename,appraiser,trial,text; an empty text is a refusal."
        ),
    ],
    truth: Truth,
    out: Annotated[
        Path, options.out("Folder for agreement.csv, agreement.html, agreement.json and agreement.md.")
    ],
    results: Annotated[
        Path | None, typer.Option(help="Readings that take part as the appraiser 'reader'.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure the agreement of appraisers.

    Compares people and the reader with the truth, with themselves and with each other (kappa).
    """
    from serialread import auditing

    done = auditing.agreement(calls, truth, results)
    written = done.write(out)
    terminal.summary(done.summary(), quiet=quiet)
    terminal.summary(f"{out}: {', '.join(path.name for path in written)}", quiet=quiet)


@log_of_runs.command()
def verify(
    log: Annotated[Path, typer.Argument(help="Log of runs (runs.log) that read or audit wrote.")],
    head: Annotated[
        str | None, typer.Option(help="Digest noted earlier; the log must still contain this line.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Verify a log of runs.

    Exit code 1 if a line was changed, removed or moved, or if a file that a run wrote has changed since.
    """
    from serialread import run_log

    found = run_log.verify(log, head)
    terminal.summary(found.summary(), quiet=quiet)
    if not found.ok:
        raise typer.Exit(1)


@log_of_runs.command()
def rerun(
    log: Annotated[Path, typer.Argument(help="Log of runs (runs.log) that read wrote.")],
    line: Annotated[
        int | None, typer.Option(help="Line of the run. Without it, the last run of read.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Repeat a run of read and compare.

    Reads the pictures of the run again. Exit code 1 if a result differs; the differences are listed.
    """
    from serialread import auditing
    from serialread.weights import shipped_model

    done = auditing.rerun(log, shipped_model(), line)
    terminal.summary(done.summary(), quiet=quiet)
    if not done.ok:
        raise typer.Exit(1)
