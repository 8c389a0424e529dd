"""The models that come with the package: the recognizer and the line detector."""

from pathlib import Path

from serialread.errors import CheckpointError

_SHIPPED = Path(__file__).parent / "serialread.onnx"
_DETECTOR = Path(__file__).parent / "lines.onnx"


def shipped_model() -> Path:
    """The shipped model file.

    Raises:
        CheckpointError: this installation came without one.
    """
    if not _SHIPPED.is_file():
        raise CheckpointError(
            f"{_SHIPPED}: no model was shipped here. Name one: --model FILE, from serialread model export"
        )
    return _SHIPPED


def shipped_detector() -> Path:
    """The shipped line detector; opening it says so if this installation came without one."""
    return _DETECTOR
