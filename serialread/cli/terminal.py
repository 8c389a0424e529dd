"""Printing: results go to standard output, progress and errors to standard error."""

import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import category

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text
    from tqdm import tqdm

from serialread.errors import RecordsError

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


def result(text: str) -> None:
    """Print a line of results and flush, so that a pipe gets it at once.

    Raises:
        RecordsError: the file behind standard output cannot be written, such as on a full disk.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader of the pipe has closed it: the command ends without a message
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has no place to go
        raise RecordsError(f"standard output: cannot be written: {error.strerror}. Free the disk.") from None


def summary(text: str, *, quiet: bool) -> None:
    """Print what a command did, unless it runs quietly."""
    if not quiet:
        result("\n".join(map(printable, text.split("\n"))))


def error(text: str) -> None:
    """Print an error as one line on standard error."""
    sys.stderr.write(f"error: {printable(text)}\n")


def note(text: str) -> None:
    """Print a line on standard error, above a progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(printable(text), file=sys.stderr)


def table(view: "RenderableType", *, quiet: bool) -> None:
    """Print tables; to a file or a pipe without colours and without line breaks in their cells."""
    if quiet:
        return
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class SafeConsole(Console):
        """Escapes control characters and what the encoding lacks: a file name may hold any character."""

        def render_str(self, text: str, **options: Any) -> "Text":
            return super().render_str(self._safe(text), **options)  # before the columns are measured

        def render(
            self, renderable: "RenderableType", options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else self._safe(text), style, control)

        def _safe(self, text: str) -> str:
            if not self.encoding.startswith("utf"):
                text = text.replace("–", "-").encode(self.encoding, "backslashreplace").decode(self.encoding)
            return "\n".join(map(printable, text.split("\n")))

    wide = None if sys.stdout.isatty() else _WIDE
    SafeConsole(width=wide, markup=False, emoji=False, highlight=False).print(view)


def progress_bar(total: int | None, unit: str, *, quiet: bool) -> "tqdm[Any]":
    """A progress bar on standard error; hidden if that is no terminal."""
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {unit}", smoothing=0.1, disable=True if quiet else None)


def track(items: Iterable[T], total: int | None, unit: str, *, quiet: bool) -> Iterator[T]:
    """Hand on the items and show how many of them went by."""
    with progress_bar(total, unit, quiet=quiet) as bar:
        for item in items:
            yield item
            bar.update()
