"""Training: batches and augmentation, the loop, and how well a network reads."""

from serialread.training.evaluation import Evaluation, evaluate
from serialread.training.loop import Progress, train

__all__ = ["Evaluation", "Progress", "evaluate", "train"]
