"""Render the codes by SynthTIGER's layers and effects: plain ground, soft and noisy; see compare.py.

Its own template for text lines is no part of the package, and needs textures and colour maps that have to be
fetched; this one takes the package's parts for the same work as the others.
"""

import random
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from synthtiger import components, layers, templates


class FlatPrint(templates.Template):
    """A code on an even ground; with masks, a layer for every character."""

    def __init__(self, codes: list[str], typefaces: list[str], masks: bool) -> None:
        self.codes, self.typefaces, self.masks = codes, typefaces, masks
        self.tilt = components.Rotate(angle=(-1, 1))
        self.blur = components.GaussianBlur(sigma=(0, 1))
        self.noise = components.AdditiveGaussianNoise(scale=(0, 12), per_channel=0)
        self.set = components.FlowLayout(space=(0, 4))

    def generate(self) -> dict[str, object]:
        code, typeface = random.choice(self.codes), random.choice(self.typefaces)
        light, dark = random.randint(120, 255), random.randint(0, 90)
        ink = (dark, dark, dark, 255)
        parts = list(code) if self.masks else [code]
        text = layers.Group([layers.TextLayer(part, typeface, 26, ink) for part in parts])
        if self.masks:
            self.set.apply(text)
        self.tilt.apply([text])
        ground = layers.RectLayer((int(text.width) + 8, 32), (light, light, light, 255))
        ground.center = text.center
        picture = (text + ground).merge()
        self.blur.apply([picture])
        self.noise.apply([picture])
        return {
            "image": picture.output()[..., :3].astype(np.uint8),
            "label": code,
            "masks": [part.output(bbox=picture.bbox)[..., 3] for part in text.layers] if self.masks else [],
        }

    def init_save(self, root: str) -> None: ...

    def save(self, root: str, data: object, idx: int) -> None: ...

    def end_save(self, root: str) -> None: ...


def main(task: Path, *how: str) -> None:
    cv2.setNumThreads(1)
    codes = (task / "codes.txt").read_text(encoding="utf-8").splitlines()
    typefaces = (task / "typefaces.txt").read_text(encoding="utf-8").splitlines()
    template = FlatPrint(codes, typefaces, bool(how))
    for _ in sys.stdin:
        start = time.process_time()
        for _ in codes:
            template.generate()
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
