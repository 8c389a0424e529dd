"""Draw the pictures of docs/photographs.md: rendered scenes with the lines that are found in them.

python docs/photograph_pictures.py FOLDER
"""

import sys
from pathlib import Path

import cv2

from serialread import DataRecipe, Reader, Station, load, make_sample
from serialread.config.scene import CarrierKind, Scene
from serialread.records import Pixels

MARKS = load("recipes/data/marks.toml", DataRecipe)
NAMEPLATE = (
    "ACME DRIVES",
    "TYPE\tMX-4810",
    "SERIAL NO\t47-20913",
    "S/N: 8841-KD",
    "VOLTAGE 400 V",
    "YEAR\t2026",
)
WIDTH_PX = 800


def scene(carrier: CarrierKind, texts: tuple[str, ...], seed: int, **changes: object) -> Pixels:
    """A rendered picture of one part with given texts, in ink or by laser."""
    about = {"several": (1,), "empty_share": 0, "distractors": 0, "perspective_share": 0, "upright_share": 1}
    wanted = Scene.model_validate({"carriers": {carrier: 1}, "texts": texts, **about, **changes})
    kinds = tuple(process for process in MARKS.processes if process.kind in ("ink", "laser"))
    camera = MARKS.camera.model_copy(update={"blur": (0.0, 0.2), "low_resolution_share": 0.0})
    recipe = MARKS.model_copy(update={"scene": wanted, "processes": kinds, "camera": camera})
    return make_sample(recipe, seed, 0).pixels


def drawn(pixels: Pixels, station: str) -> Pixels:
    """The picture with all lines and fields, as ``serialread model explain`` draws it."""
    reader = Reader(station=load(station, Station) if station else None, barcodes=False)
    shown = reader.explain(pixels).picture
    if shown is None:
        raise SystemExit("a picture without lines: choose another seed.")
    size = (WIDTH_PX, round(WIDTH_PX * shown.shape[0] / shown.shape[1]))
    return cv2.resize(shown, size, interpolation=cv2.INTER_AREA)


def main() -> None:
    """Write every picture."""
    out = Path(sys.argv[1])
    pictures = {
        "nameplate": (scene("nameplate", NAMEPLATE, 5, longer_px=(1000, 1100)), "docs/images/nameplate.toml"),
        "circle": (scene("ring", ("6205-2RS47209",), 2, longer_px=(900, 1000)), ""),
        "several": (scene("block", ("MX-4810\t47-20913",), 2, longer_px=(900, 1000), text_px=(22, 30)), ""),
        "small": (scene("block", ("48810-2026",), 1, longer_px=(2600, 2600), text_px=(14, 16)), ""),
    }
    for name, (pixels, station) in pictures.items():
        jpeg = cv2.imencode(".jpg", drawn(pixels, station), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
        (out / f"{name}.jpg").write_bytes(jpeg.tobytes())


if __name__ == "__main__":
    main()
