"""The front desk's commands for auditing: parse, one call, print, exit code."""

from pathlib import Path
from typing import Annotated

import typer

Results = Annotated[Path, typer.Argument(help="Folder that read --out wrote, or its readings.csv.")]
Log = Annotated[
    Path | None,
    typer.Option(envvar="SERIALREAD_LOG", help="Hash-chained log of runs; without it runs.log in --out."),
]
Operator = Annotated[str, typer.Option(envvar="SERIALREAD_OPERATOR", help="Who runs this, for the log.")]
Truth = Annotated[Path, typer.Option(help="Table with the columns filename,text.")]


def audit(
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder for the tables, audit.json, audit.md and report.html.")],
    truth: Annotated[Path | None, typer.Option(help="Table with the columns filename,text.")] = None,
    batches: Annotated[
        Path | None,
        typer.Option(help="Table with the column batch or filename, and others: shift, tool, date."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Column that makes the batches; without it the folders.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Control limits of an earlier audit --freeze.")
    ] = None,
    freeze: Annotated[Path | None, typer.Option(help="File to keep this audit's control limits in.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Images without truth to draw for labelling.")] = 299,
    excel: Annotated[bool, typer.Option("--excel", help="Write audit.xlsx too.")] = False,
    pictures: Annotated[
        bool, typer.Option(help="Read the most telling failures again, and show them in report.html.")
    ] = True,
    log: Log = None,
    operator: Operator = "",
) -> None:
    """Count what was read, how much of it is right, and whether the batches are still the same process."""
    from rich.console import Console

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
    Console().print(auditing.console_view(done))
    written = [*auditing.FILES, *([auditing.WORKBOOK] if excel else [])]
    inputs = [path for path in (auditing.readings_path(results), truth, batches, baseline) if path]
    outputs = [*(out / name for name in written), *([freeze] if freeze else [])]
    options = {"by": by, "sample": sample, "excel": excel}
    about = {"models": done.models, "stations": done.stations, "images": done.total.images}
    run_log.append(kept, run_log.LoggedRun("audit", options, about, tuple(inputs), tuple(outputs), operator))
    documents = [name for name in reversed(written) if not name.endswith(".csv")]
    typer.echo(f"{out}: {', '.join(documents)}, {len(written) - len(documents)} tables; run noted in {kept}")


def audit_compare(
    a: Annotated[Path, typer.Argument(help="Results of one reader: folder or readings.csv.")],
    b: Annotated[Path, typer.Argument(help="Results of the other, on the same pictures.")],
    truth: Truth,
    out: Annotated[Path, typer.Option(help="Folder for compare.csv, compare.json and compare.md.")],
) -> None:
    """Say whether B reads better than A, by McNemar's test, and which pictures got better and worse."""
    from serialread import auditing

    typer.echo(auditing.compare(a, b, truth, out))
    typer.echo(f"{out}: {', '.join(auditing.COMPARE_FILES)}")


def audit_plan(
    target: Annotated[float | None, typer.Option(help="Share of right ones to claim, such as 0.999.")] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of the claim, one-sided.")] = 0.95,
    aql: Annotated[
        float | None, typer.Option(help="Acceptance quality limit, per cent bad, such as 0.65.")
    ] = None,
    lot: Annotated[int | None, typer.Option(min=2, help="Parts in the lot; goes with --aql.")] = None,
) -> None:
    """Say how many pictures a claim needs (--target), or how many parts of a lot to look at (--aql --lot)."""
    from serialread import auditing

    if (target is None) == (aql is None) or (aql is None) != (lot is None):
        raise typer.BadParameter("give --target, or --aql with --lot")
    if target is not None:
        typer.echo(auditing.claim_plan(target, confidence))
    elif aql is not None and lot is not None:
        typer.echo(auditing.sampling_plan(lot, aql))


def audit_agreement(
    calls: Annotated[
        Path, typer.Argument(help="Table filename,appraiser,trial,text; an empty text refuses.")
    ],
    truth: Truth,
    out: Annotated[Path, typer.Option(help="Folder for agreement.csv, agreement.json and agreement.md.")],
    results: Annotated[
        Path | None, typer.Option(help="Readings that take part as the appraiser 'reader'.")
    ] = None,
) -> None:
    """Say how well people and the reader agree with the truth, with themselves and with each other."""
    from serialread import auditing

    typer.echo(auditing.agree(calls, truth, out, results))
    typer.echo(f"{out}: {', '.join(auditing.AGREEMENT_FILES)}")


def audit_verify(
    log: Annotated[Path, typer.Argument(help="The log of runs that read and audit keep with --log.")],
    head: Annotated[
        str | None, typer.Option(help="Digest noted earlier: the log must still hold this line.")
    ] = None,
) -> None:
    """Prove that no line of a log was changed, removed or moved, nor what its runs wrote."""
    from serialread import run_log

    found = run_log.verify(log, head)
    typer.echo(found.words())
    if not found.ok:
        raise typer.Exit(1)


def audit_rerun(
    log: Annotated[Path, typer.Argument(help="The log of runs that read keeps.")],
    line: Annotated[int | None, typer.Option(help="Line of the run; without it the last that read.")] = None,
) -> None:
    """Read the pictures of a logged run again and prove equal results, or name what differs."""
    from serialread import auditing
    from serialread.weights import shipped_model

    done = auditing.rerun(log, shipped_model(), line)
    typer.echo(done.words())
    if not done.ok:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add these commands to the front desk."""
    study = typer.Typer(no_args_is_help=True, help="Compare readers, plan samples, measure agreement.")
    log = typer.Typer(no_args_is_help=True, help="Verify a log of runs; run a logged run again.")
    app.command()(audit)
    for group, name, command in (
        (study, "compare", audit_compare),
        (study, "plan", audit_plan),
        (study, "agreement", audit_agreement),
        (log, "verify", audit_verify),
        (log, "rerun", audit_rerun),
    ):
        group.command(name)(command)
    app.add_typer(study, name="study")
    app.add_typer(log, name="log")
