"""Load a picture: from a file, bytes or an array to upright 8-bit pixels, or an error with the reason."""

import hashlib
import io
import math
import stat
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from serialread.errors import ImageError
from serialread.records import Floats, LoadedImage, Pixels

PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for names in ("avif bmp dib gif jfif jp2 jpe jpeg jpg", "pbm pgm png pnm ppm tif tiff webp")
    for name in names.split()
)
"""File names of pictures, in lower case. A file of a format that this machine cannot decode is an error."""
SMALLEST_SIDE_PX = 8
"""Below this size, characters cannot be distinguished."""
LARGEST_PX = 100_000_000
"""Larger pictures are refused by their header: 100 million px take 300 MB in colour."""
LARGEST_FILE_BYTES = 1 << 30

ImageSource = str | Path | bytes | NDArray[np.generic]
"""A file, the bytes of a file, or an array: uint8 or uint16; grey [H, W] or [H, W, 1], BGR [H, W, 3] or BGRA
[H, W, 4]."""

_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "GIF", "AVIF")
"""What Pillow may open; others, such as EPS, would start foreign programs."""

_UPRIGHT: dict[int, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[:, ::-1],
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p.swapaxes(0, 1)[::-1],
}
"""The operation that brings each EXIF orientation upright (TIFF 6.0, tag 274)."""
_ORIENTATION = 0x0112
_HEADER_BYTES = 1 << 15
"""Bytes at the start of a file that mostly hold its header."""
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_TAIL = 4096  # bytes at the end that may hold the end marker
_LOCK = threading.Lock()


def load_image(path: Path) -> LoadedImage:
    """Load one picture file.

    Returns:
        Grey or BGR pixels, upright; ``note`` names what was ignored, such as further pages, ``damage`` what
        is wrong with the picture's data.

    Raises:
        ImageError: the file cannot be read, is not a complete picture, or is too small or too large.
    """
    return as_image(path)


def as_image(source: ImageSource, name: str = "") -> LoadedImage:
    """Load one picture from a file, from the bytes of a file or from an array.

    Args:
        source: the picture. Arrays of 16 bits are scaled to 8 by their own range, as 16-bit files are;
            transparent pictures are composited.
        name: what the picture is called in errors and results; for files their path by default.

    Returns:
        Grey or BGR pixels, upright. ``sha256`` is the digest of the file's bytes; of an array, that of its
        type, shape and values.

    Raises:
        ImageError: the file cannot be read, is not a complete picture, or is too small or too large; the
            array has another type or shape.
    """
    if isinstance(source, str | Path):
        source = Path(source)
        name = name or str(source)
    try:
        if isinstance(source, np.ndarray):
            decoded = DecodedPicture(_from_array(source))
            digested = hashlib.sha256(f"{source.dtype.str}{source.shape}".encode())
            digested.update(np.ascontiguousarray(source).data)
        elif isinstance(source, bytes | Path):
            data = _bytes(source) if isinstance(source, Path) else source
            decoded = decode_image(data)
            digested = hashlib.sha256(data)
        else:
            raise ImageError(f"no picture: {type(source).__name__}. Give a path, bytes or an array.")
    except ImageError as error:
        raise ImageError(f"{name or 'picture'}: {error}") from None
    path = source if isinstance(source, Path) else Path(name)
    return LoadedImage(path, digested.hexdigest(), *decoded)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex; "" if they cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def header_px(source: str | Path | bytes) -> int:
    """Number of px of a picture file by its header; 0 if that cannot be read."""
    try:
        start = source
        if not isinstance(start, bytes):
            if not Path(start).is_file():  # a pipe may never end
                return 0
            with Path(start).open("rb") as opened:
                start = opened.read(_HEADER_BYTES)
        if start.startswith(_PNG_START):
            return int.from_bytes(start[16:20]) * int.from_bytes(start[20:24])
        if start.startswith(b"\xff\xd8"):  # ten times as fast as Pillow, unless the header is very long
            with suppress(ValueError):
                return math.prod(simplejpeg.decode_jpeg_header(start)[:2])
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with _quiet(), Image.open(file, formats=_known_formats()) as header:
            return header.width * header.height
    except Exception:  # loading the picture reports what is wrong with it
        return 0


class DecodedPicture(NamedTuple):
    """Upright 8-bit pixels, a note on what was ignored, and what the decoder complained about."""

    pixels: Pixels
    note: str = ""
    damage: str = ""


