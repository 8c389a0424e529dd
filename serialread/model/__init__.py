"""The network: a compact SIGA for codes. Only arrays, never files."""

from serialread.model.describing import TEACHING, Description, describe
from serialread.model.losses import terms
from serialread.model.network import SLOTS, Recognizer, TrainingView, View
from serialread.model.targets import Targets

__all__ = [
    "SLOTS",
    "TEACHING",
    "Description",
    "Recognizer",
    "Targets",
    "TrainingView",
    "View",
    "describe",
    "terms",
]
