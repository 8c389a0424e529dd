"""Evaluate a model on labelled crops: accuracy tables, attention quality, comparison with another model."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from serialread import metrics
from serialread.errors import RecordsError, writing_errors
from serialread.evaluation.evaluated_crops import (
    PROTOCOLS,
    EvaluatedCrop,
    Model,
    evaluate_crops,
    labelled_samples,
)
from serialread.inference.session import Engine

FILES = ("evaluation.json", "accuracy.csv", "crops.csv")
"""What ``EvaluationReport.write`` writes: everything but the crops; the accuracy tables; every crop."""
MAX_OWN_LENGTH = 12
"""Codes of up to this many characters have one row per length."""
MIN_TYPEFACE_CROPS = 20
"""Typefaces of fewer crops are not printed; accuracy.csv has them all."""
_TITLES = {"store": "store", "length": "characters", "process": "process", "typeface": "typeface"}


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """The accuracy on a group of crops.

    Attributes:
        table: what the crops are grouped by: ``all``, ``store``, ``length``, ``process`` or ``typeface``.
        right: how many were read right, by protocol.
    """

    table: str
    name: str
    crops: int
    right: dict[str, int]

    @classmethod
    def of(cls, table: str, name: str, crops: Sequence[EvaluatedCrop]) -> "AccuracyRow":
        """Count crops."""
        return cls(table, name, len(crops), {p: sum(c.is_right(p) for c in crops) for p in PROTOCOLS})

    def cells(self) -> list[str]:
        """Name, crops, then share and 95 % Wilson interval of each protocol, %."""
        cells = [self.name, str(self.crops)]
        for right in self.right.values():
            low, high = metrics.wilson(right, self.crops)
            cells.append(f"{100 * metrics.ratio(right, self.crops):.2f} ({100 * low:.1f}-{100 * high:.1f})")
        return cells


@dataclass(frozen=True, slots=True)
class AttentionQuality:
    """How well the attention matches the characters; means over characters, shares 0..1.

    Attributes:
        chars: characters with a mask.
        inside: attention in the character's own columns.
        drift: characters whose attention peaks outside them.
        shared: what neighbouring positions' attention has in common.
        glyph_iou: overlap of the glyph map with the character's rendered mask; 0 without glyph maps.
    """

    chars: int
    inside: float
    drift: float
    shared: float
    glyph_iou: float

    @classmethod
    def of(cls, crops: Iterable[EvaluatedCrop]) -> "AttentionQuality":
        """Average over all characters with masks; zeros if there are none."""
        known = [crop.attention for crop in crops if crop.attention is not None]
        chars = sum(a.chars for a in known)
        pairs = sum(max(a.chars - 1, 0) for a in known)
        return cls(
            chars=chars,
            inside=sum(a.inside for a in known) / max(chars, 1),
            drift=sum(a.drifted for a in known) / max(chars, 1),
            shared=sum(a.shared for a in known) / max(pairs, 1),
            glyph_iou=sum(a.overlap for a in known) / max(chars, 1),
        )


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Two models on the same crops, by one protocol.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        only_first: crops that only the first model reads right.
        only_second: crops that only the second model reads right.
        p: exact two-sided p value of McNemar's test that both are equally accurate.
        difference: accuracy of the first minus that of the second, -1..1, 95 % interval.
    """

    protocol: str
    only_first: int
    only_second: int
    crops: int
    p: float
    difference: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """One model on labelled crops."""

    model_id: str
    crops: tuple[EvaluatedCrop, ...]
    skipped: Counter[str]

    @property
    def rows(self) -> list[AccuracyRow]:
        """All crops, then each table by its names; lengths beyond twelve together."""
        tables: dict[str, Callable[[EvaluatedCrop], str]] = {
            "store": lambda crop: crop.crop_id.rpartition(":")[0],
            "length": _length,
            "process": lambda crop: crop.process,
            "typeface": lambda crop: crop.typeface,
        }
        rows = [AccuracyRow.of("all", "all", self.crops)]
        for table, key in tables.items():
            groups: dict[str, list[EvaluatedCrop]] = defaultdict(list)
            for crop in self.crops:
                groups[key(crop)].append(crop)
            rows += [AccuracyRow.of(table, name, groups[name]) for name in sorted(groups) if name]
        return rows

    @property
    def attention(self) -> AttentionQuality:
        """How well the attention matches the characters."""
        return AttentionQuality.of(self.crops)

    def compare(self, other: "ModelEvaluation") -> list[ModelComparison]:
        """Compare with another model on the same crops, by every protocol.

        Raises:
            RecordsError: they did not read the same crops.
        """
        mine, theirs = ({crop.crop_id: crop for crop in m.crops} for m in (self, other))
        if mine.keys() != theirs.keys():
            raise RecordsError(
                "comparison: the two models read different crops. Evaluate both on the same stores."
            )
        found = []
        for protocol in PROTOCOLS:
            first = [crop.is_right(protocol) for crop in mine.values()]
            second = [theirs[crop_id].is_right(protocol) for crop_id in mine]
            only_first = sum(a and not b for a, b in zip(first, second, strict=True))
            only_second = sum(b and not a for a, b in zip(first, second, strict=True))
            p = metrics.mcnemar(first, second)
            interval = metrics.paired_difference(only_second, only_first, len(first))
            found.append(ModelComparison(protocol, only_first, only_second, len(first), p, interval))
        return found


