"""Labelled crops, each with what a network read and where its attention was.

Letters: B crops, T positions, C classes, N columns, h rows of the glyph maps. Crops are read as they are, in
one view; ``serialread read`` detects the line first and reads doubtful crops in further views.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serialread.codes import Alphabet
from serialread.config import CropGeometry
from serialread.datasets import ImportSource, SampleStore, is_store, to_lowercase
from serialread.imaging import column_owners, content_width, place_masks, to_array
from serialread.inference import decode
from serialread.inference.session import ModelCard
from serialread.metrics import mpsc, strict
from serialread.records import Floats, Pixels, Sample

BATCH = 16


class Model(Protocol):
    """Anything that reads arrays: a model file in an inference engine, or a network in torch."""

    @property
    def card(self) -> ModelCard:
        """Alphabet, geometry and id."""
        ...

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """Log-probabilities [B, T, C] or [B, N, C], attention [B, T, N], perhaps glyph maps [B, T, h, N]."""
        ...


@dataclass(frozen=True, slots=True)
class AttentionMatch:
    """How the attention of a crop matches its masks; sums over its characters.

    Attributes:
        chars: characters with a mask.
        inside: share of a position's attention in the columns of its own character.
        drifted: positions whose attention peaks outside them.
        shared: what the attention of two neighbouring positions has in common, 0 (apart) to 1 (the same);
            one pair less than characters.
        overlap: intersection over union of the drawn and the true cells of a character; 0 without glyph maps.
    """

    chars: int
    inside: float
    drifted: int
    shared: float
    overlap: float


@dataclass(frozen=True, slots=True)
class EvaluatedCrop:
    """One labelled crop and what was read in it.

    Attributes:
        crop_id: its store and its number there.
        text: the most likely string.
        caseless: the most likely string once upper and lower case of a letter are one class.
        confidence: of ``text``, 0..1.
        process: how it was marked; "" if unknown.
        typeface: the letter shapes; "" if unknown.
        attention: how the attention matches the masks; None without masks.
    """

    crop_id: str
    truth: str
    text: str
    caseless: str
    confidence: float
    process: str
    typeface: str
    attention: AttentionMatch | None

    def is_right(self, protocol: str) -> bool:
        """Whether it was read right by one of ``PROTOCOLS``."""
        return PROTOCOLS[protocol](self)


PROTOCOLS: Mapping[str, Callable[[EvaluatedCrop], bool]] = {
    "strict": lambda crop: strict(crop.text) == strict(crop.truth),
    "mpsc": lambda crop: mpsc(crop.text) == mpsc(crop.truth),
    "36": lambda crop: mpsc(crop.caseless) == mpsc(crop.truth),
}
"""``strict``: case and symbols count. ``mpsc``: letters and digits only, in any case. ``36``: the same, but
the probabilities of a letter's two cases are added before the most likely one is taken, as in a model of 36
characters."""


def labelled_samples(path: Path) -> tuple[Sequence[Sample], Counter[str]]:
    """Samples of a store, a public LMDB or a labelled folder, and how many others were skipped, by reason.

    Raises:
        StoreError: there is nothing labelled.
    """
    if is_store(path) and ((path / "data.mdb").is_file() or not (path / "labels.csv").is_file()):
        return SampleStore(path), Counter()
    source = ImportSource(path)
    return tuple(source.samples()), source.left_out


def evaluate_crops(
    model: Model, samples: Sequence[Sample], name: str = "", batch_size: int = BATCH
) -> Iterator[EvaluatedCrop]:
    """Read every sample, in batches of one width bucket; results come in the order in which batches fill.

    Args:
        model: the model to evaluate.
        samples: labelled crops.
        name: of the store, for ``EvaluatedCrop.crop_id``.
        batch_size: crops in a batch.
    """
    geometry, case_pairs = model.card.geometry, _case_pairs(model.card.alphabet)
    for numbers in _batches(samples, geometry, batch_size):
        group = [samples[number] for number in numbers]
        outputs = model.run(np.stack([to_array(sample.pixels, geometry) for sample in group]))
        for row, (number, sample) in enumerate(zip(numbers, group, strict=True)):
            found = tuple(output[row] for output in outputs)
            yield _evaluated(f"{name}:{number}", sample, found, model.card, case_pairs)


def _batches(samples: Sequence[Sample], geometry: CropGeometry, size: int) -> Iterator[list[int]]:
    """Numbers of samples that share a width bucket."""
    waiting: dict[int, list[int]] = defaultdict(list)
    for number in range(len(samples)):
        bucket = geometry.bucket(content_width(samples[number].pixels, geometry))
        waiting[bucket].append(number)
        if len(waiting[bucket]) == size:
            yield waiting.pop(bucket)
    yield from waiting.values()


def _evaluated(
    crop_id: str, sample: Sample, found: tuple[Floats, ...], card: ModelCard, case_pairs: NDArray[np.int64]
) -> EvaluatedCrop:
    scores, alpha, *further = found
    reading = decode(scores, card.alphabet, topology=card.topology)
    maps = next((output for output in further if output.ndim == 3), None)  # [T, h, N]
    spelled = sample if set(sample.text) <= set(card.alphabet.chars) else to_lowercase(sample, card.alphabet)
    return EvaluatedCrop(
        crop_id=crop_id,
        truth=sample.text,
        text=reading.text,
        caseless=decode(_caseless(scores, case_pairs), card.alphabet, topology=card.topology).text,
        confidence=reading.confidence,
        process=sample.origin.process if sample.origin else "",
        typeface=sample.origin.typeface if sample.origin else "",
        attention=match_attention(alpha, maps, spelled, card.geometry),
    )


def _case_pairs(alphabet: Alphabet) -> NDArray[np.int64]:
    """Pairs [n, 2] of classes: a letter's lower case and its upper case."""
    numbers = {char: number for number, char in enumerate(alphabet.chars, start=1)}
    pairs = [
        (numbers[char], numbers[char.upper()])
        for char in numbers
        if char.upper() != char and char.upper() in numbers
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _caseless(scores: Floats, pairs: NDArray[np.int64]) -> Floats:
    """Log-probabilities [T, C] or [N, C] with the upper case of every letter added to its lower case."""
    joined = scores.copy()
    joined[:, pairs[:, 0]] = np.logaddexp(scores[:, pairs[:, 0]], scores[:, pairs[:, 1]])
    joined[:, pairs[:, 1]] = -np.inf
    return joined


def match_attention(
    alpha: Floats, maps: Floats | None, sample: Sample, geometry: CropGeometry
) -> AttentionMatch | None:
    """Match attention [T, N] and glyph maps [T, h, N] with a sample's masks; None without masks.

    A rectifier moves the picture but not these masks: its networks measure slightly too low.
    """
    if sample.glyphs is None or not sample.text:
        return None
    masks, count = place_masks(sample.glyphs, geometry), min(len(sample.text), len(alpha))
    owned = column_owners(masks, len(sample.text), masks.shape[1] // alpha.shape[1])
    own = owned == np.arange(1, count + 1)[:, None]  # [n, N]
    attention = alpha[:count]
    peaks = own[np.arange(count), attention.argmax(1)]
    return AttentionMatch(
        chars=count,
        inside=float((attention * own).sum()),
        drifted=int(count - peaks.sum()),
        shared=float(np.minimum(attention[:-1], attention[1:]).sum()),
        overlap=0.0 if maps is None else _overlap(maps, masks, count),
    )


def _overlap(maps: Floats, masks: Pixels, count: int) -> float:
    """Intersection over union of drawn and true cells, summed over the first characters."""
    rows, columns = maps.shape[1:]
    true = masks.reshape(rows, masks.shape[0] // rows, columns, -1).max((1, 3))  # thin strokes survive
    background = 1 - maps.sum(0, keepdims=True)
    drawn = np.concatenate([background, maps]).argmax(0)
    numbers = np.arange(1, count + 1)[:, None, None]
    both = ((drawn == numbers) & (true == numbers)).sum((1, 2))
    either = ((drawn == numbers) | (true == numbers)).sum((1, 2))
    return float((both / np.maximum(either, 1)).sum())
