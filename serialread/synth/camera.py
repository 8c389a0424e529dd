"""How the mark is photographed: blur, few pixels, noise, JPEG, and enlarged to the crop's height."""

import cv2
import numpy as np

from serialread.recipe.data import Camera
from serialread.records import Floats, Pixels


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
    blur = float(rng.uniform(*camera.blur)) * rng.uniform(0.2, 1.0) * scene.shape[0] / rows
    if blur > 0.3:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), blur), np.float32)
    if rng.random() < camera.motion_share:
        scene = _moved(scene, rng)
    seen = int(rng.choice((rows, scene.shape[0])))
    if rng.random() < camera.low_share:
        seen = min(seen, max(round(rng.uniform(*camera.low_text_px) * scene.shape[0] / cap_px), 8))
    picture = _resized(scene, seen, max(round(scene.shape[1] * seen / scene.shape[0]), 4))
    if rng.random() < camera.sharpen_share:
        picture = picture + np.float32(rng.uniform(0.3, 1.2)) * (
            picture - cv2.GaussianBlur(picture, (0, 0), 1.0)
        )
    noise = min(float(rng.uniform(*camera.noise)) * rng.uniform(0, 1), 0.55 * strength)
    if noise > 0.002:  # photon noise grows with the root of the light
        bright = np.sqrt(np.clip(picture, 0.1, 1)) * np.float32(noise * 1.4)
        picture = picture + rng.standard_normal(picture.shape, np.float32) * bright
    stored = (np.clip(picture, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    quality = 0
    if rng.random() < camera.jpeg_share:
        quality = int(rng.uniform(*camera.jpeg_quality))
        stored = _through_jpeg(stored, quality)
    if stored.shape != (rows, columns):
        way = (
            cv2.INTER_AREA if stored.shape[0] > rows else (cv2.INTER_CUBIC, cv2.INTER_LINEAR)[rng.integers(2)]
        )
        stored = np.asarray(cv2.resize(stored, (columns, rows), interpolation=way), np.uint8)
    return stored, {"seen_rows": seen, "blur_px": round(blur, 2), "noise": round(noise, 4), "jpeg": quality}


def _resized(scene: Floats, rows: int, columns: int) -> Floats:
    if scene.shape == (rows, columns):
        return scene
    return np.asarray(cv2.resize(scene, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _moved(scene: Floats, rng: np.random.Generator) -> Floats:
    """Motion blur: a short line as kernel."""
    size = int(rng.integers(2, 5)) * 2 + 1
    angle = rng.uniform(0, np.pi)
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