class Extras(Protocol):
    """Further results of a model, beyond the tables."""

    def to_text(self) -> str:
        """As lines."""
        ...

    def to_json(self) -> dict[str, object]:
        """As entries of the report."""
        ...


@runtime_checkable
class ModelWithExtras(Protocol):
    """A model with further results, such as the effect of its glyph features."""

    def extras(self, evaluation: ModelEvaluation, stores: Sequence[Path]) -> Extras:
        """The results, after the model was evaluated on some stores."""
        ...


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """One model on labelled crops, perhaps compared with another.

    Attributes:
        comparisons: with the other model, by protocol; empty without one.
        other: what the other model is called.
        extras: further results of the model; None if there are none.
    """

    evaluation: ModelEvaluation
    comparisons: tuple[ModelComparison, ...] = ()
    other: str = ""
    extras: Extras | None = None

    def to_text(self) -> str:
        """Accuracy with 95 % intervals, by table; attention; the comparison."""
        return "\n".join(self._lines())

    def to_json(self) -> dict[str, object]:
        """Everything but the single crops, JSON by construction."""
        return {
            "model_id": self.evaluation.model_id,
            "accuracy": [asdict(row) for row in self.evaluation.rows],
            "attention": asdict(self.evaluation.attention),
            "skipped": dict(self.evaluation.skipped),
            **(self.extras.to_json() if self.extras else {}),
            "against": [asdict(one) for one in self.comparisons],
        }

    def write(self, out: str | Path) -> None:
        """Write ``FILES`` to a folder.

        Raises:
            RecordsError: the folder cannot be written.
        """
        out = Path(out)
        with writing_errors(out, RecordsError, "Name another folder."):
            out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
            (out / FILES[0]).write_text(text + "\n", encoding="utf-8")
            _write_table(
                out / FILES[1],
                ["table", "name", "crops", *PROTOCOLS],
                [[row.table, row.name, row.crops, *row.right.values()] for row in self.evaluation.rows],
            )
            _write_table(
                out / FILES[2],
                ["crop", "truth", "text", "caseless", "confidence", "process", "typeface", *PROTOCOLS],
                [
                    [c.crop_id, c.truth, c.text, c.caseless, f"{c.confidence:.6f}", c.process, c.typeface]
                    + [int(c.is_right(p)) for p in PROTOCOLS]
                    for c in self.evaluation.crops
                ],
            )

    def _lines(self) -> Iterator[str]:
        rows = self.evaluation.rows
        yield f"{self.evaluation.model_id} on {rows[0].crops} crops"
        for protocol, cell in zip(PROTOCOLS, rows[0].cells()[2:], strict=True):
            yield f"read right, {protocol:7s} {cell} %"
        attention = self.evaluation.attention
        if attention.chars:
            yield f"attention inside        {attention.inside:.2%}"
            yield f"attention drifted       {attention.drift:.2%}"
            yield f"attention shared        {attention.shared:.2%}"
            yield f"glyph-map overlap       {attention.glyph_iou:.3f}"
        for table, title in _TITLES.items():
            yield from _table_lines(title, [row for row in rows if row.table == table])
        for reason, count in self.evaluation.skipped.most_common():
            yield f"skipped: {count}, {reason}"
        for c in self.comparisons:
            low, high = (100 * edge for edge in c.difference)
            yield (
                f"against {self.other}, {c.protocol}: {c.only_first} only here, {c.only_second} only there; "
                f"{low:+.1f} to {high:+.1f} points (95 %), p {c.p:.4f}"
            )
        if self.extras:
            yield self.extras.to_text()


