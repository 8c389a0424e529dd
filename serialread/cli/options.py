"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from serialread.errors import SerialreadError


def out(text: str) -> Any:
    """The option ``-o/--out``, with its help text."""
    return typer.Option("--out", "-o", help=text)


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no progress bar and no summary; errors are still shown.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ModelFile = Annotated[
    Path | None, typer.Option("--model", help="Model file (.onnx). Without it, the model that is shipped.")
]
StationFile = Annotated[
    Path | None, typer.Option("--station", help="Station file (TOML), such as calib/bench-camera.toml.")
]
SecondReaderName = Annotated[
    str,
    typer.Option(
        "--second-reader",
        help="Second reader that confirms the readings: rapidocr (extra second-reader) or module:function.",
    ),
]
SecondReaderBelow = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Ask the second reader only about readings of lower network confidence."),
]
Runner = Annotated[
    Literal["processes", "ray"],
    typer.Option(help="Who works on shards: processes of this machine, or actors of a Ray cluster."),
]
Address = Annotated[
    str, typer.Option(help="Address of the Ray cluster. Without it, one is started on this machine.")
]
Log = Annotated[
    Path | None,
    typer.Option(
        envvar="SERIALREAD_LOG", help="Hash-chained log of runs. Without it, runs.log in the folder --out."
    ),
]
Operator = Annotated[
    str, typer.Option(envvar="SERIALREAD_OPERATOR", help="Who runs this command; kept in the log.")
]
Truth = Annotated[Path, typer.Option(help="Table with the columns filename,text: the right codes.")]


def require_torch() -> None:
    """Check that torch is installed, which training needs."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise SerialreadError("training: torch is not installed. Install it: pip install 'serialread[train]'")
