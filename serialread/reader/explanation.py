"""Explanations: glyph maps and attention over the crop, boxes over the picture.

Letters: T characters, N attention columns, h rows of the glyph maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from serialread.imaging import tinted
from serialread.inference.session import ModelCard
from serialread.reader.outputs import maps_of
from serialread.reader.pipeline import PictureReading, SeenView, polygon_of
from serialread.records import CharReading, Crop, Decision, Floats, Pixels, Reading, Record

ZOOM = 6
"""Picture px per px of the network's crop."""
LINE = 26
"""Height of a row of text, px."""
PAPER, INK = 250, (30, 30, 30)
LEFT = 150
"""Width of the row names, px."""
COLOURS = {
    Decision.ACCEPT: (60, 160, 40),
    Decision.REVIEW: (0, 150, 240),
    Decision.REJECT: (40, 40, 220),
}
"""BGR of what is drawn over a picture."""
LINE_COLOUR, FIELD_COLOUR, CODE_COLOUR = (0, 110, 230), (190, 90, 0), (40, 130, 30)
PICTURE_PX = 960
"""Longer side of the picture in an explanation."""


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """One row of the code, in the view that decided it.

    Attributes:
        pixels: the view, grey [H, W].
        attention: float32 [T, N], the attention of each character, without padding.
        glyphs: float32 [T, h, N], which cells belong to each character, 0..1.
    """

    pixels: Pixels
    chars: tuple[CharReading, ...]
    attention: Floats
    glyphs: Floats

    def overlay(self, height_px: int) -> Pixels:
        """BGR uint8: the view, and below it the same with its glyph maps, each ``height_px`` high."""
        height, width = self.pixels.shape
        size = (max(round(width * height_px / height), 1), height_px)
        grey = np.asarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.concatenate([np.repeat(grey[..., None], 3, axis=2), tinted(grey, self.glyphs)])

    def panels(self, title: str) -> list[Pixels]:
        """The view, its characters, its glyph maps, and a row of attention per character."""
        width, height = ZOOM * 4 * self.attention.shape[1], ZOOM * 4 * self.glyphs.shape[1]
        grey = np.asarray(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        rows = zip(self.chars, _bars(self.attention, width), strict=True)
        return [
            _named("crop", np.repeat(grey[..., None], 3, axis=2)),
            self._text_row(title, width),
            _named("glyph maps", tinted(grey, self.glyphs)),
            *(
                _named(f"{i}: {c.char}  {c.confidence:.3f}  ({c.runner_up[0]} {c.runner_up[1]:.3f})", bar)
                for i, (c, bar) in enumerate(rows, start=1)
            ),
        ]

    def _text_row(self, title: str, width: int) -> Pixels:
        """Every character below the centre of its attention."""
        row = np.full((LINE, LEFT + width, 3), PAPER, np.uint8)
        _write(row, title, 4, 17)
        columns = np.arange(self.attention.shape[1]) + 0.5
        for char, weights in zip(self.chars, self.attention, strict=True):
            centre = float((weights * columns).sum() / max(float(weights.sum()), 1e-6)) / len(columns)
            _write(row, char.char, LEFT + round(centre * width) - 6, 20, 0.7)
        return row


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reading with the attention and glyph maps behind it.

    Attributes:
        reading: the code, the same as in the picture's record.
        crop: the best line of the picture.
        lines: the rows of the code, from top to bottom.
        best: the number of the best line among them.
        picture: the picture with all its lines, BGR uint8; None for the crop of one line.
    """

    reading: Reading
    crop: Crop
    lines: tuple[ExplainedLine, ...]
    best: int
    picture: Pixels | None = None

    @classmethod
    def of(cls, found: PictureReading, card: ModelCard, pixels: Pixels) -> "Explanation":
        """Explain what was read with a model in a picture, grey or BGR."""
        lines, chars = list[ExplainedLine](), list(found.reading.chars)
        for number in found.rows:
            view = _deciding_view(found, number)
            count = len(view.reading.chars)
            attention, glyphs = maps_of(view.outputs, view.pixels, card, count)
            lines.append(ExplainedLine(view.pixels, tuple(chars[:count]), attention, glyphs))
            del chars[:count]
        picture = drawn_lines(pixels, found) if found.detected else None
        return cls(found.reading, found.crop, tuple(lines), found.rows.index(found.best), picture)

    def drawn(self) -> Pixels:
        """BGR uint8: all lines in the picture; each row of the code, its glyph maps and its attention."""
        title = f"read, {self.reading.confidence:.3f}"
        panels = [] if self.picture is None else [self.picture]
        panels += [panel for line in self.lines for panel in line.panels(title)]
        width = max(panel.shape[1] for panel in panels)
        return np.concatenate([_widened(panel, width) for panel in panels], axis=0)

    def overlay(self, height_px: int) -> Pixels:
        """BGR uint8: the best line, and below it the same with its glyph maps, each ``height_px`` high."""
        return self.lines[self.best].overlay(height_px)


def _deciding_view(found: PictureReading, number: int) -> SeenView:
    """Of the views of a row that read its text, the one with the highest confidence."""
    views = found.lines[number].views
    if number != found.best:
        return views[0]
    same = [view for view in views if view.reading.text == found.line.text]
    return max(same, key=lambda view: view.reading.confidence)


def drawn_lines(pixels: Pixels, found: PictureReading) -> Pixels:
    """A picture with the outline, the direction and the text of every line that was found; BGR uint8.

    An arrow runs along the baseline. The lines of the code are green, those of fields blue and named below.
    """
    scale = min(PICTURE_PX / max(pixels.shape[:2]), 1.0)
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    drawn = np.asarray(small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2), np.uint8)
    codes = {polygon_of(found.lines[row].crop) for row in found.rows}
    values = {
        polygon_of(field.line.crop): f"{name}: {field.reading.text}"
        for name, field in found.fields.items()
        if field is not None
    }
    lines = {line.polygon: line.text for line in found.detected}
    for polygon, text in (lines | values).items():
        colour = CODE_COLOUR if polygon in codes else FIELD_COLOUR if polygon in values else LINE_COLOUR
        outline = np.round(np.array(polygon) * scale).astype(np.int32)
        cv2.polylines(drawn, [outline], True, colour, 1, cv2.LINE_AA)
        last = len(outline) // 2
        cv2.polylines(drawn, [outline[last:][::-1]], False, colour, 2, cv2.LINE_AA)
        cv2.arrowedLine(drawn, outline[last + 1], outline[last], colour, 2, cv2.LINE_AA, tipLength=0.15)
        left, (top, bottom) = int(outline[:, 0].min()), (outline[:, 1].min(), outline[:, 1].max())
        at = (left, int(bottom) + LINE - 8) if polygon in values else (left, int(top) - 5)
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        cv2.rectangle(drawn, (left, at[1] - high - 1), (left + wide, at[1] + below), (PAPER,) * 3, cv2.FILLED)
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return drawn


def drawn_record(pixels: Pixels, record: Record, crop: Crop) -> Pixels:
    """A picture, grey or BGR, with the boxes of its code, below a caption; BGR uint8 [H + caption, W, 3]."""
    drawn = pixels.copy() if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    colour, pen = COLOURS[record.decision], max(round(min(drawn.shape[:2]) / 250), 1)
    for quad, thickness in ((crop.quad, pen), *((quad, 1) for quad in _char_quads(record, crop))):
        cv2.polylines(drawn, [np.round(quad).astype(np.int32)], True, colour, thickness, cv2.LINE_AA)
    words = f"{record.text or record.reason}  {record.confidence or 0:.3f} {record.decision}"
    return np.concatenate([_caption(words, drawn.shape[1], max(drawn.shape[0] // 16, 20), colour), drawn])


def _caption(words: str, width: int, height: int, colour: tuple[int, int, int]) -> Pixels:
    """A coloured strip with white text that fits into it."""
    strip = np.full((height, width, 3), colour, np.uint8)
    (wide, high), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    size = min(0.85 * width / max(wide, 1), 0.6 * height / max(high, 1))
    at = (4, round(0.5 * (height + size * high)))
    cv2.putText(strip, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)
    return strip


def _char_quads(record: Record, crop: Crop) -> Floats:
    """Corners [T, 4, 2] of the characters' boxes in px of the picture."""
    height, width = crop.pixels.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    to_picture = cv2.getPerspectiveTransform(corners, crop.quad.astype(np.float32))
    boxes = [char.box for char in record.chars if char.box]
    quads = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]] for x0, y0, x1, y1 in boxes]
    points = np.array(quads, np.float32).reshape(-1, 1, 2)
    if not boxes:
        return points.reshape(-1, 4, 2)
    return np.asarray(cv2.perspectiveTransform(points, to_picture), np.float32).reshape(-1, 4, 2)


def _widened(panel: Pixels, width: int) -> Pixels:
    return np.pad(panel, ((0, 0), (0, width - panel.shape[1]), (0, 0)), constant_values=PAPER)


def _named(name: str, panel: Pixels) -> Pixels:
    """A panel with its name on the left."""
    row = np.full((max(panel.shape[0], LINE), LEFT + panel.shape[1], 3), PAPER, np.uint8)
    row[: panel.shape[0], LEFT:] = panel
    _write(row, name, 4, 17)
    return row


def _bars(attention: Floats, width: int) -> Sequence[Pixels]:
    """One bar per character, black where its attention is highest."""
    bars: list[Pixels] = []
    for row in attention:
        grey = (255 * (1 - row / max(float(row.max()), 1e-6))).astype(np.uint8)
        bar = cv2.resize(grey[None], (width, LINE - 4), interpolation=cv2.INTER_NEAREST)
        bars.append(np.repeat(bar[..., None], 3, axis=2).astype(np.uint8, copy=False))
    return bars


def _write(row: Pixels, words: str, x: int, baseline: int, size: float = 0.4) -> None:
    cv2.putText(row, words, (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
