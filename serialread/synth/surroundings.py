"""What else a crop shows: the part's end, a hole, a printed part of the same code."""

from dataclasses import replace

import cv2
import numpy as np

from serialread.synth.exposure import Shaded, within_range
from serialread.synth.fields import blurred
from serialread.synth.rng import below, within
from serialread.synth.strokes import Mark


def overprinted(shaded: Shaded, printed: Mark, rng: np.random.Generator) -> Shaded:
    """Print a part of the code beside the part that is already marked."""
    coverage = blurred(printed.coverage, within((0.4, 0.9), rng))
    contrast = within((0.12, 0.7), rng)
    tone = contrast if rng.random() < 0.3 else -contrast
    print_ = np.float32(tone) * coverage
    parameters = {**shaded.parameters, "printed": round(tone, 3)}
    both = replace(
        shaded, pixels=shaded.pixels + print_, signal=shaded.signal + print_, parameters=parameters
    )
    return within_range(both)


def ended(shaded: Shaded, mark: Mark, rng: np.random.Generator) -> Shaded:
    """Let the part end beside, over or under the code: what lies beyond has another, even tone."""
    free = _free(mark)
    side = below(4, rng)
    reach = int(free[side] * within((0.2, 0.8), rng))
    if reach < 2:
        return shaded
    beyond = np.zeros(mark.owners.shape, np.float32)
    beyond[(np.s_[:, :reach], np.s_[:, -reach:], np.s_[:reach], np.s_[-reach:])[side]] = 1
    beyond = blurred(beyond, within((0.5, 2.5), rng))
    tone = np.float32(within((0.0, 0.35), rng) if rng.random() < 0.75 else within((0.6, 1.0), rng))
    pixels = shaded.pixels + beyond * (tone - shaded.pixels)
    return replace(shaded, pixels=pixels, parameters={**shaded.parameters, "edge": side})


def drilled(shaded: Shaded, mark: Mark, rng: np.random.Generator) -> Shaded:
    """Put a hole or a screw's head beside the code, as far as the margin shows it."""
    free = _free(mark)
    rows, columns = mark.owners.shape
    side = below(4, rng)
    shown = free[side] * within((0.4, 0.95), rng)
    if shown < 4:
        return shaded
    radius = max(within((0.15, 0.5), rng) * rows, 0.6 * shown)
    x, y = within((0, columns), rng), within((0.2, 0.8), rng) * rows
    x = (shown - radius, columns - shown + radius, x, x)[side]
    y = (y, y, shown - radius, rows - shown + radius)[side]
    inside, ring = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    place = (round(x * 16), round(y * 16))
    cv2.circle(inside, place, round(radius * 16), 1.0, cv2.FILLED, cv2.LINE_AA, 4)
    cv2.circle(ring, place, round(radius * 16), within((-0.4, 0.5), rng), 2, cv2.LINE_AA, 4)
    tone = np.float32(within((0.0, 0.2), rng) if rng.random() < 0.7 else within((0.4, 0.9), rng))
    pixels = shaded.pixels + blurred(inside, 0.8) * (tone - shaded.pixels) + blurred(ring, 0.8)
    return replace(shaded, pixels=pixels, parameters={**shaded.parameters, "hole": side})


def _free(mark: Mark) -> tuple[int, int, int, int]:
    """Px without a character left, right, above and below the code."""
    height, width = mark.owners.shape
    x, y, wide, high = cv2.boundingRect(mark.owners)
    if wide == 0:
        return (0, 0, 0, 0)
    return (x, width - x - wide, y, height - y - high)
