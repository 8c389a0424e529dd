"""A line for tests: the stub model, a station that accepts its readings, small pictures."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def picture(filled: float = 0.5, size: tuple[int, int] = (32, 96), kind: str = "PNG") -> bytes:
    """A crop, the left part of it black; the stub reads how full it is."""
    pixels = np.full(size, 128, np.uint8)
    pixels[:, : round(size[1] * filled)] = 255
    pixels[8:24, 8:-8:6] = 0
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return data.getvalue()


def settings(folder: Path, **tables: Any) -> LineConfig:
    """A line with one station, ``press``, in a folder."""
    (folder / "press.toml").write_text(STATION)
    model = folder / "stub.onnx"
    if not model.exists():
        write_stub(model)
    checks = tables.pop("checks", {})
    station = {"name": "press", "file": "press.toml", "checks": checks}
    return rooted(LineConfig.model_validate({"model": "stub.onnx", "stations": [station], **tables}), folder)


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
