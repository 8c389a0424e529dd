"""The class of every column, repeats joined: the CTC baseline; after Graves et al., ICML 2006.

Shapes: B crops, T slots, N columns, C classes (0 is the blank here and the end in the reading).
"""

import torch
from torch import Tensor, nn

from serialread.models.feature_maps import Backbone
from serialread.models.network import SLOTS, NetworkOutputs, Recognizer, TrainingOutputs, straightened
from serialread.models.rectifier import Rectifier


class CtcRecognizer(Recognizer):
    """No slots and no attention: what a run of equal columns says is a character."""

    def __init__(
        self, rectifier: Rectifier | None, trunk: Backbone, columns: nn.Module, dim: int, classes: int
    ) -> None:
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns
        self.ctc = nn.Linear(dim, classes)

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W] along the best path."""
        scores = self._scores(crops)[0].float().log_softmax(-1)
        runs = spelt_by(scores)
        return NetworkOutputs(_of_runs(scores, runs), runs)

    def learn(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """The columns' scores."""
        scores, grid = self._scores(crops)
        return TrainingOutputs(scores={}, alpha=spelt_by(scores.detach()), ctc=scores, grid=grid)

    def _scores(self, crops: Tensor) -> tuple[Tensor, Tensor | None]:
        crops, grid = straightened(self.rectifier, crops)
        return self.ctc(self.columns(self.trunk(crops).last)), grid


def spelt_by(scores: Tensor) -> Tensor:
    """Which columns spell the character of each slot [B, T, N], shares of 1; scores [B, N, C]."""
    best = scores.argmax(-1)
    before = nn.functional.pad(best[:, :-1], (1, 0))
    written = best > 0
    number = torch.cumsum((written & (best != before)).long(), 1)  # of the character, from 1
    slots = torch.arange(1, SLOTS + 1, device=scores.device)
    runs = ((number[:, None] == slots[:, None]) & written[:, None]).float()
    return runs / runs.sum(-1, keepdim=True).clamp_min(1)


def _of_runs(scores: Tensor, runs: Tensor) -> Tensor:
    """Logits [B, T, C] of slots: the mean over their run; slots without one have come to the end."""
    empty = runs.sum(-1, keepdim=True) == 0
    end = torch.zeros_like(scores[:, :1]).index_fill(-1, torch.tensor([0], device=scores.device), 30.0)
    blank = torch.full_like(scores[:, :, :1], -30.0)  # within a run the blank is no answer
    spelt = torch.matmul(runs, torch.cat([blank, scores[..., 1:]], -1))
    return torch.where(empty, end, spelt)
