"""The commands ``train`` and ``teach`` and the group ``model``: networks and model files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Json, ModelFile, Quiet, StationFile

if TYPE_CHECKING:
    from serialread import evaluation

TrainingRecipeFile = Annotated[
    Path,
    typer.Argument(help="Training recipe (TOML), such as recipes/train/siga-compact.toml.", metavar="RECIPE"),
]
Labelled = Annotated[
    list[Path], typer.Argument(help="Sample stores, LMDBs of crops, or folders with labels.csv.")
]

app = typer.Typer(no_args_is_help=True, help="Describe, export and evaluate models.")


def train(
    recipe: TrainingRecipeFile,
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Sample store, or data recipe (.toml) to render from; may be repeated."),
    ],
    out: Annotated[Path, options.out("Folder of the run: best.pt, last.pt, log.jsonl.")],
    valid: Annotated[
        list[Path] | None, typer.Option(help="Sample store for validation; chooses the best checkpoint.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Run folder, checkpoint (.pt) or weights (.safetensors) to start from."),
    ] = None,
    branch: Annotated[
        Path | None,
        typer.Option(help="Folder of a run with a constant rate: go on from it, and take the rate to zero."),
    ] = None,
    decay_crops: Annotated[int, typer.Option(min=1, help="Crops that a branch lasts.")] = 150_000,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder --out.")] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Processor or GPU; auto takes a GPU if there is one."),
    ] = "auto",
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print a line for every validation.")
    ] = False,
) -> None:
    """Train a model on sample stores.

    A data recipe in place of a store renders crops while the model trains. Ctrl-C or SIGTERM stops after the
    current step and keeps last.pt; --resume continues. Needs torch.

    On several GPUs or machines: torchrun --nproc-per-node 8 -m serialread train ...
    """
    options.require_torch()
    if branch and start_from:
        raise typer.BadParameter("--branch continues a run, --from starts one: give one")
    from serialread import training
    from serialread.config import DataRecipe, TrainingRecipe, load
    from serialread.datasets import SampleStore

    loaded, held_out = load(recipe, TrainingRecipe), [SampleStore(path) for path in valid or ()]
    sources = [load(path, DataRecipe) if path.suffix == ".toml" else SampleStore(path) for path in data]
    step, steps, quiet = 0, loaded.optimization.steps, quiet or not training.leads()
    with training.stop_by_signal() as stop, terminal.progress_bar(steps, "steps", quiet=quiet) as bar:
        for progress in training.train(
            loaded,
            sources,
            out,
            valid=held_out,
            resume=resume,
            start_from=start_from,
            branch=branch,
            decay_crops=decay_crops,
            device=device,
            stop=stop,
        ):
            step, steps = progress.step, progress.steps
            bar.total = steps
            state = f"loss {progress.loss:.2f}, best {progress.best:.1%}, {progress.crops_per_s:.0f} crops/s"
            bar.set_postfix_str(state, refresh=False)
            bar.update(step - bar.n)
            if verbose and progress.validation:
                terminal.note(f"step {step}: {state}")
    terminal.summary(f"{out}: {step} of {steps} steps taken", quiet=quiet)


def teach(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Results folder with labels.csv, as the review page exports it, or folder of pictures with "
            "labels.csv.",
            metavar="LABELLED",
        ),
    ] = None,
    out: Annotated[Path, options.out("Folder of the model's versions.")] = Path("taught"),
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Weights to teach: run folder, .pt or .safetensors. Without it, the live version in --out, "
            "or else the shipped model.",
        ),
    ] = None,
    station: StationFile = None,
    golden: Annotated[
        Path | None,
        typer.Option(help="Labelled crops that must not get worse. Without it, 1,000 rendered ones."),
    ] = None,
    unlabelled: Annotated[
        bool,
        typer.Option(
            "--unlabelled",
            help="Also learn readings that a check character, a barcode or a second reader confirms.",
        ),
    ] = False,
    protocol: Annotated[
        Literal["strict", "mpsc"] | None,
        typer.Option(
            help="What the labels say: every character (strict), or letters and digits only (mpsc). "
            "Without it, as the station is calibrated, or strict."
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Processor or GPU; auto takes a GPU if there is one."),
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a lesson that was stopped.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Make the version before the last lesson live again.")
    ] = False,
    log: options.Log = None,
    operator: options.Operator = "",
    quiet: Quiet = False,
) -> None:
    """Teach a model its mistakes.

    Fine-tunes it on labelled pictures and on rendered ones, so that it forgets nothing. The new model becomes
    live only if it reads held-out labels better and a golden set no worse; otherwise exit code 3. Needs torch
    and at least 20 labelled pictures.
    """
    options.require_torch()
    from serialread import teaching

    if undo:
        terminal.summary(teaching.undo_lesson(out, log=log, operator=operator), quiet=quiet)
        return
    if source is None:
        raise typer.BadParameter("name a folder with labels.csv, or give --undo")
    lesson = teaching.teach(
        source,
        out,
        start_from=start_from,
        station=station,
        golden=golden,
        unlabelled=unlabelled,
        protocol=protocol,
        device=device,
        resume=resume,
        log=log,
        operator=operator,
    )
    with terminal.progress_bar(None, "", quiet=quiet) as bar:
        for progress in lesson:
            bar.set_description_str(progress.stage, refresh=False)
            if progress.right is not None:
                bar.set_postfix_str(f"{progress.right} of {progress.held_out} held-out right", refresh=False)
            bar.total = progress.total
            bar.update(progress.done - bar.n)
    assert lesson.outcome is not None
    terminal.summary(lesson.outcome.summary(), quiet=quiet)
    if not lesson.outcome.ok:
        raise typer.Exit(3)


@app.command()
def info(
    recipe: TrainingRecipeFile,
    width: Annotated[int | None, typer.Option(help="Width of the crop, px.")] = None,
    as_json: Json = False,
) -> None:
    """Describe the network of a training recipe.

    Prints its parts and shapes, parameters, multiply-accumulates (MACs) and speed. Needs torch.
    """
    options.require_torch()
    import json
    from dataclasses import asdict

    from serialread.codes import Alphabet
    from serialread.config import TrainingRecipe, load
    from serialread.models import describe

    loaded = load(recipe, TrainingRecipe)
    description = describe(loaded.name, loaded.network, loaded.geometry, Alphabet(), width)
    terminal.result(json.dumps(asdict(description)) if as_json else description.to_text())


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run, or one of its checkpoints.")],
    out: Annotated[
        Path | None,
        options.out("Model file to write (.onnx). Default: model.onnx, unless --trainable is given."),
    ] = None,
    trainable: Annotated[
        Path | None,
        typer.Option(help="File for the weights (.safetensors), to train from with train --from."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Export a trained network as a model file.

    The model file needs no torch. Export needs torch.
    """
    options.require_torch()
    from serialread import training
    from serialread.training import checkpoint

    model_id = checkpoint.load(run).model_id
    model_file = out or (None if trainable else Path("model.onnx"))
    for path, write in ((model_file, training.export), (trainable, checkpoint.save_trainable)):
        if path is not None:
            write(run, path)
            terminal.summary(f"{path}: {model_id}, {path.stat().st_size / 1e6:.1f} MB", quiet=quiet)


