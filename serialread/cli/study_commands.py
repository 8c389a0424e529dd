"""The group ``study``: compare two readers, plan a sample, measure the agreement of people."""

from pathlib import Path
from typing import Annotated

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Quiet, Truth

app = typer.Typer(no_args_is_help=True, help="Compare readers, plan checks, rate people.")


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Results of the first reader: a folder or readings.csv.")],
    b: Annotated[Path, typer.Argument(help="Results of the second reader on the same pictures.")],
    truth: Truth,
    out: Annotated[Path, options.out("Folder for compare.csv, compare.json and compare.md.")],
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


@app.command()
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


@app.command()
def agreement(
    calls: Annotated[
        Path,
        typer.Argument(
            help="Table with the columns filename,appraiser,trial,text; an empty text is a refusal."
        ),
    ],
    truth: Truth,
    out: Annotated[Path, options.out("Folder for agreement.csv, agreement.json and agreement.md.")],
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
