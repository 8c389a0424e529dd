"""Render sample_images/ again: three batches of a dozen pictures and their labels, from recipes/samples/."""

import csv
from pathlib import Path

import cv2

from serialread.config import DataRecipe, load
from serialread.synth import make_sample

HERE = Path(__file__).parent
BATCHES = ("press-shop", "machining", "assembly")
PICTURES = 12
SEED = 20  # of the first batch


def main() -> None:
    """Write <batch>/<nn>.jpg and labels.csv."""
    rows = []
    for seed, batch in enumerate(BATCHES, start=SEED):
        recipe = load(HERE.parent / "recipes" / "samples" / f"{batch}.toml", DataRecipe)
        (HERE / batch).mkdir(exist_ok=True)
        for number in range(PICTURES):
            sample = make_sample(recipe, seed, number)
            name = f"{batch}/{number + 1:02d}.jpg"
            cv2.imwrite(str(HERE / name), sample.pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
            rows.append((name, sample.text))
    with (HERE / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("filename", "text"), *rows])


if __name__ == "__main__":
    main()