@app.command()
def average(
    runs: Annotated[list[Path], typer.Argument(help="Folders of training runs, or their checkpoints.")],
    out: Annotated[Path, options.out("Checkpoint to write (.pt).")] = Path("mean.pt"),
    quiet: Quiet = False,
) -> None:
    """Average the weights of trained networks.

    Branches of one campaign may be averaged: their mean often reads more than each of them. Measure it.
    Averaging needs torch.
    """
    options.require_torch()
    from serialread.training import checkpoint

    mean = checkpoint.save_mean(runs, out)
    terminal.summary(f"{out}: {mean.model_id}, the mean of {len(runs)}", quiet=quiet)


@app.command()
def quantize(
    model: Annotated[Path, typer.Argument(help="Model file (.onnx).")],
    stores: Labelled,
    crops: Annotated[int, typer.Option(min=1, help="Number of crops that calibrate the quantization.")] = 200,
    quiet: Quiet = False,
) -> None:
    """Quantize a model to int8.

    Writes MODEL.ranges.json next to the model file if the quantized model reads the labelled crops as well;
    otherwise it is an error.
    """
    from serialread import evaluation
    from serialread.inference import quantization

    trial = evaluation.quantize(model, stores, crops)
    terminal.summary(f"{quantization.ranges_path(model)}: {trial.to_text()}", quiet=quiet)


@app.command()
def evaluate(
    model: Annotated[
        Path, typer.Argument(help="Model file (.onnx), folder of a training run, or checkpoint.")
    ],
    stores: Labelled,
    against: Annotated[
        Path | None, typer.Option(help="Second model, compared on the same crops by McNemar's test.")
    ] = None,
    out: Annotated[
        Path | None, options.out("Folder for the tables and a CSV with one line per crop.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model on labelled crops.

    Prints the accuracy by three protocols, tables by kind of crop, and how well the attention fits the
    characters.
    """
    import json

    from serialread import evaluation

    report = evaluation.evaluate(_opened(model), stores, None if against is None else _opened(against))
    if as_json:
        terminal.result(json.dumps(report.to_json()))
    else:
        terminal.summary(report.to_text(), quiet=quiet)
    if out is not None:
        report.write(out)
        terminal.summary(f"{out}: {', '.join(evaluation.FILES)}", quiet=quiet or as_json)


@app.command()
def explain(
    image: Annotated[Path, typer.Argument(help="Picture to explain.")],
    out: Annotated[Path, options.out("Picture to write (.png).")],
    station: StationFile = None,
    model: ModelFile = None,
    quiet: Quiet = False,
) -> None:
    """Show what the model saw in a picture.

    Draws the glyph maps over the crop, and the attention of every character.
    """
    from serialread.imaging import save_png
    from serialread.reader import Reader
    from serialread.reader.decisions import NOTHING_READ

    found = Reader(model, station).explain(image)
    save_png(found.drawn(), out, "an explanation")
    text, confidence = found.reading.text, found.reading.confidence
    said = f"{text}, confidence {confidence:.3f}" if text else NOTHING_READ
    terminal.summary(f"{out}: {said}", quiet=quiet)


def _opened(model: Path) -> "Path | evaluation.Model":
    """A model file as it is; the network of a training run or checkpoint."""
    if model.suffix == ".onnx":
        return model
    options.require_torch()
    from serialread import training

    return training.open_run(model)
