"""Training: batches and augmentation, the loop, checkpoints, export, and validation."""

from serialread.training.checkpoint import save_trainable
from serialread.training.loop import Progress, stop_by_signal, train
from serialread.training.onnx_export import export
from serialread.training.ranks import leads
from serialread.training.validation import (
    Evaluation,
    TorchSession,
    card_of,
    evaluate,
    open_run,
)

__all__ = [
    "Evaluation",
    "Progress",
    "TorchSession",
    "card_of",
    "evaluate",
    "export",
    "leads",
    "open_run",
    "save_trainable",
    "stop_by_signal",
    "train",
]
