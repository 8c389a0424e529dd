"""The models of the package: the recognizer, also in a form that can be trained, and the line detector."""

from pathlib import Path

from serialread.errors import CheckpointError

_SHIPPED = Path(__file__).parent / "serialread.onnx"
_WEIGHTS = Path(__file__).parent / "serialread.safetensors"
_DETECTOR = Path(__file__).parent / "lines.onnx"


def shipped_model() -> Path:
    """The shipped model file.

    Raises:
        CheckpointError: this installation came without one.
    """
    return _existing(
        _SHIPPED, "no model was shipped here. Name one: --model FILE, from serialread model export"
    )


def shipped_weights() -> Path:
    """The weights of the shipped model in a form that can be trained, with their recipe.

    Raises:
        CheckpointError: this installation came without them.
    """
    return _existing(
        _WEIGHTS, "no weights were shipped here. Name a run, a .pt or a .safetensors file: --from FILE"
    )


def shipped_detector() -> Path:
    """The shipped line detector; opening it says so if this installation came without one."""
    return _DETECTOR


def _existing(path: Path, reason: str) -> Path:
    if not path.is_file():
        raise CheckpointError(f"{path}: {reason}")
    return path
