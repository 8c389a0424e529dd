"""The front desk: parse, one call, print, exit code."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serialread import __version__, audit_desk, data_desk, station_desk
from serialread.errors import SerialreadError

if TYPE_CHECKING:
    from serialread import evaluation

app = typer.Typer(
    name="serialread",
    help="Read industrial serial numbers from pictures of marked parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(no_args_is_help=True, help="Inspect, export, quantize, evaluate and explain models.")
app.add_typer(model_app, name="model")
app.add_typer(data_desk.app, name="data")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"serialread {__version__}")
        raise typer.Exit


@app.callback()
def _front(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read industrial serial numbers from pictures of marked parts."""


@app.command("generate-synth")
def generate_synth(
    recipe: Annotated[Path, typer.Argument(help="What to render: a TOML such as recipes/data/marks.toml.")],
    out: Annotated[Path, typer.Option(help="Folder of the new sample store.")],
    count: Annotated[int, typer.Option(min=1, help="Samples in the store.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other samples.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render.")] = os.cpu_count() or 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped or smaller store.")] = False,
) -> None:
    """Render labelled crops into an LMDB that other readers of the field open as it is."""
    from functools import partial

    from tqdm import tqdm

    from serialread import synth
    from serialread.config import DataRecipe, load, recipe_id
    from serialread.datasets import grow

    asked = load(recipe, DataRecipe)
    about = {
        "recipe": asked.model_dump(mode="json"),
        "recipe_id": recipe_id(asked),
        "seed": seed,
        "typefaces_offered": synth.typeface_names(asked),
    }
    make = partial(synth.make_sample, asked, seed)
    with tqdm(total=count, unit=" crops", smoothing=0.1) as bar:
        for written in grow(out, make, count, about=about, workers=workers, resume=resume):
            bar.update(written - bar.n)
    typer.echo(f"{out}: {count} samples of recipe {recipe_id(asked)}, seed {seed}")


