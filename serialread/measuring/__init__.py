"""How well a network reads labelled crops, and where it looks: protocols, tables, two models compared."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from serialread.measuring.cases import PROTOCOLS, Attention, Case, Model, measure
from serialread.measuring.measures import FILES, Comparison, Line, Looking, Measures, save
from serialread.measuring.telling import told
from serialread.records import Sample
from serialread.store import SampleStore, Source

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
    "labelled",
    "measure",
    "measures",
    "save",
    "told",
]


def labelled(path: Path) -> tuple[Sequence[Sample], Counter[str]]:
    """Samples of a store, an LMDB of the field or a labelled folder, and why others were left out.

    Raises:
        StoreError: nothing labelled is there.
    """
    if (path / "data.mdb").is_file():
        return SampleStore(path), Counter()
    source = Source(path)
    return tuple(source.samples()), source.left_out


def measures(model: Model, paths: Sequence[Path]) -> Measures:
    """Read everything labelled in some places, each named by its path."""
    cases, left_out = list[Case](), Counter[str]()
    for path in paths:
        samples, missing = labelled(path)
        cases += measure(model, samples, str(path))
        left_out += missing
    return Measures(model.card.model_id, tuple(cases), left_out)
