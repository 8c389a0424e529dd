"""Training: batches and augmentation, the loop, and how well a network reads."""

from serialread.training.evaluation import Evaluation, Examination, evaluate, examine
from serialread.training.loop import Progress, train

__all__ = ["Evaluation", "Examination", "Progress", "evaluate", "examine", "train"]
