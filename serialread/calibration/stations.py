"""A station on disk."""

from pathlib import Path

from serialread.config import Station, to_toml
from serialread.errors import CalibrationError


def refuse_to_replace(out: Path, station: Path | None) -> None:
    """Stop before any work where a station file would be lost.

    Raises:
        CalibrationError: ``out`` exists and is not the station that is calibrated anew.
    """
    if out.exists() and not (station and station.exists() and out.samefile(station)):
        raise CalibrationError(
            f"{out}: exists already. Name another file, or give it as --station to calibrate it anew."
        )


def save_station(station: Station, out: Path) -> None:
    """Write a station file, whole or not at all; what it says of itself is what ``load`` reads.

    Raises:
        CalibrationError: the file cannot be written.
    """
    fresh = out.with_name(out.name + ".new")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(_HEAD + to_toml(station), encoding="utf-8")
        fresh.replace(out)
    except OSError as error:
        raise CalibrationError(
            f"{out}: cannot be written ({error.strerror}). Make room or name another file."
        ) from None


_HEAD = """\
# Written by serialread station. Every key and its default: serialread/config/station.py.
"""