def evaluate(
    model: str | Path | Model,
    stores: Sequence[str | Path],
    against: str | Path | Model | None = None,
) -> EvaluationReport:
    """Evaluate a model on labelled crops, and compare it with another one on the same crops.

    Args:
        model: a model file (.onnx), or an open model, such as ``serialread.training.open_run`` returns.
        stores: sample stores, public LMDBs, or folders with labels.csv.
        against: the model to compare with.

    Raises:
        CheckpointError: a file is not a model.
        StoreError: there is nothing labelled.
    """
    opened, paths = _opened(model), [Path(store) for store in stores]
    evaluation = evaluate_model(opened, paths)
    extras = opened.extras(evaluation, paths) if isinstance(opened, ModelWithExtras) else None
    if against is None:
        return EvaluationReport(evaluation, extras=extras)
    second = _opened(against)
    comparisons = tuple(evaluation.compare(evaluate_model(second, paths)))
    name = str(against) if isinstance(against, str | Path) else second.card.model_id
    return EvaluationReport(evaluation, comparisons, name, extras)


def evaluate_model(model: Model, stores: Sequence[Path]) -> ModelEvaluation:
    """Read every labelled crop of some stores; each store is named by its path.

    Raises:
        StoreError: there is nothing labelled.
    """
    crops, skipped = list[EvaluatedCrop](), Counter[str]()
    for path in stores:
        samples, missing = labelled_samples(path)
        crops += evaluate_crops(model, samples, str(path))
        skipped += missing
    return ModelEvaluation(model.card.model_id, tuple(crops), skipped)


def _opened(model: str | Path | Model) -> Model:
    if isinstance(model, str | Path):
        return Engine(Path(model), precision="exact", outputs=None)
    return model


def _length(crop: EvaluatedCrop) -> str:
    length = len(crop.truth)
    return f"{length:02d}" if length <= MAX_OWN_LENGTH else f"{MAX_OWN_LENGTH + 1}+"


def _table_lines(title: str, rows: Sequence[AccuracyRow]) -> Iterator[str]:
    """A table of more than one group."""
    shown = [row for row in rows if row.table != "typeface" or row.crops >= MIN_TYPEFACE_CROPS]
    if len(rows) < 2 or not shown:
        return
    yield ""
    yield f"{title:24.24s} crops  " + "  ".join(f"{protocol:>19s}" for protocol in PROTOCOLS)
    for row in shown:
        name, crops, *cells = row.cells()
        yield f"{name:24.24s} {crops:>5s}  " + "  ".join(f"{cell:>19s}" for cell in cells)


def _write_table(path: Path, names: list[str], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
