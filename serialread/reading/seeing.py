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
    content = content_width(pixels, card.geometry)
    filled = content / card.geometry.bucket(content)
    height, width = pixels.shape
    return decode(scores, card.alphabet, attention, (height, width), filled, code, search)


def seen_columns(attention: Floats, pixels: Pixels, card: ModelCard) -> int:
    """How many columns of the attention [T, N] the crop fills; the rest is padding."""
    content = content_width(pixels, card.geometry)
    return max(round(content / card.geometry.bucket(content) * len(attention[0])), 1)


def where(outputs: Outputs, pixels: Pixels, card: ModelCard, count: int) -> Extent:
    """Where in a crop the ``count`` characters stand that were read in it.

    As the glyph maps show it; without such maps, or where nothing was read, the rows in which most changes.
    """
    _, attention, *maps = outputs
    height, width = pixels.shape
    columns = seen_columns(attention, pixels, card)
    found = extent_of(maps[0][:count, :, :columns], (height, width)) if maps and count else None
    return found or Extent(0.0, float(width), *map(float, text_rows(pixels)))
