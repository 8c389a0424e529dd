"""The model that comes with the package."""

from pathlib import Path

from serialread.errors import CheckpointError

_SHIPPED = Path(__file__).parent / "serialread.onnx"


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
