"""Compare two readers on the same pictures: which is better, by how much, and on which pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from serialread.auditing.batch_scores import judge
from serialread.auditing.charts import interval_chart
from serialread.auditing.html_page import (
    Cell,
    PageChart,
    PageSection,
    PageTable,
    any_cell,
    differing_chunks,
    study_page,
)
from serialread.auditing.input_tables import read_readings
from serialread.auditing.matching import located, pair
from serialread.auditing.report_files import findings_lines, table_lines, write_study
from serialread.auditing.wording import (
    Finding,
    by_severity,
    counted,
    first_names,
    percent,
    rate_words,
    warning,
)
from serialread.errors import RecordsError
from serialread.label_tables import TextTable, read_labels
from serialread.metrics import mcnemar, paired_difference, strict, wilson

MAX_PICTURES = 1000
"""Pictures on the page; compare.csv holds all."""

_BADGES = {"worse": "error", "better": "corrected", "other text": "note"}
"""How the page shows what changed."""

SIGNIFICANCE = 0.05
"""A difference with a smaller p is significant."""


@dataclass(frozen=True, slots=True, eq=False)
class ReaderComparison:
    """Two readers on the pictures that both read and that have a truth.

    Attributes:
        names: files or folders of A and of B.
        images: pictures compared.
        right: strictly right ones of A and of B.
        worse: pictures right by A alone.
        better: pictures right by B alone.
        pictures: those with other texts, the worse first.
        findings: what was left out.
    """

    names: tuple[str, str]
    images: int
    right: tuple[int, int]
    worse: int
    better: int
    pictures: pd.DataFrame
    findings: tuple[Finding, ...]

    @property
    def p(self) -> float:
        """Two-sided p of McNemar's exact test that both are equally good, 0..1."""
        only_a = [True] * self.worse + [False] * self.better
        return mcnemar(only_a, [not right for right in only_a])

    @property
    def difference(self) -> tuple[float, float, float]:
        """Accuracy of B minus that of A, -1..1, with its 95 % interval (Bonett & Price)."""
        low, high = paired_difference(self.worse, self.better, self.images)
        return (self.better - self.worse) / self.images, low, high

    @property
    def conclusion(self) -> str:
        """One sentence."""
        share, low, high = (100 * value for value in self.difference)
        by = f"{share:+.2f} points (95 %: {low:+.2f} to {high:+.2f}), p = {self.p:.2g}"
        if self.p >= SIGNIFICANCE:
            return f"The difference is not significant: {by}."
        return f"B reads {'better' if share > 0 else 'worse'} than A: {by}."

    def summary(self) -> str:
        """The result in sentences, with the findings."""
        findings = [f"{finding.severity}: {finding.text}" for finding in self.findings]
        return "\n".join([*self._counts(), self.conclusion, *findings])

    def write(self, out: str | Path) -> tuple[Path, ...]:
        """Write compare.csv, compare.json, compare.md and compare.html; returns their paths.

        Raises:
            RecordsError: the folder cannot be written.
        """
        share, low, high = self.difference
        figures = {
            "images": self.images,
            "right_a": self.right[0],
            "right_b": self.right[1],
            "better": self.better,
            "worse": self.worse,
            "difference": round(share, 6),
            "difference_low": round(low, 6),
            "difference_high": round(high, 6),
            "p": self.p,
            "conclusion": self.conclusion,
        }
        return write_study(Path(out), "compare", self.pictures, figures, self._markdown(), self._page())

    def _page(self) -> str:
        sides = list(zip("AB", self.names, self.right, strict=True))
        shares = [
            (f"{side}: {name}", right / self.images, wilson(right, self.images))
            for side, name, right in sides
        ]
        figures = [
            (
                f"{side} reads correctly",
                f"{percent(right / self.images)} %",
                f"{right:,} of {self.images:,}: {name}",
            )
            for side, name, right in sides
        ]
        figures += [
            ("better with B", f"{self.better:,}", "pictures that B alone reads correctly"),
            ("worse with B", f"{self.worse:,}", "pictures that A alone reads correctly"),
        ]
        chart = PageChart(interval_chart(shares, "Share read correctly by A and by B, with intervals"))
        listed = "Those that got worse come first. Marked: where a text differs from the truth."
        sections = [
            PageSection("Read correctly", "Share of the pictures, with its 95 % interval.", charts=[chart]),
            PageSection("Pictures with other texts", listed, self._differing()),
        ]
        about = f"A: {self.names[0]}; B: {self.names[1]}; {counted(self.images, 'picture')} that both read"
        question = "Does B read better than A?"
        return study_page(
            "Comparison of two readers", about, question, self.conclusion, figures, self.findings, sections
        )

    def _differing(self) -> PageTable:
        """The pictures with other texts; where a text differs from the truth is marked."""
        names = ("change", "picture", "truth", "read by A", "read by B", "confidence A", "confidence B")
        rows = []
        for line in self.pictures.head(MAX_PICTURES).to_dict("records"):
            truth = strict(line["truth"])
            texts = [
                Cell(differing_chunks(truth, strict(line[f"text_{side}"]))[1], code=True) for side in "ab"
            ]
            change = Cell([(line["change"], False)], badge=_BADGES[line["change"]])
            picture, *sure = (any_cell(line[name]) for name in ("image", "confidence_a", "confidence_b"))
            rows.append([change, picture, Cell([(truth, False)], code=True), *texts, *sure])
        columns = [(name, name.startswith("confidence")) for name in names]
        return PageTable("compare", columns, rows, max(0, len(self.pictures) - MAX_PICTURES))

    def _counts(self) -> list[str]:
        return [
            f"A, {self.names[0]}: {', '.join(rate_words(self.right[0], self.images))}",
            f"B, {self.names[1]}: {', '.join(rate_words(self.right[1], self.images))}",
            f"{counted(self.better, 'picture')} better, {self.worse:,} worse",
        ]

    def _markdown(self) -> list[str]:
        return [
            "# Comparison of two readers\n",
            f"{self.conclusion}\n",
            *(f"- {words}" for words in self._counts()),
            "\n## Findings\n",
            *findings_lines(self.findings),
            "\n## Pictures with other texts\n",
            *table_lines(self.pictures, ["change", "image", "truth", "text_a", "text_b"]),
        ]


