"""Whether a batch can ship as its readings stand: the rules, and the reasons in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from serialread.auditing.wording import counted, first_names
from serialread.label_tables import PictureLabel
from serialread.metrics import clopper_pearson
from serialread.metrics.sampling_plans import pictures_needed

FATES = ("confirmed", "trusted", "corrected", "open", "misread")
"""What is known of each picture; every one has exactly one of them."""


class Release(StrEnum):
    """Whether a batch can ship, the worst first."""

    HOLD = "HOLD"
    """An accepted reading is wrong: parts are on record under codes that they do not carry."""
    CHECK = "CHECK"
    """Readings wait for a person, or a check speaks against some of them."""
    SHIP = "SHIP"
    """Every code is known: by the truth table, or accepted with as few errors as promised."""


class Basis(StrEnum):
    """What says that the accepted readings of a batch are right, the strongest first."""

    TRUTH = "truth known"
    """All of them are in the truth table."""
    SAMPLE = "sample audited"
    """Those of them that are in the truth table bound the share of wrong ones among the others."""
    CALIBRATION = "only calibrated"
    """The misread guarantee of the station, on pictures like those that it was calibrated with."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class MisreadLimit:
    """The share of accepted readings that may be wrong.

    Attributes:
        misread: the share, 0..1.
        certainty: with which a claim about it must hold, 0..1.
        is_guaranteed: whether a station guarantees it.
    """

    misread: float = 0.01
    certainty: float = 0.95
    is_guaranteed: bool = False

    def bounds(self, wrong: int, checked: int) -> tuple[float, float]:
        """Exact lower and upper bound of the misread rate, each with the certainty."""
        return clopper_pearson(wrong, checked, 2 * self.certainty - 1)


NOT_GUARANTEED = MisreadLimit()
"""Of stations without a guarantee."""


def fates(judged: pd.DataFrame) -> pd.DataFrame:
    """What is known of each judged reading, as the columns ``FATES`` of zeros and ones.

    ``confirmed``: right by the truth. ``trusted``: accepted, without a truth. ``corrected``: not right, not
    accepted, and the truth says the code, or that there is none. ``open``: not accepted, and the truth does
    not say the code. ``misread``: accepted and wrong.
    """
    known, accepted, right = (judged[name].astype(bool) for name in ("known", "accepted", "right"))
    placeless = (judged["label"] == PictureLabel.WRONG_CROP) & (judged["truth"] == "")
    says = known & ~placeless
    table = {
        "confirmed": right,
        "trusted": accepted & ~judged["accepted_known"].astype(bool),
        "corrected": says & ~right & ~accepted,
        "open": ~says & ~accepted,
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
    sums: pd.DataFrame,
    sequences: Mapping[str, int],
    worsened: Mapping[str, Sequence[str]],
    allowed: MisreadLimit,
) -> pd.DataFrame:
    """One line per batch, those to hold first: the columns of releases.csv.

    Args:
        sums: result of ``release_sums``.
        sequences: number of sequence findings of each batch.
        worsened: measures that are out of control for the worse, with what to check, of each batch.
        allowed: the share of accepted readings that may be wrong.
    """
    lines, whole = [], sums.sum()
    checked, wrong = int(whole["accepted"] - whole["trusted"]), int(whole["misread"])
    for batch, line in zip(sums.index, sums.to_dict("records"), strict=True):
        basis, proof, is_proven = _proof(line, checked, wrong, allowed)
        reasons = [*_objections(line, sequences.get(batch, 0)), *worsened.get(batch, ())]
        if not is_proven:
            reasons.append(proof)
        release = Release.HOLD if line["misread"] else Release.CHECK if reasons else Release.SHIP
        reason = "; ".join(reasons) or proof
        figures = {name: line[name] for name in ("images", *FATES)}
        answer = {"release": release.value, "basis": basis.value, "reason": f"{reason}."}
        lines.append({"batch": batch, **answer, **figures})
    table = pd.DataFrame(lines, columns=["batch", "release", "basis", "reason", "images", *FATES])
    ranks = {release.value: rank for rank, release in enumerate(Release)}
    order = pd.DataFrame(
        {"rank": table["release"].map(ranks), "misread": -table["misread"], "open": -table["open"]}
    )
    listed: pd.DataFrame = table.loc[order.sort_values(["rank", "misread", "open"], kind="stable").index]
    return listed.reset_index(drop=True)


