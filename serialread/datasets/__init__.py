"""Sample stores: write, generate, read, import and check LMDBs of labelled crops."""

from serialread.datasets.checking import Problem, StoreReport
from serialread.datasets.importing import ImportSource
from serialread.datasets.sample_store import (
    ConcatenatedSamples,
    LowercaseSamples,
    SampleSequence,
    SampleStore,
    to_lowercase,
)
from serialread.datasets.store_writing import generate, grow, write_store

__all__ = [
    "ConcatenatedSamples",
    "ImportSource",
    "LowercaseSamples",
    "Problem",
    "SampleSequence",
    "SampleStore",
    "StoreReport",
    "generate",
    "grow",
    "to_lowercase",
    "write_store",
]
