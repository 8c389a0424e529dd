"""The command line: every command parses its options, calls the library, prints and sets the exit code.

Exit codes: 0 done, 1 an error (one line on standard error), 2 wrong usage, 3 a check that failed
(``read --strict``, ``validate``, ``teach``, ``data check``).
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from serialread import __version__
from serialread.cli import (
    audit_commands,
    data_commands,
    detector_commands,
    line_commands,
    model_commands,
    read_command,
    review_command,
    station_commands,
    terminal,
)
from serialread.errors import SerialreadError

_ORDER = (
    "read",
    "review",
    "line",
    "watch",
    "serve",
    "log",
    "audit",
    "study",
    "validate",
    "station",
    "generate-synth",
    "data",
    "train",
    "teach",
    "model",
    "detector",
)


def _without_flag_types(options: list[Any]) -> list[Any]:
    """Let the help show ``--quiet`` instead of ``--quiet <bool>``."""
    for option in options:
        if getattr(option, "is_flag", False):
            option.metavar = ""
    return options


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_flag_types(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_flag_types(super().get_params(ctx))


class _OrderedGroup(_Group):
    """Lists commands and groups in one order, so that the help panels keep theirs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    name="serialread",
    cls=_OrderedGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command(rich_help_panel="Read")(read_command.read)
app.command(rich_help_panel="Read")(review_command.review)
app.command(rich_help_panel="Line")(line_commands.line)
app.command(rich_help_panel="Line")(line_commands.watch)
app.command(rich_help_panel="Line")(line_commands.serve)
app.add_typer(audit_commands.log_of_runs, name="log", rich_help_panel="Read")
app.command(rich_help_panel="Audit")(audit_commands.audit)
app.add_typer(audit_commands.study, name="study", rich_help_panel="Audit")
app.command(rich_help_panel="Stations")(station_commands.validate)
app.add_typer(station_commands.app, name="station", rich_help_panel="Stations")
app.command("generate-synth", rich_help_panel="Data")(data_commands.generate_synth)
app.add_typer(data_commands.app, name="data", rich_help_panel="Data")
app.command(rich_help_panel="Models")(model_commands.train)
app.command(rich_help_panel="Models")(model_commands.teach)
app.add_typer(model_commands.app, name="model", rich_help_panel="Models")
app.add_typer(detector_commands.app, name="detector", rich_help_panel="Models")
for _group in app.registered_groups:
    _group.cls = _Group
    for _command in _group.typer_instance.registered_commands if _group.typer_instance else ():
        _command.cls = _Command
for _command in app.registered_commands:
    _command.cls = _Command


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.result(f"serialread {__version__}")
        raise typer.Exit


@app.callback()
def _serialread(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Read industrial serial numbers from pictures of marked parts.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 a check failed.
    """


def main() -> None:
    """Run the command line; a SerialreadError becomes one line on standard error and exit code 1."""
    terminal.prepare_streams()
    try:
        app()
    except SerialreadError as error:
        terminal.error(str(error))
        sys.exit(1)
