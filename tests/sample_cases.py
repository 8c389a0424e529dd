"""Labelled crops that tests draw themselves: quick, legible, with exact masks."""

import cv2
import numpy as np

from serialread.records import Sample

CHARS = "0123456789ABCDEF"


def sample(seed: int, length: int | None = None, *, masks: bool = True) -> Sample:
    """A crop of dark print on noise; the same seed is the same crop."""
    rng = np.random.default_rng([7, seed])
    text = "".join(rng.choice(list(CHARS), int(rng.integers(1, 7)) if length is None else length))
    width = 10 + 18 * len(text)
    pixels = rng.normal(170, 8, (32, width)).astype(np.float32)
    glyphs = np.zeros((32, width), np.uint8)
    for place, char in enumerate(text):
        ink = np.zeros((32, width), np.uint8)
        cv2.putText(ink, char, (6 + 18 * place, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
        pixels -= ink.astype(np.float32) * np.float32(0.5)
        glyphs[ink > 0] = place + 1
    return Sample(np.clip(pixels, 0, 255).astype(np.uint8), text, glyphs if masks else None)


def samples(count: int, **how: bool) -> list[Sample]:
    return [sample(seed, **how) for seed in range(count)]
