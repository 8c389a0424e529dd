"""How one sample is spelled in keys and values."""

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from serialread.codes import without_blanks
from serialread.records import Origin, Pixels, Sample

Entries = list[tuple[bytes, bytes]]
"""Keys and values, in the order they are written."""

COUNT_KEY = b"num-samples"
ABOUT_KEY = b"about"
_PNG = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]


def key(name: str, index: int) -> bytes:
    """The key of a sample's part; ``index`` counts from 0, the key from 1."""
    return f"{name}-{index + 1:09d}".encode()


def entries(sample: Sample, index: int) -> Entries:
    """Spell a sample; the same sample is the same bytes on any machine."""
    spelled = [(key("image", index), _pgm(sample.pixels)), (key("label", index), sample.text.encode())]
    if sample.glyphs is not None:
        spelled.append((key("glyphs", index), _png(sample.glyphs)))
    if sample.origin is not None:
        spelled.append((key("meta", index), _origin_json(sample.origin)))
    return spelled


def sample(get: Callable[[bytes], bytes | None], index: int) -> Sample:
    """Read a sample through ``get``; masks and origin may be missing.

    Raises:
        ValueError: what is wrong with it.
    """
    image, label = get(key("image", index)), get(key("label", index))
    if image is None or label is None:
        raise ValueError("its picture or its label is missing")
    glyphs, meta = get(key("glyphs", index)), get(key("meta", index))
    return Sample(
        pixels=_pixels(image),
        text=without_blanks(label.decode()),
        glyphs=None if glyphs is None else _pixels(glyphs),
        origin=None if meta is None else _origin(json.loads(meta)),
    )


def _pgm(pixels: Pixels) -> bytes:
    # A crop is mostly noise: PNG takes 80 µs to make it a quarter smaller, plain grey 2 µs. Whatever decodes
    # pictures knows both.
    return b"P5 %d %d 255\n" % pixels.shape[::-1] + pixels.tobytes()


def _png(pixels: Pixels) -> bytes:
    # Masks are runs: runs alone pack them smaller and sooner, and one filter does for all rows.
    return cv2.imencode(".png", pixels, _PNG)[1].tobytes()


def _pixels(value: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_GRAYSCALE) if value else None
    if pixels is None:
        raise ValueError("its picture cannot be decoded")
    return pixels.astype(np.uint8, copy=False)


def _origin_json(origin: Origin) -> bytes:
    table = {
        "process": origin.process,
        "typeface": origin.typeface,
        "boxes": [[float(edge) for edge in box] for box in origin.boxes],
        "parameters": dict(origin.parameters),
    }
    return json.dumps(table, ensure_ascii=False).encode()


def _origin(table: dict[str, Any]) -> Origin:
    boxes = tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in table["boxes"])
    return Origin(table["process"], table["typeface"], boxes, table["parameters"])
