"""What the network's outputs say of one crop: the code, and where it stands.

Letters: T positions, C classes, N columns, h rows of the glyph maps.
"""

from serialread.decoding import Search, decode
from serialread.engine import ModelCard
from serialread.imaging import Extent, content_width, extent_of
from serialread.imaging.normalizing import text_rows
from serialread.recipe import Code
from serialread.records import Floats, Pixels, Reading

Outputs = tuple[Floats, ...]
"""Of one crop: scores [T, C], attention [T, N] and, of networks that have them, glyph maps [T, h, N]."""


def reading_of(
    outputs: Outputs, pixels: Pixels, card: ModelCard, code: Code, search: Search | None
) -> Reading:
    """The code in a crop [H, W], boxes in its px."""
    scores, attention, *_ = outputs
    height, width = pixels.shape
    return decode(scores, card.alphabet, attention, (height, width), _filled(pixels, card), code, search)


def looked_at(outputs: Outputs, pixels: Pixels, card: ModelCard, count: int) -> Outputs:
    """Attention and, if there are any, glyph maps of ``count`` characters: columns that the crop fills."""
    columns = max(round(_filled(pixels, card) * len(outputs[1][0])), 1)
    return tuple(output[:count, ..., :columns] for output in outputs[1:])


def where(looked: Outputs, pixels: Pixels) -> Extent:
    """Where in a crop the characters stand that were ``looked_at``.

    As the glyph maps show it; without such maps, or where nothing was read, the rows in which most changes.
    """
    height, width = pixels.shape
    found = extent_of(looked[1], (height, width)) if len(looked) > 1 else None
    return found or Extent(0.0, float(width), *map(float, text_rows(pixels)))


def _filled(pixels: Pixels, card: ModelCard) -> float:
    """Share of its array's columns that a crop fills; the rest is padding."""
    content = content_width(pixels, card.geometry)
    return content / card.geometry.bucket(content)
