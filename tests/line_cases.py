"""A line for tests: the stub model, a station that accepts its readings, small pictures."""

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from stub_model import MODEL_ID, write_stub

from serialread.config.line_config import LineConfig, rooted
from serialread.line import LineService, Result, Trigger, TriggerPicture

STATION = f"""
name = "press"
model_id = "{MODEL_ID}"
[view]
find_lines = false
[limits]
accept_at = 0.5
text_height_px = [1, 1000]
"""


def picture(digit: int = 9, kind: str = "PNG", note: int = 0) -> bytes:
    """A crop that the stub reads as the digit (4 to 9) and "7"; ``note`` makes its bytes unique."""
    pixels = np.full((32, round(9.6 * digit)), 128, np.uint8)
    pixels[8:24, 8:-8:6] = 0
    pixels[0, :16] = 120 + np.array([note >> bit & 1 for bit in range(16)], np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return data.getvalue()


def video(path: Path, frames: Iterable[bytes]) -> Path:
    """A video of pictures of one size, for a camera."""
    decoded = [cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR) for frame in frames]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, decoded[0].shape[1::-1])  # type: ignore[attr-defined]
    for frame in decoded:
        writer.write(frame)
    writer.release()
    return path


def settings(place: Path, /, **tables: Any) -> LineConfig:
    """A line with one station, ``press``, in a folder."""
    (place / "press.toml").write_text(STATION)
    model = place / "stub.onnx"
    if not model.exists():
        write_stub(model)
    checks = tables.pop("checks", {})
    station = {"name": "press", "file": "press.toml", "checks": checks}
    return rooted(LineConfig.model_validate({"model": "stub.onnx", "stations": [station], **tables}), place)


@contextmanager
def running(config: LineConfig) -> Iterator[LineService]:
    """A service that runs."""
    service = LineService(config)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def read(service: LineService, data: bytes, **more: Any) -> Result:
    """Send a trigger and wait for its result."""
    return service.accept(Trigger("press", (TriggerPicture("a.png", data),), **more)).result(30)


def eventually(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "does not hold in time"
        time.sleep(0.02)
    return found


@contextmanager
def served(config: LineConfig, *, verify: Any = True) -> Iterator[tuple[Any, LineService]]:
    """A client of a real web server on the loopback, and its service."""
    import httpx2

    from serialread.line.web_server import LineServer

    service = LineService(config)
    try:
        server = LineServer(service, lambda operator: service.reload())
    except BaseException:
        service.close()
        raise
    service.start()
    server.start()
    try:
        with httpx2.Client(base_url=server.address, verify=verify, timeout=120) as client:
            yield client, service
    finally:
        server.stop()
        service.stop()
