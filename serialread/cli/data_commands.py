"""The command ``generate-synth`` and the group ``data``: sample stores and data recipes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from serialread.cli import options, terminal
from serialread.cli.options import Address, Quiet, Runner

DataRecipeFile = Annotated[
    Path, typer.Argument(help="Data recipe (TOML), such as recipes/data/marks.toml.", metavar="RECIPE")
]
NewStore = Annotated[Path, options.out("Folder of the new sample store.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed; another seed gives other samples.")]

app = typer.Typer(no_args_is_help=True, help="Check, import and preview training data.")


def generate_synth(
    recipe: DataRecipeFile,
    out: NewStore,
    count: Annotated[int, typer.Option(min=1, help="Number of samples in the store.")],
    seed: Seed = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. Without it, one per processor core.")
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, help="Write so many shards and a manifest instead of one LMDB.")
    ] = None,
    shard_size: Annotated[int | None, typer.Option(min=1, help="The same, by samples per shard.")] = None,
    runner: Runner = "processes",
    address: Address = "",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a stopped or smaller store.")] = False,
    quiet: Quiet = False,
) -> None:
    """Render labelled crops into a sample store.

    A store is an LMDB with the keys that deep-text-recognition-benchmark and PARSeq read. With --shards or
    --shard-size it is a folder of such LMDBs and a manifest.json, which takes the place of a store
    everywhere; each shard is rendered by one process.
    """
    import os

    from serialread.config import DataRecipe, load, recipe_id
    from serialread.datasets import generate
    from serialread.scale import generate_shards, runner_of

    if shards and shard_size:
        raise typer.BadParameter("--shards and --shard-size say the same: give one")
    if runner == "ray" and not (shards or shard_size):
        raise typer.BadParameter("--runner ray renders shards: give --shards or --shard-size")
    loaded = load(recipe, DataRecipe)
    processes = workers or os.cpu_count() or 1
    size = shard_size or (-(-count // shards) if shards else None)
    if size:
        who = runner_of(runner, processes, address)
        made = generate_shards(loaded, out, count, shard_size=size, seed=seed, runner=who, resume=resume)
    else:
        made = generate(loaded, out, count, seed=seed, workers=processes, resume=resume)
    with terminal.progress_bar(count, "crops", quiet=quiet) as bar:
        for written in made:
            bar.update(written - bar.n)
    terminal.summary(f"{out}: {count} samples of recipe {recipe_id(loaded)}, seed {seed}", quiet=quiet)


@app.command()
def check(
    store: Annotated[Path, typer.Argument(help="Folder of a sample store, or a manifest of shards.")],
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List every problem, not only the first 20.")
    ] = False,
) -> None:
    """Check a sample store before training.

    Prints what the store contains and lists the samples with problems. Exit code 3 if there are any.
    """
    from serialread.datasets import SampleStore, StoreReport

    samples, report = SampleStore(store), StoreReport()
    for _ in terminal.track(report.check(samples), len(samples), "samples", quiet=quiet):
        pass
    terminal.summary(report.to_text(), quiet=quiet)
    if verbose:
        for problem in report.problems:
            terminal.note(f"sample {problem.index}: {problem.what}")
    if report.problems:
        raise typer.Exit(3)


@app.command()
def merge(
    stores: Annotated[
        list[Path], typer.Argument(help="Sample stores or manifests, in the order of samples.")
    ],
    out: Annotated[Path, options.out("Folder of the new manifest.")],
    quiet: Quiet = False,
) -> None:
    """Merge sample stores into one.

    Writes a manifest that names the shards of all; no sample is copied. Samples that occur twice are refused.
    """
    from serialread import datasets

    made = datasets.merge(stores, out)
    terminal.summary(f"{out}: {made.count} samples in {len(made.shards)} shards", quiet=quiet)


@app.command()
def export(
    store: Annotated[Path, typer.Argument(help="Folder of a sample store, or a manifest of shards.")],
    out: Annotated[str, options.out("Folder or URL (s3://...) for the files.")],
    to: Annotated[
        Literal["webdataset", "parquet"], typer.Option(help="Archives of WebDataset, or Parquet files.")
    ],
    file_samples: Annotated[int, typer.Option(min=1, help="Samples of a file.")] = 10_000,
    quiet: Quiet = False,
) -> None:
    """Export a sample store for other programs.

    Pictures, texts, character masks and origins are written as they are stored. Needs the extra scale.
    """
    from serialread import datasets

    samples = datasets.SampleStore(store)
    with terminal.progress_bar(len(samples), "samples", quiet=quiet) as bar:
        for written in datasets.export(samples, out, to, file_samples=file_samples):
            bar.update(written - bar.n)
    terminal.summary(f"{out}: {len(samples)} samples as {to}", quiet=quiet)


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(help="Folder with labels.csv, an LMDB of crops, or photographs with boxes.")
    ],
    out: NewStore,
    quiet: Quiet = False,
) -> None:
    """Import labelled pictures into a sample store.

    Pictures that cannot be used are counted, with the reason.
    """
    from serialread.datasets import ImportSource, write_store

    found = ImportSource(source)
    samples = terminal.track(found.samples(), None, "samples", quiet=quiet)
    written = write_store(out, samples, about={"imported": str(source)})
    terminal.summary(f"{out}: {written} samples of {source}", quiet=quiet)
    for reason, count in found.left_out.most_common():
        terminal.summary(f"left out: {count}, {reason}", quiet=quiet)


@app.command()
def preview(
    recipe: DataRecipeFile,
    out: Annotated[Path, options.out("Picture to write (.png).")],
    count: Annotated[int, typer.Option(min=1, help="Number of samples on the sheet.")] = 60,
    seed: Seed = 0,
    columns: Annotated[int, typer.Option(min=1, help="Samples per row.")] = 4,
    masks: Annotated[
        bool, typer.Option("--masks", help="Show the mask and the box of every character.")
    ] = False,
    by_process: Annotated[
        bool, typer.Option("--by-process", help="Draw equally many samples of every process or kind.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet of a data recipe.

    Shows the first samples of the recipe before many are rendered.
    """
    from serialread.synth.preview import write_preview

    write_preview(recipe, out, count=count, seed=seed, columns=columns, masks=masks, by_process=by_process)
    terminal.summary(f"{out}: {count} samples", quiet=quiet)
