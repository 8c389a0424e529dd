"""Printing: results go to standard output, progress and errors to standard error."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import category

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from tqdm import tqdm

T = TypeVar("T")

_WIDE = 10_000
"""Columns of a table that goes to a file or a pipe: nothing wraps."""


def prepare_streams() -> None:
    """Let both streams escape what their encoding lacks, so that no file name stops a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """The text on one line: control characters, line ends too, become escapes."""
    return "".join(
        char.encode("unicode_escape").decode() if category(char) in ("Cc", "Cs") else char for char in text
    )


def summary(text: str, *, quiet: bool) -> None:
    """Print a command's last word, unless it runs quietly."""
    if not quiet:
        typer.echo("\n".join(map(printable, text.split("\n"))))


def table(view: "RenderableType", *, quiet: bool) -> None:
    """Print a table; to a file or a pipe without colours and without line breaks in its cells."""
    if quiet:
        return
    from rich.console import Console

    wide = None if sys.stdout.isatty() else _WIDE
    Console(width=wide, markup=False, emoji=False, highlight=False).print(view)


def progress_bar(total: int, unit: str, *, quiet: bool) -> "tqdm[Any]":
    """A progress bar on standard error; hidden if that is no terminal."""
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {unit}", smoothing=0.1, disable=True if quiet else None)


def track(items: Iterable[T], total: int, unit: str, *, quiet: bool) -> Iterator[T]:
    """Hand on the items and show how many of them went by."""
    with progress_bar(total, unit, quiet=quiet) as bar:
        for item in items:
            yield item
            bar.update()
