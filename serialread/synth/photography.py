"""From a lit mark to a picture: exposure, camera, and how visible the mark is.

Grey values are float32, 0 black .. 1 white.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.config.data_recipe import Camera, Surfaces
from serialread.records import Floats, Pixels
from serialread.synth.fields import blurred, enlarged, grain, halved, ramp, shrunk, towards_one_end
from serialread.synth.rng import Rng, below, within

Parameters = dict[str, float | str | bool]
"""Drawn parameters, for the record."""


@dataclass(frozen=True, slots=True)
class Shaded:
    """A lit mark.

    Attributes:
        signal: what the mark adds to the bare surface, float32 [H, W].
        strength: spread of grey that the mark adds where it stands, 0..1.
        parameters: drawn parameters, for the record.
    """

    pixels: Floats
    signal: Floats
    strength: float
    parameters: Parameters

    @property
    def bare(self) -> "Shaded":
        """The surface without the mark, in the same light."""
        return replace(self, pixels=self.pixels - self.signal, signal=np.zeros_like(self.signal))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Targets of the exposure.

    Attributes:
        strength: the mark's spread of grey, 0..1.
        level: grey of the bare surface, 0..1.
        legible: minimum ratio of the mark's strength to the surface's own pattern.
        evenness: how much of the surface's large-scale light is kept, 0..1.
    """

    strength: float
    level: float
    legible: float
    evenness: float


def expose(
    bare: Floats, signal: Floats, body: Floats, wanted: Wanted, surfaces: Surfaces, rng: Rng
) -> Shaded:
    """Combine surface and signal: the signal at its target strength, the pattern limited by legibility.

    Args:
        bare: the lit surface without the mark, at the signal's size or half of it.
        signal: what the mark adds to it, in the same unit.
        body: where the mark is, 0..1.
        wanted: targets of the exposure.
        surfaces: the recipe's section on surfaces.
        rng: source of every draw.
    """
    soft = blurred(_quartered(bare, len(signal)), 4.0)
    pattern = bare - enlarged(soft, bare.shape)
    around = (body > 0.15).astype(np.uint8)
    inside = np.ascontiguousarray(around[1::2, 1::2])
    power = spread(signal, around)
    # a pattern as coarse as a stroke disturbs; a signal that is still there at the crop's scale helps
    half = halved(pattern) if len(pattern) == len(signal) else pattern
    noise = 0.5 * (_coarse(half, inside) + spread(half, inside)) + 1e-6
    lasting = _coarse(halved(signal), inside) / max(power, 1e-6)
    gain = wanted.strength / max(power, 1e-4)
    own = min(gain, wanted.strength * lasting / (wanted.legible * noise))
    signal = signal * np.float32(gain)
    background = cv2.scaleAdd(pattern, own, enlarged(_background(soft, wanted, surfaces, rng), pattern.shape))
    pixels = signal + enlarged(np.asarray(background, np.float32), signal.shape)
    return within_range(Shaded(pixels, signal, wanted.strength, {}))


def _background(soft: Floats, wanted: Wanted, surfaces: Surfaces, rng: Rng) -> Floats:
    """The light without pattern and mark, at the size of ``soft``."""
    kept = np.float32(wanted.evenness / max(cv2.mean(soft)[0], 1e-3))
    uneven = np.clip(soft * kept, 0, 2.5 * wanted.evenness) + np.float32(1 - wanted.evenness)
    uneven *= falloff(soft.shape, rng) * np.float32(wanted.level)
    if rng.random() < surfaces.glare_share:
        uneven += glare(soft.shape, rng)
    return np.asarray(uneven, np.float32)


def falloff(size: tuple[int, ...], rng: Rng) -> Floats:
    """Slow change of light across the crop, as a factor around 1."""
    x, y = ramp(size[1]), ramp(size[0])
    sx, sy, bow = (spread * rng.standard_normal() for spread in (0.22, 0.12, 0.25))
    along = 1 + np.float32(sx) * x + np.float32(bow) * x * x
    return np.asarray(along[None] + np.float32(sy) * y[:, None], np.float32)


