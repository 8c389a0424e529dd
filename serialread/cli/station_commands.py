"""The command ``validate`` and the group ``station``: fit a station file to pictures, check what it does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from serialread.cli import options, terminal
from serialread.cli.options import ModelFile, Quiet, SecondReaderBelow, SecondReaderName

NewStation = Annotated[Path, options.out("Station file to write (TOML).")]
OldStation = Annotated[
    Path | None, typer.Option("--station", help="Station file to start from; the other settings are kept.")
]
Labelled = Annotated[
    Path, typer.Argument(help="Folder with labels.csv (columns filename,text) and the folder images/.")
]

app = typer.Typer(no_args_is_help=True, help="Fit a station file to pictures of a station.")


def validate(
    station: Annotated[Path, typer.Argument(help="Station file (TOML).")],
    golden: Annotated[
        Path | None,
        typer.Option(
            help="Folder with labels.csv (columns filename,text,decision). Without it, the folder golden "
            "beside the station file."
        ),
    ] = None,
    out: Annotated[
        Path | None, options.out("Folder for validation.csv and validation.json; the run is added to a log.")
    ] = None,
    model: ModelFile = None,
    log: options.Log = None,
    operator: options.Operator = "",
    as_json: options.Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a station with golden pictures.

    Golden pictures are good and bad ones with the text that must be read and the decision that must be
    taken. Exit code 3 if one of them is not as expected, for a PLC or a cron job.
    """
    from serialread import auditing, run_log

    done = auditing.validate(station, golden, model=model)
    if as_json:
        terminal.result(done.to_json())
    else:
        terminal.summary(done.summary(), quiet=quiet)
    written = done.write(out) if out else ()
    if log or out:
        used = (station, model) if model else (station,)
        done.log(log or (out or Path()) / run_log.LOG, written, used, operator)
    if not done.ok:
        raise typer.Exit(3)


@app.command()
def lens(
    pictures: Annotated[
        list[Path], typer.Argument(help="Pictures of a calibration board, or folders of them.")
    ],
    out: NewStation,
    columns: Annotated[int, typer.Option(min=3, help="Squares across.")],
    rows: Annotated[int, typer.Option(min=3, help="Squares down.")],
    board: Annotated[
        Literal["checkerboard", "charuco"],
        typer.Option(help="Plain checkerboard, or ChArUco board with 4x4_50 markers."),
    ] = "checkerboard",
    station: OldStation = None,
    quiet: Quiet = False,
) -> None:
    """Calibrate the lens distortion.

    Needs pictures of a board at several tilts.
    """
    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    fitted = calibration.calibrate_lens(pictures, board, columns, rows, station)
    calibration.save_station(fitted.station, out)
    terminal.summary(f"{out}: {fitted.summary}", quiet=quiet)


@app.command()
def fixture(
    image: Annotated[Path, typer.Argument(help="Picture of a part in its nominal position.")],
    box: Annotated[
        tuple[float, float, float, float],
        typer.Option(
            help="LEFT TOP RIGHT BOTTOM of a feature that all parts share, as fractions of the picture."
        ),
    ],
    out: NewStation,
    by: Annotated[
        Literal["print", "edge"], typer.Option(help="Match by grey values (print) or by edges (edge).")
    ] = "print",
    turn: Annotated[float, typer.Option(min=0, max=180, help="Largest rotation of a part, degrees.")] = 0,
    reach: Annotated[
        float, typer.Option(min=0, max=1, help="Largest shift of a part, as a fraction of the width.")
    ] = 0.25,
    station: OldStation = None,
    quiet: Quiet = False,
) -> None:
    """Teach a feature that aligns every picture.

    Pictures of the station are then shifted and rotated so that the feature lies as in this picture.
    """
    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    fitted = calibration.calibrate_fixture(image, box, station, by=by, turn_deg=turn, reach=reach)
    calibration.save_station(fitted.station, out)
    terminal.summary(f"{out}: {fitted.summary}", quiet=quiet)


@app.command()
def geometry(
    labelled: Labelled,
    out: NewStation,
    learn: Annotated[
        int, typer.Option(min=5, help="Number of pictures to fit; the others measure the gain.")
    ] = 10,
    station: OldStation = None,
    model: ModelFile = None,
    quiet: Quiet = False,
) -> None:
    """Fit the view settings to labelled pictures.

    Tries settings of the station's view on some pictures and measures the gain on the others.
    """
    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    fitted = calibration.calibrate_geometry(labelled, station, model, learn)
    calibration.save_station(fitted.station, out)
    terminal.summary(f"{out}: {fitted.summary}", quiet=quiet)


@app.command()
def confidence(
    labelled: Labelled,
    misread: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Largest share of accepted readings that may be wrong.")
    ],
    out: NewStation,
    station: OldStation = None,
    protocol: Annotated[
        Literal["strict", "mpsc"],
        typer.Option(help="What counts as wrong: any character (strict), or letters and digits only (mpsc)."),
    ] = "strict",
    certainty: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="Probability that the misread guarantee holds.")
    ] = 0.95,
    second_reader: SecondReaderName = "",
    second_reader_below: SecondReaderBelow = None,
    model: ModelFile = None,
    quiet: Quiet = False,
) -> None:
    """Calibrate the confidence.

    Finds the accept threshold: with the station file, read accepts the readings above it, and at most the
    given share of them is wrong.
    """
    from functools import partial

    from serialread import calibration

    calibration.refuse_to_replace(out, station)
    fitted = calibration.calibrate_confidence(
        labelled,
        misread,
        station,
        model,
        protocol=protocol,
        certainty=certainty,
        second_reader=second_reader,
        second_reader_below=second_reader_below,
        track=partial(terminal.track, unit="images", quiet=quiet),
    )
    calibration.save_station(fitted.station, out)
    terminal.summary(f"{out}: {fitted.summary}", quiet=quiet)


@app.command()
def normalize(
    image: Annotated[Path, typer.Argument(help="Picture to normalize.")],
    out: Annotated[Path, options.out("Picture of the steps to write (.png).")],
    station: options.StationFile = None,
    model: ModelFile = None,
    quiet: Quiet = False,
) -> None:
    """Show how a picture is normalized."""
    from serialread.imaging import save_png
    from serialread.reader import Reader

    save_png(Reader(model, station).show_steps(image), out, "a sheet of steps")
    terminal.summary(f"{out}: the steps of {image.name}", quiet=quiet)
