"""Which crops a taught network reads: those that a discriminant finds more like labelled than rendered ones.

The discriminant is linear (Fisher 1936), with the covariance shrunk towards a multiple of the identity
(Ledoit and Wolf 2004), as there are more features than labelled crops.

Letters: n crops, F features of a crop.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from serialread.config.training_recipe import MildAugmentation
from serialread.imaging import to_array
from serialread.models import Selector, crop_features
from serialread.records import Floats, Sample
from serialread.training.augmentation import augment
from serialread.training.checkpoint import Checkpoint, joined

VARIANTS = 8
"""Augmented variants of each labelled crop: a mark is never seen twice in the same light and place."""
SHRUNK = 0.1
"""Weight of the identity in the covariance; 0.03 to 0.3 select alike (docs/benchmarks/teaching.md)."""
SELECTED = 0.01
"""Share of unseen rendered crops that the taught network may read: it bounds what can be forgotten."""
RENDERED = 1_200
"""Replay crops that labelled ones are told from."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Selection:
    """Rendered crops by the parent's features, from which labelled ones are told.

    Attributes:
        before: the model that is taught: one network, or a taught one whose selector stays.
        rendered: features of replay crops, as they are and augmented [n, F].
        unseen: features of other rendered crops [n, F]; they set the threshold.
    """

    before: Checkpoint
    rendered: Doubles
    unseen: Doubles

    @classmethod
    def of(cls, before: Checkpoint, replay: Sequence[Sample], unseen: Sequence[Sample]) -> "Selection":
        """Compute the features of rendered crops."""
        parent, some = before.part("parent"), replay[:RENDERED]
        rendered = _features(parent, [*some, *_variants(some, 1)])
        return cls(before, rendered, _features(parent, unseen))

    def joined(self, taught: Checkpoint, labelled: Sequence[Sample]) -> Checkpoint:
        """A taught network beside the parent; it reads crops that resemble the labelled ones.

        What earlier lessons selected goes on to be selected.
        """
        parent = self.before.part("parent")
        crops = [*labelled, *_variants(labelled, VARIANTS)]
        weight, bias = self._discriminant(_features(parent, crops))
        selector = Selector(self.before.lessons + 1, len(weight))
        earlier = self.before.weights if self.before.lessons else {}
        for name, row in (("weight", weight), ("bias", bias)):
            new = torch.as_tensor(row, dtype=torch.float32)[None]
            old = [earlier[f"selector.{name}"]] if earlier else []
            selector.get_buffer(name).copy_(torch.cat([*old, new]))
        return joined(parent, taught, selector)

    def _discriminant(self, labelled: Doubles) -> tuple[Doubles, float]:
        """Weights [F] and bias; positive for crops like the labelled ones [n, F]."""
        mean, deviation = self.rendered.mean(0), self.rendered.std(0) + 1e-6
        ours, others = (labelled - mean) / deviation, (self.rendered - mean) / deviation
        within = (np.cov(ours.T) + np.cov(others.T)) / 2
        scale = np.trace(within) / len(within)
        shrunk = (1 - SHRUNK) * within + SHRUNK * scale * np.eye(len(within))
        weight = np.linalg.solve(shrunk, ours.mean(0) - others.mean(0)) / deviation
        highest = np.sort(self.unseen @ weight)[::-1]
        return weight, -float(highest[int(SELECTED * len(highest))])


def count_selected(taught: Checkpoint, samples: Sequence[Sample]) -> int:
    """How many crops the taught network of a taught model reads."""
    features = _features(taught.part("parent"), samples)
    weight, bias = (taught.weights[f"selector.{name}"].numpy() for name in ("weight", "bias"))
    return int(((features @ weight.T + bias).max(1) > 0).sum())


def _variants(samples: Iterable[Sample], count: int) -> Iterator[Sample]:
    """Augmented variants of crops, the same ones each time; inverted crops would be of another kind."""
    config = MildAugmentation(invert=0)
    for number, sample in enumerate(samples):
        for variant in range(count):
            yield augment(sample, config, np.random.default_rng([number, variant]))


def _features(parent: Checkpoint, samples: Sequence[Sample]) -> Doubles:
    network, geometry, rows = parent.network(), parent.recipe.geometry, list[Floats]()
    for sample in samples:
        crops = torch.from_numpy(to_array(sample.pixels, geometry)[None])
        with torch.inference_mode():
            rows.append(crop_features(crops, network.features(crops)[0])[0].numpy())
    return np.stack(rows).astype(np.float64)
