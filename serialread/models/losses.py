"""What the network is told: every loss term by name; after SIGA (Guan et al., CVPR 2023), start-up ours.

Shapes: B crops, T slots, N columns, C classes, h x N feature cells.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from serialread.config.training_recipe import Losses
from serialread.models.existence import existence
from serialread.models.glyphs import Glyphs
from serialread.models.network import TrainingOutputs
from serialread.models.pseudo_labels import bands, filled_cells, from_masks, owned, text_cells, widened
from serialread.models.targets import Targets


def terms(view: TrainingOutputs, targets: Targets, losses: Losses, progress: float) -> dict[str, Tensor]:
    """Weighted loss terms by name, of the parts that the network has; their sum is minimised.

    Args:
        view: what the network saw.
        targets: the truth.
        losses: weights and thresholds.
        progress: share of the run that is done, 0..1.
    """
    targets = targets.straightened(view.grid)
    lengths, known = targets.lengths, targets.known
    ramp = _ramp(progress, *losses.ramp)
    found = _reading(view, targets, losses)
    if view.segmentation is not None:
        calm = losses.calm[1] if progress >= losses.calm[0] else 1.0
        shares = _shares(view.alpha, view.segmentation, lengths, losses)
        found["segment"] = losses.segment * segment(view.segmentation, targets, losses, progress)
        found["correlation"] = (
            losses.correlation * ramp * calm * correlation(_crossing(view, losses), lengths)
        )
        found["difference"] = losses.difference * ramp * calm * difference(*shares, view.segmentation)
    if view.levels:
        found["glyph_maps"] = losses.glyph_maps * _glyph_maps(view, targets, losses, ramp)
        found["null"] = losses.null * _total([_null(level, lengths) for level in view.levels], view.alpha)
    if view.columns is not None:
        classes = targets.classes_at(targets.columns)
        found["dense_columns"] = losses.dense_columns * _dense(view.columns, classes, known)
    if view.cells is not None and view.levels:
        found["dense_cells"] = losses.dense_cells * _dense_cells(view.cells, view.levels[1], targets)
    if view.starts is not None:
        found["counting"] = losses.counting * counting(view.starts, targets)
    found["align"] = losses.align * max(0.1, 1 - 1.8 * progress) * alignment(view.alpha, targets)
    if view.ctc is not None:
        found["ctc"] = losses.ctc * _ctc(view.ctc, targets) if losses.ctc else _nothing(view.alpha)
    found["existence"] = _existence(view, targets, losses)
    if view.ways is not None:
        found["upright"] = losses.upright * upright(view.ways, targets.one_way)
    return found


def _ramp(progress: float, start: float, end: float) -> float:
    return min(1.0, max(0.0, (progress - start) / max(end - start, 1e-6)))


def _nothing(like: Tensor) -> Tensor:
    return like.new_zeros(())


def _total(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(parts).sum() if parts else _nothing(like)


def _reading(view: TrainingOutputs, targets: Targets, losses: Losses) -> dict[str, Tensor]:
    """Cross-entropy of every view over the first n + 1 slots."""
    told = torch.arange(targets.classes.shape[1]) <= targets.lengths[:, None]  # [B, T]
    wanted = targets.classes[told]
    weights = {
        "reading": losses.reading, "fused": losses.fused, "glimpse": losses.glimpse, "glyph": losses.glyph,
        "aligner": losses.aligner,
    }  # fmt: skip
    return {
        name: weights[name] * _total([F.cross_entropy(s[told].float(), wanted) for s in scores], view.alpha)
        for name, scores in view.scores.items()
    }


def segment(logits: Tensor, targets: Targets, losses: Losses, progress: float) -> Tensor:
    """L_ins: S_m [B, H/s, W/s] against the text, where it is known; an ordinary cross-entropy of logits.

    Pictures that disagree by more than the recipe allows are left out after its warm-up: a
    self-supervised mask may have text and ground reversed.
    """
    wanted = (targets.pixels > 0).float()
    each = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none").mean((1, 2))
    taken = targets.shown
    if losses.disagreement < 1 and progress >= losses.disagreement_from:
        taken = taken & (((logits > 0) != (wanted > 0)).float().mean((1, 2)) <= losses.disagreement)
    return _mean(each, taken)


def _crossing(view: TrainingOutputs, losses: Losses) -> Tensor:
    """The attention that L_cor compares: as it is, or in the paper interpolated to the crop's width."""
    if losses.paper_bands is None or view.segmentation is None:
        return view.alpha
    columns = torch.full((len(view.alpha),), view.alpha.shape[1])
    return widened(view.alpha, columns, view.segmentation.shape[-1])


