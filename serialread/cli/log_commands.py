"""The commands ``log verify`` and ``log rerun``: prove what a log of runs says."""

from pathlib import Path
from typing import Annotated

import typer

from serialread.cli import terminal
from serialread.cli.options import Quiet

app = typer.Typer(no_args_is_help=True, help="Verify a log of runs, or repeat a run of it.")


@app.command()
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


@app.command()
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
