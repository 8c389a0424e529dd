"""Truths that no reading can equal: with a character that no model reads, or longer than the model reads."""

from collections.abc import Collection, Iterator

import pandas as pd

from serialread.auditing.wording import Finding, counted, first_names, note, warning
from serialread.codes import CTC_CAPACITY, MAX_LENGTH, fold_lookalikes, unreadable, without_blanks
from serialread.inference.session import Engine
from serialread.weights import shipped_model


def folded_truths(truth: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """A table of truths with look-alikes folded in the column ``text``, and how many were."""
    texts = truth["text"].map(fold_lookalikes)
    changed = truth["filename"][texts != truth["text"]]
    if changed.empty:
        return truth, ()
    truths = counted(len(changed), "truth")
    finding = note(f"{truths} with look-alikes read as the ASCII characters: {first_names(changed)}.")
    return truth.assign(text=texts), (finding,)


def truth_findings(rows: pd.DataFrame) -> Iterator[Finding]:
    """Findings about the truths of readings.

    Args:
        rows: ``image``, ``text``, ``truth``, ``known`` and ``model_id`` of each reading.
    """
    known = rows[rows["known"]]
    yield from _strange_characters(known, "".join(sorted(set("".join(rows["text"])) - {"\ufffd"})))
    yield from _long_truths(known)


def _strange_characters(known: pd.DataFrame, read: str) -> Iterator[Finding]:
    """``read``: characters that occur in the readings; an alphabet may hold more than printable ASCII."""
    shown, foldable = list[str](), False
    for image, truth in zip(known["image"], known["truth"], strict=True):
        if found := unreadable(without_blanks(truth), read):
            place, char = found[0]
            shown.append(f"{image} {char!r} (U+{ord(char):04X}) at {place}")
            foldable |= fold_lookalikes(char) != char
    if shown:
        advice = "--fold-lookalikes takes look-alikes for ASCII characters." if foldable else ""
        yield warning(
            f"{counted(len(shown), 'truth')} with a character that no reading has; counted as wrong: "
            f"{first_names(shown)}. {advice or 'Correct the truths.'}"
        )


def _long_truths(known: pd.DataFrame) -> Iterator[Finding]:
    lengths = known["truth"].map(lambda truth: len(without_blanks(truth)))
    if not (lengths > MAX_LENGTH).any():
        return
    capacity = _capacity(set(known["model_id"]))
    named = zip(known["image"], lengths, strict=True)
    longer = [f"{image} ({length})" for image, length in named if length > capacity]
    if longer:
        yield warning(
            f"{counted(len(longer), 'truth')} longer than the {capacity} characters that the model reads in "
            f"a line: {first_names(longer)}. They can only be right as several rows."
        )


def _capacity(model_ids: Collection[object]) -> int:
    """Of the shipped model if it read the pictures, else the largest of any model."""
    card = Engine(shipped_model()).card
    return card.capacity if card.model_id in model_ids else CTC_CAPACITY