def compare(a: str | Path, b: str | Path, truth: str | Path) -> ReaderComparison:
    """Compare two readers on the same pictures.

    Args:
        a: readings.csv of reader A, or its folder.
        b: the same of reader B.
        truth: table with the columns filename and text.

    Raises:
        RecordsError: inputs are missing or damaged, or have no picture in common.
    """
    a, b = Path(a), Path(b)
    names = (a.name, b.name)
    return compare_tables(read_readings(a), read_readings(b), read_labels(Path(truth)), names=names)


def compare_tables(
    a: TextTable, b: TextTable, truth: TextTable, names: tuple[str, str] = ("A", "B")
) -> ReaderComparison:
    """The same as ``compare``, from tables that were read before.

    Raises:
        RecordsError: no picture that both read and that has a truth.
    """
    sides = [_judged(source, truth) for source in (a, b)]
    both = sides[0].merge(sides[1], on="path", suffixes=("_a", "_b"), validate="one_to_one")
    same = both["sha256_a"] == both["sha256_b"]
    joined = both[same]
    if joined.empty:
        raise RecordsError(
            f"{b.path}: no picture in common with {a.path} that has a truth. Read the same pictures."
        )
    right_a, right_b = (joined[f"right_{side}"].to_numpy(bool) for side in "ab")
    findings = []
    if not same.all():
        changed = counted(int((~same).sum()), "picture")
        findings.append(warning(f"{changed} changed between the runs, left out."))
    alone = sum(len(side) for side in sides) - 2 * len(both)
    if alone:
        unshared = pd.concat([side["path"] for side in sides]).drop_duplicates(keep=False)
        pictures = counted(alone, "picture")
        findings.append(warning(f"{pictures} read by one side alone, left out: {first_names(unshared)}."))
    return ReaderComparison(
        names=names,
        images=len(joined),
        right=(int(right_a.sum()), int(right_b.sum())),
        worse=int((right_a & ~right_b).sum()),
        better=int((right_b & ~right_a).sum()),
        pictures=_pictures(joined, right_a, right_b),
        findings=by_severity(findings),
    )


def _judged(source: TextTable, truth: TextTable) -> pd.DataFrame:
    judged = judge(pair(source.rows, truth.rows).rows)
    judged["path"] = located(judged["image"])["path"].to_numpy()
    return judged[judged["known"]].drop_duplicates("path")


def _pictures(joined: pd.DataFrame, right_a: np.ndarray, right_b: np.ndarray) -> pd.DataFrame:
    change = np.select([right_a & ~right_b, right_b & ~right_a], ["worse", "better"], "other text")
    table = pd.DataFrame(
        {
            "change": change,
            "image": joined["image_a"],
            "truth": joined["truth_a"],
            **{
                f"{name}_{side}": joined[f"{name}_{side}"]
                for name in ("text", "confidence", "decision")
                for side in "ab"
            },
        }
    )
    differs = (right_a != right_b) | (table["text_a"] != table["text_b"]).to_numpy()
    order = table["change"].map({"worse": 0, "better": 1, "other text": 2})
    listed: pd.DataFrame = table.loc[order[differs].sort_values(kind="stable").index]
    return listed.reset_index(drop=True)
