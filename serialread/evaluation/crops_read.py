"""One case a labelled crop: what a network read there by the field's protocols, and where it looked.

Letters: B crops, T slots, C classes, N columns, h rows of the glyph maps. Crops go in as they are, one
look each; ``serialread read`` finds the line first and looks again at what it doubts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serialread.codes import Alphabet
from serialread.config import CropGeometry
from serialread.datasets import to_lowercase
from serialread.imaging import content_width, to_array
from serialread.imaging.masks import owners, placed
from serialread.inference import decode
from serialread.inference.session import ModelCard
from serialread.metrics import mpsc, strict
from serialread.records import Floats, Pixels, Sample

BATCH = 16


class Model(Protocol):
    """Anything that reads arrays: an exported file in an engine, or a network in torch."""

    @property
    def card(self) -> ModelCard:
        """Alphabet, geometry and id."""
        ...

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """Log-probabilities [B, T, C], attention [B, T, N] and, of SIGA, glyph maps [B, T, h, N]."""
        ...


@dataclass(frozen=True, slots=True)
class AttentionMaps:
    """Where the slots of a crop looked, against its masks; sums over its characters.

    Attributes:
        chars: characters with a mask.
        inside: share of a slot's attention in the columns of its own character.
        drifted: slots whose attention peaks outside them.
        neighbours: what two neighbouring slots' attention has in common, 0 apart to 1 the same; one less
            pair.
        overlap: intersection over union of the drawn and the true cells of a character; 0 without glyph maps.
    """

    chars: int
    inside: float
    drifted: int
    neighbours: float
    overlap: float


@dataclass(frozen=True, slots=True)
class EvaluatedCrop:
    """One labelled crop and what was made of it.

    Attributes:
        place: its store and its number there.
        truth: what is written, without blanks.
        text: the likeliest string.
        folded: the likeliest string once upper and lower case of a letter are one class.
        confidence: of ``text``, 0..1.
        process: how it was marked; "" where nobody knows.
        typeface: the letter shapes; "" where nobody knows.
        attention: where it looked; None without masks.
    """

    place: str
    truth: str
    text: str
    folded: str
    confidence: float
    process: str
    typeface: str
    attention: AttentionMaps | None

    def right(self, protocol: str) -> bool:
        """Whether it was read right by one of ``PROTOCOLS``."""
        return PROTOCOLS[protocol](self)


PROTOCOLS: Mapping[str, Callable[[EvaluatedCrop], bool]] = {
    "strict": lambda case: strict(case.text) == strict(case.truth),
    "mpsc": lambda case: mpsc(case.text) == mpsc(case.truth),
    "36": lambda case: mpsc(case.folded) == mpsc(case.truth),
}
"""``strict``: case and symbols count. ``mpsc``: lower case, letters and digits alone. ``36``: the same,
but the probabilities of a letter's two cases are added before the likeliest is taken, as a reader of 36
characters would."""


def measure(
    model: Model, samples: Sequence[Sample], name: str = "", size: int = BATCH
) -> Iterator[EvaluatedCrop]:
    """Read every sample, in batches of one width bucket; cases come in the order in which batches fill.

    Args:
        model: what reads.
        samples: labelled crops.
        name: of the store, for ``Case.place``.
        size: crops in a batch.
    """
    geometry, folds = model.card.geometry, _cases_of(model.card.alphabet)
    for numbers in _buckets(samples, geometry, size):
        group = [samples[number] for number in numbers]
        outputs = model.run(np.stack([to_array(sample.pixels, geometry) for sample in group]))
        for place, (number, sample) in enumerate(zip(numbers, group, strict=True)):
            found = tuple(output[place] for output in outputs)
            yield _case(f"{name}:{number}", sample, found, model.card, folds)


def _buckets(samples: Sequence[Sample], geometry: CropGeometry, size: int) -> Iterator[list[int]]:
    """Numbers of samples that share a bucket, so many at once."""
    waiting: dict[int, list[int]] = defaultdict(list)
    for number in range(len(samples)):
        bucket = geometry.bucket(content_width(samples[number].pixels, geometry))
        waiting[bucket].append(number)
        if len(waiting[bucket]) == size:
            yield waiting.pop(bucket)
    yield from waiting.values()


def _case(
    place: str, sample: Sample, found: tuple[Floats, ...], card: ModelCard, folds: NDArray[np.int64]
) -> EvaluatedCrop:
    scores, alpha, *further = found
    reading = decode(scores, card.alphabet)
    known = sample if set(sample.text) <= set(card.alphabet.chars) else to_lowercase(sample, card.alphabet)
    return EvaluatedCrop(
        place=place,
        truth=sample.text,
        text=reading.text,
        folded=decode(_folded(scores, folds), card.alphabet).text,
        confidence=reading.confidence,
        process=sample.origin.process if sample.origin else "",
        typeface=sample.origin.typeface if sample.origin else "",
        attention=looked(alpha, _maps(further), known, card.geometry),
    )


def _maps(further: Sequence[Floats]) -> Floats | None:
    """The glyph maps [T, h, N] among what a network says beyond scores and attention."""
    return next((output for output in further if output.ndim == 3), None)


def _cases_of(alphabet: Alphabet) -> NDArray[np.int64]:
    """Pairs [n, 2] of classes: a letter's lower case and its upper case."""
    numbers = {char: number for number, char in enumerate(alphabet.chars, start=1)}
    pairs = [
        (numbers[char], numbers[char.upper()])
        for char in numbers
        if char.upper() != char and char.upper() in numbers
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _folded(scores: Floats, pairs: NDArray[np.int64]) -> Floats:
    """Log-probabilities [T, C] with the upper case of every letter added to its lower case."""
    joined = scores.copy()
    joined[:, pairs[:, 0]] = np.logaddexp(scores[:, pairs[:, 0]], scores[:, pairs[:, 1]])
    joined[:, pairs[:, 1]] = -np.inf
    return joined


def looked(
    alpha: Floats, maps: Floats | None, sample: Sample, geometry: CropGeometry
) -> AttentionMaps | None:
    """Where slots looked [T, N] and what they drew [T, h, N], against a sample's masks; None without any.

    A rectifier moves the picture but not these masks: its networks measure a little low.
    """
    if sample.glyphs is None or not sample.text:
        return None
    masks, count = placed(sample.glyphs, geometry), min(len(sample.text), len(alpha))
    owned = owners(masks, len(sample.text), masks.shape[1] // alpha.shape[1])
    own = owned == np.arange(1, count + 1)[:, None]  # [n, N]
    slots = alpha[:count]
    peaks = own[np.arange(count), slots.argmax(1)]
    return AttentionMaps(
        chars=count,
        inside=float((slots * own).sum()),
        drifted=int(count - peaks.sum()),
        neighbours=float(np.minimum(slots[:-1], slots[1:]).sum()),
        overlap=0.0 if maps is None else _overlap(maps, masks, count),
    )


def _overlap(maps: Floats, masks: Pixels, count: int) -> float:
    """Intersection over union of drawn and true cells, summed over so many characters."""
    rows, columns = maps.shape[1:]
    true = masks.reshape(rows, masks.shape[0] // rows, columns, -1).max((1, 3))  # thin strokes survive
    ground = 1 - maps.sum(0, keepdims=True)
    drawn = np.concatenate([ground, maps]).argmax(0)
    slots = np.arange(1, count + 1)[:, None, None]
    both, either = (
        ((drawn == slots) & (true == slots)).sum((1, 2)),
        ((drawn == slots) | (true == slots)).sum((1, 2)),
    )
    return float((both / np.maximum(either, 1)).sum())
