"""How well a network reads labelled crops, and where it looks: protocols, tables, two models compared."""

from serialread.measuring.cases import PROTOCOLS, AttentionMaps, EvaluatedCrop, Model, measure
from serialread.measuring.gating import Trial, try_eight_bits
from serialread.measuring.measures import FILES, AccuracyRow, Looking, Measures, ModelComparison, save
from serialread.measuring.places import labelled, measures
from serialread.measuring.telling import told

__all__ = [
    "FILES",
    "PROTOCOLS",
    "AccuracyRow",
    "AttentionMaps",
    "EvaluatedCrop",
    "Looking",
    "Measures",
    "Model",
    "ModelComparison",
    "Trial",
    "labelled",
    "measure",
    "measures",
    "save",
    "told",
    "try_eight_bits",
]
