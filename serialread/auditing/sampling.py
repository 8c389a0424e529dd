"""How many pictures or parts to check, and which images to label next."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.wording import percent
from serialread.errors import RecordsError
from serialread.metrics.sampling_plans import LotPlan, chance_to_pass, lot_plan, pictures_needed

SAMPLE = 299
"""Images to label: with all of them right, they support a claim of 99 % at a confidence of 95 %."""

_ERRORS = (0, 1, 2, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """How many pictures support a claim about the accuracy.

    Attributes:
        confidence: of the claim, one-sided, 0..1.
        pictures: pictures needed for each number of errors among them.
    """

    target: float
    confidence: float
    pictures: dict[int, int]

    def summary(self) -> str:
        """The plan as a table, for people."""
        better = 1 - (1 - self.target) / 5
        head = f"To claim at least {100 * self.target:g} % right, {100 * self.confidence:g} % confident"
        lines = [
            f"{head} (exact, one-sided):",
            "",
            f"errors  pictures  passes if truly {100 * better:g} % right",
        ]
        for errors, pictures in self.pictures.items():
            passes = percent(chance_to_pass(pictures, errors, better))
            lines.append(f"{errors:6}  {pictures:8,}  {passes:>6} %")
        return "\n".join(
            [
                *lines,
                "",
                "Draw them at random, choose a line of this table before you start, and label by eye.",
            ]
        )


def plan_claim(target: float, confidence: float = 0.95) -> ClaimPlan:
    """How many pictures, with how many errors, support a claim of at least ``target``.

    Args:
        target: share of right readings to claim, 0..1.
        confidence: of the claim, one-sided, 0..1.

    Raises:
        RecordsError: a share that is not between 0 and 1.
    """
    if not (0 < target < 1 and 0 < confidence < 1):
        raise RecordsError(
            f"plan: target {target}, confidence {confidence}: not between 0 and 1. Give 0.999 for 99.9 %."
        )
    pictures = {errors: pictures_needed(target, errors, confidence) for errors in _ERRORS}
    return ClaimPlan(target, confidence, pictures)


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How many parts of a lot to inspect."""

    lot: int
    plan: LotPlan

    def summary(self) -> str:
        """The plan in sentences."""
        plan, aql = self.plan, self.plan.aql_percent
        passes, limit = plan.chance_to_accept(aql / 100), plan.consumers_risk_share
        return (
            f"Lot of {self.lot:,}, AQL {aql:g} % (ISO 2859-1, level II, normal, single): "
            f"letter {plan.letter}.\n"
            f"Inspect {plan.sample:,} parts; accept the lot with {plan.accept} bad or fewer, "
            f"reject it with {plan.accept + 1} or more.\n"
            f"The plan accepts a lot with {aql:g} % bad parts in {percent(passes)} % of cases, "
            f"one with {percent(limit)} % in 10 %."
        )


def plan_sampling(lot: int, aql_percent: float) -> SamplingPlan:
    """How many parts of a lot to inspect, by ISO 2859-1, general level II, normal inspection.

    Args:
        lot: parts in the lot, 2 or more.
        aql_percent: acceptance quality limit, per cent of bad parts.

    Raises:
        RecordsError: a lot or an AQL without a plan.
    """
    try:
        return SamplingPlan(lot, lot_plan(lot, aql_percent))
    except ValueError as error:
        raise RecordsError(str(error)) from None


@dataclass(slots=True)
class LabelDraw:
    """Draws images without a truth from each batch in proportion to its size, of readings that come in parts.

    The digests of the pictures decide, so that the choice is free of bias, and the same for any parts. Of
    each batch only the images with the smallest digests are kept, as many as can be drawn.

    Attributes:
        most: images to draw.
        rows: readings seen so far.
        sizes: images without a truth, by batch, in the order of their first images.
        kept: of these, ``image``, ``batch`` and ``sha256`` of those that may be drawn, by number of reading.
    """

    most: int
    rows: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    kept: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["image", "batch", "sha256"]))

    def add(self, rows: pd.DataFrame) -> None:
        """Add readings: ``image``, ``batch``, ``sha256`` and ``known`` of each, perhaps ``label``."""
        unlabelled = ~rows["known"].to_numpy(bool)
        if "label" in rows:
            unlabelled &= (rows["label"] == "").to_numpy()
        new = rows[["image", "batch", "sha256"]].set_axis(range(self.rows, self.rows + len(rows)))
        new = new[unlabelled].drop_duplicates("image").astype({"batch": str})
        self.rows += len(rows)
        for batch, size in new.groupby("batch", sort=False).size().items():
            self.sizes[str(batch)] = self.sizes.get(str(batch), 0) + int(size)
        both = pd.concat([self.kept, new]) if len(self.kept) else new
        self.kept = self._smallest(both, self._enough())

    def _enough(self) -> NDArray[np.int64]:
        """Images to keep of each batch: its share so far, and a margin for batches that come in pieces.

        A batch in one piece is drawn exactly as if all readings were there; of one in pieces, more than the
        margin would have to fall into one piece by chance (odds below 1e-8).
        """
        sizes = np.array(list(self.sizes.values()), np.float64)
        share = sizes * self.most / max(sizes.sum(), self.most)
        enough: NDArray[np.int64] = np.ceil(share + 6 * np.sqrt(share) + 6).astype(np.int64)
        return np.minimum(enough, self.most)

    def _smallest(self, images: pd.DataFrame, quotas: NDArray[np.int64]) -> pd.DataFrame:
        """The images of each batch with the smallest digests, as many as its quota, in their order."""
        numbers = images["batch"].map({batch: number for number, batch in enumerate(self.sizes)})
        drawn = images.assign(number=numbers.astype(np.int64)).sort_values(["sha256", "image"], kind="stable")
        rank = drawn.groupby("number").cumcount().to_numpy()
        chosen: pd.DataFrame = drawn[rank < quotas[drawn["number"].to_numpy()]].sort_index()
        return chosen.drop(columns="number")

    def table(self) -> pd.DataFrame:
        """The images drawn: a truth table with an empty ``text``.

        The readings are left out because they would bias the person who labels.
        """
        quotas = _quotas(np.array(list(self.sizes.values()), np.int64), self.most)
        chosen = self._smallest(self.kept, quotas)
        return pd.DataFrame({"filename": chosen["image"], "text": "", "batch": chosen["batch"]}, dtype=object)


def images_to_label(rows: pd.DataFrame, most: int = SAMPLE) -> pd.DataFrame:
    """Draw images without a truth, from each batch in proportion to its size; equal inputs, equal images.

    Args:
        rows: ``image``, ``batch``, ``sha256`` and ``known`` of each reading, perhaps ``label``.
        most: images to draw.
    """
    draw = LabelDraw(most)
    draw.add(rows)
    return draw.table()


def _quotas(sizes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Images to draw from each batch: in proportion, the largest remainders rounded up."""
    total = int(sizes.sum())
    if total <= most:
        return sizes
    exact = sizes * most / total
    quotas = np.floor(exact).astype(np.int64)
    largest = np.argsort(quotas - exact, kind="stable")[: most - int(quotas.sum())]
    quotas[largest] += 1
    return quotas