def _objections(line: Mapping[Any, int], sequence: int) -> list[str]:
    """What speaks against single readings of a batch, in words."""
    found = list[str]()
    if line["misread"]:
        wrong = ("is wrong: correct its record", "are wrong: correct their records")[line["misread"] > 1]
        found.append(f"{counted(line['misread'], 'accepted reading')} {wrong}")
    if line["open"]:
        wait = "waits" if line["open"] == 1 else "wait"
        found.append(f"{counted(line['open'], 'reading')} {wait} for a person")
    if line["barcode_differs"]:
        found.append(f"{counted(line['barcode_differs'], 'barcode')} unlike the reading")
    if sequence:
        found.append(counted(sequence, "sequence finding"))
    return found


def _proof(
    line: Mapping[Any, int], checked: int, wrong: int, allowed: MisreadLimit
) -> tuple[Basis, str, bool]:
    """What says that the accepted readings of a batch are right, in words, and whether it is enough.

    Args:
        line: the sums of the batch.
        checked: accepted readings of all batches that have a truth.
        wrong: of these, the wrong ones.
        allowed: the share of accepted readings that may be wrong.
    """
    trusted, share = line["trusted"], _percent(allowed.misread)
    if not trusted:
        return _truth(line)
    samples = [(line["accepted"] - trusted, line["misread"], ""), (checked, wrong, " of all batches")]
    count, errors, where = min(samples, key=lambda one: allowed.bounds(one[1], one[0])[1])
    most = allowed.bounds(errors, count)[1]
    audited = (
        f"{counted(count, 'accepted reading')}{where} checked by the truth table, {errors or 'none'} wrong: "
        f"at most {_percent(most)} of the others may be"
    )
    if most <= allowed.misread:
        return Basis.SAMPLE, audited, True
    if allowed.is_guaranteed and allowed.bounds(wrong, checked)[0] > allowed.misread:
        found = f"the truth table finds {wrong:,} of {counted(checked, 'accepted reading')} wrong"
        return Basis.CALIBRATION, f"{found}: the station's guarantee of {share} does not hold", False
    if allowed.is_guaranteed:
        unknown = f"{counted(trusted, 'accepted reading')} without a truth"
        return Basis.CALIBRATION, f"{unknown}, at most {share} wrong by the station", True
    if count:
        more = pictures_needed(1 - allowed.misread, errors, allowed.certainty) - count
        return Basis.SAMPLE, f"{audited}, {share} is allowed (check {more:,} more)", False
    unproven = f"nothing says how many of {counted(trusted, 'accepted reading')} are wrong"
    return Basis.NOTHING, f"{unproven}: no truth, no calibration", False


def _truth(line: Mapping[Any, int]) -> tuple[Basis, str, bool]:
    """The proof of a batch of which no reading is trusted."""
    known, caught = line["confirmed"] + line["corrected"] + line["misread"], line["corrected"]
    differ = f"; {counted(caught, 'reading')} {'differs' if caught == 1 else 'differ'} from it"
    words = f"{counted(known, 'code')} in the truth table{differ if caught else ''}"
    return (Basis.TRUTH if known else Basis.NOTHING), words, True


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


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
    bases = releases["basis"].value_counts()
    named = ", ".join(f"{bases[basis]:,} {basis}" for basis in Basis if basis in bases)
    return f"Yes: {'the batch' if total == 1 else f'all {batches}'} can ship ({named})."


def held(releases: pd.DataFrame) -> str:
    """The batches to hold, by name; "" if there are none."""
    names = releases["batch"][releases["release"] == Release.HOLD]
    return first_names(name or "(no batch)" for name in names)
