"""Which pictures to label when there is no truth yet: a fair draw from every batch."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SAMPLE = 299
"""Pictures to label: all of them right would claim 99 % at a confidence of 95 %."""


def sampling_list(rows: pd.DataFrame, most: int = SAMPLE) -> pd.DataFrame:
    """Images without truth to label, in their order; the same inputs draw the same ones.

    Every batch gives its share of the draw. The digests of the pictures decide, which no one can choose. The
    table is a truth table with an empty ``text``; what was read is left out, for it would lead the eye.

    Args:
        rows: ``image``, ``batch``, ``sha256`` and ``known`` of each reading.
        most: images to draw.
    """
    open_ = rows.loc[~rows["known"], ["image", "batch", "sha256"]].drop_duplicates("image")
    numbers, _ = pd.factorize(open_["batch"])
    quota = _shares(np.bincount(numbers), most)
    drawn = open_.assign(number=numbers).sort_values(["sha256", "image"], kind="stable")
    rank = drawn.groupby("number").cumcount().to_numpy()
    chosen = drawn[rank < quota[drawn["number"].to_numpy()]].sort_index()
    return pd.DataFrame({"filename": chosen["image"], "text": "", "batch": chosen["batch"]}, dtype=object)


def _shares(sizes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How many each batch gives: in proportion, the largest remainders rounded up."""
    total = int(sizes.sum())
    if total <= most:
        return sizes
    exact = sizes * most / total
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: most - int(shares.sum())]
    shares[largest] += 1
    return shares
