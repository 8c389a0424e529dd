"""Whether a batch can ship as its readings stand: the rules, and the reasons in words."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import pandas as pd

from serialread.auditing.wording import counted, first_names

FATES = ("confirmed", "trusted", "corrected", "open", "misread")
"""What is known of each picture; every one has exactly one of them."""


class Release(StrEnum):
    """Whether a batch can ship, the worst first."""

    HOLD = "HOLD"
    """An accepted reading is wrong: parts are on record under codes that they do not carry."""
    CHECK = "CHECK"
    """Readings wait for a person, or a check speaks against some of them."""
    SHIP = "SHIP"
    """Every code was accepted or is in the truth table, and nothing speaks against them."""


def fates(judged: pd.DataFrame) -> pd.DataFrame:
    """What is known of each judged reading, as the columns ``FATES`` of zeros and ones.

    ``confirmed``: right by the truth. ``trusted``: accepted, without a truth. ``corrected``: not right, not
    accepted, and the truth says the code. ``open``: neither accepted nor with a truth. ``misread``: accepted
    and wrong.
    """
    known, accepted, right = (judged[name].astype(bool) for name in ("known", "accepted", "right"))
    table = {
        "confirmed": right,
        "trusted": accepted & ~known,
        "corrected": known & ~right & ~accepted,
        "open": ~known & ~accepted,
        "misread": judged["misread"].astype(bool),
    }
    return pd.DataFrame(table).astype(int)


def release_sums(judged: pd.DataFrame) -> pd.DataFrame:
    """What the release of each batch depends on, by batch; sums of parts are those of the whole."""
    counts = fates(judged).assign(
        images=1,
        accepted=judged["accepted"].astype(int),
        barcode_differs=judged["barcode_differs"].astype(int),
    )
    return counts.groupby(judged["batch"], sort=False).sum()


def release_table(
    sums: pd.DataFrame, sequences: Mapping[str, int], worsened: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """One line per batch, those to hold first: the columns of releases.csv.

    Args:
        sums: result of ``release_sums``.
        sequences: number of sequence findings of each batch.
        worsened: measures that are out of control for the worse, with what to check, of each batch.
    """
    lines = []
    for batch, line in zip(sums.index, sums.to_dict("records"), strict=True):
        release, reason = _release(line, sequences.get(batch, 0), worsened.get(batch, ()))
        figures = {name: line[name] for name in ("images", *FATES)}
        lines.append({"batch": batch, "release": release.value, "reason": reason, **figures})
    table = pd.DataFrame(lines, columns=["batch", "release", "reason", "images", *FATES])
    ranks = {release.value: rank for rank, release in enumerate(Release)}
    order = pd.DataFrame(
        {"rank": table["release"].map(ranks), "misread": -table["misread"], "open": -table["open"]}
    )
    listed: pd.DataFrame = table.loc[order.sort_values(["rank", "misread", "open"], kind="stable").index]
    return listed.reset_index(drop=True)


def _release(line: dict[Any, Any], sequence: int, worsened: Sequence[str]) -> tuple[Release, str]:
    """The release of a batch, and its reasons in a sentence or two."""
    reasons = list[str]()
    if line["misread"]:
        wrong = ("is wrong: correct its record", "are wrong: correct their records")[line["misread"] > 1]
        reasons.append(f"{counted(line['misread'], 'accepted reading')} {wrong}")
    if line["open"]:
        wait = "waits" if line["open"] == 1 else "wait"
        reasons.append(f"{counted(line['open'], 'reading')} {wait} for a person")
    if line["barcode_differs"]:
        reasons.append(f"{counted(line['barcode_differs'], 'barcode')} unlike the reading")
    if sequence:
        reasons.append(f"{counted(sequence, 'sequence finding')}")
    reasons += worsened
    if reasons:
        return Release.HOLD if line["misread"] else Release.CHECK, _sentence(reasons)
    known = line["confirmed"] + line["corrected"]
    parts = [(line["trusted"], "accepted"), (known, "in the truth table")]
    kinds = [f"{count:,} {what}" for count, what in parts if count]
    caught = f"; {counted(line['corrected'], 'wrong reading')} caught" if line["corrected"] else ""
    return Release.SHIP, f"all codes known: {', '.join(kinds)}{caught}."


def _sentence(reasons: Sequence[str]) -> str:
    return "; ".join(reasons) + "."


def releases_in_words(releases: pd.DataFrame) -> str:
    """The answer for all batches together, in a sentence."""
    count = releases["release"].value_counts()
    hold, check, total = (int(count.get(Release.HOLD, 0)), int(count.get(Release.CHECK, 0)), len(releases))
    batches = counted(total, "batch", "batches")
    if hold:
        more = f", and check {check:,} more first" if check else ""
        return f"Not all: hold {hold:,} of {batches}{more}."
    if check:
        return f"Not yet: check {check:,} of {batches} first."
    return f"Yes: {'the batch' if total == 1 else f'all {batches}'} can ship."


def held(releases: pd.DataFrame) -> str:
    """The batches to hold, by name; "" if there are none."""
    names = releases["batch"][releases["release"] == Release.HOLD]
    return first_names(name or "(no batch)" for name in names)