def _shares(
    alpha: Tensor, segmentation: Tensor, lengths: Tensor, losses: Losses
) -> tuple[Tensor, float, float]:
    """What sigma of L_dif sees [B, T, columns], its slope and its centre.

    An attention that one column holds is a larger number than one that four share: the paper's
    thresholds hold
    for 32 columns, elsewhere they scale with 1 / N. Where the aspect is kept only shares of the peak
    mean anything.
    """
    knobs = losses.paper_bands
    if knobs is None:
        return bands(alpha, lengths), losses.slope, losses.threshold
    scale = 32 / alpha.shape[-1]
    return widened(alpha, lengths, segmentation.shape[-1]), knobs.slope / scale, knobs.centre * scale


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
    """L_cor: squared products of the attention [B, T, N] of every pair of characters; mean over the batch.

    The authors' code sums over the batch; a weight from there is to be multiplied by its batch.
    """
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    squares = (alpha * written[..., None]).square()
    pairs = (squares.sum(1).square() - squares.square().sum(1)).sum(-1) / 2  # sum over i < j
    return (pairs / lengths.clamp_min(1)).mean()


def difference(shares: Tensor, slope: float, centre: float, segmentation: Tensor) -> Tensor:
    """L_dif: the characters' bands, taken together, must cover every column of the text.

    Where S_m shows no text the saliency is 0 whatever the attention does, and over a column it is
    constant: the
    mean over pixels is a mean over columns, weighted by the text in each. A cross-entropy of the
    saliency itself;
    the authors' code takes it for a logit, whose gradients are small. No gradient reaches S_m.
    """
    saliency = torch.sigmoid(slope * (shares - centre)) * (shares > 0)
    covered = saliency.sum(1).clamp(1e-4, 1)  # [B, columns]
    shown = (segmentation.detach() > 0).sum(1).float()
    text = shown.view(*covered.shape, -1).sum(2)  # pixels of text in a column
    missed: Tensor = -(text * covered.log()).sum() / text.sum().clamp_min(1)
    return missed


def _glyph_maps(view: TrainingOutputs, targets: Targets, losses: Losses, ramp: float) -> Tensor:
    """L_seg on both levels, towards S_gt."""
    by_attention = ~targets.known
    if losses.glyph_labels == "attention":
        by_attention = torch.ones_like(by_attention)
    elif losses.attention_share * ramp > 0:
        chosen = torch.arange(len(by_attention)) < round(losses.attention_share * ramp * len(by_attention))
        by_attention = by_attention | chosen
    parts = []
    for level in view.levels:
        size = level.maps.shape[2], level.maps.shape[3]
        ids = from_masks(targets.pixels, size)
        if bool(by_attention.any()):
            ids = torch.where(by_attention[:, None, None], pseudo_labels(view, targets, losses, size), ids)
        parts.append(drawing(level.maps, ids, targets.lengths, losses))
    return _total(parts, view.alpha)


