"""The group ``detector``: networks that find text lines in whole pictures."""

from pathlib import Path
from typing import Annotated

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Quiet

app = typer.Typer(no_args_is_help=True, help="Train, export and quantize line detectors.")


@app.command()
def train(
    recipe: Annotated[
        Path,
        typer.Argument(help="Detector recipe (TOML), such as recipes/train/detector.toml.", metavar="RECIPE"),
    ],
    data: Annotated[list[Path], typer.Option("--data", help="Store of scenes; may be repeated.")],
    out: Annotated[Path, options.out("Folder of the run: detector.safetensors, last.pt, log.jsonl.")],
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Weights to start from, such as recipes/weights/lines.safetensors."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a line detector on stores of scenes.

    Ctrl-C or SIGTERM stops after the current step and keeps last.pt; --resume continues. Needs torch.
    """
    options.require_torch()
    from serialread.config import load
    from serialread.config.detector_recipe import DetectorRecipe
    from serialread.datasets import SampleStore
    from serialread.training import stop_by_signal
    from serialread.training.detector_training import train_detector

    loaded, stores = load(recipe, DetectorRecipe), [SampleStore(path) for path in data]
    step, steps = 0, loaded.optimization.steps
    with stop_by_signal() as stop, terminal.progress_bar(steps, "steps", quiet=quiet) as bar:
        for progress in train_detector(loaded, stores, out, resume=resume, start_from=start_from, stop=stop):
            step = progress.step
            state = f"loss {progress.loss:.2f}, {progress.windows_per_s:.0f} windows/s"
            bar.set_postfix_str(state, refresh=False)
            bar.update(step - bar.n)
    terminal.summary(f"{out}: {step} of {steps} steps taken", quiet=quiet)


@app.command()
def export(
    weights: Annotated[Path, typer.Argument(help="Weights of a run: detector.safetensors.")],
    out: Annotated[Path, options.out("Model file to write (.onnx).")],
    quiet: Quiet = False,
) -> None:
    """Export a trained line detector.

    The model file needs no torch. Export needs torch.
    """
    options.require_torch()
    from serialread.training.detector_export import export_detector

    size = export_detector(weights, out).stat().st_size
    terminal.summary(f"{out}: {size / 1e6:.1f} MB", quiet=quiet)


@app.command()
def quantize(
    detector: Annotated[Path, typer.Argument(help="Model file of a detector (.onnx).")],
    stores: Annotated[list[Path], typer.Argument(help="Stores of scenes that it has not learned from.")],
    scenes: Annotated[
        int, typer.Option(min=1, help="Number of scenes that calibrate the quantization.")
    ] = 60,
    quiet: Quiet = False,
) -> None:
    """Quantize a line detector to int8.

    Writes DETECTOR.ranges.json next to the model file if the quantized detector finds the lines of the scenes
    as well; otherwise it is an error.
    """
    from serialread import evaluation
    from serialread.inference import quantization

    trial = evaluation.quantize_detector(detector, stores, scenes)
    terminal.summary(f"{quantization.ranges_path(detector)}: {trial.to_text()}", quiet=quiet)
