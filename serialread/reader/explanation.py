"""Why the network read what it read: where every slot looked, drawn over the crop.

Letters: T positions, N attention columns, h rows of the glyph maps.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from serialread.config import Station
from serialread.imaging import Extent, load_image, propose, save_png, tinted, to_array, turned_180
from serialread.inference import Search
from serialread.inference.session import Engine, EngineKind, lacking
from serialread.reader.fusion import next_look, vote
from serialread.reader.line_search import find_text_lines
from serialread.reader.orientation import read_where_needed, surely_over, surest
from serialread.reader.outputs import Outputs, looked_at, reading_of, where
from serialread.records import Crop, Floats, Pixels, Reading

ZOOM = 6
"""Picture px for one px of the network's crop."""
LINE = 26
"""Height of a row of writing, px."""
PAPER, INK = 250, (30, 30, 30)
LEFT = 150
"""Room for the names of the rows, px."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reading and what the network saw on the way.

    Attributes:
        reading: of the look that is shown.
        told: what ``read`` says, all looks joined; the same text.
        crop: the surest line of the picture, as the surest look that read so saw it.
        attention: float32 [T, N], where each character's slot looked; the columns that the crop fills.
        glyphs: float32 [T, h, N], which cells each slot took for its glyph, 0..1; the same columns.
    """

    reading: Reading
    told: Reading
    crop: Crop
    attention: Floats
    glyphs: Floats

    def drawn(self) -> Pixels:
        """BGR uint8: the crop, the glyph maps over it, and one row of attention a character."""
        width = ZOOM * 4 * self.attention.shape[1]
        height = ZOOM * 4 * self.glyphs.shape[1]
        resized = cv2.resize(self.crop.pixels, (width, height), interpolation=cv2.INTER_CUBIC)
        grey = np.asarray(resized, np.uint8)
        panels = [
            _named("crop", np.repeat(grey[..., None], 3, axis=2)),
            self._written(width),
            _named("glyph maps", tinted(grey, self.glyphs)),
            *(
                _named(f"{i + 1}: {c.char}  {c.confidence:.3f}  ({c.runner_up[0]} {c.runner_up[1]:.3f})", bar)
                for i, (c, bar) in enumerate(zip(self.told.chars, _bars(self.attention, width), strict=True))
            ),
        ]
        return np.concatenate(panels, axis=0)

    def overlay(self, height_px: int) -> Pixels:
        """BGR uint8: the crop, and below it the same with the glyph maps, each so high."""
        height, width = self.crop.pixels.shape
        size = (max(round(width * height_px / height), 1), height_px)
        grey = np.asarray(cv2.resize(self.crop.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.concatenate([np.repeat(grey[..., None], 3, axis=2), tinted(grey, self.glyphs)])

    def _written(self, width: int) -> Pixels:
        """Every character under the middle of where it was seen."""
        row = np.full((LINE, LEFT + width, 3), PAPER, np.uint8)
        _write(row, f"read, {self.told.confidence:.3f}", 4, 17)
        for char in self.reading.chars:
            if char.box is not None:
                middle = (char.box[0] + char.box[2]) / 2 / self.crop.pixels.shape[1]
                _write(row, char.char, LEFT + round(middle * width) - 6, 20, 0.7)
        return row


class Explainer:
    """A model and a station, ready to read pictures again and keep what the network looked at."""

    def __init__(self, model: Path, station: Station | None = None, engine: EngineKind = "openvino") -> None:
        """Open a model with its glyph maps.

        Args:
            model: a model file with glyph maps.
            station: the station whose pictures come; None for pictures of anywhere.
            engine: the library that runs the network.

        Raises:
            CheckpointError: the model cannot be used, or holds no glyph maps.
        """
        self._network = Engine(model, engine, outputs=None)
        if "glyphs" not in self._network.outputs:
            raise lacking(model, "glyphs")
        self._station = station or Station()
        self._search = Search.of(self._station.code, self._network.card.alphabet)
        self.model_id = self._network.card.model_id

    def explain(self, path: Path) -> Explanation:
        """Read one picture again.

        Raises:
            ImageError: the picture cannot be read.
        """
        find = partial(find_text_lines, self._network)
        seen = [self._seen(crop) for crop in propose(load_image(path), self._station.view, find)]
        if self._station.view.upside_down == "found" and surely_over(seen[0][0].reading):
            seen.append(self._seen(turned_180(seen[0][0].crop)))
        found = [one for one, _ in seen]
        crops = [one.crop for one in found]
        readings = read_where_needed(crops, [one.reading for one in found])
        mostly_right = self._station.view.upside_down == "found"
        best, extent = seen[surest(crops, readings, mostly_right=mostly_right)]
        looks = [best]
        while closer := next_look([one.reading for one in looks], best.crop.tilt_deg):
            look = closer.look(extent, best.crop.pixels.shape)
            looks.append(self._seen(replace(best.crop, pixels=look.at(best.crop.pixels)))[0])
        told = vote([one.reading for one in looks], self._station.code)
        same = [one for one in looks if one.reading.text == told.text]
        return replace(max(same, key=lambda one: one.reading.confidence), told=told)

    def _seen(self, crop: Crop) -> tuple[Explanation, Extent]:
        """One look of the network at one crop, and where its text stands, as ``read`` takes it."""
        card, code = self._network.card, self._station.code
        (outputs,) = Outputs.of_each(self._network, to_array(crop.pixels, card.geometry)[None])
        reading = reading_of(outputs, crop.pixels, card, code, self._search)
        attention, glyphs = looked_at(outputs, crop.pixels, card, len(reading.chars))
        extent = where(looked_at(outputs, crop.pixels, card, len(reading.free_text)), crop.pixels)
        return Explanation(reading, reading, crop, attention, glyphs), extent


def save(picture: Pixels, path: Path) -> None:
    """Write a picture as PNG; a RecordsError says why it cannot be."""
    save_png(picture, path, "an explanation")


def _named(name: str, panel: Pixels) -> Pixels:
    """A panel with its name on the left."""
    row = np.full((max(panel.shape[0], LINE), LEFT + panel.shape[1], 3), PAPER, np.uint8)
    row[: panel.shape[0], LEFT:] = panel
    _write(row, name, 4, 17)
    return row


def _bars(attention: Floats, width: int) -> list[Pixels]:
    """One bar a slot, black where it looked most."""
    peak = np.maximum(attention.max(axis=1, keepdims=True), 1e-6) if attention.size else attention
    grey = (255 * (1 - attention / peak)).astype(np.uint8) if attention.size else attention.astype(np.uint8)
    bars = [cv2.resize(row[None], (width, LINE - 4), interpolation=cv2.INTER_NEAREST) for row in grey]
    return [np.repeat(bar[..., None], 3, axis=2).astype(np.uint8, copy=False) for bar in bars]


def _write(row: Pixels, words: str, x: int, baseline: int, size: float = 0.4) -> None:
    cv2.putText(row, words, (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
