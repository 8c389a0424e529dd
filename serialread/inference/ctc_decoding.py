"""Decode the scores of CTC columns to a reading; after Graves et al., ICML 2006.

Letters: N columns, C classes (0 is the blank), T characters with attention, L characters.
"""

from collections.abc import Sequence

import numpy as np

from serialread.codes import Alphabet
from serialread.config import Code
from serialread.inference.char_readings import boxes_of, status_of
from serialread.records import Box, CharReading, Floats, Reading

_ANY = Code()


def decode_columns(
    scores: Floats,
    alphabet: Alphabet,
    attention: Floats | None = None,
    crop_size: tuple[int, int] = (1, 1),
    filled: float = 1.0,
    code: Code = _ANY,
) -> Reading:
    """Decode the best path; arguments as of ``decode``, with scores [N, C]."""
    classes, starts, ends = best_path(scores)
    probabilities = np.exp(scores)
    boxes: Sequence[Box | None] = [None] * len(classes)
    if attention is not None:
        boxes = boxes_of(attention[: len(classes)], crop_size, filled)
        boxes = [*boxes, *[None] * (len(classes) - len(boxes))]
    chars = []
    for number, start, end, box in zip(classes, starts, ends, boxes, strict=True):
        peak = probabilities[start + int(scores[start:end, number].argmax())]
        first, peak[number] = float(peak[number]), -1
        second = int(peak.argmax())
        rival = "" if second == 0 else alphabet.chars[second - 1]
        status = status_of(first, float(peak[second]), code)
        chars.append(
            CharReading(
                alphabet.chars[number - 1],
                min(first, 1.0),
                (rival, min(float(peak[second]), 1.0)),
                box,
                status,
            )
        )
    return Reading(tuple(chars), 1.0)


def best_path(scores: Floats) -> tuple[list[int], list[int], list[int]]:
    """Classes of the best path's characters, and the first column of each run and the one after its last."""
    best = scores.argmax(axis=1)
    changes = np.flatnonzero(best[1:] != best[:-1]) + 1
    starts = np.concatenate(([0], changes))
    ends = np.concatenate((changes, [len(best)]))
    classes = best[starts]
    written = classes > 0
    return classes[written].tolist(), starts[written].tolist(), ends[written].tolist()