def pseudo_labels(view: TrainingOutputs, targets: Targets, losses: Losses, size: tuple[int, int]) -> Tensor:
    """S_gt [B, *size]: bands of attention within the text of S_m, rebuilt every step, for each level apart.

    A constant target. Where glyphs are indistinct S_m shows little text: cells then count as ground, and the
    slots are left with the glimpse.
    """
    assert view.segmentation is not None
    alpha, shown, knobs = view.alpha.detach(), view.segmentation.detach(), losses.paper_bands
    if knobs is None:
        shares = bands(alpha, targets.lengths)
        if size[1] != shares.shape[-1]:
            shares = shares.repeat_interleave(size[1] // shares.shape[-1], -1)
        return owned(shares, text_cells(shown, size), losses.threshold)
    text = filled_cells(shown, size, knobs.cell)
    return owned(widened(alpha, targets.lengths, size[1]), text, knobs.threshold * 32 / alpha.shape[-1])


def drawing(maps: Tensor, ids: Tensor, lengths: Tensor, losses: Losses) -> Tensor:
    """L_seg of map logits [B, 1 + T, h, w] towards character ids [B, h, w]: dice and L_cel."""
    logits = maps.float().log_softmax(1)
    shares = logits.exp().flatten(2)  # [B, 1 + T, h * w]
    flat = ids.flatten(1)[:, None]  # [B, 1, h * w]
    drawn = torch.zeros_like(shares).scatter_(1, flat, 1.0)
    both = (shares * drawn).sum(-1)
    dice = 1 - (2 * both + 1) / (shares.sum(-1) + drawn.sum(-1) + 1)  # [B, 1 + T]
    place = torch.arange(maps.shape[1])
    written = (place >= 1) & (place <= lengths[:, None])
    return _cells(logits, ids, losses) + (dice * written).sum() / written.sum().clamp_min(1)


def _cells(logits: Tensor, ids: Tensor, losses: Losses) -> Tensor:
    """L_cel of log-shares [B, 1 + T, h, w]: text against ground as in the paper, or a class a character."""
    if losses.binary_text:
        ground = logits[:, 0]
        text = torch.log1p(-ground.exp().clamp_max(1 - 1e-6))
        return -torch.where(ids > 0, text, ground).mean()
    weights = None
    if losses.slot_weights:
        weights = torch.ones(logits.shape[1])
        weights[1 : 1 + len(losses.slot_weights)] = torch.tensor(losses.slot_weights[: logits.shape[1] - 1])
    return F.nll_loss(logits, ids, weight=weights)


def _null(level: Glyphs, lengths: Tensor) -> Tensor:
    """Slots from the end on look at the null cell, slots of characters do not; 0 without such a cell."""
    if level.null is None:
        return _nothing(level.maps)
    past = (torch.arange(level.null.shape[1]) >= lengths[:, None]).float()
    null = level.null.float().clamp(1e-6, 1 - 1e-6)
    return -(past * null.log() + (1 - past) * (1 - null).log()).mean()


def _dense(scores: Tensor, classes: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of every place [B, P, C] where masks are known."""
    each = F.cross_entropy(scores.float().flatten(0, 1), classes.flatten(), reduction="none").view(
        classes.shape
    )
    return _mean(each.mean(1), known)


def _dense_cells(cells: Tensor, level: Glyphs, targets: Targets) -> Tensor:
    ids = from_masks(targets.pixels, (level.maps.shape[2], level.maps.shape[3]))
    return _dense(cells, targets.classes_at(ids).flatten(1), targets.known)


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


def upright(ways: Tensor, one_way: Tensor) -> Tensor:
    """Cross-entropy of log-odds [2, K] of crops as they are and turned over, where a code tells the two."""
    wanted = torch.tensor([1.0, 0.0])[:, None].expand_as(ways)
    each = F.binary_cross_entropy_with_logits(ways.float(), wanted, reduction="none").mean(0)
    return _mean(each, one_way[: len(each)])


def _existence(view: TrainingOutputs, targets: Targets, losses: Losses) -> Tensor:
    """SEC on the cells of the map, or on the columns where no cells are read."""
    places = view.columns if view.cells is None else view.cells
    if not losses.existence or places is None:
        return _nothing(view.alpha)
    return losses.existence * existence(places, targets.classes, losses)


def _mean(each: Tensor, known: Tensor) -> Tensor:
    """Mean of [B] over the crops whose masks are known."""
    return (each * known).sum() / known.sum().clamp_min(1)