@data_desk.app.command()
def preview(
    recipe: Annotated[Path, typer.Argument(help="A data recipe (TOML).")],
    out: Annotated[Path, typer.Option(help="The picture to write, a .png.")],
    count: Annotated[int, typer.Option(min=1, help="Samples on the sheet.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other samples.")] = 0,
    columns: Annotated[int, typer.Option(min=1, help="Samples in a row.")] = 4,
    masks: Annotated[bool, typer.Option("--masks", help="Tint each character's mask, draw its box.")] = False,
    by_process: Annotated[bool, typer.Option("--by-process", help="As many of each process.")] = False,
) -> None:
    """Draw a contact sheet of a recipe's first samples, to look at before rendering many."""
    from serialread import synth
    from serialread.config import DataRecipe, load
    from serialread.synth.preview import contact_sheet, save

    asked = load(recipe, DataRecipe)
    parts = asked.by_process() if by_process else (asked,)
    each = -(-count // len(parts))
    samples = [synth.make_sample(part, seed, i) for part in parts for i in range(each)]
    save(contact_sheet(samples[:count], columns, masks=masks), out)
    typer.echo(f"{out}: {count} samples")


@app.command()
def read(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders with all that they hold.")],
    out: Annotated[Path, typer.Option(help="Folder for readings.csv and readings.jsonl.")],
    station: Annotated[Path | None, typer.Option(help="Station file: see calib/bench-camera.toml.")] = None,
    code_format: Annotated[
        str, typer.Option("--format", help="What a code looks like: a name or pattern of docs/formats.md.")
    ] = "",
    model: Annotated[Path | None, typer.Option(help="Model file; without it the shipped one.")] = None,
    engine: Annotated[
        Literal["openvino", "onnxruntime"], typer.Option(help="Library that runs the network.")
    ] = "openvino",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder's results.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 3 unless all are accepted.")] = False,
    barcodes: Annotated[
        bool, typer.Option("--barcodes", help="Hold the code against barcodes beside it.")
    ] = False,
    log: audit_desk.Log = None,
    operator: audit_desk.Operator = "",
) -> None:
    """Read the code in every picture: one line each in readings.csv."""
    from time import perf_counter

    from rich.console import Console
    from tqdm import tqdm

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
        for record in tqdm(records, total=len(start.pictures), unit=" images", smoothing=0.1):
            tally.add(record)
            pictures.append((record.image, record.image_sha256))
    Console().print(reading.console_view(tally, perf_counter() - started))
    options = {
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
    run_log.append(kept, run_log.LoggedRun("read", options, about, inputs, written, operator))
    typer.echo(f"{out}: {', '.join(reading.FILES)}{reading.aside(found, start)}")
    if strict and tally.not_accepted + start.not_accepted:
        raise typer.Exit(3)


@model_app.command()
def explain(
    image: Annotated[Path, typer.Argument(help="One picture.")],
    out: Annotated[Path, typer.Option(help="The drawing, a .png.")],
    station: Annotated[Path | None, typer.Option(help="Station file: see calib/bench-camera.toml.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model file; without it the shipped one.")] = None,
) -> None:
    """Draw what the network looked at: glyph maps over the crop, attention a character."""
    from serialread.config import Station, load
    from serialread.reader import explanation
    from serialread.weights import shipped_model

    place = load(station, Station) if station else None
    found = explanation.Explainer(model or shipped_model(), place).explain(image)
    explanation.save(found.drawn(), out)
    typer.echo(f"{out}: {found.told.text}, confidence {found.told.confidence:.3f}")


station_desk.register(app)
audit_desk.register(app)


@app.command()
def train(
    recipe: Annotated[
        Path, typer.Argument(help="What to train: a TOML such as recipes/train/siga-compact.toml.")
    ],
    data: Annotated[
        list[Path], typer.Option("--data", help="A sample store to learn from; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="The run's folder: best.pt, last.pt, log.jsonl.")],
    valid: Annotated[list[Path] | None, typer.Option(help="A store to choose the best network by.")] = None,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Checkpoint or model file (.onnx) to start from.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Train a network on sample stores."""
    _require_torch()
    from tqdm import tqdm

    from serialread import training
    from serialread.config import TrainingRecipe, load
    from serialread.datasets import SampleStore

    asked = load(recipe, TrainingRecipe)
    stores, held_out = [SampleStore(path) for path in data], [SampleStore(path) for path in valid or ()]
    with (
        training.stop_by_signal() as stop,
        tqdm(total=asked.optimisation.steps, unit=" steps", smoothing=0.05) as bar,
    ):
        for progress in training.train(
            asked, stores, out, valid=held_out, resume=resume, start_from=start_from, stop=stop
        ):
            bar.update(progress.step - bar.n)
            bar.set_postfix_str(
                f"loss {progress.loss:.2f}, best {progress.best:.1%}, {progress.crops_per_s:.0f} crops/s",
                refresh=False,
            )
    typer.echo(f"{out}: {bar.n:.0f} of {bar.total} steps taken")


@model_app.command()
def info(
    recipe: Annotated[Path, typer.Argument(help="A training recipe: recipes/train/siga-compact.toml.")],
    width: Annotated[int | None, typer.Option(help="Width of the crop to look at, px.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a network's parts, shapes, parameters, multiplications and speed."""
    _require_torch()
    import json
    from dataclasses import asdict

    from serialread.codes import Alphabet
    from serialread.config import TrainingRecipe, load
    from serialread.models import describe

    asked = load(recipe, TrainingRecipe)
    told = describe(asked.name, asked.network, asked.geometry, Alphabet(), width)
    typer.echo(json.dumps(asdict(told)) if as_json else told.to_text())


@model_app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder, or one of its checkpoints.")],
    out: Annotated[Path, typer.Option(help="The model file to write, an .onnx.")] = Path("model.onnx"),
) -> None:
    """Write a trained network as one model file that needs no torch."""
    _require_torch()
    from serialread.training import checkpoint

    checkpoint.export(run, out)
    typer.echo(f"{out}: {checkpoint.load(run).model_id}, {out.stat().st_size / 1e6:.1f} MB")


@model_app.command()
def quantize(
    model: Annotated[Path, typer.Argument(help="A model file (.onnx).")],
    stores: Annotated[
        list[Path], typer.Argument(help="Sample stores, LMDBs of the field, folders with labels.csv.")
    ],
    crops: Annotated[int, typer.Option(min=1, help="Crops by which ranges are measured.")] = 200,
) -> None:
    """Let a model multiply in eight bits, faster, if it then reads as well; writes MODEL.ranges.json."""
    from serialread import evaluation
    from serialread.inference import quantization

    trial = evaluation.quantize(model, stores, crops)
    typer.echo(f"{quantization.beside(model)}: {trial.to_text()}")


@model_app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model file (.onnx), a run's folder or a checkpoint.")],
    stores: Annotated[
        list[Path], typer.Argument(help="Sample stores, LMDBs of the field, folders with labels.csv.")
    ],
    against: Annotated[Path | None, typer.Option(help="Another model, compared on the same crops.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables, and every crop as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model on labelled crops: shares read by each protocol, tables, where it looks, McNemar."""
    import json

    from serialread import evaluation

    report = evaluation.evaluate(_opened(model), stores, None if against is None else _opened(against))
    typer.echo(json.dumps(report.to_json()) if as_json else report.to_text())
    if out is not None:
        report.write(out)
        typer.echo(f"{out}: {', '.join(evaluation.FILES)}", err=True)


def _opened(model: Path) -> "Path | evaluation.Model":
    """A model file as it is; the network of a run."""
    if model.suffix == ".onnx":
        return model
    _require_torch()
    from serialread import training

    return training.open_run(model)


def _require_torch() -> None:
    """Training alone needs torch; reading never does."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise SerialreadError("training: torch is not installed. Install it: pip install 'serialread[train]'")


def main() -> None:
    """Run the command line; a SerialreadError becomes one line and exit code 1."""
    try:
        app()
    except SerialreadError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
