"""What many cases amount to: shares, tables by length, process and typeface, two models compared."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from serialread import metrics
from serialread.errors import RecordsError
from serialread.evaluation.crops_read import PROTOCOLS, EvaluatedCrop

LONGEST_ALONE = 12
"""Characters up to which every length has its own line."""


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """Some of the cases.

    Attributes:
        table: what they were grouped by: ``all``, ``store``, ``length``, ``process`` or ``typeface``.
        name: of the group.
        crops: how many.
        right: read right, by protocol.
    """

    table: str
    name: str
    crops: int
    right: dict[str, int]

    @classmethod
    def of(cls, table: str, name: str, cases: Sequence[EvaluatedCrop]) -> "AccuracyRow":
        """Count cases."""
        return cls(table, name, len(cases), {p: sum(c.right(p) for c in cases) for p in PROTOCOLS})

    def cells(self) -> list[str]:
        """Name, crops, then share and 95 % Wilson interval of each protocol, %."""
        told = [self.name, str(self.crops)]
        for right in self.right.values():
            low, high = metrics.wilson(right, self.crops)
            told.append(f"{100 * metrics.ratio(right, self.crops):.2f} ({100 * low:.1f}-{100 * high:.1f})")
        return told


@dataclass(frozen=True, slots=True)
class Looking:
    """Attention correctness, means over characters, shares 0..1.

    Attributes:
        chars: characters with a mask.
        inside: attention that lies in the character's own columns.
        drift: characters whose attention peaks outside them.
        neighbours: what neighbouring slots' attention has in common.
        glyph_iou: overlap of the glyph map with the character's rendered mask; 0 without glyph maps.
    """

    chars: int
    inside: float
    drift: float
    neighbours: float
    glyph_iou: float

    @classmethod
    def of(cls, cases: Iterable[EvaluatedCrop]) -> "Looking":
        """Average over all characters whose masks are known; zeros where there are none."""
        known = [case.attention for case in cases if case.attention is not None]
        chars = sum(a.chars for a in known)
        pairs = sum(max(a.chars - 1, 0) for a in known)
        return cls(
            chars=chars,
            inside=sum(a.inside for a in known) / max(chars, 1),
            drift=sum(a.drifted for a in known) / max(chars, 1),
            neighbours=sum(a.neighbours for a in known) / max(pairs, 1),
            glyph_iou=sum(a.overlap for a in known) / max(chars, 1),
        )


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Two models on the same crops, by one protocol.

    Attributes:
        protocol: of ``PROTOCOLS``.
        only_first: crops that only the first reads right.
        only_second: crops that only the second reads right.
        crops: all.
        p: exact two-sided p of McNemar that both are equally good.
        difference: first minus second, -1..1, 95 % interval.
    """

    protocol: str
    only_first: int
    only_second: int
    crops: int
    p: float
    difference: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measures:
    """All that one model's cases tell.

    Attributes:
        model_id: of the model.
        cases: every crop.
        left_out: labelled pictures that gave no case, by reason.
    """

    model_id: str
    cases: tuple[EvaluatedCrop, ...]
    left_out: Counter[str]

    @property
    def lines(self) -> list[AccuracyRow]:
        """All cases, then each table by its names; lengths beyond twelve together."""
        tables: dict[str, Callable[[EvaluatedCrop], str]] = {
            "store": lambda case: case.place.rpartition(":")[0],
            "length": _length,
            "process": lambda case: case.process,
            "typeface": lambda case: case.typeface,
        }
        lines = [AccuracyRow.of("all", "all", self.cases)]
        for table, key in tables.items():
            groups: dict[str, list[EvaluatedCrop]] = defaultdict(list)
            for case in self.cases:
                groups[key(case)].append(case)
            lines += [AccuracyRow.of(table, name, groups[name]) for name in sorted(groups) if name]
        return lines

    @property
    def looking(self) -> Looking:
        """Attention correctness."""
        return Looking.of(self.cases)

    def against(self, other: "Measures") -> list[ModelComparison]:
        """Compare with another model on the same crops.

        Raises:
            RecordsError: they did not see the same crops.
        """
        mine, theirs = ({case.place: case for case in m.cases} for m in (self, other))
        if mine.keys() != theirs.keys():
            raise RecordsError(
                "comparison: the two models read different crops. Evaluate both on the same stores."
            )
        found = []
        for protocol in PROTOCOLS:
            first = [case.right(protocol) for case in mine.values()]
            second = [theirs[place].right(protocol) for place in mine]
            only_first = sum(a and not b for a, b in zip(first, second, strict=True))
            only_second = sum(b and not a for a, b in zip(first, second, strict=True))
            p = metrics.mcnemar(first, second)
            reach = metrics.paired_difference(only_second, only_first, len(first))
            found.append(ModelComparison(protocol, only_first, only_second, len(first), p, reach))
        return found

    def to_json(self) -> dict[str, object]:
        """Everything but the single cases, JSON by construction."""
        return {
            "model_id": self.model_id,
            "lines": [asdict(line) for line in self.lines],
            "looking": asdict(self.looking),
            "left_out": dict(self.left_out),
        }


def _length(case: EvaluatedCrop) -> str:
    return f"{len(case.truth):02d}" if len(case.truth) <= LONGEST_ALONE else f"{LONGEST_ALONE + 1}+"


FILES = ("evaluation.json", "lines.csv", "cases.csv")


def save(measures: Measures, told: dict[str, object], folder: Path) -> None:
    """Write evaluation.json, lines.csv (the tables) and cases.csv (every crop).

    Raises:
        RecordsError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILES[0]).write_text(
            json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        _table(
            folder / FILES[1],
            ["table", "name", "crops", *PROTOCOLS],
            [[line.table, line.name, line.crops, *line.right.values()] for line in measures.lines],
        )
        _table(
            folder / FILES[2],
            ["place", "truth", "text", "folded", "confidence", "process", "typeface", *PROTOCOLS],
            [
                [c.place, c.truth, c.text, c.folded, f"{c.confidence:.6f}", c.process, c.typeface]
                + [int(c.right(p)) for p in PROTOCOLS]
                for c in measures.cases
            ],
        )
    except OSError as error:
        raise RecordsError(f"{folder}: cannot be written: {error.strerror}. Name another folder.") from None


def _table(path: Path, names: list[str], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
