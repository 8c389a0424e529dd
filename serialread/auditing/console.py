"""The audit in the terminal."""

import re
from collections.abc import Callable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from serialread.auditing.assessment import Audit
from serialread.auditing.sections import json_lines
from serialread.auditing.wording import Severity, counted, interval_words, percent, ratio

MAX_BATCHES = 30
"""Batches shown; batches.csv holds all."""

MAX_FINDINGS = 10
"""Findings shown; audit.json and report.html hold all."""

NAME_WIDTH = 20
"""Room for the names of batches, as far as they need it; other columns give way."""

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}

Line = dict[str, Any]
Columns = dict[str, Callable[[Line], str]]


def _count(column: str) -> Callable[[Line], str]:
    return lambda line: f"{line[column]:,}"


def _accuracy(line: Line) -> str:
    if not line["right"] + line["wrong"]:
        return "–"
    return f"{percent(line['accuracy'])}\n{interval_words((line['accuracy_low'], line['accuracy_high']))}"


_JUDGED: Columns = {
    "images": _count("images"),
    "read": _count("read"),
    "reject": _count("rejected"),
    "no\ntruth": _count("no_truth"),
    "right": _count("right"),
    "wrong": _count("wrong"),
    "accuracy\n%": _accuracy,
    "MPSC\n%": lambda line: percent(line["mpsc_accuracy"]),
    "CER\n%": lambda line: percent(line["cer"]),
    "1-NED": lambda line: ratio(line["one_minus_ned"]),
}
_UNJUDGED: Columns = {
    "images": _count("images"),
    "read": _count("read"),
    "accept": _count("accepted"),
    "review": _count("review"),
    "reject": _count("rejected"),
    "confidence\n5 %": lambda line: ratio(line["confidence_p05"]),
    "\nmedian": lambda line: ratio(line["confidence_p50"]),
    "\n95 %": lambda line: ratio(line["confidence_p95"]),
}
_OPTIONAL = (
    "1-NED",
    "CER\n%",
    "MPSC\n%",
    "no\ntruth",
    "\n95 %",
    "confidence\n5 %",
    "read",
    "reject",
    "images",
)
"""Columns that a narrow terminal leaves out, in this order."""


def console_view(audit: Audit) -> RenderableType:
    """A table of batches with their total, the main rates, and the findings."""
    lines = [
        Text(f"{f.severity}: {f.text}", style=_STYLES[f.severity]) for f in audit.findings[:MAX_FINDINGS]
    ]
    if len(audit.findings) > MAX_FINDINGS:
        lines.append(Text(f"and {len(audit.findings) - MAX_FINDINGS} more findings in report.html"))
    headline = [line for line in audit.headline() if line[0] in _SHOWN]
    rates = [Text(f"{name}: {figure}, {details}") for name, figure, details in headline]
    if not audit.judged and len(audit.sampling):
        rates.append(Text(f"sampling.csv draws {counted(len(audit.sampling), 'image')} to label."))
    return Group(_BatchTable(audit), *rates, *lines)


_SHOWN = ("no-read rate", "misread rate of accepted images")


class _BatchTable:
    """Breaks names at /, - and blanks only, and leaves out columns that do not fit into a narrow terminal."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        *batches, self.total = [dict(line) for line in json_lines(audit.batches)]
        self.left_out = len(batches) - MAX_BATCHES
        self.batches = batches[:MAX_BATCHES]
        self.names = [line["batch"] or "(no batch)" for line in self.batches]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = dict(_JUDGED if self.audit.judged else _UNJUDGED)
        names = [console.render_str(name, markup=False, emoji=False).plain for name in self.names]
        pieces = [piece for name in [*names, "batch"] for piece in _pieces(name)]
        full = max(map(len, [*names, "batch"]))
        longest = max(len(piece.rstrip()) for piece in pieces)
        wanted = max(min(full, NAME_WIDTH), longest)
        for name in _OPTIONAL:
            if self._room(columns, options.max_width) >= wanted:
                break
            columns.pop(name, None)
        yield self._table(names, columns, min(full, max(longest, self._room(columns, options.max_width))))

    def _room(self, columns: Columns, width: int) -> int:
        """Characters that the columns leave for the names; every column has a border of one."""
        lines = [*self.batches, self.total]
        shown = [[name, *(show(line) for line in lines)] for name, show in columns.items()]
        return (
            width
            - sum(1 + max(len(part) for cell in cells for part in cell.split("\n")) for cells in shown)
            - 2
        )

    def _table(self, names: list[str], columns: Columns, name_width: int) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=0, caption=self._caption(columns), caption_justify="left")
        table.add_column("batch", no_wrap=True)
        for name in columns:
            table.add_column(name, justify="right", no_wrap=True)
        for name, line in zip(names, self.batches, strict=True):
            table.add_row(Text(_broken(name, name_width)), *[show(line) for show in columns.values()])
        table.add_section()
        table.add_row("total", *[show(self.total) for show in columns.values()], style="bold")
        return table

    def _caption(self, columns: Columns) -> str:
        more = f"{self.left_out} more batches in batches.csv. " if self.left_out > 0 else ""
        if not self.audit.judged:
            return more + "No truth table: accuracy not computed."
        hidden = [name.replace("\n", " ") for name in _JUDGED if name not in columns]
        narrow = f" Not shown: {', '.join(hidden)}; see batches.csv." if hidden else ""
        return (
            f"{more}Accuracy is of all images with a truth; a rejected image counts as incorrect. "
            f"Second line: 95 % Wilson interval.{narrow}"
        )


def _pieces(name: str) -> list[str]:
    """Parts of a name that are never broken; each ends with the separator after it."""
    return re.findall(r"[^/\- ]*[/\- ]|[^/\- ]+", name)


def _broken(name: str, width: int) -> str:
    lines = [""]
    for piece in _pieces(name):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
