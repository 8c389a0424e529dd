"""The front desk: parse, one call, print, exit code."""

import sys
from typing import Annotated

import typer

from serialread import __version__
from serialread.errors import SerialreadError

app = typer.Typer(
    name="serialread",
    help="Read industrial serial numbers from pictures of marked parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"serialread {__version__}")
        raise typer.Exit


@app.callback()
def _front(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Read industrial serial numbers from pictures of marked parts."""


def main() -> None:
    """Run the command line; a SerialreadError becomes one line and exit code 1."""
    try:
        app()
    except SerialreadError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
