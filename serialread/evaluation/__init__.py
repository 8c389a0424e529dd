"""How well a network reads labelled crops, and where it looks: protocols, tables, two models compared."""

from serialread.evaluation.crops_read import PROTOCOLS, AttentionMaps, EvaluatedCrop, Model, measure
from serialread.evaluation.measures import FILES, AccuracyRow, Looking, Measures, ModelComparison, save
from serialread.evaluation.quantization_gate import Trial, try_eight_bits
from serialread.evaluation.sources import labelled, measures
from serialread.evaluation.text import told

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
