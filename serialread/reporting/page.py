"""An audit as one HTML page: no network, no scripts, prints as it stands."""

from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from rapidfuzz.distance import Levenshtein

from serialread import __version__
from serialread.reporting.auditing import Audit
from serialread.reporting.wording import percent, ratio
from serialread.scoring import strict

MOST_ERRORS = 500
"""Errors on the page; errors.csv holds all."""

MOST_BATCHES = 1000
"""Batches on the page; batches.csv holds all."""

Chunk = tuple[str, bool]
"""A piece of text, and whether it differs from the other side."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A line of errors.csv with truth and text cut where they differ."""

    cells: dict[str, Any]
    truth: list[Chunk]
    text: list[Chunk]


def page(audit: Audit) -> str:
    """Lay an audit out as HTML; every cell is escaped."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": percent, "ratio": ratio}
    template = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        audit=audit,
        version=__version__,
        batches=audit.batches[:MOST_BATCHES],
        errors=[_error_row(cells) for cells in audit.errors.head(MOST_ERRORS).to_dict("records")],
    )


def _error_row(cells: dict[Any, Any]) -> ErrorRow:
    truth, text = marked(strict(cells["truth"]), strict(cells["text"]))
    return ErrorRow(cells, truth, text)


def marked(truth: str, text: str) -> tuple[list[Chunk], list[Chunk]]:
    """Cut both sides where they differ; joined again they are what they were."""
    steps = Levenshtein.opcodes(truth, text)
    truth_chunks = [
        (truth[s.src_start : s.src_end], s.tag != "equal") for s in steps if s.src_end > s.src_start
    ]
    text_chunks = [
        (text[s.dest_start : s.dest_end], s.tag != "equal") for s in steps if s.dest_end > s.dest_start
    ]
    return truth_chunks, text_chunks
