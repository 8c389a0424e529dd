"""What the network is told: every loss term by name; after SIGA (Guan et al., CVPR 2023), start-up ours.

Shapes: B crops, T slots, N columns, C classes, h x N feature cells.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from serialread.model.existence import existence
from serialread.model.glyphs import Glyphs
from serialread.model.network import TrainingView
from serialread.model.pseudo_labels import bands, from_attention, from_masks, text_cells
from serialread.model.targets import Targets
from serialread.recipe.training import Losses


def terms(view: TrainingView, targets: Targets, losses: Losses, progress: float) -> dict[str, Tensor]:
    """Weighted loss terms by name; their sum is minimised.

    Args:
        view: what the network saw.
        targets: the truth.
        losses: weights and thresholds.
        progress: share of the run that is done, 0..1.
    """
    alpha, known = view.view.alpha, targets.known
    ramp = _ramp(progress, *losses.ramp)
    return {
        **_reading(view, targets, losses),
        "segment": losses.segment * _segment(view.segmentation, targets),
        "correlation": losses.correlation * ramp * correlation(alpha, targets.lengths),
        "difference": losses.difference
        * ramp
        * difference(alpha, view.segmentation, targets.lengths, losses),
        "glyph_maps": losses.glyph_maps * _glyph_maps(view, targets, losses, ramp),
        "null": losses.null * (_null(view.view.level_1, targets) + _null(view.view.level_2, targets)),
        "dense_columns": losses.dense_columns
        * _dense(view.columns, targets.classes_at(targets.columns), known),
        "dense_cells": losses.dense_cells * _dense_cells(view, targets),
        "counting": losses.counting * counting(view.view.starts, targets),
        "align": losses.align * max(0.1, 1 - 1.8 * progress) * alignment(alpha, targets),
        "ctc": losses.ctc * _ctc(view.ctc, targets) if losses.ctc else alpha.new_zeros(()),
        "existence": _existence(view, targets, losses),
    }


def _ramp(progress: float, start: float, end: float) -> float:
    return min(1.0, max(0.0, (progress - start) / max(end - start, 1e-6)))


def _reading(view: TrainingView, targets: Targets, losses: Losses) -> dict[str, Tensor]:
    """Cross-entropy of every view over the first n + 1 slots."""
    told = torch.arange(targets.classes.shape[1]) <= targets.lengths[:, None]  # [B, T]
    wanted = targets.classes[told]
    glimpse, glyph_1, glyph_2, fused_1, fused_2, reading = (
        F.cross_entropy(scores[told].float(), wanted) for scores in view.scores
    )
    return {
        "reading": losses.reading * reading,
        "fused": losses.fused * (fused_1 + fused_2),
        "glimpse": losses.glimpse * glimpse,
        "glyph": losses.glyph * (glyph_1 + glyph_2),
    }


def _segment(logits: Tensor, targets: Targets) -> Tensor:
    """L_ins: S_m [B, H/2, W/2] against the rendered text, where it is known."""
    wanted = (targets.pixels > 0).float()
    each = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none").mean((1, 2))
    return _mean(each, targets.known)


def counting(starts: Tensor, targets: Targets) -> Tensor:
    """A character begins in the first column that it owns, and there are as many beginnings as characters."""
    owners = targets.columns
    before = owners.cummax(1).values.roll(1, 1)
    before[:, 0] = 0
    wanted = (owners > before).float()
    each = F.binary_cross_entropy_with_logits(starts, wanted, reduction="none").sum(1) / (wanted.sum(1) + 1)
    total = F.smooth_l1_loss(torch.sigmoid(starts).sum(1), targets.lengths.float())
    return _mean(each, targets.known) + 0.1 * total


def correlation(alpha: Tensor, lengths: Tensor) -> Tensor:
    """L_cor: squared products of the attention [B, T, N] of every pair of characters; mean over the batch."""
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    squares = (alpha * written[..., None]).square()
    pairs = (squares.sum(1).square() - squares.square().sum(1)).sum(-1) / 2  # sum over i < j
    return (pairs / lengths.clamp_min(1)).mean()


def difference(alpha: Tensor, segmentation: Tensor, lengths: Tensor, losses: Losses) -> Tensor:
    """L_dif: the characters' bands, taken together, must cover every column of the text.

    Where S_m shows no text the saliency is 0 whatever the attention does, and over a column it is constant:
    the mean over pixels is a mean over columns, weighted by the text in each.
    """
    shares = bands(alpha, lengths)
    saliency = torch.sigmoid(losses.slope * (shares - losses.threshold)) * (shares > 0)
    covered = saliency.sum(1).clamp(1e-4, 1)  # [B, N]
    shown = (segmentation.detach() > 0).sum(1).float()  # [B, W / 2]
    text = shown[:, ::2] + shown[:, 1::2]  # half-resolution pixels of text in a column
    missed: Tensor = -(text * covered.log()).sum() / text.sum().clamp_min(1)
    return missed


def _glyph_maps(view: TrainingView, targets: Targets, losses: Losses, ramp: float) -> Tensor:
    """L_seg on both levels, towards S_gt."""
    by_attention = ~targets.known
    if losses.glyph_labels == "attention":
        by_attention = torch.ones_like(by_attention)
    elif losses.attention_share * ramp > 0:
        chosen = torch.arange(len(by_attention)) < round(losses.attention_share * ramp * len(by_attention))
        by_attention = by_attention | chosen
    total = view.segmentation.new_zeros((), dtype=torch.float32)
    for level in (view.view.level_1, view.view.level_2):
        ids = from_masks(targets.pixels, level.maps.shape[2])
        if bool(by_attention.any()):
            text = text_cells(view.segmentation.detach(), level.maps.shape[2])
            labels = from_attention(view.view.alpha.detach(), text, targets.lengths, losses.threshold)
            ids = torch.where(by_attention[:, None, None], labels, ids)
        total = total + drawing(level.maps, ids, targets.lengths)
    return total


def drawing(maps: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
    """L_seg of map logits [B, 1 + T, h, N] towards character ids [B, h, N]: dice and 27-way cross-entropy."""
    logits = maps.float().log_softmax(1)
    entropy = F.nll_loss(logits, ids)
    shares = logits.exp().flatten(2)  # [B, 1 + T, h * N]
    flat = ids.flatten(1)[:, None]  # [B, 1, h * N]
    drawn = torch.zeros_like(shares).scatter_(1, flat, 1.0)
    both = (shares * drawn).sum(-1)
    dice = 1 - (2 * both + 1) / (shares.sum(-1) + drawn.sum(-1) + 1)  # [B, 1 + T]
    place = torch.arange(maps.shape[1])
    written = (place >= 1) & (place <= lengths[:, None])
    return entropy + (dice * written).sum() / written.sum().clamp_min(1)


def _null(level: Glyphs, targets: Targets) -> Tensor:
    """Slots from the end on look at the null cell, slots of characters do not."""
    past = (torch.arange(level.null.shape[1]) >= targets.lengths[:, None]).float()
    null = level.null.float().clamp(1e-6, 1 - 1e-6)
    return -(past * null.log() + (1 - past) * (1 - null).log()).mean()


def _dense(scores: Tensor, classes: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of every place [B, P, C] where masks are known."""
    each = F.cross_entropy(scores.float().flatten(0, 1), classes.flatten(), reduction="none").view(
        classes.shape
    )
    return _mean(each.mean(1), known)


