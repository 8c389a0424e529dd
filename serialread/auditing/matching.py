"""Match truths to images: by relative path, or by file name where it is unique on both sides."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.field_scores import READ_AS, STATED_AS
from serialread.auditing.wording import Finding, counted, error, first_names, note, warning
from serialread.label_tables import LABEL_COLUMNS, NO_READING, PictureLabel
from serialread.metrics import strict

Objects = NDArray[np.object_]

_CONFLICT = "truths conflict"
_EMPTY = "truth is empty"
_SEVERAL = "several pictures have this name"
_UNREADABLE = "nobody can read it"
_LABEL = "label"
_MOST_CONFLICTS = 20
"""Conflicts listed one by one."""
_NAMED = 5


@dataclass(slots=True)
class _Names:
    """How many names there are, and the first few."""

    count: int = 0
    first: tuple[str, ...] = ()

    def add(self, names: "_Names") -> None:
        self.count += names.count
        self.first = (*self.first, *names.first)[:_NAMED]

    @classmethod
    def of(cls, names: pd.Series) -> "_Names":
        distinct = list(names.unique())
        return cls(len(distinct), tuple(distinct[:_NAMED]))

    def __str__(self) -> str:
        more = self.count - len(self.first)
        return ", ".join(self.first) + (f" and {more} more" if more else "")


@dataclass(slots=True)
class Matches:
    """Counts of what matches and what does not, of one part of the readings or of several.

    Attributes:
        example: name of an image.
        known: images with a truth, or with a label that says why there is none.
        by_name: images matched by their file name alone.
        several: names shared by several pictures.
        again: pictures read more than once.
        alone: images without a truth.
        unreadable: images that nobody can read.
        left: truths without an image.
    """

    example: str = ""
    known: int = 0
    by_name: int = 0
    several: _Names = field(default_factory=_Names)
    again: _Names = field(default_factory=_Names)
    alone: _Names = field(default_factory=_Names)
    unreadable: _Names = field(default_factory=_Names)
    left: _Names = field(default_factory=_Names)

    def add(self, other: "Matches") -> None:
        """Add the counts of another part."""
        self.example = self.example or other.example
        self.known += other.known
        self.by_name += other.by_name
        for name in ("several", "again", "alone", "unreadable", "left"):
            getattr(self, name).add(getattr(other, name))

    def findings(self, about_truths: Iterable[Finding]) -> Iterator[Finding]:
        """The counts in sentences, and among them the findings about the truths themselves."""
        if not self.known:
            yield error(f"No image has a truth. Use the names in readings.csv, such as {self.example}.")
        yield from about_truths
        if self.several.count:
            yield error(
                f"{counted(self.several.count, 'image name')} shared by several pictures, all without truth: "
                f"{self.several}. Read the folders separately."
            )
        if self.again.count:
            pictures = counted(self.again.count, "picture")
            yield warning(f"{pictures} read more than once; every line counts: {self.again}.")
        if self.alone.count:
            images = counted(self.alone.count, "image")
            yield warning(f"{images} without a truth: {self.alone}. See unmatched.csv.")
        if self.unreadable.count:
            images = counted(self.unreadable.count, "image")
            yield warning(f"{images} that nobody can read, by the label: {self.unreadable}; in no accuracy.")
        if self.left.count:
            truths = counted(self.left.count, "truth")
            yield warning(f"{truths} without an image: {self.left}. See unmatched.csv.")
        if self.by_name:
            yield note(f"{counted(self.by_name, 'image')} matched by file name alone.")


@dataclass(frozen=True, slots=True)
class Pairing:
    """Readings with their truths.

    Attributes:
        rows: the readings with ``truth`` ("" if none), ``known`` (bool: the truth says what is right),
            ``why`` (why there is no truth) and ``label`` (a ``PictureLabel``, "" for ``READ``).
        unmatched: images without truth and truths without an image: ``side`` (image or truth), ``name``,
            ``text``, ``reason``.
        matches: counts of what matches and what does not.
        findings: conflicts, and these counts in words.
    """

    rows: pd.DataFrame
    unmatched: pd.DataFrame
    matches: Matches
    findings: tuple[Finding, ...]


def without_truth(readings: pd.DataFrame) -> Pairing:
    """Readings where no truth is given."""
    rows = readings.assign(truth="", known=False, why="", label="")
    return Pairing(rows, pd.DataFrame(columns=["side", "name", "text", "reason"]), Matches(), ())


def pair(readings: pd.DataFrame, truth: pd.DataFrame) -> Pairing:
    """Find the truth of every reading.

    Args:
        readings: ``image``, ``text`` and ``sha256`` of each.
        truth: ``filename`` and ``text`` of each, perhaps a column ``label`` and columns of fields; equal
            lines count once.
    """
    images, stated = located(readings["image"]), _stated(truth)
    images["several"] = _several_pictures(images["path"], readings["sha256"])
    settled = stated.drop_duplicates("path").reset_index(drop=True)
    partner = partners(images, settled)
    found = partner >= 0
    taken = settled.iloc[partner[found]]
    why, texts = _why_alone(images, settled), np.full(len(images), "", dtype=object)
    labels = texts.copy()
    why[images["several"]] = _SEVERAL
    why[found] = taken["why"]
    texts[found] = taken["text"].where(taken["why"] == "", "")
    labels[found] = taken["label"].where(taken["why"] != _CONFLICT, "")
    rows = readings.assign(truth=texts, known=why == "", why=why, label=labels)
    for name in truth.columns.drop(list(LABEL_COLUMNS)):  # of fields
        cells = truth[name].to_numpy(object)[taken["row"].to_numpy(np.int64)]
        rows[STATED_AS + name] = ""
        rows.loc[found, STATED_AS + name] = np.where(taken["why"] != _CONFLICT, cells, "")
    unmatched = _unmatched(rows, images, stated, set(taken["path"]))
    matches = _matches(rows, images, unmatched)
    matches.by_name = int((taken["path"].to_numpy() != images["path"][found].to_numpy()).sum())
    has_field = READ_AS + _LABEL in readings
    about_truths = [*conflicts(truth), *([] if has_field else unknown_labels(truth))]
    return Pairing(rows, unmatched, matches, tuple(matches.findings(about_truths)))


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
    """Each distinct line once: path, name, filename, text, label, row, and why it is no truth ("" if one)."""
    stated = located(truth["filename"])
    stated["filename"], stated["text"] = truth["filename"].to_numpy(), truth["text"].str.strip().to_numpy()
    stated["label"] = _labels(truth)
    stated["row"] = np.arange(len(stated))
    textless = stated["label"].isin([PictureLabel.NO_CODE, PictureLabel.UNREADABLE])
    stated["text"] = stated["text"].where(~textless, "")
    stated["compared"] = [strict(text) for text in stated["text"]]
    stated = stated.drop_duplicates(["path", "compared", "label"]).reset_index(drop=True)
    conflict = stated["path"].duplicated(keep=False)
    unreadable = stated["label"] == PictureLabel.UNREADABLE
    empty = (stated["compared"] == "") & (stated["label"] == "")
    return stated.assign(
        why=np.select([conflict, unreadable, empty], [_CONFLICT, _UNREADABLE, _EMPTY], "").astype(object)
    )


def _labels(truth: pd.DataFrame) -> Objects:
    """The ``PictureLabel`` of each line, "" for ``READ`` and for anything else, [N]."""
    if _LABEL not in truth:
        return np.full(len(truth), "", dtype=object)
    cells = truth[_LABEL].str.strip().str.lower()
    return cells.where(cells.isin(NO_READING), "").to_numpy(object)


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


def _matches(rows: pd.DataFrame, images: pd.DataFrame, unmatched: pd.DataFrame) -> Matches:
    several, unreadable = images["several"], rows["why"] == _UNREADABLE
    of_truths = (unmatched["side"] == "truth") & ~unmatched["reason"].isin([_CONFLICT, _EMPTY, _UNREADABLE])
    left = unmatched["name"][of_truths]
    return Matches(
        example=rows["image"].iloc[0],
        known=int((rows["known"] | unreadable).sum()),
        several=_Names.of(images["path"][several]),
        again=_Names.of(images["path"][images["path"].duplicated() & ~several]),
        alone=_Names.of(rows["image"][~rows["known"] & ~unreadable]),
        unreadable=_Names.of(rows["image"][unreadable]),
        left=_Names(len(left), tuple(left[:_NAMED])),
    )


def conflicts(truth: pd.DataFrame) -> Iterator[Finding]:
    """Lines of a truth table that contradict each other, as findings."""
    doubtful = located(truth["filename"])["path"].duplicated(keep=False).to_numpy()
    stated = _stated(truth[doubtful])
    rows = stated[stated["why"] == _CONFLICT]
    said = [
        f"{text} ({label})".strip() if label else text
        for text, label in zip(rows["text"], rows["label"], strict=True)
    ]
    texts = pd.Series(said, dtype=object).groupby(rows["path"].to_numpy(), sort=False).agg(" / ".join)
    for path, text in texts.head(_MOST_CONFLICTS).items():
        yield error(
            f"{path}: truths conflict: {text}. The image counts as one without a truth. Correct the table."
        )
    if len(texts) > _MOST_CONFLICTS:
        yield error(f"{len(texts) - _MOST_CONFLICTS:,} more conflicts: see unmatched.csv.")


def unknown_labels(truth: pd.DataFrame) -> Iterator[Finding]:
    """Cells of the column ``label`` that are none, if others are: a misspelt one would be overlooked."""
    if _LABEL not in truth:
        return
    cells = truth[_LABEL].str.strip().str.lower()
    known = cells.isin(set(PictureLabel))
    strange = truth["filename"][~known & (cells != "")]
    if known.any() and len(strange):
        yield error(
            f"{counted(len(strange), 'truth')} with an unknown label, counted by the text alone: "
            f"{first_names(strange)}. Use {', '.join(PictureLabel)}."
        )


def truths_without_image(truth: pd.DataFrame) -> tuple[pd.DataFrame, Matches]:
    """Truths of which no image has the path, as lines of unmatched.csv, and their number."""
    stated = _stated(truth)
    reason = stated["why"].where(stated["why"] != "", "no match for this path")
    lines = pd.DataFrame(
        {"side": "truth", "name": stated["filename"], "text": stated["text"], "reason": reason}, dtype=object
    )
    left = stated["filename"][stated["why"] == ""]
    return lines, Matches(left=_Names(len(left), tuple(left[:_NAMED])))
