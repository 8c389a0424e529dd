"""A drawn picture on disk."""

from pathlib import Path

import cv2

from serialread.errors import RecordsError
from serialread.records import Pixels


def save_png(picture: Pixels, path: Path, what: str) -> None:
    """Write a picture as PNG; a RecordsError says of ``what`` it shows why it cannot be."""
    if path.suffix.lower() != ".png":
        raise RecordsError(f"{path}: {what} is a PNG. Name it {path.with_suffix('.png').name}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError as error:
        raise RecordsError(f"{path}: cannot be written: {error.strerror}. Name another place.") from None
