"""Sample stores: write, generate, read, import and check LMDBs of labelled crops."""

from serialread.datasets.checking import Problem, StoreReport
from serialread.datasets.exporting import export
from serialread.datasets.importing import ImportSource
from serialread.datasets.manifests import Manifest, ShardEntry
from serialread.datasets.merging import merge
from serialread.datasets.sample_store import (
    ConcatenatedSamples,
    LowercaseSamples,
    SampleSequence,
    SampleStore,
    is_store,
    to_lowercase,
)
from serialread.datasets.store_writing import generate, generate_part, grow, write_store

__all__ = [
    "ConcatenatedSamples",
    "ImportSource",
    "LowercaseSamples",
    "Manifest",
    "Problem",
    "SampleSequence",
    "SampleStore",
    "ShardEntry",
    "StoreReport",
    "export",
    "generate",
    "generate_part",
    "grow",
    "is_store",
    "merge",
    "to_lowercase",
    "write_store",
]
