"""How strong a mark stands on its surface: signal and ground put together and exposed.

Grey values are float32, 0 black .. 1 white.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from serialread.config.data_recipe import Surfaces
from serialread.records import Floats, Pixels
from serialread.synth.fields import blurred, enlarged, halved
from serialread.synth.lighting import falloff, glare

Parameters = dict[str, float | str | bool]
"""What was drawn, for the record."""


@dataclass(frozen=True, slots=True)
class Shaded:
    """A lit mark.

    Attributes:
        pixels: float32 [H, W].
        signal: what the mark adds to the bare surface, float32 [H, W].
        strength: spread of grey that the mark adds where it stands, 0..1.
        parameters: what was drawn, for the record.
    """

    pixels: Floats
    signal: Floats
    strength: float
    parameters: Parameters

    @property
    def bare(self) -> "Shaded":
        """The surface as it is without the mark, in the same light."""
        return replace(self, pixels=self.pixels - self.signal, signal=np.zeros_like(self.signal))


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the mark shall come out.

    Attributes:
        strength: its spread of grey, 0..1.
        level: grey of the bare surface, 0..1.
        legible: least strength of the mark against the surface's own pattern.
        evenness: how much of the surface's large-scale light is kept, 0..1.
    """

    strength: float
    level: float
    legible: float
    evenness: float


def expose(
    bare: Floats, signal: Floats, body: Floats, wanted: Wanted, knobs: Surfaces, rng: np.random.Generator
) -> Shaded:
    """Put surface and signal together: the signal as strong as wanted, the pattern only as legible.

    Args:
        bare: the lit surface without the mark, at the size of the signal or half of it.
        signal: what the mark adds to it, in the same unit.
        body: where the mark is, 0..1.
        wanted: how it shall come out.
        knobs: of the surface.
        rng: chance.
    """
    soft = blurred(_quartered(bare, len(signal)), 4.0)
    pattern = bare - enlarged(soft, bare.shape)
    around = (body > 0.15).astype(np.uint8)
    inside = np.ascontiguousarray(around[1::2, 1::2])
    power = spread(signal, around)
    # a pattern as coarse as a stroke disturbs; a signal that outlives the network's scale helps
    half = halved(pattern) if len(pattern) == len(signal) else pattern
    noise = 0.5 * (_coarse(half, inside) + spread(half, inside)) + 1e-6
    lasting = _coarse(halved(signal), inside) / max(power, 1e-6)
    gain = wanted.strength / max(power, 1e-4)
    own = min(gain, wanted.strength * lasting / (wanted.legible * noise))
    signal = signal * np.float32(gain)
    ground = cv2.scaleAdd(pattern, own, enlarged(_ground(soft, wanted, knobs, rng), pattern.shape))
    pixels = signal + enlarged(np.asarray(ground, np.float32), signal.shape)
    return within_range(Shaded(pixels, signal, wanted.strength, {}))


def _ground(soft: Floats, wanted: Wanted, knobs: Surfaces, rng: np.random.Generator) -> Floats:
    """The even light under pattern and mark, at the size of ``soft``."""
    kept = np.float32(wanted.evenness / max(cv2.mean(soft)[0], 1e-3))
    uneven = np.clip(soft * kept, 0, 2.5 * wanted.evenness) + np.float32(1 - wanted.evenness)
    uneven *= falloff(soft.shape, rng) * np.float32(wanted.level)
    if rng.random() < knobs.glare_share:
        uneven += glare(soft.shape, rng)
    return np.asarray(uneven, np.float32)


def within_range(shaded: Shaded) -> Shaded:
    """Expose so that hardly anything is burnt out or drowned: two in a hundred px at either end."""
    sparse = shaded.pixels[1::3, ::3].ravel()
    rank = len(sparse) // 50
    ranked = np.partition(sparse, (rank, len(sparse) - 1 - rank))
    low, high = float(ranked[rank]), float(ranked[-1 - rank])
    if low >= 0.0 and high <= 1.0:
        return shaded
    low, high = min(low, 0.0), max(high, 1.0)
    scale = np.float32(1 / (high - low))
    pixels = (shaded.pixels - np.float32(low)) * scale
    return Shaded(pixels, shaded.signal * scale, shaded.strength * float(scale), shaded.parameters)


def spread(field: Floats, where: Pixels) -> float:
    """Root mean square of a field over a region; of all of it if the region is empty."""
    count = cv2.countNonZero(where)
    if count == 0:
        return float(cv2.norm(field, cv2.NORM_L2) / field.size**0.5)
    return float(cv2.norm(field, cv2.NORM_L2, where) / count**0.5)


def _coarse(field: Floats, where: Pixels) -> float:
    """Spread of what is left of a field of the crop's size at the network's scale."""
    return spread(blurred(field, 0.7), where)


def _quartered(field: Floats, rows: int) -> Floats:
    """A field at a quarter of ``rows``: so soft a blur as follows loses nothing by it."""
    while len(field) > rows // 4:
        field = halved(field)
    return field