def glare(size: tuple[int, ...], rng: Rng) -> Floats:
    """A soft bright patch or band, to be added; exposure keeps it from burning out the mark."""
    x = np.arange(size[1], dtype=np.float32)
    y = np.arange(size[0], dtype=np.float32)
    cx, cy = within((0, size[1]), rng), within((0, size[0]), rng)
    wx, wy = within((0.15, 1.5), rng) * size[0], within((0.3, 3), rng) * size[0]
    across = np.exp(-(((x - np.float32(cx)) / np.float32(wx)) ** 2)) * np.float32(within((0.05, 0.3), rng))
    down = np.exp(-(((y - np.float32(cy)) / np.float32(wy)) ** 2))
    return np.asarray(across[None] * down[:, None], np.float32)


def reflected(shaded: Shaded, rng: Rng) -> Shaded:
    """A reflection on the glass in front; it veils a part of surface and mark alike."""
    patch = glare((shaded.pixels.shape[0] // 4, shaded.pixels.shape[1] // 4), rng)
    veil = enlarged(patch / max(float(patch.max()), 1e-6), shaded.pixels.shape)
    veil = veil * np.float32(within((0.3, 0.92), rng))
    light = np.float32(within((0.7, 1.0), rng))
    pixels = shaded.pixels + veil * (light - shaded.pixels)
    return replace(shaded, pixels=pixels, signal=shaded.signal * (1 - veil))


def within_range(shaded: Shaded) -> Shaded:
    """Limit over- and underexposed px to two in a hundred each."""
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
    """Spread of a field of the crop's size after a slight blur."""
    return spread(blurred(field, 0.7), where)


def _quartered(field: Floats, rows: int) -> Floats:
    """A field at a quarter of ``rows``; the strong blur that follows loses nothing by it."""
    while len(field) > rows // 4:
        field = halved(field)
    return field


def photograph(
    scene: Floats, strength: float, cap_px: float, camera: Camera, rows: int, rng: Rng
) -> tuple[Pixels, dict[str, float]]:
    """Take a picture of a scene.

    Args:
        scene: float32 [H, W], 0 black .. 1 white, larger than the crop.
        strength: the mark's own spread of grey; noise stays below it.
        cap_px: height of a capital in the scene.
        camera: surfaces.
        rows: height of the crop, px.
        rng: source of every draw.

    Returns:
        uint8 [rows, W * rows / H], and the drawn parameters.
    """
    size = rows, max(round(scene.shape[1] * rows / scene.shape[0]), 1)
    scene, drawn = _through_lens(scene, camera, rows, rng)
    seen = rows if rng.random() < 0.5 else scene.shape[0]
    if rng.random() < camera.low_resolution_share:
        seen = min(seen, max(round(within(camera.low_resolution_cap_px, rng) * scene.shape[0] / cap_px), 8))
    sensor = seen, max(round(scene.shape[1] * seen / scene.shape[0]), 4)
    picture = shrunk(halved(scene) if 2 * seen <= len(scene) else scene, sensor)
    if rng.random() < camera.sharpen_share:
        picture = picture + np.float32(within((0.3, 1.2), rng)) * (picture - blurred(picture, 1.0))
    noise = min(within(camera.noise, rng) * within((0, 1), rng), 0.55 * strength)
    if noise > 0.002:  # photon noise grows with the square root of the light
        bright = np.sqrt(np.clip(picture, 0.1, 1)) * np.float32(noise * 1.4)
        bright *= grain(sensor, rng)
        picture = picture + bright
    stored = np.asarray(cv2.convertScaleAbs(np.maximum(picture, 0), alpha=255), np.uint8)
    quality = 0
    if rng.random() < camera.jpeg_share:
        quality = int(within(camera.jpeg_quality, rng))
        stored = _through_jpeg(stored, quality)
    if stored.shape != size:
        smooth = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        method = cv2.INTER_AREA if stored.shape[0] > rows else smooth
        stored = np.asarray(cv2.resize(stored, size[::-1], interpolation=method), np.uint8)
    blur = drawn.pop("blur_px")
    return stored, {"seen_rows": seen, "blur_px": blur, "noise": round(noise, 4), "jpeg": quality, **drawn}


def _through_lens(scene: Floats, camera: Camera, rows: int, rng: Rng) -> tuple[Floats, dict[str, float]]:
    """The scene after defocus, even and at one end, and motion blur; and the drawn parameters."""
    blur = within(camera.blur, rng) * within((0.2, 1.0), rng) * scene.shape[0] / rows
    drawn = {"blur_px": round(blur, 2)}
    if blur > 0.3:
        scene = blurred(scene, blur)
    if camera.uneven_focus_share > 0 and rng.random() < camera.uneven_focus_share:
        uneven = within(camera.uneven_focus_blur, rng)
        far = blurred(scene, uneven * scene.shape[0] / rows)
        scene = scene + (far - scene) * towards_one_end(scene.shape[1], rng)
        drawn["uneven_focus_px"] = round(uneven, 2)
    return _moved(scene, rng) if rng.random() < camera.motion_share else scene, drawn


def _moved(scene: Floats, rng: Rng) -> Floats:
    """A scene with motion blur: a short line as kernel."""
    size = 2 * below(3, rng) + 5
    angle = within((0, np.pi), rng)
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    dx, dy = np.cos(angle) * middle, np.sin(angle) * middle
    start, stop = (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))
    cv2.line(kernel, start, stop, 1.0)
    return np.asarray(
        cv2.filter2D(scene, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.float32
    )


def _through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


_LEAST_GREY = 0.008  # spread of grey that no one sees, whatever the background


def visibility(shaded: Shaded, boxes: NDArray[np.float64], rows: int, noise: float) -> float:
    """Visibility of the weakest character.

    The spread of grey that the mark adds inside a character's box, divided by that of background and noise
    there, both at the camera's resolution. 1 is a mark as strong as its background.

    Args:
        shaded: the lit mark, float32 [H, W].
        boxes: [n, 4], x0, y0, x1, y1 in its px.
        rows: rows of the camera's picture.
        noise: of the sensor, 0..1.
    """
    scale = rows / shaded.pixels.shape[0]
    size = (max(round(shaded.pixels.shape[1] * scale), 4), rows)
    signal = _seen(shaded.signal, size[::-1])
    background = _seen(shaded.pixels, size[::-1]) - signal
    background -= cv2.blur(background, (rows // 3, rows // 3))
    across = size[0] / shaded.pixels.shape[1]
    places = boxes * np.array([across, scale, across, scale])
    low = np.minimum(np.maximum(places[:, :2], 0).astype(int), np.array(size) - 1)
    high = np.minimum(np.maximum(np.ceil(places[:, 2:]).astype(int), low + 1), size)
    area = (high - low).prod(1)
    # differences of large sums: those of an empty box may be less than 0
    added, left = (np.maximum(_sums(field * field, low, high), 0) / area for field in (signal, background))
    return float(np.sqrt((added / (left + noise * noise + _LEAST_GREY * _LEAST_GREY)).min()))


def _seen(field: Floats, size: tuple[int, int]) -> Floats:
    """A field at the camera's resolution; halving it first is faster and gives the same."""
    return shrunk(halved(field), size)


def _sums(field: Floats, low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.float64]:
    """Sums [n] of a field within n boxes."""
    table = cv2.integral(field, sdepth=cv2.CV_64F)
    (x0, y0), (x1, y1) = low.T, high.T
    return np.asarray(table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0], np.float64)
