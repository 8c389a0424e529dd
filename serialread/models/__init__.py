"""The networks: SIGA and SEC on several backbones. They work on arrays and never read files."""

from serialread.models.building import build
from serialread.models.description import Description, describe
from serialread.models.layers import SLOTS
from serialread.models.losses import departure, terms
from serialread.models.network import NetworkOutputs, Recognizer, TrainingOutputs
from serialread.models.targets import Targets

__all__ = [
    "SLOTS",
    "Description",
    "NetworkOutputs",
    "Recognizer",
    "Targets",
    "TrainingOutputs",
    "build",
    "departure",
    "describe",
    "terms",
]
