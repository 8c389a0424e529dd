"""Samples on disk: an LMDB that the field's readers open as it is, with masks and origins beside.

Keys count from 1: ``num-samples``, and per sample ``image-%09d`` (PGM, grey), ``label-%09d`` (UTF-8),
``glyphs-%09d`` (PNG of the character mask), ``meta-%09d`` (JSON of the origin). ``about`` says how the store
came about.
"""

from serialread.store.checking import Census, Problem
from serialread.store.folding import Folded, folded
from serialread.store.growing import grow, write_store
from serialread.store.importing import ImportSource
from serialread.store.samples import SampleStore
from serialread.store.sequences import Joined, Samples

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
