"""Samples on disk: an LMDB that the field's readers open as it is, with masks and origins beside.

Keys count from 1: ``num-samples``, and per sample ``image-%09d`` (PGM, grey), ``label-%09d`` (UTF-8),
``glyphs-%09d`` (PNG of the character mask), ``meta-%09d`` (JSON of the origin). ``about`` says how the store
came about.
"""

from serialread.datasets.checking import Census, Problem
from serialread.datasets.folding import Folded, folded
from serialread.datasets.importing import ImportSource
from serialread.datasets.sample_store import SampleStore
from serialread.datasets.sequences import Joined, Samples
from serialread.datasets.writing import grow, write_store

__all__ = [
    "Census",
    "Folded",
    "ImportSource",
    "Joined",
    "Problem",
    "SampleStore",
    "Samples",
    "folded",
    "grow",
    "write_store",
]
