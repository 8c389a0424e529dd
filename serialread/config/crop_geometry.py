"""The size of the crops that a network takes."""

from typing import Literal

from pydantic import Field, field_validator

from serialread.config.section import Section


class CropGeometry(Section):
    """Height and width buckets of a crop; a crop keeps its aspect and is padded to the next bucket."""

    height: int = Field(default=32, ge=16, le=128, multiple_of=8)
    """px; at 32 a stroke of a seventh of the character height is four px wide."""
    widths: tuple[int, ...] = (96, 160, 256, 384)
    """px, increasing; marks have aspects up to 10, a VIN plate 14. Few buckets mean few compiled graphs."""

    fit: Literal["pad", "stretch"] = "pad"
    """``stretch`` resizes every crop to the widest bucket and ignores its aspect, as the papers do."""

    @field_validator("widths")
    @classmethod
    def _increasing(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if not widths or list(widths) != sorted(set(widths)) or any(w < 16 or w % 8 for w in widths):
            raise ValueError("widths must increase, and each must be a multiple of 8 of at least 16")
        return widths

    def sparse(self, step: float) -> "CropGeometry":
        """The same with fewer buckets: each at least ``step`` times as wide as the one before."""
        kept: list[int] = []
        for width in reversed(self.widths):
            if not kept or kept[-1] >= step * width:
                kept.append(width)
        return self.model_copy(update={"widths": tuple(reversed(kept))})

    def bucket(self, width: int) -> int:
        """The narrowest bucket that holds ``width`` px; the widest one if none does, or if crops stretch."""
        if self.fit == "stretch":
            return self.widths[-1]
        return next((w for w in self.widths if w >= width), self.widths[-1])
