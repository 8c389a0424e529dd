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
from serialread.datasets.store_writing import generate, generate_part, grow, write_store

__all__ = [
    "ConcatenatedSamples",
    "ImportSource",
    "LowercaseSamples",
    "Problem",
    "SampleSequence",
    "SampleStore",
    "StoreReport",
    "generate",
    "generate_part",
    "grow",
    "to_lowercase",
    "write_store",
]
