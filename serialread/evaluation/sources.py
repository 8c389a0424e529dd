"""Where labelled crops come from, and a model's cases of all of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from serialread.datasets import ImportSource, SampleStore
from serialread.evaluation.crops_read import EvaluatedCrop, Model, measure
from serialread.evaluation.measures import Measures
from serialread.records import Sample


def labelled(path: Path) -> tuple[Sequence[Sample], Counter[str]]:
    """Samples of a store, an LMDB of the field or a labelled folder, and why others were left out.

    Raises:
        StoreError: nothing labelled is there.
    """
    if (path / "data.mdb").is_file():
        return SampleStore(path), Counter()
    source = ImportSource(path)
    return tuple(source.samples()), source.left_out


def measures(model: Model, paths: Sequence[Path]) -> Measures:
    """Read everything labelled in some places, each named by its path."""
    cases, left_out = list[EvaluatedCrop](), Counter[str]()
    for path in paths:
        samples, missing = labelled(path)
        cases += measure(model, samples, str(path))
        left_out += missing
    return Measures(model.card.model_id, tuple(cases), left_out)
