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

    from serialread import reader as reading
    from serialread import run_log
    from serialread.config import Station, load
    from serialread.weights import shipped_model

    if resume and overwrite:
        raise typer.BadParameter("--resume keeps the results, --overwrite replaces them: give one")
    kept = log or out / run_log.LOG
    run_log.last(kept)
    found = reading.find_images(paths)
    place = load(station, Station) if station else Station()
    place = place.with_format(code_format) if code_format else place
    reader = reading.Reader(model or shipped_model(), place, engine, barcodes=barcodes)
    mode: reading.Mode = "resume" if resume else "overwrite" if overwrite else "new"
    with reading.claimed(out):
        start = reading.begin(out, mode, found.pictures, reader.model_id, reader.station.station_id)
        started, tally, pictures = perf_counter(), reading.RunSummary(), list[tuple[str, str]]()
        compared = reading.compare_codes(reader.read(start.pictures), start.codes)
        records = reading.write_records(compared, out)
        for record in terminal.track(records, len(start.pictures), "images", quiet=quiet):
            tally.add(record)
            pictures.append((record.image, record.image_sha256))
    terminal.table(reading.console_view(tally, perf_counter() - started), quiet=quiet)
    settings = {
        "pictures": [run_log.named(path, kept) for path in paths],
        "model": run_log.named(model, kept) if model else "",
        "engine": engine,
        "resume": resume,
        "strict": strict,
        "barcodes": barcodes,
    }
    about = {
        "model_id": reader.model_id,
        "station": reader.station.model_dump(mode="json", exclude_defaults=True),
        "station_id": reader.station.station_id,
        "images": tally.images,
        "images_sha256": run_log.pictures_digest(pictures),
    }
    written = tuple(out / name for name in reading.FILES)
    inputs = tuple(path for path in (station, model) if path)
    run_log.append(kept, run_log.LoggedRun("read", settings, about, inputs, written, operator))
    terminal.summary(f"{out}: {', '.join(reading.FILES)}{reading.aside(found, start)}", quiet=quiet)
    if strict and tally.not_accepted + start.not_accepted:
        raise typer.Exit(3)
