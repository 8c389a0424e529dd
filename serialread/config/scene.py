"""The scene section of a data recipe: whole pictures of parts instead of crops of one line."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from serialread.config.marks import Share, Span, Weight
from serialread.config.section import Section

CarrierKind = Literal[
    "surface",
    "block",
    "shaft",
    "casting",
    "nameplate",
    "chip",
    "label",
    "page",
    "ring",
    "bolt",
    "panel",
    "blank",
]
"""What carries lines in a scene."""


def _some_weight(weights: dict[CarrierKind, float]) -> dict[CarrierKind, float]:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError("weights must be 0 or more, and one above 0")
    return weights


Weights = Annotated[dict[CarrierKind, float], AfterValidator(_some_weight)]
"""Carriers and their relative weights."""


class Scene(Section):
    """Whole pictures: parts on a bench, with any number of lines in any direction."""

    longer_px: Span = (520, 1100)
    """Longer side of a picture, px."""
    aspect: Span = (0.6, 1.0)
    """Shorter side over longer side; half of the pictures are upright."""
    oversampling: Span = (1.0, 1.5)
    """Factor by which a scene is drawn larger than its picture."""
    carriers: Weights = Field(
        default={
            "surface": 4,
            "block": 4,
            "shaft": 1.5,
            "casting": 1.2,
            "nameplate": 3.5,
            "chip": 2.2,
            "label": 2.0,
            "ring": 2.0,
            "bolt": 2.0,
            "panel": 0.7,
            "blank": 1.0,
        }
    )
    """Weights of what carries lines: a surface that fills the picture, a machined block, a shaft, a casting,
    a nameplate, a chip with pins, a label, a page full of small print, a ring with lines on arcs, a bolt
    head, a panel with a display; ``blank`` is a part without any line."""
    several: tuple[Weight, ...] = Field(default=(6, 2, 1, 0.5), min_length=1)
    """Weights of one, two, ... carriers in a picture."""
    empty_share: Share = 0.1
    """Share of pictures without any line."""
    texts: tuple[str, ...] = ()
    """Rows to write on every carrier instead of random codes; a tab separates two columns. On rings and bolts
    each row is a line of its own around the middle."""
    text_px: Span = (9, 64)
    """Height of a capital in the picture, px, drawn evenly over its logarithm."""
    upright_share: Share = 0.5
    """Share of carriers that lie within ten degrees of the picture; the others lie in any direction."""
    perspective_share: Share = 0.45
    """Share of carriers seen obliquely, by ``layout.perspective_deg``."""
    bend_share: Share = 0.15
    """Share of blocks of lines that are slightly bent, outside rings."""
    band_share: Share = 0.0
    """Share of lines on circles and of bent lines that stand on a band of another grey, or between edges."""
    distractors: float = Field(default=2.5, ge=0)
    """Mean number of holes, screws, scratches, logos, scales and codes of bars on a carrier."""
    least_px: float = Field(default=6.5, gt=0)
    """Height of a capital in the picture below which a line counts as illegible."""
