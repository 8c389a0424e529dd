"""From the network's outputs of one crop to its reading and the extent of its text.

Letters: T positions, C classes, N columns, h rows of the glyph maps.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from serialread.config import Code
from serialread.imaging import Extent, content_width, extent_of, to_array
from serialread.imaging.crops import text_rows
from serialread.inference import FormatSearch, best_strings, decode, decode_as, posteriors
from serialread.inference.session import Engine, ModelCard
from serialread.records import Floats, Pixels, Reading


class Outputs(NamedTuple):
    """The network's outputs for one crop; None if the model has no such output."""

    scores: Floats
    """Log-probabilities [T, C]; of CTC topology [N, C]."""
    attention: Floats
    """[T, N]."""
    glyphs: Floats | None = None
    """Glyph maps [T, h, N]."""
    upright: Floats | None = None
    """Log-odds [] that the line is upright."""
    glyph_scores: Floats | None = None
    """Log-probabilities [T, C] of the best path's characters by their glyphs alone."""


T = TypeVar("T")
Steps = Generator[Sequence[Pixels], Sequence[Outputs], T]
"""A computation that needs the network: it yields grey crops [H, W], receives their outputs in the same
order, and returns a result."""


def recognize(engine: Engine, crops: Sequence[Pixels]) -> list[Outputs]:
    """The network's outputs for crops [H, W] of one width bucket."""
    arrays = [to_array(crop, engine.card.geometry) for crop in crops]
    found = zip(*engine.run(np.stack(arrays)), strict=True)
    return [Outputs(**dict(zip(engine.outputs, one, strict=True))) for one in found]


def reading_of(
    outputs: Outputs,
    pixels: Pixels,
    card: ModelCard,
    code: Code,
    search: FormatSearch | None,
) -> Reading:
    """The code in a crop [H, W], boxes in its px."""
    height, width = pixels.shape
    reading = decode(
        outputs.scores,
        card.alphabet,
        outputs.attention,
        (height, width),
        _filled(pixels, card),
        code,
        search,
        card.topology,
    )
    if outputs.upright is not None:
        reading = replace(reading, upright=float(outputs.upright))
    if outputs.glyph_scores is None or not reading.chars or reading.free is not None:
        return reading
    return replace(reading, glyph_evidence=_glyph_evidence(outputs.glyph_scores, reading.text, card))


def compared(readings: Sequence[Reading], scores: Sequence[Floats], card: ModelCard) -> list[Reading]:
    """Views of a crop, each with what its scores say about the strings of all views, as alternatives.

    The views of models with slots, whose positions are independent, stay as they are.
    """
    if card.topology == "slots" or len(readings) == 1:
        return list(readings)
    texts = dict.fromkeys(text for reading in readings for text in (reading.free_text, reading.text))
    found = []
    for reading, view in zip(readings, scores, strict=True):
        known = dict(reading.alternatives) or _posterior(reading)
        more = posteriors(view, card.alphabet, [text for text in texts if text not in known])
        every = known | dict(more)
        found.append(replace(reading, alternatives=tuple((text, every[text]) for text in texts)))
    return found


def read_as(
    text: str, probability: float, reading: Reading, outputs: Outputs, pixels: Pixels, card: ModelCard
) -> Reading:
    """The reading of a view if it reads a given string, boxes in px of the view [H, W]."""
    height, width = pixels.shape
    filled = _filled(pixels, card)
    found = decode_as(text, probability, outputs.scores, card.alphabet, (height, width), filled)
    known = (*reading.alternatives, (text, probability))
    return replace(reading, chars=found.chars, free=None, posterior=probability, alternatives=known)


def nearest_strings(outputs: Outputs, reading: Reading, card: ModelCard) -> dict[str, float]:
    """The most likely strings of a view of columns, whose reading is given, with their probabilities."""
    known = dict(reading.alternatives)
    return dict(best_strings(np.exp(outputs.scores), card.alphabet, known=known))


def probabilities_of(text: str, views: Sequence[Outputs], card: ModelCard) -> list[float]:
    """The probability of a string in each view of columns."""
    return [posteriors(view.scores, card.alphabet, [text])[0][1] for view in views]


def _posterior(reading: Reading) -> dict[str, float]:
    """The most likely string of a view with its probability."""
    if reading.free is not None:
        return {reading.free.text: reading.free.confidence}
    return {} if reading.posterior is None else {reading.text: reading.posterior}


def _glyph_evidence(glyph_scores: Floats, text: str, card: ModelCard) -> float:
    """Log-probability of the character that its glyph supports least; glyph scores [T, C]."""
    classes = card.alphabet.encode(text)[: len(glyph_scores)]
    return float(glyph_scores[np.arange(len(classes)), classes].min())


def maps_of(outputs: Outputs, pixels: Pixels, card: ModelCard, count: int) -> tuple[Floats, ...]:
    """Attention and, if the model has them, glyph maps of the first ``count`` characters, without padding."""
    columns = max(round(_filled(pixels, card) * outputs.attention.shape[1]), 1)
    maps = [output for output in (outputs.attention, outputs.glyphs) if output is not None]
    return tuple(output[:count, ..., :columns] for output in maps)


def text_extent(maps: tuple[Floats, ...], pixels: Pixels) -> Extent:
    """Extent of the text of a crop [H, W].

    Measured in the glyph maps; without them, or without characters, by the rows with the highest gradient.

    Args:
        maps: of its characters, from ``maps_of``.
        pixels: the crop.
    """
    height, width = pixels.shape
    if len(maps) > 1 and (found := extent_of(maps[1], (height, width))):
        return found
    top, bottom = text_rows(pixels)
    return Extent(0.0, float(width), float(top), float(bottom))


def _filled(pixels: Pixels, card: ModelCard) -> float:
    """Share of its array's columns that a crop fills; the rest is padding."""
    content = content_width(pixels, card.geometry)
    return content / card.geometry.bucket(content)
