"""Two readers on the same pictures: which is better, by how much, and on which pictures."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from serialread.auditing.counting import judge
from serialread.auditing.findings import Finding, by_severity, counted, some, warning
from serialread.auditing.markdown import findings_lines, table_lines
from serialread.auditing.matching import located, pair
from serialread.auditing.sheets import ReportSection, study_page, table_sheet
from serialread.auditing.tables import read_readings
from serialread.auditing.wording import rate_words
from serialread.errors import RecordsError
from serialread.label_tables import TextTable, read_labels
from serialread.metrics import mcnemar, paired_difference

FILES = ("compare.csv", "compare.json", "compare.md", "compare.html")
"""What a comparison writes."""

MOST_PICTURES = 1000
"""Pictures on the page; compare.csv holds all."""

SURE_P = 0.05
"""Below this p a difference counts as shown."""


@dataclass(frozen=True, slots=True, eq=False)
class ReaderComparison:
    """Two readers on the pictures that both read and that have a truth.

    Attributes:
        images: pictures compared.
        right: strictly right ones of a and of b.
        worse: right by a alone.
        better: right by b alone.
        pictures: those that the two read or decided otherwise, the worse first.
        findings: what was left out.
    """

    images: int
    right: tuple[int, int]
    worse: int
    better: int
    pictures: pd.DataFrame
    findings: tuple[Finding, ...]

    @property
    def p(self) -> float:
        """McNemar's exact two-sided p that both are equally good, 0..1."""
        return mcnemar(
            [True] * self.worse + [False] * self.better, [False] * self.worse + [True] * self.better
        )

    @property
    def difference(self) -> tuple[float, float, float]:
        """Accuracy of b minus that of a, -1..1, with its 95 % interval (Bonett & Price)."""
        return (self.better - self.worse) / self.images, *paired_difference(
            self.worse, self.better, self.images
        )

    @property
    def verdict(self) -> str:
        """One sentence."""
        share, low, high = (100 * value for value in self.difference)
        by = f"{share:+.2f} points (95 %: {low:+.2f} to {high:+.2f}), p = {self.p:.2g}"
        if self.p >= SURE_P:
            return f"No difference is shown: {by}."
        return f"B reads {'better' if share > 0 else 'worse'} than A: {by}."


def compare(a: Path, b: Path, truth: Path, out: Path) -> str:
    """Compare two readers, write ``FILES``, and give the outcome in words.

    Raises:
        RecordsError: inputs missing or broken, no picture in common, or a folder that cannot be written.
    """
    done = examine_two(read_readings(a), read_readings(b), read_labels(truth))
    lines = "\n".join(_markdown(done, a, b)) + "\n"
    share, low, high = done.difference
    figures = {
        "images": done.images,
        "right_a": done.right[0],
        "right_b": done.right[1],
        "better": done.better,
        "worse": done.worse,
        "difference": round(share, 6),
        "difference_low": round(low, 6),
        "difference_high": round(high, 6),
        "p": done.p,
        "verdict": done.verdict,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        done.pictures.to_csv(out / FILES[0], index=False, lineterminator="\n", encoding="utf-8")
        (out / FILES[1]).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8", newline="\n")
        (out / FILES[2]).write_text(lines, encoding="utf-8", newline="\n")
        (out / FILES[3]).write_text(_page(done, a, b), encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecordsError(
            f"{out}: cannot be written: {error.strerror}. Give another --out folder."
        ) from None
    return "\n".join(
        [
            f"A: {rate_words(done.right[0], done.images)}",
            f"B: {rate_words(done.right[1], done.images)}",
            f"{done.better:,} better, {done.worse:,} worse. {done.verdict}",
            *(f"{finding.severity}: {finding.text}" for finding in done.findings),
        ]
    )


def examine_two(a: TextTable, b: TextTable, truth: TextTable) -> ReaderComparison:
    """Judge both and lay them side by side, picture by picture.

    Raises:
        RecordsError: no picture that both read and that has a truth.
    """
    sides = [_judged(source, truth) for source in (a, b)]
    both = sides[0].merge(sides[1], on="path", suffixes=("_a", "_b"), validate="one_to_one")
    same = both["sha256_a"] == both["sha256_b"]
    joined = both[same]
    if joined.empty:
        raise RecordsError(
            f"{b.path}: no picture that {a.path} has too, with a truth. Read the same pictures."
        )
    right = [joined["strict_right_a"].to_numpy(bool), joined["strict_right_b"].to_numpy(bool)]
    findings = []
    if not same.all():
        findings.append(
            warning(f"{counted(int((~same).sum()), 'picture')} changed between the runs, left out.")
        )
    alone = sum(len(side) for side in sides) - 2 * len(both)
    if alone:
        names = pd.concat([side["path"] for side in sides]).drop_duplicates(keep=False)
        findings.append(
            warning(f"{counted(alone, 'picture')} read by one side alone, left out: {some(names)}.")
        )
    return ReaderComparison(
        images=len(joined),
        right=(int(right[0].sum()), int(right[1].sum())),
        worse=int((right[0] & ~right[1]).sum()),
        better=int((right[1] & ~right[0]).sum()),
        pictures=_pictures(joined, right[0], right[1]),
        findings=by_severity(findings),
    )


def _judged(source: TextTable, truth: TextTable) -> pd.DataFrame:
    judged = judge(pair(source.rows, truth.rows).rows)
    judged["path"] = located(judged["image"])["path"].to_numpy()
    return judged[judged["known"]].drop_duplicates("path")


def _pictures(joined: pd.DataFrame, right_a: np.ndarray, right_b: np.ndarray) -> pd.DataFrame:
    change = np.select([right_a & ~right_b, right_b & ~right_a], ["worse", "better"], "otherwise")
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
    order = table["change"].map({"worse": 0, "better": 1, "otherwise": 2})
    listed: pd.DataFrame = table.loc[order[differs].sort_values(kind="stable").index]
    return listed.reset_index(drop=True)


def _said(done: ReaderComparison, a: Path, b: Path) -> list[str]:
    return [
        f"A, {a.name}: {rate_words(done.right[0], done.images)}",
        f"B, {b.name}: {rate_words(done.right[1], done.images)}",
        f"{done.better:,} pictures better, {done.worse:,} worse",
    ]


def _page(done: ReaderComparison, a: Path, b: Path) -> str:
    words = "Those that the two read or decided otherwise, the worse first."
    sheet = table_sheet(done.pictures, "compare", most=MOST_PICTURES)
    sections = [ReportSection("Pictures read otherwise", words, sheet)]
    return study_page(
        "Comparison of two readers", [done.verdict, *_said(done, a, b)], done.findings, sections
    )


def _markdown(done: ReaderComparison, a: Path, b: Path) -> list[str]:
    head = ["change", "image", "truth", "text_a", "text_b"]
    return [
        "# Comparison of two readers\n",
        f"{done.verdict}\n",
        *(f"- {words}" for words in _said(done, a, b)),
        "\n## Findings\n",
        *findings_lines(done.findings),
        "\n## Pictures read otherwise\n",
        *table_lines(done.pictures, head),
    ]
