"""Training: batches and augmentation, the loop, and how well a network reads."""

from serialread.training.loop import Progress, stop_by_signal, train
from serialread.training.validation import Evaluation, Examination, Seeing, card_of, evaluate, open_run

__all__ = [
    "Evaluation",
    "Examination",
    "Progress",
    "Seeing",
    "card_of",
    "evaluate",
    "open_run",
    "stop_by_signal",
    "train",
]
