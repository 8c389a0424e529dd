"""How well a network reads labelled samples, and whether its glyph attention takes part in it.

Shapes: B crops, T slots, N columns, D channels.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from serialread import checkpoint, scoring
from serialread.codes import Alphabet
from serialread.model import Recognizer, Targets, View
from serialread.model.pseudo_labels import from_masks
from serialread.recipe import CropGeometry
from serialread.records import Sample
from serialread.training.batches import Batch, collate


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures over a set of samples; shares are 0..1."""

    samples: int
    strict: float
    """Share read exactly: case and symbols count, blanks do not."""
    mpsc: float
    """Share read by the MPSC protocol: lower case, letters and digits only."""
    gates: tuple[float, float]
    """Mean gate z of each level over the characters: 1 is glimpse alone, 0 is glyph alone."""
    glyph_iou: float
    """Overlap of the finer glyph map with each character's rendered mask, mean over characters."""
    attention_inside: float
    """Share of the attention that lies in the character's own columns, mean over characters."""
    drift: float
    """Share of characters whose attention peaks outside their own columns."""


def evaluate(
    model: Recognizer,
    samples: Sequence[Sample],
    geometry: CropGeometry,
    alphabet: Alphabet,
    *,
    zero_glyphs: bool = False,
    bf16: bool = False,
) -> Evaluation:
    """Read every sample and compare; what needs masks is measured where there are masks, else it is 0.

    Args:
        model: the network, put into evaluation mode.
        samples: labelled crops.
        geometry: height and buckets of the network.
        alphabet: its classes.
        zero_glyphs: blind the glyph features, to see what they are worth.
        bf16: the faster arithmetic of training.
    """
    model.eval()
    pairs: list[tuple[str, str]] = []
    sums = torch.zeros(6, dtype=torch.float64)
    for group, batch in _batches(samples, geometry, alphabet):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            view = model.look(*model.trunk(batch.crops), zero_glyphs=zero_glyphs)
            best = model.classifier(view.slots.reading).argmax(-1)
        pairs += [(alphabet.decode(row), s.text) for row, s in zip(best.tolist(), group, strict=True)]
        sums += _sums(view, batch.targets)
    written, gate_1, gate_2, overlap, inside, drifted = sums.tolist()
    count = max(written, 1.0)
    return Evaluation(
        samples=len(pairs),
        strict=scoring.Tally.of(pairs, scoring.strict).accuracy,
        mpsc=scoring.Tally.of(pairs, scoring.mpsc).accuracy,
        gates=(gate_1 / count, gate_2 / count),
        glyph_iou=overlap / count,
        attention_inside=inside / count,
        drift=drifted / count,
    )


@dataclass(frozen=True, slots=True)
class Examination:
    """A network's measures, with and without its glyph features."""

    model_id: str
    whole: Evaluation
    blind: Evaluation
    """With the glyph features zeroed: what the implicit attention reads alone, after learning with both."""

    def to_json(self) -> str:
        """All measures as one JSON object."""
        return json.dumps(
            {"model_id": self.model_id, "whole": asdict(self.whole), "glyphs_zeroed": asdict(self.blind)}
        )

    def to_text(self) -> str:
        """All measures as lines for people."""
        whole, blind = self.whole, self.blind
        fine, coarse = whole.gates
        return "\n".join(
            [
                f"{self.model_id} on {whole.samples} samples",
                f"read exactly           {whole.strict:7.2%}   glyph features zeroed {blind.strict:7.2%}",
                f"read by MPSC protocol  {whole.mpsc:7.2%}   glyph features zeroed {blind.mpsc:7.2%}",
                f"mean gate z            {fine:7.3f} (fine) {coarse:.3f} (coarse); 1 is glimpse alone",
                f"glyph-map overlap      {whole.glyph_iou:7.3f}",
                f"attention inside       {whole.attention_inside:7.2%}",
                f"attention drifted      {whole.drift:7.2%}",
            ]
        )


def examine(run: Path, samples: Sequence[Sample]) -> Examination:
    """Measure the best network of a run, or one checkpoint, in 32-bit arithmetic."""
    saved = checkpoint.load(run)
    model, geometry = saved.network(), saved.recipe.geometry
    return Examination(
        saved.model_id,
        evaluate(model, samples, geometry, saved.alphabet),
        evaluate(model, samples, geometry, saved.alphabet, zero_glyphs=True),
    )


def _batches(
    samples: Sequence[Sample], geometry: CropGeometry, alphabet: Alphabet, size: int = 128
) -> Iterator[tuple[list[Sample], Batch]]:
    """Samples in batches of one bucket."""
    waiting: dict[int, list[Sample]] = {}
    for i in range(len(samples)):
        sample = samples[i]
        height, width = sample.pixels.shape
        bucket = geometry.bucket(round(width * geometry.height / height))
        group = waiting.setdefault(bucket, [])
        group.append(sample)
        if len(group) == size:
            yield group, collate(waiting.pop(bucket), bucket, geometry, alphabet)
    for bucket, group in waiting.items():
        yield group, collate(group, bucket, geometry, alphabet)


def _sums(view: View, targets: Targets) -> Tensor:
    """Over the characters [6]: how many, gates z_1 and z_2, overlap of maps, attention inside, drift."""
    place = torch.arange(1, view.alpha.shape[1] + 1)
    written = (place <= targets.lengths[:, None]) & targets.known[:, None]  # [B, T]
    own = targets.columns[:, None] == place[:, None]  # [B, T, N]
    inside = (view.alpha * own).sum(-1)
    drifted = ~own.gather(2, view.alpha.argmax(-1, keepdim=True)).squeeze(-1)
    measures = [
        torch.ones_like(inside),
        view.gates[0].float().mean(-1),
        view.gates[1].float().mean(-1),
        _overlap(view.level_1.maps, targets),
        inside,
        drifted,
    ]
    return torch.stack([(m * written).sum().double() for m in measures])


def _overlap(maps: Tensor, targets: Targets) -> Tensor:
    """Intersection over union [B, T] of the drawn and the rendered cells of each character."""
    slots = maps.shape[1] - 1
    drawn = torch.nn.functional.one_hot(maps.argmax(1), slots + 1)[..., 1:].flatten(1, 2)  # [B, h * N, T]
    true = torch.nn.functional.one_hot(from_masks(targets.pixels, maps.shape[2]), slots + 1)[..., 1:].flatten(
        1, 2
    )
    both, either = (drawn & true).sum(1), (drawn | true).sum(1)
    return both / either.clamp_min(1)
