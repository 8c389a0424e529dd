"""Draw the pictures of docs/generator.md from the recipe lines that stand above each of them.

python benchmarks/generator_pictures.py docs/generator.md
"""

import argparse
import re
import tomllib
from pathlib import Path

import cv2
import numpy as np

from serialread import synth
from serialread.config import DataRecipe
from serialread.records import Pixels

COMMON = """
height = 40
[texts]
digits = 0
mixed = 0
arbitrary = 0
patterns = ["@@##-####", "####-##", "@###@##"]
[layout]
tilt_deg = 1.0
cylinder_share = 0.0
perspective_share = 0.0
partial_neighbour_share = 0.0
tool_mark_share = 0.0
[camera]
low_resolution_share = 0.0
"""
LEVELS = 32  # of grey: half the bytes of 256, and hardly distinguishable from them


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    found = re.findall(
        r"```toml\n(.*?)```\n!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"), re.DOTALL
    )
    size = 0
    for lines, name in found:
        recipe = DataRecipe.model_validate(merged(tomllib.loads(COMMON), tomllib.loads(lines)))
        data = cv2.imencode(
            ".png", picture(recipe, seed=len(name) + ord(name[-5])), [cv2.IMWRITE_PNG_COMPRESSION, 9]
        )[1].tobytes()
        (page.parent / name).parent.mkdir(exist_ok=True)
        (page.parent / name).write_bytes(data)
        size += len(data)
    print(f"{len(found)} pictures, {size / 1000:.0f} kB")


def picture(recipe: DataRecipe, seed: int, rows: int = 2, columns: int = 3, width: int = 230) -> Pixels:
    """The first samples that fit, side by side, grey."""
    crops, index = [], 0
    while len(crops) < rows * columns:
        crop = synth.make_sample(recipe, seed, index).pixels
        index += 1
        if 100 < crop.shape[1] <= width:
            cell = np.full((recipe.height + 6, width + 6), 255, np.uint8)
            cell[: crop.shape[0], : crop.shape[1]] = crop // (256 // LEVELS) * (255 // (LEVELS - 1))
            crops.append(cell)
    return np.vstack([np.hstack(crops[r * columns : (r + 1) * columns]) for r in range(rows)])


def merged(base: dict, top: dict) -> dict:
    both = {**base, **top}
    for key in base.keys() & top.keys():
        if isinstance(base[key], dict):
            both[key] = merged(base[key], top[key])
    return both


if __name__ == "__main__":
    main()
