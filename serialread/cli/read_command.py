"""The command ``read``: pictures in; readings on the terminal or in a folder."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serialread.cli import options, terminal
from serialread.cli.options import (
    Address,
    Log,
    ModelFile,
    Operator,
    Quiet,
    SecondReaderBelow,
    SecondReaderName,
    StationFile,
)

if TYPE_CHECKING:
    from serialread.reader import FolderRun, FoundFiles, Reader
    from serialread.records import Record
    from serialread.scale import ShardedRun

_STDIN = "-"
_NAMES_SHOWN = 10


def read(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, or folders with everything below them; - is standard input. With --runner also a "
            "URL (s3://...), a sample store or a manifest."
        ),
    ],
    out: Annotated[
        str | None,
        options.out(
            "Folder for readings.csv and readings.jsonl; with --runner folder or URL of Parquet files. "
            "Without it, readings are printed."
        ),
    ] = None,
    station: StationFile = None,
    code_format: Annotated[
        str, typer.Option("--format", help="Format of the codes: a name or a pattern, see docs/formats.md.")
    ] = "",
    model: ModelFile = None,
    engine: Annotated[
        Literal["openvino", "onnxruntime"], typer.Option(help="Library that runs the network.")
    ] = "openvino",
    barcodes: Annotated[
        bool | None,
        typer.Option(help="Cross-check against barcodes in the picture. By default, if zxing-cpp is there."),
    ] = None,
    second_reader: SecondReaderName = "",
    second_reader_below: SecondReaderBelow = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line per picture; with --out, one JSON summary.")
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
    excel: Annotated[
        bool, typer.Option("--excel", help="Also write readings.xlsx, in which texts stay texts.")
    ] = False,
    runner: Annotated[
        Literal["processes", "ray"] | None,
        typer.Option(
            help="Read in shards into Parquet files, by processes of this machine or by a Ray cluster (extra "
            "scale)."
        ),
    ] = None,
    address: Address = "",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that read, one core each; by default one per core with --runner, and from 400 "
            "crops or 40 photographs on.",
        ),
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Pictures per shard of --runner.")] = 1000,
    log: Log = None,
    operator: Operator = "",
    quiet: Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Say on standard error why readings are not accepted; always done for one picture.",
        ),
    ] = False,
) -> None:
    """Read the codes in pictures.

    Without --out, the readings are printed. If one picture is given by name, only its code is printed, and on
    standard error why it is not accepted. Otherwise every picture is a line with name, text, confidence and
    decision, separated by tabs.

    With --out, they are written to readings.csv and readings.jsonl, and the run is added to a log. A stopped
    run continues with --resume.

    With --runner, pictures are read in shards by many workers; each shard becomes a Parquet file, which the
    command audit takes.
    """
    from serialread import reader as reading
    from serialread.worker_processes import return_freed_memory

    _check_usage(context, paths, out)
    return_freed_memory()
    if runner is not None:
        from serialread.scale import read_shards, runner_of

        sharded = read_shards(
            paths,
            str(out),
            model=model,
            station=station,
            format=code_format,
            engine=engine,
            barcodes=barcodes,
            shard_size=shard_size,
            runner=runner_of(runner, workers or os.cpu_count() or 1, address),
            resume=resume,
            overwrite=overwrite,
            log=log,
            operator=operator,
        )
        refused = _write_shards(sharded, str(out), as_json=as_json, quiet=quiet)
    elif out is None:
        found = None if paths == [_STDIN] else reading.find_images(map(Path, paths))
        files = [picture.path for picture in found.pictures] if found else []
        processes = workers or reading.processes_for(files)
        reader = reading.Reader(
            model,
            station,
            code_format,
            engine,
            barcodes,
            second_reader=second_reader,
            second_reader_below=second_reader_below,
            workers=1 if processes > 1 else 0,
        )
        refused = _print_readings(
            reader, paths, found, processes, as_json=as_json, quiet=quiet, verbose=verbose
        )
    else:
        run = reading.read_folder(
            paths,
            out,
            model=model,
            station=station,
            format=code_format,
            engine=engine,
            barcodes=barcodes,
            second_reader=second_reader,
            second_reader_below=second_reader_below,
            resume=resume,
            overwrite=overwrite,
            strict=strict,
            excel=excel,
            workers=workers,
            log=log,
            operator=operator,
        )
        refused = _write_readings(run, Path(out), as_json=as_json, quiet=quiet, verbose=verbose)
    if strict and refused:
        raise typer.Exit(3)


def _check_usage(context: typer.Context, paths: list[str], out: str | None) -> None:
    commanded = {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }
    given = commanded & {"resume", "overwrite", "excel", "log", "operator"}
    if {"resume", "overwrite"} <= given:
        raise typer.BadParameter("--resume keeps the results, --overwrite replaces them: give one")
    if given and out is None:
        raise typer.BadParameter(f"--{min(given)} requires --out: without it nothing is written")
    if context.params["runner"] is None and (sharded := {"address", "shard_size"} & commanded):
        raise typer.BadParameter(f"--{min(sharded).replace('_', '-')} requires --runner")
    if context.params["runner"] is not None:
        if out is None:
            raise typer.BadParameter("--runner requires --out: shards are written, not printed")
        if other := {"excel", "verbose", "second_reader", "second_reader_below"} & commanded:
            raise typer.BadParameter(f"--{min(other).replace('_', '-')} does not go with --runner")
    if _STDIN in paths and (len(paths) > 1 or out):
        raise typer.BadParameter("- reads one picture from standard input: give it alone and without --out")


def _print_readings(
    reader: "Reader",
    paths: list[str],
    found: "FoundFiles | None",
    processes: int,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Print the readings of the pictures found, or of the one on standard input if none were looked for.

    Returns:
        How many are not accepted.
    """
    from serialread.reader import check_sequences
    from serialread.reader.serialization import json_line

    if found is None:
        records: Iterable[Record] = [reader.read(sys.stdin.buffer.read(), name="-")]
    else:
        hidden = quiet or sys.stdout.isatty()  # a bar between the lines would be in the way
        every = check_sequences(reader.read_many(found.pictures, processes=processes))
        records = terminal.track(every, len(found.pictures), "images", quiet=hidden)
    alone = len(paths) == 1 and not Path(paths[0]).is_dir()
    refused = 0
    for record in records:
        refused += record.decision != "ACCEPT"
        if as_json:
            terminal.result(json.dumps(json_line(record)))
        else:
            terminal.result(record.text if alone else _line(record))
        if verbose or (alone and not as_json and not quiet):
            _explain_decision(record)
    if found and found.skipped and not quiet:
        terminal.note(_skipped(found.skipped))
    return refused


