"""The commands ``line``, ``watch`` and ``serve``: reading on a production line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serialread.cli import options, terminal
from serialread.cli.options import ModelFile, Quiet, StationFile
from serialread.errors import RecipeError, RecordsError

if TYPE_CHECKING:
    from serialread.line import Result
    from serialread.records import Record

CodeFormat = Annotated[
    str, typer.Option("--format", help="Format of the codes: a name or a pattern, see docs/formats.md.")
]


def line(
    file: Annotated[Path, typer.Argument(help="LINE.toml: stations, sources, checks and sinks.")],
    check: Annotated[
        bool, typer.Option("--check", help="Check the file and what it names, and end.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run a line: triggers in, results out.

    Runs until it is interrupted (SIGTERM, Ctrl-C). SIGHUP reads stations and model again. Log lines are JSON
    on standard error. See docs/line/service.md.
    """
    from serialread.config import load_line

    config = load_line(file)
    _run(config, check=check, quiet=quiet)


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder in which pictures appear.")],
    out: Annotated[Path, options.out("Folder for results by day, pictures that are done, and the journal.")],
    station: StationFile = None,
    code_format: CodeFormat = "",
    model: ModelFile = None,
    quiet: Quiet = False,
) -> None:
    """Read every picture that appears in a folder.

    Prints a line for each with name, text, confidence and outcome, separated by tabs. The readings are also
    in OUT, as read writes them; the outcomes in OUT/days, one file a day; the pictures move to OUT/done and
    OUT/failed. To review them: serialread review OUT --pictures OUT/done.
    """
    if not folder.is_dir():
        raise RecordsError(f"{folder}: no such folder. Create it, or correct the path.")
    source = {"kind": "folder", "station": "watch", "path": folder.resolve()}
    tables = {
        "stations": [_station("watch", station, code_format)],
        "sources": [source | {"done": out.resolve() / "done", "failed": out.resolve() / "failed"}],
        "sinks": [
            {"kind": "readings", "name": "readings", "folder": out.resolve()},
            {"kind": "csv", "name": "csv", "folder": out.resolve() / "days"},
        ],
    }
    _run(_config(out, model, tables), printed=True, quiet=quiet)


def serve(
    station: StationFile = None,
    code_format: CodeFormat = "",
    model: ModelFile = None,
    out: Annotated[Path, options.out("Folder of the journal.")] = Path("spool"),
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this machine's own need --key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8401,
    key: Annotated[
        str, typer.Option(help="env:NAME, the environment variable with the API key that clients send.")
    ] = "",
    quiet: Quiet = False,
) -> None:
    """Serve the REST interface and the live page.

    POST /v1/read reads pictures; /docs describes the interface.
    """
    from serialread.review.web import is_loopback

    if key and not key.startswith("env:"):
        raise RecipeError(
            "--key: give env:NAME, the environment variable that holds the key, not the key itself."
        )
    if not key and not is_loopback(host):
        raise RecipeError(f"--host {host}: others can reach this address. Give --key env:NAME, too.")
    keys = [{"name": "client", "key": key, "roles": ["read", "trigger", "admin"]}] if key else []
    tables = {
        "stations": [_station("station", station, code_format)],
        "web": {"host": host, "port": port, "keys": keys},
    }
    _run(_config(out, model, tables), quiet=quiet)


def _station(name: str, file: Path | None, code_format: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "format": code_format}
    return found | {"file": file.resolve()} if file else found


def _config(out: Path, model: Path | None, tables: dict[str, Any]) -> Any:
    from serialread.config import LineConfig
    from serialread.config.section import parse

    given = {"model": model.resolve()} if model else {}
    return parse(
        {"folder": out.resolve() / "journal", **given, **tables},
        LineConfig,
        "options",
        "Correct the options.",
    )


def _run(config: Any, *, check: bool = False, printed: bool = False, quiet: bool) -> None:
    from serialread.line.daemon import LineDaemon, log_as_json

    log_as_json("warning" if quiet else config.log_level)
    daemon = LineDaemon(config)
    if check:
        daemon.close()
        for source in config.sources:
            if source.kind == "folder" and not source.path.is_dir():
                raise RecipeError(f"sources: {source.path}: no such folder. Create it, or correct the path.")
        names = ", ".join(station.name for station in config.stations)
        terminal.summary(f"valid: stations {names}; model {daemon.service.model_id}", quiet=quiet)
        return
    if printed and not quiet:
        daemon.service.listeners.append(_print_result)
    daemon.run(lambda address: terminal.result(f"{address} (Ctrl-C ends it)") if address else None)


def _print_result(result: "Result", record: "Record") -> None:
    confidence = "" if record.confidence is None else f"{record.confidence:.3f}"
    cells = (terminal.printable(record.image), result.text, confidence, result.outcome)
    terminal.result("\t".join(cells))
