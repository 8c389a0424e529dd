"""An audit in the terminal."""

from collections.abc import Callable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serialread.auditing.counting import BatchScore
from serialread.auditing.examination import Audit
from serialread.auditing.findings import Severity, counted
from serialread.auditing.wording import percent, rate_words, ratio, span
from serialread.metrics import AccuracyCounts

MOST_BATCHES = 30
"""Batches shown; batches.csv holds all."""

MOST_FINDINGS = 10
"""Findings shown; audit.json and report.html hold all."""

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}

_ALWAYS: dict[str, Callable[[BatchScore], str]] = {
    "images": lambda score: f"{score.images:,}",
    "read": lambda score: f"{score.read:,}",
}
_JUDGED: dict[str, Callable[[BatchScore], str]] = {
    "rejected": lambda score: f"{score.rejected:,}",
    "no\ntruth": lambda score: f"{score.no_truth:,}",
    "right": lambda score: f"{score.strict.right:,}",
    "wrong": lambda score: f"{score.strict.wrong:,}",
    "accuracy\n%": lambda score: _accuracy(score.strict),
    "MPSC\n%": lambda score: percent(score.mpsc.accuracy),
    "CER\n%": lambda score: percent(score.strict.cer),
    "1-NED": lambda score: ratio(score.strict.one_minus_ned),
}
_UNJUDGED: dict[str, Callable[[BatchScore], str]] = {
    "accepted": lambda score: f"{score.accepted:,}",
    "review": lambda score: f"{score.review:,}",
    "rejected": lambda score: f"{score.rejected:,}",
    "confidence\n5 %": lambda score: ratio(score.confidence[0]),
    "\nmedian": lambda score: ratio(score.confidence[1]),
    "\n95 %": lambda score: ratio(score.confidence[2]),
}


def console_view(audit: Audit) -> RenderableType:
    """A table of batches with their total, and the findings below."""
    lines = [
        Text(f"{f.severity}: {f.text}", style=_STYLES[f.severity]) for f in audit.findings[:MOST_FINDINGS]
    ]
    if len(audit.findings) > MOST_FINDINGS:
        lines.append(Text(f"and {len(audit.findings) - MOST_FINDINGS} more findings in report.html"))
    return Group(_table(audit), *_rates(audit), *lines)


def _rates(audit: Audit) -> list[Text]:
    """No-read and misread in total; the misread rate is the one that costs money."""
    total = audit.total
    said = [f"no-read: {rate_words(total.no_read, total.images)}"]
    if audit.judged:
        said.append(f"misread of accepted: {rate_words(total.misread, total.accepted_known)}")
    elif len(audit.sampling):
        said.append(f"sampling.csv draws {counted(len(audit.sampling), 'image')} to label.")
    return [Text(line) for line in said]


def _table(audit: Audit) -> Table:
    columns = _ALWAYS | (_JUDGED if audit.judged else _UNJUDGED)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        caption=_caption(audit),
        caption_justify="left",
    )
    table.add_column("batch", overflow="fold", min_width=6)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for score in audit.batches[:MOST_BATCHES]:
        table.add_row(Text(score.batch or "(no batch)"), *[show(score) for show in columns.values()])
    table.add_section()
    table.add_row("total", *[show(audit.total) for show in columns.values()], style="bold")
    return table


def _caption(audit: Audit) -> str:
    more = len(audit.batches) - MOST_BATCHES
    shown = f"{more} more batches in batches.csv. " if more > 0 else ""
    if not audit.judged:
        return shown + "No truth given: nothing was judged."
    return (
        shown + "Right of all images with a truth; a rejected one is not right. Below: 95 % Wilson interval."
    )


def _accuracy(tally: AccuracyCounts) -> str:
    return f"{percent(tally.accuracy)}\n{span(tally.interval)}" if tally.total else "–"
