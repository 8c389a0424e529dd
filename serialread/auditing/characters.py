"""Character errors: which characters are confused, deleted or inserted, and at which position.

Over the images with a truth and a text, whatever was decided.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.metrics import strict
from serialread.metrics.accuracy import Edits, count_characters, count_positions
from serialread.metrics.intervals import rate_columns

KINDS = ("substituted", "deleted", "inserted")
"""Kinds of edits, as columns."""


@dataclass(frozen=True, slots=True, eq=False)
class CharacterTables:
    """Counts of substituted, deleted and inserted characters.

    Attributes:
        characters: one line per character of truths or readings.
        confusions: one line per pair of truth and reading that differ, the most frequent first.
        positions: one line per position in the truth, from 1; one more for insertions at the end.
        lengths: one line per pair of different lengths, the most frequent first.
        edits: the edits of each wrong text, in words; indexed by the rows of the readings.
    """

    characters: pd.DataFrame
    confusions: pd.DataFrame
    positions: pd.DataFrame
    lengths: pd.DataFrame
    edits: pd.Series


def character_tables(judged: pd.DataFrame) -> CharacterTables:
    """Align every text with its truth, and count the edits."""
    seen = judged[judged["compared"] & judged["read"]]
    truths = [strict(text) for text in seen["truth"]]
    wrong = np.flatnonzero(seen["edits"].to_numpy() > 0)
    reads = [strict(text) for text in seen["text"].iloc[wrong]]
    edits = Edits.of(reads, [truths[i] for i in wrong])
    table = pd.DataFrame({"truth": edits.truth, "read": edits.read, "position": edits.position})
    table["image"] = seen["image"].to_numpy()[wrong][edits.pair]
    return CharacterTables(
        _characters(truths, table),
        _confusions(truths, table),
        _positions(truths, table),
        _lengths(seen.iloc[wrong]),
        _edits_in_words(edits, seen.index[wrong]),
    )


def _kinds(edits: pd.DataFrame, by: str) -> pd.DataFrame:
    """Substituted, deleted and inserted characters for each value of a column."""
    kind = np.select([edits["truth"] == "", edits["read"] == ""], ["inserted", "deleted"], "substituted")
    counted = pd.crosstab(edits[by], kind) if len(edits) else pd.DataFrame()
    return counted.reindex(columns=list(KINDS), fill_value=0)


def _characters(truths: list[str], edits: pd.DataFrame) -> pd.DataFrame:
    counts = count_characters(truths)
    kinds = _kinds(edits, "truth").drop(index="", errors="ignore")
    inserted = edits["read"][edits["truth"] == ""].value_counts()
    every = sorted({*counts, *inserted.index})
    in_truth = pd.Series(counts, dtype=np.int64).reindex(every, fill_value=0)
    kinds = kinds.reindex(every, fill_value=0)
    right = in_truth - kinds["substituted"] - kinds["deleted"]
    mostly = edits[(edits["truth"] != "") & (edits["read"] != "")].groupby("truth")["read"]
    return pd.DataFrame(
        {
            "character": every,
            "in_truth": in_truth.to_numpy(np.int64),
            "right": right.to_numpy(np.int64),
            "substituted": kinds["substituted"].to_numpy(np.int64),
            "deleted": kinds["deleted"].to_numpy(np.int64),
            "inserted": inserted.reindex(every, fill_value=0).to_numpy(np.int64),
            **rate_columns("accuracy", right.to_numpy(), in_truth.to_numpy()),
            "mostly_read_as": mostly.agg(_most_frequent).reindex(every).fillna("").to_numpy(object),
        }
    )


def _most_frequent(chars: pd.Series) -> Any:
    return chars.value_counts(sort=True).index[0]


def _confusions(truths: list[str], edits: pd.DataFrame) -> pd.DataFrame:
    pairs = edits.groupby(["truth", "read"], sort=True)["image"].agg(["size", "first"]).reset_index()
    pairs = pairs.sort_values("size", ascending=False, kind="stable").reset_index(drop=True)
    of = pairs["truth"].map(count_characters(truths)).to_numpy(np.float64, na_value=np.nan)
    kind = np.select([pairs["truth"] == "", pairs["read"] == ""], ["inserted", "deleted"], "substituted")
    return pd.DataFrame(
        {
            "kind": kind,
            "truth": pairs["truth"].to_numpy(object),
            "read": pairs["read"].to_numpy(object),
            "count": pairs["size"].to_numpy(np.int64),
            "share_of_truth": np.round(pairs["size"].to_numpy() / of, 6),
            "example": pairs["first"].to_numpy(object),
        }
    )


def _positions(truths: list[str], edits: pd.DataFrame) -> pd.DataFrame:
    in_truth = count_positions(truths)
    last = max(len(in_truth), edits["position"].max() if len(edits) else 0)  # insertions come at the end
    in_truth = np.pad(in_truth, (0, last - len(in_truth)))
    places = np.arange(1, last + 1)
    kinds = _kinds(edits, "position").reindex(places, fill_value=0)
    right = in_truth - kinds["substituted"].to_numpy() - kinds["deleted"].to_numpy()
    return pd.DataFrame(
        {
            "position": places,
            "in_truth": in_truth,
            "right": right,
            **{name: kinds[name].to_numpy(np.int64) for name in KINDS},
            **rate_columns("accuracy", right, in_truth),
        }
    )


def _lengths(wrong: pd.DataFrame) -> pd.DataFrame:
    other = wrong[wrong["length_errors"]]
    pairs = other.groupby(["truth_chars", "read_chars"])["image"].agg(["size", "first"])
    pairs = pairs.sort_values("size", ascending=False, kind="stable").reset_index()
    pairs.columns = pd.Index(["truth_length", "read_length", "images", "example"])
    return pairs


def _edits_in_words(edits: Edits, index: pd.Index) -> pd.Series:
    """The edits of each image: "3: B read as 8; 5: X deleted; 6: Y inserted"."""
    texts: dict[int, list[str]] = {}
    rows: NDArray[np.int64] = edits.pair
    for pair, position, truth, read in zip(rows, edits.position, edits.truth, edits.read, strict=True):
        edit = (
            f"{truth} read as {read}"
            if truth and read
            else f"{truth} deleted"
            if truth
            else f"{read} inserted"
        )
        texts.setdefault(int(pair), []).append(f"{position}: {edit}")
    return pd.Series({index[pair]: "; ".join(edits_) for pair, edits_ in texts.items()}, dtype=object)
