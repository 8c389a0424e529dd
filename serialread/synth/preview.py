"""Contact sheets of samples, for a visual check of a recipe before a store is generated."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from serialread import synth
from serialread.config import DataRecipe, load
from serialread.imaging import save_png, tinted
from serialread.records import Pixels, Sample, SceneLine

SCALE = 2
"""Enlargement of the crops."""
SCENE_PX = 480
"""Longer side of a whole picture on the sheet, px."""
CAPTION = 34
"""Height of the two lines below a crop, px."""
GAP = 10
"""Space around a cell, px."""
BOX, START = (0, 200, 255), (255, 80, 0)
"""Colours of the boxes and of the point at which a line starts, BGR."""
PAPER = 245
"""Grey of the sheet."""


def write_preview(
    recipe: DataRecipe | Path | str,
    out: Path,
    *,
    count: int = 60,
    seed: int = 0,
    columns: int = 4,
    masks: bool = False,
    by_process: bool = False,
) -> None:
    """Draw a recipe's first samples as a contact sheet.

    Example:
        >>> write_preview("recipes/data/marks.toml", Path("sheet.png"), by_process=True)

    Args:
        recipe: a data recipe, or the path of its TOML file.
        out: the PNG to write.
        count: samples on the sheet, at least 1.
        seed: another seed gives other samples.
        columns: samples in a row, at least 1.
        masks: tint every character and draw its box.
        by_process: the same number of samples of each of the recipe's processes, or of each kind of its mix.

    Raises:
        RecipeError: the file is no data recipe, or a folder of surface photographs holds none.
        RecordsError: the sheet cannot be written.
    """
    loaded = recipe if isinstance(recipe, DataRecipe) else load(Path(recipe), DataRecipe)
    parts = loaded.by_process() if by_process else (loaded,)
    each = -(-count // len(parts))
    samples = [synth.make_sample(part, seed, index) for part in parts for index in range(each)]
    save(contact_sheet(samples[:count], columns, masks=masks), out)


def contact_sheet(samples: Sequence[Sample], columns: int = 4, *, masks: bool = False) -> Pixels:
    """Arrange samples in rows, each with its number and label, its kind, process and typeface below.

    Whole pictures show the cell of every character and the point at which each line starts.

    Args:
        samples: any number; they keep their order.
        columns: cells in a row, at least 1.
        masks: tint every character of a sample that has masks, and draw its boxes.

    Returns:
        BGR uint8 [rows, cols, 3].
    """
    if not samples:
        return np.full((CAPTION, CAPTION, 3), PAPER, np.uint8)
    cells = [_cell(number, sample, masks) for number, sample in enumerate(samples)]
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    height = max(cell.shape[0] for cell in cells) + GAP
    width = max(sum(cell.shape[1] + GAP for cell in row) for row in rows)
    sheet = np.full((len(rows) * height + GAP, width + GAP, 3), PAPER, np.uint8)
    for top, row in zip(range(GAP, len(rows) * height, height), rows, strict=True):
        left = GAP
        for cell in row:
            sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
            left += cell.shape[1] + GAP
    return sheet


def save(sheet: Pixels, path: Path) -> None:
    """Write a sheet as PNG; a RecordsError says why it cannot be."""
    save_png(sheet, path, "a contact sheet")


def _cell(number: int, sample: Sample, masks: bool) -> Pixels:
    picture = _scene(sample, sample.lines) if sample.lines is not None else _crop(sample, masks)
    height, width = picture.shape[:2]
    if sample.lines is not None:
        lines = [f"{number}: {len(sample.lines)} lines", " ".join(line.text for line in sample.lines)[:60]]
    else:
        lines = [f"{number}: {sample.text}", _how(sample)]
    cell = np.full((height + CAPTION, max(width, *(_text_width(line) for line in lines)), 3), PAPER, np.uint8)
    cell[:height, :width] = picture
    for line, baseline in zip(lines, (height + 14, height + 30), strict=True):
        cv2.putText(
            cell, _drawable(line), (1, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA
        )
    return cell


def _how(sample: Sample) -> str:
    """Kind, process and typeface of a rendered sample."""
    if sample.origin is None:
        return ""
    kind = sample.origin.parameters.get("kind")
    return ", ".join(filter(None, (kind, sample.origin.process, sample.origin.typeface)))


def _crop(sample: Sample, masks: bool) -> Pixels:
    """An enlarged crop."""
    picture = _tinted(sample) if masks else _coloured(sample.pixels)
    size = SCALE * picture.shape[1], SCALE * picture.shape[0]
    enlarged = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    for box in sample.origin.boxes if masks and sample.origin else ():
        x0, y0, x1, y1 = (round(SCALE * edge) for edge in box)
        cv2.rectangle(enlarged, (x0, y0), (x1, y1), BOX, 1)
    return enlarged


def _scene(sample: Sample, lines: Sequence[SceneLine]) -> Pixels:
    """A whole picture, shrunk, with the cells of its lines; a dot marks where each starts."""
    scale = min(SCENE_PX / max(sample.pixels.shape), 1.0)
    picture = cv2.resize(_coloured(sample.pixels), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for line in lines:
        cells = np.round(scale * np.array(line.cells)).astype(np.int32)
        cv2.polylines(picture, list(cells), True, BOX)
        cv2.circle(picture, tuple(cells[0, 0].tolist()), 3, START, cv2.FILLED, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def _tinted(sample: Sample) -> Pixels:
    if sample.glyphs is None:
        return _coloured(sample.pixels)
    owners = np.arange(1, int(sample.glyphs.max()) + 1)[:, None, None]
    return tinted(sample.pixels, (sample.glyphs[None] == owners).astype(np.float32))


def _coloured(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[..., None], 3, axis=2)


def _text_width(line: str) -> int:
    (width, _), _ = cv2.getTextSize(_drawable(line), cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    return int(width) + 4


def _drawable(line: str) -> str:
    """The line in the characters that OpenCV's own font has."""
    return line.encode("ascii", "replace").decode()
