"""The desk for sample stores: look through one, make one of labelled pictures."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Look through sample stores; make one of labelled pictures.")


@app.command()
def check(
    store: Annotated[Path, typer.Argument(help="A sample store.")],
) -> None:
    """Count what a store holds and name every sample that is not as it should be: exit code 3 if any is."""
    from tqdm import tqdm

    from serialread.datasets import Census, SampleStore

    samples, census = SampleStore(store), Census()
    for _ in tqdm(census.walk(samples), total=len(samples), unit=" samples", smoothing=0.1):
        pass
    typer.echo(census.to_text())
    if census.problems:
        raise typer.Exit(3)


@app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder with labels.csv, an LMDB of the field's schema, or photographs with boxes."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new sample store.")],
) -> None:
    """Make a store of labelled pictures; what cannot be used is counted, with its reason."""
    from serialread.datasets import ImportSource, write_store

    found = ImportSource(source)
    written = write_store(out, found.samples(), about={"imported": str(source)})
    typer.echo(f"{out}: {written} samples of {source}")
    for reason, count in found.left_out.most_common():
        typer.echo(f"left out: {count}, {reason}")