def decode_image(data: bytes) -> DecodedPicture:
    """Decode a picture file's bytes."""
    if not data:
        raise ImageError("the file is empty. Copy it again.")
    with _plain_reasons():
        with _quiet():
            header = Image.open(io.BytesIO(data), formats=_known_formats())
            _check_size(*header.size)
            note = _pages_note(header)
            orientation = _orientation(header)
            deep = _is_deep(header)
        damage = ""
        if header.format == "PNG":
            data = _sound_png(data)
        if header.format in ("JPEG", "MPO") and header.mode in ("L", "RGB"):
            _refuse_truncated_jpeg(data)
            pixels, damage = _jpeg(data, header)
        elif header.format == "PNG" and _is_plain_png(header):
            pixels = _png(data)
        else:
            header.load()  # raises if truncated
            wide = deep and header.mode in ("RGB", "RGBA", "LA")
            pixels = _eight_bit(_deep_colours(data) if wide else _pixels(header))
        # Pillow and OpenCV both apply a TIFF's orientation while they decode it
        return DecodedPicture(_upright(pixels, 1 if header.format == "TIFF" else orientation), note, damage)


def _bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(
                "cannot be read (a folder). Give a picture; serialread read and read_folder read folders."
            )
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise ImageError("cannot be read (not a regular file). Copy the picture into a file.")
        if status.st_size > LARGEST_FILE_BYTES:
            raise ImageError(f"{status.st_size / 1e9:.1f} GB are too many for one picture. Crop it.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot be read ({reason}). Check the path and its permissions.") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Pillow's warnings about unusual headers; Python's warnings filter is not thread-safe."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _plain_reasons() -> Iterator[None]:
    """Turn whatever a decoder raises into an ImageError with one reason."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("not a picture of a known format. Give a JPEG, PNG, TIFF, BMP or WebP.") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {LARGEST_PX / 1e6:.0f} million pixels. Crop or shrink it.") from None
    except MemoryError:
        raise ImageError("too large for the memory. Crop or shrink it.") from None
    except Exception as error:  # Pillow's plugins raise a dozen kinds over broken files
        if "truncated" in str(error).lower():
            raise _truncated() from None
        raise ImageError(f"broken picture ({' '.join(str(error).split())[:80]}). Save it again.") from None


def _known_formats() -> list[str]:
    """Those of ``_FORMATS`` that this build of Pillow has."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _check_size(width: int, height: int) -> None:
    """Refuse what is too small or too large."""
    if min(width, height) < SMALLEST_SIDE_PX:
        raise ImageError(f"{width}x{height} px are too few to hold text. Give a larger picture.")
    if width * height > LARGEST_PX:
        raise ImageError(
            f"{width}x{height} px are too many. Crop or shrink it to {LARGEST_PX / 1e6:.0f} million."
        )


def _pages_note(header: Image.Image) -> str:
    """A note if there is more than one page."""
    pages = getattr(header, "n_frames", 1)
    # the second picture of an MPO is a preview or a depth map, not a page
    return f"first of {pages} pages" if pages > 1 and header.format != "MPO" else ""


def _is_plain_png(header: Image.Image) -> bool:
    """Whether OpenCV, four times as fast, decodes it identically."""
    return header.mode in ("L", "RGB") and not (_is_deep(header) or header.has_transparency_data)


def _orientation(header: Image.Image) -> int:
    if header.format == "PNG" and "exif" not in header.info:
        return 1  # Pillow would decode the whole picture to search for an entry behind it
    return int(header.getexif().get(_ORIENTATION, 1))


def _is_deep(header: Image.Image) -> bool:
    """Whether its values have 16 bits; unknown once it is loaded."""
    if not isinstance(header, ImageFile.ImageFile):
        return False
    if header.format == "JPEG2000":  # its header does not say; OpenCV keeps what there is
        return header.mode in ("RGB", "RGBA", "LA")
    return any("16" in str(tile[3]) or "65535" in str(tile[3]) for tile in header.tile)


def _refuse_truncated_jpeg(data: bytes) -> None:
    # an end marker behind the last start of a scan; that of an embedded thumbnail stands before
    if data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda"):
        raise _truncated()


def _sound_png(data: bytes) -> bytes:
    """The chunks of a PNG that its pixels need, each with the right checksum; libpng warns of others."""
    chunks, at, kind = [data[:8]], 8, b""
    while kind != b"IEND":
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data) and b"IEND" not in data[-_PNG_TAIL:]:
            raise _truncated()
        if kind in _PNG_CHUNKS or end > len(data):
            if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
                raise ImageError("damaged: its data do not match their checksum. Copy it again.")
            chunks.append(data[at:end])
        at = end
    return b"".join(chunks)


