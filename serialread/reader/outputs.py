"""What the network's outputs say of one crop: the code, and where it stands.

Letters: T positions, C classes, N columns, h rows of the glyph maps.
"""

from dataclasses import replace
from typing import NamedTuple, Self

from serialread.config import Code
from serialread.imaging import Extent, content_width, extent_of
from serialread.imaging.crops import text_rows
from serialread.inference import Search, decode
from serialread.inference.session import Engine, ModelCard
from serialread.records import Floats, Pixels, Reading


class Outputs(NamedTuple):
    """What the network says of one crop; None what it does not say."""

    scores: Floats
    """Log-probabilities [T, C]."""
    attention: Floats
    """[T, N]."""
    glyphs: Floats | None = None
    """Glyph maps [T, h, N]."""
    upright: Floats | None = None
    """Log-odds [] that the line lies the right way up."""

    @classmethod
    def of_each(cls, engine: Engine, batch: Floats) -> list[Self]:
        """Of every crop of a batch [B, 1, H, W]."""
        found = engine.run(batch)
        each = zip(*found, strict=True)
        return [cls(**dict(zip(engine.outputs, one, strict=True))) for one in each]


def reading_of(
    outputs: Outputs, pixels: Pixels, card: ModelCard, code: Code, search: Search | None
) -> Reading:
    """The code in a crop [H, W], boxes in its px."""
    height, width = pixels.shape
    filled = _filled(pixels, card)
    reading = decode(outputs.scores, card.alphabet, outputs.attention, (height, width), filled, code, search)
    return reading if outputs.upright is None else replace(reading, upright=float(outputs.upright))


def looked_at(outputs: Outputs, pixels: Pixels, card: ModelCard, count: int) -> tuple[Floats, ...]:
    """Attention and, if there are any, glyph maps of ``count`` characters: columns that the crop fills."""
    columns = max(round(_filled(pixels, card) * outputs.attention.shape[1]), 1)
    maps = [output for output in (outputs.attention, outputs.glyphs) if output is not None]
    return tuple(output[:count, ..., :columns] for output in maps)


def where(looked: tuple[Floats, ...], pixels: Pixels) -> Extent:
    """Where in a crop the characters stand that were ``looked_at``.

    As the glyph maps show it; without such maps, or where nothing was read, the rows in which most changes.
    """
    height, width = pixels.shape
    found = extent_of(looked[1], (height, width)) if len(looked) > 1 else None
    top, foot = text_rows(pixels)
    return found or Extent(0.0, float(width), float(top), float(foot))


def _filled(pixels: Pixels, card: ModelCard) -> float:
    """Share of its array's columns that a crop fills; the rest is padding."""
    content = content_width(pixels, card.geometry)
    return content / card.geometry.bucket(content)
