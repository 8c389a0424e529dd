"""The command ``review``: a local web page on which people check readings."""

from pathlib import Path
from typing import Annotated

import typer

from serialread.cli import terminal
from serialread.cli.options import Operator, Quiet, StationFile
from serialread.errors import SerialreadError


def review(
    results: Annotated[Path, typer.Argument(help="Folder that read --out wrote, or is writing.")],
    pictures: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the pictures, as given to read. Without it, the run's log names it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for review.sqlite and its log. Without it, RESULTS."),
    ] = None,
    station: StationFile = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this machine's own need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8400,
    random_share: Annotated[
        float,
        typer.Option(
            "--random", min=0, max=1, help="Share of the reviews drawn at random, for the accuracy."
        ),
    ] = 0.2,
    second_share: Annotated[
        float, typer.Option("--second", min=0, max=1, help="Share of the readings that two people review.")
    ] = 0.1,
    imported: Annotated[
        Path | None,
        typer.Option("--import", help="Labels to import: labels.csv, Label Studio JSON, CVAT XML. No page."),
    ] = None,
    exported: Annotated[
        Path | None, typer.Option("--export", help="Folder for labels.csv and calls.csv. No page.")
    ] = None,
    operator: Operator = "",
    quiet: Quiet = False,
) -> None:
    """Review readings on a local web page.

    People confirm or correct what was read, by keyboard; every call is committed and logged. Readings that
    gain most come first, with a random share that keeps the accuracy unbiased.
    """
    from serialread.review import ReviewPictures, ReviewQueue, ReviewStore, export_labels, import_labels
    from serialread.review.queue import readings_in

    readings_in(results)  # before the store makes its files
    store = ReviewStore(out or results)
    queue = ReviewQueue(store, results, random_share, second_share)
    if imported:
        terminal.summary(import_labels(queue, imported, operator).summary(), quiet=quiet)
    if exported:
        written = export_labels(queue, exported, operator)
        terminal.summary(f"{exported}: {', '.join(path.name for path in written)}", quiet=quiet)
    if imported or exported:
        return
    _require_web()
    from serialread.review import web

    found = ReviewPictures(results, pictures or (), station)
    name = results.resolve().name
    web.serve(queue, found, name, host, port, lambda address: terminal.result(f"{address} (Ctrl-C ends it)"))


def _require_web() -> None:
    from importlib.util import find_spec

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise SerialreadError(
            "review: starlette or uvicorn is not installed. Install them: pip install 'serialread[web]'"
        )
