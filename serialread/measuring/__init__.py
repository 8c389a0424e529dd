"""How well a network reads labelled crops, and where it looks: protocols, tables, two models compared."""

from serialread.measuring.cases import PROTOCOLS, Attention, Case, Model, measure
from serialread.measuring.gating import Trial, try_eight_bits
from serialread.measuring.measures import FILES, Comparison, Line, Looking, Measures, save
from serialread.measuring.places import labelled, measures
from serialread.measuring.telling import told

__all__ = [
    "FILES",
    "PROTOCOLS",
    "Attention",
    "Case",
    "Comparison",
    "Line",
    "Looking",
    "Measures",
    "Model",
    "Trial",
    "labelled",
    "measure",
    "measures",
    "save",
    "told",
    "try_eight_bits",
]
