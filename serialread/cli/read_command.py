"""The command ``read``: pictures in; readings on the terminal or in a folder."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Log, ModelFile, Operator, Quiet, StationFile


def read(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders with all that they hold.")],
    out: Annotated[Path, options.out("Folder for readings.csv and readings.jsonl.")],
    station: StationFile = None,
    code_format: Annotated[
        str, typer.Option("--format", help="Format of the codes: a name or a pattern, see docs/formats.md.")
    ] = "",
    model: ModelFile = None,
    engine: Annotated[
        Literal["openvino", "onnxruntime"], typer.Option(help="Library that runs the network.")
    ] = "openvino",
    barcodes: Annotated[
        bool, typer.Option("--barcodes", help="Cross-check against barcodes in the picture.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a stopped run in the folder --out.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results in the folder --out.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 3 unless every reading is accepted.")
    ] = False,
    log: Log = None,
    operator: Operator = "",
    quiet: Quiet = False,
) -> None:
    """Read the codes in pictures.

    Writes one line per picture to readings.csv.
    """
    from time import perf_counter

    from serialread import reader

    if resume and overwrite:
        raise typer.BadParameter("--resume keeps the results, --overwrite replaces them: give one")
    run = reader.read_folder(
        paths,
        out,
        model=model,
        station=station,
        format=code_format,
        engine=engine,
        barcodes=barcodes,
        resume=resume,
        overwrite=overwrite,
        strict=strict,
        log=log,
        operator=operator,
    )
    started = perf_counter()
    for _ in terminal.track(run, run.total, "images", quiet=quiet):
        pass
    terminal.table(reader.console_view(run.summary, perf_counter() - started), quiet=quiet)
    remarks = {
        "kept from before": run.kept,
        "read again, for their pictures have changed": run.again,
        "files passed over, no pictures by their names": len(run.passed_over),
    }
    more = "".join(f"; {count} {remark}" for remark, count in remarks.items() if count)
    terminal.summary(f"{out}: {', '.join(reader.FILES)}{more}", quiet=quiet)
    if strict and run.not_accepted:
        raise typer.Exit(3)