def _truncated() -> ImageError:
    return ImageError("truncated: the file ends before the picture does. Copy it again.")


def _jpeg(data: bytes, header: Image.Image) -> tuple[NDArray[np.generic], str]:
    """The pixels of a JPEG, and what libjpeg complains about; OpenCV would print that without a file name."""
    colours = "GRAY" if header.mode == "L" else "BGR"
    try:
        damage = ""
        try:
            decoded = simplejpeg.decode_jpeg(data, colours, strict=True)
        except ValueError as error:
            decoded = simplejpeg.decode_jpeg(data, colours, strict=False)
            damage = f"damaged picture: {str(error).removeprefix('Corrupt JPEG data: ')}"
    except ValueError:  # TurboJPEG refuses some ways to subsample colours
        header.load()
        return _pixels(header), ""
    return decoded[..., 0] if header.mode == "L" else decoded, damage


def _png(data: bytes) -> NDArray[np.generic]:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise ImageError("broken picture (its data cannot be decoded). Save it again.")
    return np.asarray(decoded)


def _pixels(loaded: Image.Image) -> NDArray[np.generic]:
    """Grey, BGR or BGRA of whatever is not plain: 16-bit grey, palettes, transparency, CMYK, TIFF, BMP."""
    if loaded.mode.startswith(("I", "F")):
        return np.asarray(loaded)
    if loaded.has_transparency_data:
        return np.asarray(loaded.convert("RGBA"))[..., [2, 1, 0, 3]]
    if loaded.mode in ("1", "L"):
        return np.asarray(loaded.convert("L"))
    return np.asarray(loaded.convert("RGB"))[..., ::-1]


def _deep_colours(data: bytes) -> NDArray[np.generic]:
    """BGR or BGRA with 16 bits, of which Pillow would keep the upper eight."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ImageError("broken picture (its 16-bit data cannot be decoded). Save it with 8 bits.")
    return np.asarray(decoded)


def _from_array(values: NDArray[np.generic]) -> Pixels:
    """The pixels of a caller's array."""
    if not values.size:
        raise ImageError("the array is empty. Give a picture.")
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        raise ImageError(f"an array of {values.dtype} is ambiguous. Give uint8 or uint16.")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[2] in (3, 4)):
        raise ImageError(
            f"an array of shape {values.shape} is not a picture. "
            "Give grey [H, W], BGR [H, W, 3] or BGRA [H, W, 4]."
        )
    _check_size(values.shape[1], values.shape[0])
    return _upright(_eight_bit(values), 1)


def _eight_bit(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Grey [H, W] or BGR [H, W, 3] in 8 bits of grey, BGR or BGRA [H, W, 4] values of any depth."""
    colours = values[..., :3] if values.ndim == 3 else values
    deep = values.dtype.itemsize > 1
    if deep:
        colours = stretched(colours)
    if values.ndim == 2 or values.shape[2] < 4:
        return colours
    return _composited(
        colours.astype(np.uint8, copy=False),
        values[..., 3:].astype(np.float32) / np.float32(65535 if deep else 255),
    )


def stretched(values: NDArray[np.generic]) -> Pixels:
    """Scale deep pixels to 0..255 by their own range: cameras put 10 or 12 bits into 16."""
    numbers = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    some = numbers[:: max(1, numbers.shape[0] // 500), :: max(1, numbers.shape[1] // 500)]
    low, high = (np.float32(v) for v in np.percentile(some, (0.1, 99.9)))  # a hot pixel is no range
    if high <= low:
        low, high = numbers.min(), numbers.max()
    scaled = (numbers - low) * (np.float32(255) / max(high - low, np.float32(1e-6)))
    return np.asarray(np.clip(scaled + np.float32(0.5), 0, 255), np.uint8)


def _composited(colours: Pixels, opacity: Floats) -> Pixels:
    """Lay transparent colours [H, W, 3] on white if what shows is dark, on black if it is bright."""
    shown = float((colours * opacity).sum() / max(3 * float(opacity.sum()), 1e-6))
    behind = np.float32(255 if shown < 128 else 0)
    blended = colours * opacity + behind * (1 - opacity)
    return np.asarray(blended + np.float32(0.5), np.uint8)


def _upright(pixels: NDArray[np.generic], orientation: int) -> Pixels:
    turn = _UPRIGHT.get(orientation)
    return np.ascontiguousarray(turn(pixels) if turn else pixels, dtype=np.uint8)
