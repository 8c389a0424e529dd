"""How far a run is: progress, speed and the log file."""

import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serialread.training.validation import Evaluation

LOG_EVERY = 50
"""Steps averaged into one line of log.jsonl."""


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run after a step.

    Attributes:
        step: steps taken, from 1.
        steps: of the whole run.
        loss: sum of all weighted terms of this step.
        crops_per_s: over the last steps.
        best: best validation accuracy so far, strict, 0..1.
        validation: of this step; None after most steps.
        seconds_left: at the present speed.
    """

    step: int
    steps: int
    loss: float
    crops_per_s: float
    best: float
    validation: Evaluation | None
    seconds_left: float


class Speed:
    """Crops per second over the last steps."""

    def __init__(self, batch: int) -> None:
        self.batch, self.times = batch, [time.monotonic()]

    def tick(self) -> float:
        """Count a step."""
        self.times = [*self.times[-LOG_EVERY:], time.monotonic()]
        return self.crops_per_s

    @property
    def crops_per_s(self) -> float:
        """0 before the first step."""
        return self.batch * (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)


class RunLog:
    """log.jsonl: a line every few steps with the mean of each loss term, and a line per validation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sums: dict[str, float] = defaultdict(float)
        self.count = 0

    def keep_until(self, step: int) -> None:
        """Drop the lines of steps that a resumed run repeats."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() and step else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def add(self, step: int, parts: dict[str, float], *, rate: float, crops_per_s: float) -> None:
        """Add the loss terms of a step."""
        for name, value in parts.items():
            self.sums[name] += value
        self.count += 1
        if step % LOG_EVERY == 0:
            means = {name: round(value / self.count, 5) for name, value in self.sums.items()}
            self._write({"step": step, "loss": round(sum(means.values()), 5), "terms": means, "rate": rate,
                         "crops_per_s": round(crops_per_s, 1)})  # fmt: skip
            self.sums.clear()
            self.count = 0

    def validated(self, step: int, validation: Evaluation) -> None:
        """Add a validation."""
        self._write({"step": step, "validation": asdict(validation)})

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
