"""The networks: SIGA and SEC on several backbones, compact and at paper size. Only arrays, never files."""

from serialread.models.building import build
from serialread.models.describing import Description, describe
from serialread.models.losses import terms
from serialread.models.network import SLOTS, NetworkOutputs, Recognizer, TrainingOutputs
from serialread.models.targets import Targets

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
