"""From a file to upright 8-bit pixels, or to a plain reason why not."""

import hashlib
import io
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from serialread.errors import ImageError
from serialread.records import LoadedImage, Pixels

SMALLEST_SIDE_PX = 8
"""Below this no character can be told from another."""
LARGEST_PX = 100_000_000
"""Larger pictures are refused by their header: 100 million px are 300 MB of colours."""
LARGEST_FILE_BYTES = 1 << 30

_UPRIGHT: dict[int, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[:, ::-1],
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p.swapaxes(0, 1)[::-1],
}
"""What brings each EXIF orientation upright (TIFF 6.0, tag 274)."""
_ORIENTATION = 0x0112
_LOCK = threading.Lock()


def load_image(path: Path) -> LoadedImage:
    """Read one picture.

    Returns:
        Grey or BGR pixels, upright; ``note`` says what was left out, such as further pages.

    Raises:
        ImageError: the file cannot be read, is no whole picture, or is too small or too large.
    """
    try:
        data = _bytes(path)
        pixels, note = decode_image(data)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    return LoadedImage(path, hashlib.sha256(data).hexdigest(), pixels, note)


def digest(path: Path) -> str:
    """Hex digest of a file's bytes; "" if they cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def decode_image(data: bytes) -> tuple[Pixels, str]:
    """Upright 8-bit pixels of a picture file's bytes, and a note on what was left out."""
    if not data:
        raise ImageError("the file is empty. Copy it again.")
    with _plain_reasons():
        with _quiet():
            header = Image.open(io.BytesIO(data))
            note = _checked(header)
            orientation = _orientation(header)
            deep = _is_deep(header)
        if _is_plain(header):
            _refuse_truncated(data, header.format)
            return _upright(_fast(data), orientation), note
        pixels = _deep_colours(data) if deep and header.mode == "RGB" else _pixels(header)
        # Pillow turns a TIFF while it loads
        return _upright(pixels, 1 if header.format == "TIFF" else orientation), note


def _bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise ImageError("cannot be read (no regular file). Copy the picture into a file.")
        if status.st_size > LARGEST_FILE_BYTES:
            raise ImageError(f"{status.st_size / 1e9:.1f} GB are too much for one picture. Crop it.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot be read ({reason}). Check the path and its permissions.") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings about odd headers to ourselves; its warnings filter is not thread-safe."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _plain_reasons() -> Iterator[None]:
    """Turn whatever a decoder raises over bad bytes into one plain reason."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("not a picture of a known format. Give a jpg, png, bmp, tif or webp.") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {LARGEST_PX / 1e6:.0f} million pixels. Crop or shrink it.") from None
    except MemoryError:
        raise ImageError("too large for the memory. Crop or shrink it.") from None
    except Exception as error:  # Pillow's plugins raise a dozen kinds over broken files
        if "truncated" in str(error).lower():
            raise _truncated() from None
        raise ImageError(f"broken picture ({' '.join(str(error).split())[:80]}). Save it again.") from None


def _checked(header: Image.Image) -> str:
    """Refuse what is too small or too large; a note if there is more than one page."""
    width, height = header.size
    if min(width, height) < SMALLEST_SIDE_PX:
        raise ImageError(f"{width}x{height} px are too few to hold text. Give a larger picture.")
    if width * height > LARGEST_PX:
        raise ImageError(
            f"{width}x{height} px are too many. Crop or shrink it to {LARGEST_PX / 1e6:.0f} million."
        )
    pages = getattr(header, "n_frames", 1)
    # the second picture of an MPO is a preview or a depth map, not a page
    return f"first of {pages} pages" if pages > 1 and header.format != "MPO" else ""


def _is_plain(header: Image.Image) -> bool:
    """Whether OpenCV, four times as fast, reads it just as well and truncation shows in the bytes."""
    if header.format == "PNG":
        return header.mode in ("L", "RGB") and not (_is_deep(header) or header.has_transparency_data)
    return header.format in ("JPEG", "MPO") and header.mode in ("L", "RGB")


def _orientation(header: Image.Image) -> int:
    if header.format == "PNG" and "exif" not in header.info:
        return 1  # Pillow would decode the whole picture to look for an entry behind it
    return int(header.getexif().get(_ORIENTATION, 1))


def _is_deep(header: Image.Image) -> bool:
    """Whether its values have 16 bits; to be asked before it is loaded."""
    return isinstance(header, ImageFile.ImageFile) and any("16" in str(tile[3]) for tile in header.tile)


def _refuse_truncated(data: bytes, format_: str | None) -> None:
    if format_ == "PNG":
        whole = b"IEND\xaeB`\x82" in data[-4096:]
    else:  # an end marker behind the last start of a scan; that of an embedded thumbnail stands before
        whole = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if not whole:
        raise _truncated()


def _truncated() -> ImageError:
    return ImageError("truncated: the file ends before the picture does. Copy it again.")


def _fast(data: bytes) -> NDArray[np.generic]:
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise ImageError("broken picture (its data cannot be decoded). Save it again.")
    return np.asarray(decoded)


def _pixels(loaded: Image.Image) -> NDArray[np.generic]:
    """Pixels of whatever is not plain: 16-bit grey, palettes, transparency, CMYK, TIFF, BMP, WebP."""
    loaded.load()  # raises if truncated
    if loaded.mode.startswith(("I", "F")):
        return stretched(np.asarray(loaded))
    if loaded.has_transparency_data:
        return _composited(np.asarray(loaded.convert("RGBA")))
    if loaded.mode in ("1", "L"):
        return np.asarray(loaded.convert("L"))
    return np.asarray(loaded.convert("RGB"))[..., ::-1]


def _deep_colours(data: bytes) -> Pixels:
    """Of colours with 16 bits, of which Pillow would keep the upper eight."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ImageError("broken picture (its 16-bit data cannot be decoded). Save it with 8 bits.")
    return stretched(np.asarray(decoded)[..., :3])


def stretched(values: NDArray[np.generic]) -> Pixels:
    """Scale deep pixels to 0..255 by their own range: cameras put 10 or 12 bits into 16."""
    numbers = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    some = numbers[:: max(1, numbers.shape[0] // 500), :: max(1, numbers.shape[1] // 500)]
    low, high = (np.float32(v) for v in np.percentile(some, (0.1, 99.9)))  # a hot pixel is no range
    if high <= low:
        low, high = numbers.min(), numbers.max()
    scaled = (numbers - low) * (np.float32(255) / max(high - low, np.float32(1e-6)))
    return np.asarray(np.clip(scaled + np.float32(0.5), 0, 255), np.uint8)


def _composited(rgba: Pixels) -> Pixels:
    """Lay a partly transparent picture on white if what shows is dark, on black if it is bright."""
    opacity = rgba[..., 3:].astype(np.float32) / np.float32(255)
    shown = float((rgba[..., :3] * opacity).sum() / max(3 * float(opacity.sum()), 1e-6))
    behind = np.float32(255 if shown < 128 else 0)
    blended = rgba[..., 2::-1] * opacity + behind * (1 - opacity)
    return np.asarray(blended + np.float32(0.5), np.uint8)


def _upright(pixels: NDArray[np.generic], orientation: int) -> Pixels:
    turn = _UPRIGHT.get(orientation)
    return np.ascontiguousarray(turn(pixels) if turn else pixels, dtype=np.uint8)
