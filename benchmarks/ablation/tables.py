"""The rows' JSON as tables: shares with intervals, attention, sizes and speeds; paired tests between rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serialread.metrics import mcnemar, paired_difference, ratio, wilson

Row = dict[str, Any]


def rows(out: Path) -> list[Row]:
    """All rows that are there, in the order in which they were made."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*-seed*.json"))]
    return [table for table in found if "row" in table]


def drawn(found: Sequence[Row], order: Sequence[str], protocol: str = "36") -> str:
    """The ablation table; seeds of a row on a line each."""
    grounds = list(dict.fromkeys(name for table in found for name in table["grounds"]))
    heads = ["row", "seed", "crops", *(f"{name} %" for name in grounds)]
    heads += [
        "unseen, glyphs zeroed %",
        "inside %",
        "drift %",
        "glyph IoU",
        "M test",
        "MMAC",
        "train/s",
        "read/s",
    ]
    lines = [" | ".join(["", *heads, ""]).strip(), "|" + "---|" * len(heads)]
    ordered = sorted(found, key=lambda t: (_place(t["row"], order), t["seed"]))
    return "\n".join([*lines, *("| " + " | ".join(_cells(t, grounds, protocol)) + " |" for t in ordered)])


def _place(row: str, order: Sequence[str]) -> int:
    return order.index(row) if row in order else len(order)


def _cells(table: Row, grounds: Sequence[str], protocol: str) -> list[str]:
    note = "" if table["whole"] else " (cut short)"
    cells = [table["row"], str(table["seed"]), f"{table['crops_seen']:,}{note}"]
    cells += [_share(table["grounds"].get(name), protocol) for name in grounds]
    unseen = table["grounds"].get("unseen", {})
    zeroed = unseen.get("right_zeroed")
    cells.append(_share({**unseen, "right": zeroed}, protocol) if zeroed else "")
    looking = unseen.get("looking")
    if looking and looking["chars"]:
        cells += [
            f"{100 * looking['inside']:.1f}",
            f"{100 * looking['drift']:.1f}",
            f"{looking['glyph_iou']:.3f}",
        ]
    else:
        cells += ["", "", ""]
    cells += [f"{table['parameters_test'] / 1e6:.2f}", f"{table['macs'] / 1e6:.0f}"]
    return [*cells, f"{table['train_crops_per_s']:.0f}", f"{table['read_crops_per_s']:.0f}"]


def _share(ground: Row | None, protocol: str) -> str:
    if ground is None:
        return ""
    right, crops = ground["right"][protocol], ground["crops"]
    low, high = wilson(right, crops)
    return f"{100 * ratio(right, crops):.1f} ({100 * low:.1f}-{100 * high:.1f})"


def compared(found: Sequence[Row], pairs: Sequence[tuple[str, str]], protocol: str = "36") -> str:
    """McNemar between rows on every ground, the seeds that both have pooled."""
    lines = [
        "| rows | ground | seeds | only first | only second | difference, points (95 %) | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for first, second in pairs:
        mine, theirs = ({t["seed"]: t for t in found if t["row"] == name} for name in (first, second))
        seeds = sorted(mine.keys() & theirs.keys())
        for ground in mine[seeds[0]]["grounds"] if seeds else ():
            a, b = (
                "".join(tables[s]["grounds"][ground]["outcomes"][protocol] for s in seeds)
                for tables in (mine, theirs)
            )
            lines.append(f"| {first} - {second} | {ground} | {len(seeds)} | {_paired(a, b)} |")
    return "\n".join(lines)


def noise(found: Sequence[Row], order: Sequence[str], protocol: str = "36") -> str:
    """What chance alone does: the first two seeds of each row against each other."""
    lines = [
        "| row | ground | only first seed | only second | difference, points (95 %) | p |",
        "|---|---|---|---|---|---|",
    ]
    for name in order:
        seeds = sorted((t for t in found if t["row"] == name), key=lambda t: int(t["seed"]))[:2]
        for ground in seeds[0]["grounds"] if len(seeds) == 2 else ():
            a, b = (t["grounds"][ground]["outcomes"][protocol] for t in seeds)
            lines.append(f"| {name} | {ground} | {_paired(a, b)} |")
    return "\n".join(lines)


def by_process(found: Sequence[Row], order: Sequence[str], ground: str, protocol: str = "36") -> str:
    """Shares of one ground read right: marking processes downwards, rows across, seeds pooled."""
    named = {name: [t for t in found if t["row"] == name and ground in t["grounds"]] for name in order}
    columns = {name: tables for name, tables in named.items() if tables}
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for name, tables in columns.items():
        for line in (line for t in tables for line in t["grounds"][ground]["by_process"]):
            right, crops = counts.get((line["name"], name), (0, 0))
            counts[line["name"], name] = right + line["right"][protocol], crops + line["crops"]
    lines = ["| process | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for process in sorted({process for process, _ in counts}):
        cells = [f"{100 * ratio(*counts.get((process, name), (0, 0))):.1f}" for name in columns]
        lines.append(f"| {process} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _paired(first: str, second: str) -> str:
    """Crops that only one of two reads right, the gain of the first and its p; outcomes as 0 and 1."""
    a, b = [c == "1" for c in first], [c == "1" for c in second]
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    low, high = (100 * edge for edge in paired_difference(only_b, only_a, len(a)))
    gain = 100 * ratio(only_a - only_b, len(a))
    return f"{only_a} | {only_b} | {gain:+.1f} ({low:+.1f} to {high:+.1f}) | {mcnemar(a, b):.4f}"
