"""Codes on circles beside their straight twins: the same rendered crop, bent around three diameters.

    python -m benchmarks.circles [--count N] [--seed N] [--recipe RECIPE] [--out table.md]

A crop of the recipe stands on a picture of its own grey and noise: straight, and around the middle at any
angle, with the tops of the characters outward and inward in turn. Diameters are those of the middle of the
characters, in heights of a character; a crop longer than the circle is left out there. A code counts as read
if a line, or the record's text, is the code. Only what the straight twin reads says what the circle costs.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.photographs import plain
from serialread import DataRecipe, Reader, load, make_sample
from serialread.records import Floats, Pixels, Sample

DIAMETERS = (8, 14, 28)
"""In heights of a character: eight characters take 270, 150 and 80 degrees."""
ALONE = {
    "margin": (0.8, 1.0),
    "tilt_deg": 0.0,
    **dict.fromkeys(
        ("arc_share", "perspective_share", "cropped_share", "side_cut_share", "frame_share"), 0.0
    ),
    **dict.fromkeys(("neighbour_share", "partial_neighbour_share", "tool_mark_share"), 0.0),
}
"""A code that stands alone, level, with room around it."""
MARGIN = 3.0
"""Surface around the ring, in heights of the crop."""
FEATHER_PX = 8.0


def straight(sample: Sample, rng: np.random.Generator) -> Pixels:
    """The crop in a picture four times as high."""
    height, width = sample.pixels.shape
    x, y = np.meshgrid(np.arange(width + 4 * height), np.arange(6 * height))
    return _mapped(sample, x - 2.0 * height, y - 2.5 * height, rng)


def bent(sample: Sample, diameter: float, *, outward: bool, rng: np.random.Generator) -> Pixels | None:
    """The crop around a circle; None if it is too long."""
    assert sample.origin is not None
    height, width = sample.pixels.shape
    cap = float(np.median([y1 - y0 for _, y0, _, y1 in sample.origin.boxes]))
    radius = diameter * cap / 2
    if width > 1.9 * np.pi * radius:
        return None
    side = round(2 * radius + MARGIN * height)
    x, y = np.meshgrid(np.arange(side) - side / 2, np.arange(side) - side / 2)
    start = rng.uniform(-np.pi, np.pi)
    angle = (np.arctan2(y, x) - start + np.pi) % (2 * np.pi) - np.pi
    off = np.hypot(x, y) - radius
    along = angle * radius * (1 if outward else -1)
    return _mapped(sample, width / 2 + along, height / 2 - off * (1 if outward else -1), rng)


def _mapped(sample: Sample, x: Floats, y: Floats, rng: np.random.Generator) -> Pixels:
    """The crop's px at (x, y); beyond it a surface of its grey and noise, blended at its border."""
    crop = sample.pixels
    height, width = crop.shape
    rough = float((crop.astype(np.float32) - cv2.GaussianBlur(crop, (0, 0), 2)).std())
    surface = float(np.median(crop)) + rng.normal(0, min(rough, 6.0), x.shape)
    seen = cv2.remap(
        crop, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    share = np.clip(inside / FEATHER_PX, 0, 1)
    return np.clip(surface + share * (seen - surface), 0, 255).astype(np.uint8)


def is_read(reader: Reader, pixels: Pixels, text: str) -> bool:
    """Whether a line or the record's text is the code."""
    record = reader.read(pixels)
    return plain(text) in {plain(record.text), *(plain(line.text) for line in record.lines)}


def measure(recipe: DataRecipe, seed: int, count: int) -> str:
    """The table."""
    recipe = recipe.model_copy(update={"layout": recipe.layout.model_copy(update=ALONE)})
    reader, rng = Reader(barcodes=False), np.random.default_rng(seed)
    read = {diameter: [0, 0, 0] for diameter in DIAMETERS}
    index = codes = twins = 0
    while codes < count:
        sample = make_sample(recipe, seed, index)
        index += 1
        if not 6 <= len(sample.text) <= 12:
            continue
        codes += 1
        twin = is_read(reader, straight(sample, rng), sample.text)
        twins += twin
        for diameter, counts in read.items():
            pixels = bent(sample, diameter, outward=codes % 2 == 0, rng=rng)
            if pixels is not None:
                right = is_read(reader, pixels, sample.text)
                counts[0] += 1
                counts[1] += twin
                counts[2] += twin and right
    lines = ["| diameter | codes | straight twin read | of these read on the circle |", "|---|---|---|---|"]
    for diameter, (tried, straight_read, right) in read.items():
        share = f"{100 * right / max(straight_read, 1):.0f} %"
        lines.append(f"| {diameter} characters | {tried} | {straight_read} | {right} ({share}) |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it if wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/data/marks.toml"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    table = measure(load(given.recipe, DataRecipe), given.seed, given.count)
    print(table)
    if given.out:
        given.out.write_text(f"{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
