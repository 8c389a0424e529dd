"""The front desk's commands for stations: normalize, calibrate lens, fixture, geometry and confidence."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Out = Annotated[Path, typer.Option(help="Station file to write.")]
From = Annotated[Path | None, typer.Option("--station", help="Station file to go on from.")]
Labels = Annotated[Path, typer.Argument(help="Folder with labels.csv (filename,text) and images/.")]
Model = Annotated[Path | None, typer.Option(help="Model file; without it the shipped one.")]

calibrate = typer.Typer(help="Fit a station to pictures of it.", no_args_is_help=True)


def normalize(
    image: Annotated[Path, typer.Argument(help="One picture.")],
    out: Annotated[Path, typer.Option(help="The sheet, a .png.")],
    station: Annotated[Path | None, typer.Option(help="Station file: see calib/bench-camera.toml.")] = None,
    model: Model = None,
) -> None:
    """Draw what happens to a picture before it is read, step by step."""
    from serialread import calibration, imaging

    imaging.save_png(calibration.draw_normalization(image, station, model), out, "a sheet of steps")
    typer.echo(f"{out}: the steps of {image.name}")


@calibrate.command("lens")
def calibrate_lens(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures of the board, or folders of them.")],
    out: Out,
    columns: Annotated[int, typer.Option(min=3, help="Squares across.")],
    rows: Annotated[int, typer.Option(min=3, help="Squares down.")],
    board: Annotated[
        Literal["checkerboard", "charuco"], typer.Option(help="Squares alone, or with 4x4_50 markers.")
    ] = "checkerboard",
    station: From = None,
) -> None:
    """Measure how the lens bends straight lines, from pictures of a board at several tilts."""
    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    done = calibration.calibrate_lens(pictures, board, columns, rows, station)
    calibration.save_station(done.station, out)
    typer.echo(f"{out}: {done.summary}")


@calibrate.command("fixture")
def calibrate_fixture(
    image: Annotated[Path, typer.Argument(help="A picture of a part that lies right.")],
    box: Annotated[
        tuple[float, float, float, float],
        typer.Option(help="LEFT TOP RIGHT BOTTOM of a mark that all parts have, as shares of the sides."),
    ],
    out: Out,
    by: Annotated[Literal["print", "edge"], typer.Option(help="Compare greys, or their edges.")] = "print",
    turn: Annotated[float, typer.Option(min=0, max=180, help="Degrees that parts may be turned.")] = 0,
    reach: Annotated[
        float, typer.Option(min=0, max=1, help="How far they may lie off, of the width.")
    ] = 0.25,
    station: From = None,
) -> None:
    """Teach a mark by which every picture is laid as this one lies."""
    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    done = calibration.calibrate_fixture(image, box, station, by=by, turn_deg=turn, reach=reach)
    calibration.save_station(done.station, out)
    typer.echo(f"{out}: {done.summary}")


@calibrate.command("geometry")
def calibrate_geometry(
    labelled: Labels,
    out: Out,
    learn: Annotated[int, typer.Option(min=5, help="Pictures to learn from; the others show the gain.")] = 10,
    station: From = None,
    model: Model = None,
) -> None:
    """Find the settings of the view that read some labelled pictures best; show the gain on the others."""
    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    done = calibration.calibrate_geometry(labelled, station, model, learn)
    calibration.save_station(done.station, out)
    typer.echo(f"{out}: {done.summary}")


@calibrate.command("confidence")
def calibrate_confidence(
    labelled: Labels,
    misread: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Share of accepted readings that may be wrong.")
    ],
    out: Out,
    station: From = None,
    protocol: Annotated[
        Literal["strict", "mpsc"], typer.Option(help="Wrong by any character, or by letters and digits.")
    ] = "strict",
    certainty: Annotated[float, typer.Option(min=0.5, max=0.9999, help="How sure the promise is.")] = 0.95,
    model: Model = None,
) -> None:
    """Find the confidence from which a promised share of readings is right; read --station then accepts."""
    from functools import partial

    from tqdm import tqdm

    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    done = calibration.calibrate_confidence(
        labelled,
        misread,
        station,
        model,
        protocol=protocol,
        certainty=certainty,
        track=partial(tqdm, unit=" images"),
    )
    calibration.save_station(done.station, out)
    typer.echo(f"{out}: {done.summary}")


def register(app: typer.Typer) -> None:
    """Put these commands on the front desk."""
    calibrate.command()(normalize)
    app.add_typer(calibrate, name="station")
