"""The network: a compact SIGA for codes. Only arrays, never files."""

from serialread.model.losses import terms
from serialread.model.network import SLOTS, Recognizer, TrainingView, View
from serialread.model.targets import Targets

__all__ = ["SLOTS", "Recognizer", "Targets", "TrainingView", "View", "terms"]
