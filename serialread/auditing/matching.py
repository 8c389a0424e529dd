"""Match truths to images: by relative path, or by file name where it is unique on both sides."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.field_scores import STATED_AS
from serialread.auditing.wording import Finding, counted, error, first_names, note, warning
from serialread.label_tables import LABEL_COLUMNS
from serialread.metrics import strict

Objects = NDArray[np.object_]

_CONFLICT = "truths conflict"
_EMPTY = "truth is empty"
_SEVERAL = "several pictures have this name"
_MOST_CONFLICTS = 20
"""Conflicts listed one by one."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Readings with their truths.

    Attributes:
        rows: the readings with ``truth`` ("" if none), ``known`` (bool) and ``why`` (why there is no truth).
        unmatched: images without truth and truths without an image: ``side`` (image or truth), ``name``,
            ``text``, ``reason``.
        findings: conflicts, and counts of what is unmatched.
    """

    rows: pd.DataFrame
    unmatched: pd.DataFrame
    findings: tuple[Finding, ...]


def without_truth(readings: pd.DataFrame) -> Pairing:
    """Readings where no truth is given."""
    rows = readings.assign(truth="", known=False, why="")
    return Pairing(rows, pd.DataFrame(columns=["side", "name", "text", "reason"]), ())


def pair(readings: pd.DataFrame, truth: pd.DataFrame) -> Pairing:
    """Find the truth of every reading.

    Args:
        readings: ``image``, ``text`` and ``sha256`` of each.
        truth: ``filename`` and ``text`` of each, perhaps columns of fields; equal lines count once.
    """
    images, stated = located(readings["image"]), _stated(truth)
    images["several"] = _several_pictures(images["path"], readings["sha256"])
    settled = stated.drop_duplicates("path").reset_index(drop=True)
    partner = partners(images, settled)
    found = partner >= 0
    taken = settled.iloc[partner[found]]
    by_name = int((taken["path"].to_numpy() != images["path"][found].to_numpy()).sum())
    why, texts = _why_alone(images, settled), np.full(len(images), "", dtype=object)
    why[images["several"]] = _SEVERAL
    why[found] = taken["why"]
    texts[found] = taken["text"].where(taken["why"] == "", "")
    rows = readings.assign(truth=texts, known=why == "", why=why)
    for name in truth.columns.drop(list(LABEL_COLUMNS)):  # of fields
        rows[STATED_AS + name] = ""
        rows.loc[found, STATED_AS + name] = taken[name].where(taken["why"] != _CONFLICT, "").to_numpy()
    unmatched = _unmatched(rows, images, stated, set(taken["path"]))
    return Pairing(rows, unmatched, tuple(_findings(rows, images, stated, unmatched, by_name)))


def located(names: pd.Series) -> pd.DataFrame:
    """Comparable path and file name of each: forward slashes, composed accents, no leading ``./``."""
    paths = [_path(name) for name in names]
    return pd.DataFrame({"path": paths, "name": [path.rpartition("/")[2] for path in paths]}, dtype=object)


def _path(name: str) -> str:
    path = name.strip().replace("\\", "/").removeprefix("./")
    return path if path.isascii() else unicodedata.normalize("NFC", path)  # macOS decomposes accents


def _several_pictures(paths: pd.Series, sha256: pd.Series) -> pd.Series:
    """Whether other pictures (with another hash) have the same path, as from folders read together."""
    repeated = paths.duplicated(keep=False)
    if not repeated.any():
        return repeated
    distinct = pd.DataFrame({"path": paths, "sha256": sha256})[repeated].drop_duplicates()
    return paths.isin(distinct["path"][distinct["path"].duplicated()])


def _stated(truth: pd.DataFrame) -> pd.DataFrame:
    """Each distinct line once: path, name, filename, text, and why it is no truth ("" if it is one)."""
    stated = located(truth["filename"]).join(truth.drop(columns=["path", "name"], errors="ignore"))
    stated["text"] = stated["text"].str.strip()
    stated["compared"] = [strict(text) for text in stated["text"]]
    stated = stated.drop_duplicates(["path", "compared"]).reset_index(drop=True)
    conflict = stated["path"].duplicated(keep=False)
    empty = stated["compared"] == ""
    return stated.assign(why=np.select([conflict, empty], [_CONFLICT, _EMPTY], ""))


def partners(images: pd.DataFrame, settled: pd.DataFrame) -> NDArray[np.int64]:
    """Row that matches each image, [N]: by path, or by a file name that is unique on both sides.

    Args:
        images: result of ``located``; images marked in a column ``several``, if there is one, have no match.
        settled: the same for the other side, with distinct paths.

    Returns:
        -1 for none.
    """
    numbers = pd.Series(np.arange(len(settled)))
    by_path = images["path"].map(numbers.set_axis(settled["path"]))
    single = ~settled["name"].duplicated(keep=False)
    by_name = images["name"].map(numbers[single].set_axis(settled["name"][single]))
    by_name = by_name.mask(images["name"].duplicated(keep=False))
    partner = by_path.fillna(by_name)
    if "several" in images:
        partner = partner.mask(images["several"])
    return partner.fillna(-1).to_numpy(np.int64)


def _why_alone(side: pd.DataFrame, other: pd.DataFrame) -> Objects:
    why = np.full(len(side), "no match for this path or file name", dtype=object)
    why[side["name"].isin(other["name"])] = "file name not unique"
    return why


def _unmatched(
    rows: pd.DataFrame, images: pd.DataFrame, stated: pd.DataFrame, taken: set[str]
) -> pd.DataFrame:
    alone = rows[~rows["known"]]
    left = stated[~stated["path"].isin(taken) | (stated["why"] != "")]
    why = _why_alone(left, images)
    why[left["path"].isin(images["path"][images["several"]])] = _SEVERAL
    why = np.where(left["why"] == "", why, left["why"])
    parts = [
        {"side": "image", "name": alone["image"], "text": alone["text"], "reason": alone["why"]},
        {"side": "truth", "name": left["filename"], "text": left["text"], "reason": why},
    ]
    return pd.concat([pd.DataFrame(part, dtype=object) for part in parts], ignore_index=True)


def _findings(
    rows: pd.DataFrame, images: pd.DataFrame, stated: pd.DataFrame, unmatched: pd.DataFrame, by_name: int
) -> Iterator[Finding]:
    if not rows["known"].any():
        yield error(f"No image has a truth. Use the names in readings.csv, such as {rows['image'].iloc[0]}.")
    yield from _conflicts(stated)
    several = images["path"][images["several"]].unique()
    if len(several):
        those = counted(len(several), "image name")
        yield error(
            f"{those} shared by several pictures, all without truth: {first_names(several)}. "
            "Read the folders separately."
        )
    again = images["path"][images["path"].duplicated() & ~images["several"]].unique()
    if len(again):
        yield warning(
            f"{counted(len(again), 'picture')} read more than once; every line counts: {first_names(again)}."
        )
    alone = rows["image"][~rows["known"]].unique()
    if len(alone):
        yield warning(
            f"{counted(len(alone), 'image')} without a truth: {first_names(alone)}. See unmatched.csv."
        )
    left = unmatched["name"][(unmatched["side"] == "truth") & ~unmatched["reason"].isin([_CONFLICT, _EMPTY])]
    if len(left):
        yield warning(
            f"{counted(len(left), 'truth')} without an image: {first_names(left)}. See unmatched.csv."
        )
    if by_name:
        yield note(f"{counted(by_name, 'image')} matched by file name alone.")


def _conflicts(stated: pd.DataFrame) -> Iterator[Finding]:
    rows = stated[stated["why"] == _CONFLICT]
    texts = rows.groupby("path", sort=False)["text"].agg(" / ".join)
    for path, text in texts.head(_MOST_CONFLICTS).items():
        yield error(
            f"{path}: truths conflict: {text}. The image counts as one without a truth. Correct the table."
        )
    if len(texts) > _MOST_CONFLICTS:
        yield error(f"{len(texts) - _MOST_CONFLICTS:,} more conflicts: see unmatched.csv.")
