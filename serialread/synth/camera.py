"""How the mark is photographed: blur, few pixels, noise, JPEG, and enlarged to the crop's height."""

import cv2
import numpy as np

from serialread.config.data_recipe import Camera
from serialread.records import Floats, Pixels
from serialread.synth.fields import blurred, halved, shrunk, towards_one_end
from serialread.synth.rng import below, grain, within


def photograph(
    scene: Floats, strength: float, cap_px: float, camera: Camera, rows: int, rng: np.random.Generator
) -> tuple[Pixels, dict[str, float]]:
    """Take a picture of a scene.

    Args:
        scene: float32 [H, W], 0 black .. 1 white, larger than the crop.
        strength: the mark's own grey spread; noise stays below it.
        cap_px: height of a capital in the scene.
        camera: knobs.
        rows: height of the crop, px.
        rng: chance.

    Returns:
        uint8 [rows, W * rows / H], and what was drawn.
    """
    columns = max(round(scene.shape[1] * rows / scene.shape[0]), 1)
    blur = within(camera.blur, rng) * within((0.2, 1.0), rng) * scene.shape[0] / rows
    if blur > 0.3:
        scene = blurred(scene, blur)
    is_askew = camera.askew_share > 0 and rng.random() < camera.askew_share
    askew = within(camera.askew_blur, rng) if is_askew else 0.0
    if askew:
        far = blurred(scene, askew * scene.shape[0] / rows)
        scene = scene + (far - scene) * towards_one_end(scene.shape[1], rng)
    if rng.random() < camera.motion_share:
        scene = _moved(scene, rng)
    seen = rows if rng.random() < 0.5 else scene.shape[0]
    if rng.random() < camera.low_share:
        seen = min(seen, max(round(within(camera.low_text_px, rng) * scene.shape[0] / cap_px), 8))
    size = (seen, max(round(scene.shape[1] * seen / scene.shape[0]), 4))
    picture = shrunk(halved(scene) if seen <= rows else scene, size)
    if rng.random() < camera.sharpen_share:
        picture = picture + np.float32(within((0.3, 1.2), rng)) * (picture - blurred(picture, 1.0))
    noise = min(within(camera.noise, rng) * within((0, 1), rng), 0.55 * strength)
    if noise > 0.002:  # photon noise grows with the root of the light
        bright = np.sqrt(np.clip(picture, 0.1, 1)) * np.float32(noise * 1.4)
        bright *= grain(size, rng)
        picture = picture + bright
    stored = np.asarray(cv2.convertScaleAbs(np.maximum(picture, 0), alpha=255), np.uint8)
    quality = 0
    if rng.random() < camera.jpeg_share:
        quality = int(within(camera.jpeg_quality, rng))
        stored = _through_jpeg(stored, quality)
    if stored.shape != (rows, columns):
        smooth = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        way = cv2.INTER_AREA if stored.shape[0] > rows else smooth
        stored = np.asarray(cv2.resize(stored, (columns, rows), interpolation=way), np.uint8)
    drawn = {"seen_rows": seen, "blur_px": round(blur, 2), "noise": round(noise, 4), "jpeg": quality}
    return stored, {**drawn, "askew_blur_px": round(askew, 2)} if askew else drawn


def _moved(scene: Floats, rng: np.random.Generator) -> Floats:
    """Motion blur: a short line as kernel."""
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
