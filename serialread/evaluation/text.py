"""Measures as lines for people."""

from collections.abc import Iterator, Sequence

from serialread.evaluation.crops_read import PROTOCOLS
from serialread.evaluation.measures import Measures, ModelComparison

_TITLES = {"store": "store", "length": "characters", "process": "process", "typeface": "typeface"}
_FEWEST = 20
"""Crops from which a typeface is worth a line; all of them are in lines.csv."""


def told(measures: Measures, against: Sequence[ModelComparison] = (), other: str = "") -> str:
    """Shares read right with 95 % intervals, by table; attention; the comparison with another model."""
    whole = measures.lines[0]
    lines = [f"{measures.model_id} on {whole.crops} samples"]
    for protocol, cell in zip(PROTOCOLS, whole.cells()[2:], strict=True):
        lines.append(f"read right, {protocol:7s} {cell} %")
    lines += _attention(measures)
    lines += _tables(measures)
    lines += [f"left out: {count}, {reason}" for reason, count in measures.left_out.most_common()]
    for c in against:
        low, high = (100 * edge for edge in c.difference)
        lines.append(
            f"against {other}, {c.protocol}: {c.only_first} only here, {c.only_second} only there; "
            f"{low:+.1f} to {high:+.1f} points (95 %), p {c.p:.4f}"
        )
    return "\n".join(lines)


def _attention(measures: Measures) -> Iterator[str]:
    looking = measures.looking
    if looking.chars:
        yield f"attention inside        {looking.inside:.2%}"
        yield f"attention drifted       {looking.drift:.2%}"
        yield f"neighbours share        {looking.neighbours:.2%}"
        yield f"glyph-map overlap       {looking.glyph_iou:.3f}"


def _tables(measures: Measures) -> Iterator[str]:
    for table, title in _TITLES.items():
        rows = [line for line in measures.lines if line.table == table]
        shown = [line for line in rows if table != "typeface" or line.crops >= _FEWEST]
        if len(rows) < 2 or not shown:
            continue
        yield ""
        yield f"{title:24.24s} crops  " + "  ".join(f"{protocol:>19s}" for protocol in PROTOCOLS)
        for line in shown:
            name, crops, *cells = line.cells()
            yield f"{name:24.24s} {crops:>5s}  " + "  ".join(f"{cell:>19s}" for cell in cells)
