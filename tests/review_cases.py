"""Results folders to review: pictures of one grey, and readings with chosen texts and confidences."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from serialread.review import ReviewQueue, ReviewStore, key_of

HEIGHT, WIDTH = 60, 240


def reading(
    image: str, text: str = "A17", confidence: float = 0.9, sha256: str = "", **more: Any
) -> dict[str, Any]:
    """A line of readings.jsonl."""
    step = (WIDTH - 20) / max(len(text), 1)
    chars = [
        {
            "char": char,
            "confidence": confidence if at == 0 else 0.999,
            "runner_up": ["8" if char != "8" else "B", 0.01],
            "status": "read",
            "box": [10 + at * step, 5.0, 10 + (at + 1) * step, 55.0],
        }
        for at, char in enumerate(text)
    ]
    line = {
        "image": image,
        "batch": image.rpartition("/")[0],
        "text": text,
        "free_text": text,
        "upside_down_text": "",
        "confidence": confidence,
        "decision": "REVIEW",
        "reason": "not calibrated",
        "other_texts": [],
        "sequence_findings": [],
        "barcode_check": "",
        "chars": chars,
        "quad": [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]],
        "model_id": "m",
        "station_id": "",
        "sha256": sha256 or hashlib.sha256(image.encode("utf-8", "surrogatepass")).hexdigest(),
    }
    return line | more


def write_results(folder: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """A results folder with these readings, which may be appended to."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "readings.jsonl").open("a", encoding="ascii") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
    return folder


def pictured(pictures: Path, names: Sequence[str], **more: Any) -> list[dict[str, Any]]:
    """Readings with pictures in a folder; the text is drawn on each."""
    lines = []
    for number, name in enumerate(names):
        text = f"B{number:04}"
        pixels = np.full((HEIGHT, WIDTH), 200, np.uint8)
        cv2.putText(pixels, text, (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 30, 3)
        data = cv2.imencode(".png", pixels)[1].tobytes()
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        lines.append(reading(name, text, 0.5 + number / (2 * len(names)), sha256, **more))
    return lines


def opened(results: Path, **shares: float) -> ReviewQueue:
    """The queue of a results folder."""
    return ReviewQueue(ReviewStore(results), results, **shares)


def part_of(line: dict[str, Any]) -> str:
    return key_of(line["image"], line["sha256"])
