"""The networks: SIGA and SEC on several backbones. They work on arrays and never read files."""

from serialread.models.building import build
from serialread.models.description import Description, describe
from serialread.models.layers import SLOTS
from serialread.models.losses import departure, terms
from serialread.models.network import NetworkOutputs, Recognizer, TrainingOutputs
from serialread.models.targets import Targets
from serialread.models.taught import Selector, TaughtRecognizer, crop_features

__all__ = [
    "SLOTS",
    "Description",
    "NetworkOutputs",
    "Recognizer",
    "Selector",
    "Targets",
    "TaughtRecognizer",
    "TrainingOutputs",
    "build",
    "crop_features",
    "departure",
    "describe",
    "terms",
]
