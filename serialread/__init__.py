"""Read industrial serial numbers, from pictures of marked parts to an audited table.

The names in ``__all__`` are the public interface; docs/api.md documents them. They are imported when they are
first used, so ``import serialread`` is fast and loads neither OpenCV nor a network library. Everything else
in the package is private and may change without notice.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serialread.auditing import (
        agreement,
        audit,
        compare,
        plan_claim,
        plan_sampling,
        rerun,
    )
    from serialread.calibration import (
        calibrate_confidence,
        calibrate_fixture,
        calibrate_geometry,
        calibrate_lens,
        save_station,
    )
    from serialread.config import DataRecipe, Station, TrainingRecipe, load
    from serialread.datasets import SampleStore, generate
    from serialread.errors import (
        CalibrationError,
        CheckpointError,
        ImageError,
        RecipeError,
        RecordsError,
        SerialreadError,
        StoreError,
    )
    from serialread.evaluation import evaluate, quantize
    from serialread.reader import Explanation, FolderRun, Reader, read_folder
    from serialread.records import (
        BarcodeCheck,
        CharReading,
        Decision,
        MarkQuality,
        Reading,
        Record,
        Sample,
        Verdict,
    )
    from serialread.run_log import verify
    from serialread.synth import make_sample, render
    from serialread.training import export, train

__version__ = "0.2.0"

_MODULES = {
    "auditing": ("agreement", "audit", "compare", "plan_claim", "plan_sampling", "rerun"),
    "calibration": (
        "calibrate_confidence",
        "calibrate_fixture",
        "calibrate_geometry",
        "calibrate_lens",
        "save_station",
    ),
    "config": ("DataRecipe", "Station", "TrainingRecipe", "load"),
    "datasets": ("SampleStore", "generate"),
    "errors": (
        "CalibrationError",
        "CheckpointError",
        "ImageError",
        "RecipeError",
        "RecordsError",
        "SerialreadError",
        "StoreError",
    ),
    "evaluation": ("evaluate", "quantize"),
    "reader": ("Explanation", "FolderRun", "Reader", "read_folder"),
    "records": (
        "BarcodeCheck",
        "CharReading",
        "Decision",
        "MarkQuality",
        "Reading",
        "Record",
        "Sample",
        "Verdict",
    ),
    "run_log": ("verify",),
    "synth": ("make_sample", "render"),
    "training": ("export", "train"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BarcodeCheck",
    "CalibrationError",
    "CharReading",
    "CheckpointError",
    "DataRecipe",
    "Decision",
    "Explanation",
    "FolderRun",
    "ImageError",
    "MarkQuality",
    "Reader",
    "Reading",
    "RecipeError",
    "Record",
    "RecordsError",
    "Sample",
    "SampleStore",
    "SerialreadError",
    "Station",
    "StoreError",
    "TrainingRecipe",
    "Verdict",
    "agreement",
    "audit",
    "calibrate_confidence",
    "calibrate_fixture",
    "calibrate_geometry",
    "calibrate_lens",
    "compare",
    "evaluate",
    "export",
    "generate",
    "load",
    "make_sample",
    "plan_claim",
    "plan_sampling",
    "quantize",
    "read_folder",
    "render",
    "rerun",
    "save_station",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'serialread' has no attribute {name!r}")
    return getattr(import_module(f"serialread.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))
