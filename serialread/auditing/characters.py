"""Which characters are read right, at which place, and what the others are taken for.

Over the images that have a truth and were read, whatever was decided: a picture that was not read says
nothing about a character.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.rates import rate_columns
from serialread.metrics import strict
from serialread.metrics.alignment import Edits, characters, reach


@dataclass(frozen=True, slots=True, eq=False)
class Characters:
    """Counts of characters; each table has a line for what it is about and documented columns.

    Attributes:
        characters: one line a character of truths or readings.
        confusions: one line a pair of truth and reading that differ, the most frequent first.
        positions: one line a place in the truth, from 1; one past the longest for what was added after it.
        lengths: one line a pair of different lengths, the most frequent first.
        what: of each image that differs, what was taken for what; index as the readings', "" never.
    """

    characters: pd.DataFrame
    confusions: pd.DataFrame
    positions: pd.DataFrame
    lengths: pd.DataFrame
    what: pd.Series


def count_characters(judged: pd.DataFrame) -> Characters:
    """Lay every reading that has a truth beside it and count."""
    seen = judged[judged["known"] & judged["read"]]
    truths = [strict(text) for text in seen["truth"]]
    wrong = np.flatnonzero(seen["strict_edits"].to_numpy() > 0)
    reads = [strict(text) for text in seen["text"].iloc[wrong]]
    edits = Edits.of(reads, [truths[i] for i in wrong])
    table = pd.DataFrame({"truth": edits.truth, "read": edits.read, "position": edits.position})
    table["image"] = seen["image"].to_numpy()[wrong][edits.pair]
    return Characters(
        _characters(truths, table),
        _confusions(truths, table),
        _positions(truths, table),
        _lengths(seen.iloc[wrong]),
        _what(edits, seen.index[wrong]),
    )


def _kinds(edits: pd.DataFrame, by: str) -> pd.DataFrame:
    """Replaced, lost and added characters of each value of a column."""
    kind = np.select([edits["truth"] == "", edits["read"] == ""], ["added", "lost"], "replaced")
    counted = pd.crosstab(edits[by], kind) if len(edits) else pd.DataFrame()
    return counted.reindex(columns=["replaced", "lost", "added"], fill_value=0)


def _characters(truths: list[str], edits: pd.DataFrame) -> pd.DataFrame:
    chars, counts = characters(truths)
    kinds = _kinds(edits, "truth").drop(index="", errors="ignore")
    added = edits["read"][edits["truth"] == ""].value_counts()
    every = sorted({*chars, *added.index})
    in_truth = pd.Series(counts, index=pd.Index(chars, dtype=object)).reindex(every, fill_value=0)
    kinds = kinds.reindex(every, fill_value=0)
    right = in_truth - kinds["replaced"] - kinds["lost"]
    mostly = edits[(edits["truth"] != "") & (edits["read"] != "")].groupby("truth")["read"]
    return pd.DataFrame(
        {
            "character": every,
            "in_truth": in_truth.to_numpy(np.int64),
            "right": right.to_numpy(np.int64),
            "replaced": kinds["replaced"].to_numpy(np.int64),
            "lost": kinds["lost"].to_numpy(np.int64),
            "added": added.reindex(every, fill_value=0).to_numpy(np.int64),
            **rate_columns("accuracy", right.to_numpy(), in_truth.to_numpy()),
            "mostly_read_as": mostly.agg(_most_frequent).reindex(every).fillna("").to_numpy(object),
        }
    )


def _most_frequent(chars: pd.Series) -> Any:
    return chars.value_counts(sort=True).index[0]


def _confusions(truths: list[str], edits: pd.DataFrame) -> pd.DataFrame:
    pairs = edits.groupby(["truth", "read"], sort=True)["image"].agg(["size", "first"]).reset_index()
    pairs = pairs.sort_values("size", ascending=False, kind="stable").reset_index(drop=True)
    in_truth = dict(zip(*characters(truths), strict=True))
    of = pairs["truth"].map(in_truth).to_numpy(np.float64, na_value=np.nan)
    kind = np.select([pairs["truth"] == "", pairs["read"] == ""], ["added", "lost"], "replaced")
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
    in_truth = reach(truths)
    last = max(
        len(in_truth), int(edits["position"].max()) if len(edits) else 0
    )  # one past the end: added there
    in_truth = np.pad(in_truth, (0, last - len(in_truth)))
    places = np.arange(1, last + 1)
    kinds = _kinds(edits, "position").reindex(places, fill_value=0)
    right = in_truth - kinds["replaced"].to_numpy() - kinds["lost"].to_numpy()
    return pd.DataFrame(
        {
            "position": places,
            "in_truth": in_truth,
            "right": right,
            **{name: kinds[name].to_numpy(np.int64) for name in ("replaced", "lost", "added")},
            **rate_columns("accuracy", right, in_truth),
        }
    )


def _lengths(wrong: pd.DataFrame) -> pd.DataFrame:
    other = wrong[wrong["length_errors"]]
    pairs = other.groupby(["strict_truth_chars", "strict_read_chars"])["image"].agg(["size", "first"])
    pairs = pairs.sort_values("size", ascending=False, kind="stable").reset_index()
    pairs.columns = pd.Index(["truth_length", "read_length", "images", "example"])
    return pairs


def _what(edits: Edits, index: pd.Index) -> pd.Series:
    """In words, image by image: 3: B for 8; 5: lost X; 6: added Y."""
    texts: dict[int, list[str]] = {}
    rows: NDArray[np.int64] = edits.pair
    for pair, position, truth, read in zip(rows, edits.position, edits.truth, edits.read, strict=True):
        said = f"{read} for {truth}" if truth and read else f"lost {truth}" if truth else f"added {read}"
        texts.setdefault(int(pair), []).append(f"{position}: {said}")
    return pd.Series({index[pair]: "; ".join(said) for pair, said in texts.items()}, dtype=object)