def _write_readings(run: "FolderRun", out: Path, *, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Carry out a run over folders and print its summary; returns how many readings are not accepted."""
    from time import perf_counter

    from serialread.reader import FILES, console_view
    from serialread.records import Decision

    started = perf_counter()
    for record in terminal.track(run, run.total, "images", quiet=quiet):
        if verbose:
            _explain_decision(record)
    if as_json:
        terminal.result(json.dumps(_run_json(run)))
        return run.not_accepted
    terminal.table(console_view(run.summary, perf_counter() - started), quiet=quiet)
    counts = {
        "kept from before": run.kept,
        "read again because their pictures have changed": run.again,
        "rejected, see the column reason": run.summary.decisions[Decision.REJECT],
    }
    remarks = "".join(f"; {count} {remark}" for remark, count in counts.items() if count)
    terminal.summary(f"{out}: {', '.join(FILES)}{remarks}", quiet=quiet)
    if run.skipped:
        terminal.summary(_skipped(run.skipped), quiet=quiet)
    return run.not_accepted


def _write_shards(run: "ShardedRun", out: str, *, as_json: bool, quiet: bool) -> int:
    """Carry out a run in shards and print its summary; returns how many readings are not accepted."""
    with terminal.progress_bar(run.total - run.kept, "images", quiet=quiet) as bar:
        for shard in run:
            bar.update(shard.rows)
    counts = {decision.value.lower(): count for decision, count in run.decisions.items()}
    if as_json:
        found = {"images": run.total, **counts, "kept": run.kept, "shards": len(run.results)}
        terminal.result(json.dumps(found))
    else:
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        kept = f"; {run.kept} kept from before" if run.kept else ""
        text = f"{out}: {len(run.results)} Parquet files, {run.total} images: {listed}{kept}"
        terminal.summary(text, quiet=quiet)
    return run.total - counts["accept"]


def _run_json(run: "FolderRun") -> dict[str, object]:
    decisions = {name.lower(): count for name, count in run.summary.decisions.items()}
    return {
        "images": run.summary.images,
        "read": run.summary.read,
        **decisions,
        "kept": run.kept,
        "read_again": run.again,
        "not_accepted": run.not_accepted,
        "skipped": list(run.skipped),
    }


def _line(record: "Record") -> str:
    confidence = "" if record.confidence is None else f"{record.confidence:.3f}"
    return "\t".join([terminal.printable(record.image), record.text, confidence, record.decision])


def _explain_decision(record: "Record") -> None:
    if record.reason:
        terminal.note(f"{record.image}: {record.decision}: {record.reason}")


def _skipped(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMES_SHOWN
    listed = ", ".join(names[:_NAMES_SHOWN]) + (f", ... and {more} more" if more > 0 else "")
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    hidden = any(Path(name).name.startswith(".") for name in names)
    why = "hidden, or not a picture suffix" if hidden else "not a picture suffix"
    return f"{files} skipped ({why}): {listed}"
