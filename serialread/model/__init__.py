"""The networks: SIGA and SEC on several backbones, compact and at paper size. Only arrays, never files."""

from serialread.model.building import build
from serialread.model.describing import Description, describe
from serialread.model.losses import terms
from serialread.model.network import SLOTS, NetworkOutputs, Recognizer, TrainingOutputs
from serialread.model.targets import Targets

__all__ = [
    "SLOTS",
    "Description",
    "NetworkOutputs",
    "Recognizer",
    "Targets",
    "TrainingOutputs",
    "build",
    "describe",
    "terms",
]