def _dense_cells(view: TrainingView, targets: Targets) -> Tensor:
    ids = from_masks(targets.pixels, view.view.level_2.maps.shape[2])
    return _dense(view.cells, targets.classes_at(ids).flatten(1), targets.known)


def alignment(alpha: Tensor, targets: Targets) -> Tensor:
    """How far each slot's attention [B, T, N] is from lying inside its character's columns."""
    place = torch.arange(1, alpha.shape[1] + 1)
    inside = targets.columns[:, None] == place[:, None]  # [B, T, N]
    mass = (alpha * inside).sum(-1).clamp_min(1e-4)
    visible = inside.any(-1)
    return -(mass.log() * visible).sum() / visible.sum().clamp_min(1)


def _ctc(scores: Tensor, targets: Targets) -> Tensor:
    """CTC of the auxiliary head [B, N, C]; codes with more characters than columns allow count nothing."""
    logs = scores.float().log_softmax(-1).transpose(0, 1)
    columns = torch.full_like(targets.lengths, scores.shape[1])
    return F.ctc_loss(logs, targets.classes, columns, targets.lengths, zero_infinity=True)


def _existence(view: TrainingView, targets: Targets, losses: Losses) -> Tensor:
    if not losses.existence:
        return view.view.alpha.new_zeros(())
    return losses.existence * existence(view.cells, targets.classes, losses.existence_pool)


def _mean(each: Tensor, known: Tensor) -> Tensor:
    """Mean of [B] over the crops whose masks are known."""
    return (each * known).sum() / known.sum().clamp_min(1)
