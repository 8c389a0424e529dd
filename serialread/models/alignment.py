"""Alignment of a text with columns by CTC: the implicit attention of the aligned decoder.

The topology of Graves et al. (ICML 2006): an optional blank before, between and after the characters,
required between two equal ones; each may last several columns.

Shapes: B crops, N columns, C classes (class 0 is the blank), T characters, S = 2T + 1 states: blank, first
character, blank, second character, and so on.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_LEAST = 1e-10
"""Smallest probability of a column's state: a text with more characters than columns keeps a finite cost."""


class Occupancy(NamedTuple):
    """How the true text occupies the columns, summed over all alignments."""

    states: Tensor
    """Posterior [B, N, S] of each state in each column; sums to 1 over the states."""
    costs: Tensor
    """Negative log-likelihood [B] of the text."""

    @property
    def characters(self) -> Tensor:
        """Posterior [B, T, N] that a column emits the character: gamma."""
        return self.states[:, :, 1::2].transpose(1, 2)


def state_classes(classes: Tensor) -> Tensor:
    """Class of each state [B, S] of a text [B, T]; 0 is the blank."""
    states = classes.new_zeros(classes.shape[0], 2 * classes.shape[1] + 1)
    states[:, 1::2] = classes
    return states


@torch.no_grad()
def occupancy(
    scores: Tensor, classes: Tensor, lengths: Tensor, owners: Tensor | None = None, outside: float = 1.0
) -> Occupancy:
    """Forward-backward over the CTC topology; both directions run at once, scaled in every column.

    Args:
        scores: log-probabilities [B, N, C].
        classes: int64 [B, T], the texts' classes, 0 past the end.
        lengths: int64 [B], characters.
        owners: int64 [B, N], 1-based number of the character that owns a column, 0: none; where a crop has no
            owner at all, its alignment is free.
        outside: factor on the probability of a character outside its own columns, 0..1; 1 ignores the owners.
    """
    count, columns = scores.shape[:2]
    states = state_classes(classes)
    size = states.shape[1]
    emitted = scores.float().exp().gather(2, states[:, None].expand(-1, columns, -1))  # [B, N, S]
    place = torch.arange(size, device=scores.device)
    if owners is not None and outside < 1:
        own = (owners[:, :, None] * 2 - 1 == place) | (place % 2 == 0) | (owners == 0).all(1)[:, None, None]
        emitted = torch.where(own, emitted, emitted * outside)
    last = 2 * lengths
    emitted = emitted.clamp_min(_LEAST) * (place <= last[:, None])[:, None]
    # the backward pass is the forward pass of the reversed text over the reversed columns
    mirror = (last[:, None] - place) % size  # [B, S]; states past the end map among themselves
    backward = emitted.flip(1).gather(2, mirror[:, None].expand(-1, columns, -1))
    skips = _skips(states) & (place <= last[:, None])
    mirrored = _skips(states.gather(1, mirror)) & (place <= last[:, None])
    both = torch.cat([emitted, backward]).transpose(0, 1).contiguous()  # [N, 2B, S]
    reached, logs = _forward(both, torch.cat([skips, mirrored]).to(both.dtype))
    ahead, behind = reached[:, :count], reached[:, count:]
    behind = behind.flip(0).gather(2, mirror[None].expand(columns, -1, -1))
    joint = ahead * behind / both[:, :count].clamp_min(1e-30)
    posterior = joint / joint.sum(2, keepdim=True).clamp_min(1e-30)
    final = (
        ahead[-1].gather(1, last[:, None])
        + ahead[-1].gather(1, (last - 1).clamp_min(0)[:, None]) * (lengths > 0).to(ahead.dtype)[:, None]
    )
    costs = -(logs[:, :count].sum(0) + final[:, 0].clamp_min(1e-30).log())
    return Occupancy(posterior.transpose(0, 1), costs)


def _skips(states: Tensor) -> Tensor:
    """Whether the blank before a state may be skipped [B, S]: before a character unlike the previous one."""
    skips = torch.zeros_like(states, dtype=torch.bool)
    skips[:, 2:] = (states[:, 2:] != 0) & (states[:, 2:] != states[:, :-2])
    return skips


def _forward(emitted: Tensor, skips: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled forward variables [N, B, S] and the logarithms of the scales [N, B]."""
    reached, scales = torch.empty_like(emitted), emitted.new_empty(emitted.shape[:2])
    now = torch.zeros_like(emitted[0])
    now[:, :2] = emitted[0, :, :2]
    for column in range(emitted.shape[0]):
        if column:
            step = now.clone()
            step[:, 1:] += now[:, :-1]
            step[:, 2:] += now[:, :-2] * skips[:, 2:]
            now = step.mul_(emitted[column])
        total = now.sum(1, keepdim=True).clamp_min(1e-30)
        now = now / total
        reached[column], scales[column] = now, total[:, 0]
    return reached, scales.log()


def ctc_cost(scores: Tensor, classes: Tensor, found: Occupancy) -> Tensor:
    """Cost [B] of texts: its value is the negative log-likelihood, its gradient that of CTC.

    The gradient of CTC is the difference between a column's probabilities and the occupancy of its classes
    (Graves et al., ICML 2006, section 4.1), so a cross-entropy with the occupancy as a constant has it.

    Args:
        scores: log-probabilities [B, N, C].
        classes: int64 [B, T].
        found: of ``occupancy`` for these.
    """
    wanted = state_classes(classes)[:, None].expand(-1, scores.shape[1], -1)
    crossed = -(scores.gather(2, wanted) * found.states).sum((1, 2))
    return crossed + (found.costs - crossed).detach()


def best_path(scores: Tensor, count: int) -> Tensor:
    """Whether a column belongs to each character of the best path [B, T, N], 0 or 1; scores [B, N, C].

    Args:
        scores: logits or log-probabilities of the columns.
        count: largest number of characters; T is at most two thirds of the columns, for narrower characters
            cannot be told apart.
    """
    best = scores.argmax(-1)
    before = torch.nn.functional.pad(best[:, :-1], (1, 0))
    written = best > 0
    number = torch.cumsum((written & (best != before)).long(), 1)  # of the character, from 1
    slots = torch.arange(1, count + 1, device=scores.device)[: 2 * scores.shape[1] // 3]
    return ((number[:, None] == slots[:, None]) & written[:, None]).float()
