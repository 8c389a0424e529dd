"""All loss terms by name, after SIGA (Guan et al., CVPR 2023) and SEC (Gu et al., ICPR 2020).

The dense, counting, alignment and CTC terms, which start the attention, are not part of the papers.

Shapes: B crops, T slots, N columns, C classes, h x N feature cells.
"""

from typing import assert_never

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from serialread.config.training_recipe import Losses
from serialread.models.alignment import ctc_cost
from serialread.models.glyphs import Glyphs
from serialread.models.network import TrainingOutputs
from serialread.models.targets import (
    Targets,
    assigned,
    bands,
    filled_cells,
    from_masks,
    interpolated,
    text_cells,
)


def terms(outputs: TrainingOutputs, targets: Targets, losses: Losses, progress: float) -> dict[str, Tensor]:
    """Weighted loss terms of the parts that the network has; their sum is the loss.

    Args:
        outputs: of the network in training.
        targets: of the same batch.
        losses: weights and thresholds.
        progress: completed share of the run, 0..1.

    Returns:
        Scalars by name.
    """
    targets = targets.rectified(outputs.grid)
    lengths, known = targets.lengths, targets.characters_known
    start, end = losses.ramp
    ramp = min(1.0, max(0.0, (progress - start) / max(end - start, 1e-6)))
    found = _reading(outputs, targets, losses)
    if outputs.segmentation is not None:
        late = losses.late_attention[1] if progress >= losses.late_attention[0] else 1.0
        shares = _shares(outputs, lengths, losses)
        found["segment"] = losses.segment * segment(outputs.segmentation, targets, losses, progress)
        found["correlation"] = (
            losses.correlation * ramp * late * correlation(_compared_attention(outputs, losses), lengths)
        )
        found["difference"] = losses.difference * ramp * late * difference(*shares, outputs.segmentation)
    if outputs.levels:
        found["glyph_maps"] = losses.glyph_maps * _glyph_maps(outputs, targets, losses, ramp)
        found["null"] = losses.null * _total(
            [_null(level, lengths) for level in outputs.levels], outputs.alpha
        )
    if outputs.columns is not None:
        classes = targets.classes_at(targets.columns)
        found["dense_columns"] = losses.dense_columns * _dense(outputs.columns, classes, known)
    if outputs.cells is not None and outputs.levels:
        found["dense_cells"] = losses.dense_cells * _dense_cells(outputs.cells, outputs.levels[1], targets)
    if outputs.starts is not None:
        found["counting"] = losses.counting * counting(outputs.starts, targets)
    found["align"] = losses.align * max(0.1, 1 - 1.8 * progress) * alignment(outputs.alpha, targets)
    if outputs.ctc is not None:
        found["ctc"] = losses.ctc * _ctc(outputs, targets) if losses.ctc else _nothing(outputs.alpha)
    found["existence"] = _existence(outputs, targets, losses)
    if outputs.orientation is not None:
        found["upright"] = losses.upright * orientation(outputs.orientation, targets.oriented)
    return found


def departure(outputs: TrainingOutputs, before: TrainingOutputs, targets: Targets, losses: Losses) -> Tensor:
    """How far a network reads some crops otherwise than another one did: distillation (Hinton et al., 2015).

    The KL divergence from the other network's probabilities: of the columns per character, of each set of
    scores and of the orientation, with the weights that these have in ``terms``.

    Args:
        outputs: of the network that learns.
        before: of the other one, for the same batch.
        targets: of the same batch.
        losses: weights.

    Returns:
        A scalar, 0 for equal networks.
    """
    used, weights = _used(outputs, targets), _score_weights(losses)
    parts = [
        weights[name] * _divergence(new[used], old[used]).mean()
        for name, scores in outputs.scores.items()
        for new, old in zip(scores, before.scores[name], strict=True)
    ]
    if losses.ctc and outputs.ctc is not None and before.ctc is not None:
        columns = _divergence(outputs.ctc, before.ctc).sum(1) / targets.lengths.clamp_min(1)
        parts.append(losses.ctc * columns.mean())
    if outputs.orientation is not None and before.orientation is not None:
        new, old = (F.pad(odds[..., None], (0, 1)) for odds in (outputs.orientation, before.orientation))
        parts.append(losses.upright * _divergence(new, old).mean())
    return _total(parts, outputs.alpha)


def _divergence(new: Tensor, old: Tensor) -> Tensor:
    """KL divergence [...] of logits [..., C] from others."""
    logs = old.float().log_softmax(-1)
    return (logs.exp() * (logs - new.float().log_softmax(-1))).sum(-1)


def _nothing(like: Tensor) -> Tensor:
    return like.new_zeros(())


def _total(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(parts).sum() if parts else _nothing(like)


def _reading(outputs: TrainingOutputs, targets: Targets, losses: Losses) -> dict[str, Tensor]:
    """Cross-entropy of every set of scores over the characters and, without CTC, the end."""
    used, weights = _used(outputs, targets), _score_weights(losses)
    wanted = targets.classes[:, : used.shape[1]][used]
    return {
        name: weights[name]
        * _total([F.cross_entropy(s[used].float(), wanted) for s in scores], outputs.alpha)
        for name, scores in outputs.scores.items()
    }


def _used(outputs: TrainingOutputs, targets: Targets) -> Tensor:
    """Slots [B, T] of a character or, without CTC, of the end."""
    slots, with_end = outputs.alpha.shape[1], outputs.occupancy is None
    return torch.arange(slots) < targets.lengths[:, None] + with_end


def _score_weights(losses: Losses) -> dict[str, float]:
    """Weight of every set of scores."""
    return {
        "reading": losses.reading, "fused": losses.fused, "glimpse": losses.glimpse, "glyph": losses.glyph,
        "aligner": losses.aligner,
    }  # fmt: skip


def segment(logits: Tensor, targets: Targets, losses: Losses, progress: float) -> Tensor:
    """L_ins: cross-entropy of S_m's logits [B, H/s, W/s], where a text mask is known.

    Crops that disagree by more than the recipe allows are skipped after its warm-up: a
    self-supervised mask may have text and background swapped.
    """
    wanted = (targets.pixels > 0).float()
    each = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none").mean((1, 2))
    used = targets.text_known
    if losses.disagreement < 1 and progress >= losses.disagreement_from:
        used = used & (((logits > 0) != (wanted > 0)).float().mean((1, 2)) <= losses.disagreement)
    return _mean(each, used)


def _compared_attention(outputs: TrainingOutputs, losses: Losses) -> Tensor:
    """The attention that L_cor uses: as it is, or in the paper interpolated to the crop's width."""
    if losses.paper_bands is None or outputs.segmentation is None:
        return outputs.alpha
    columns = torch.full((len(outputs.alpha),), outputs.alpha.shape[1])
    return interpolated(outputs.alpha, columns, outputs.segmentation.shape[-1])


def _shares(outputs: TrainingOutputs, lengths: Tensor, losses: Losses) -> tuple[Tensor, float, float]:
    """Input of the sigmoid in L_dif [B, T, columns], its slope and its centre.

    The paper's thresholds hold for 32 columns and scale with 1 / N, since attention spread over more columns
    has smaller values. Where the aspect is kept, only shares of the peak are comparable.
    """
    paper, alpha = losses.paper_bands, outputs.alpha
    if paper is None or outputs.segmentation is None:
        return _bands(outputs, lengths), losses.slope, losses.threshold
    scale, columns = 32 / alpha.shape[-1], outputs.segmentation.shape[-1]
    return interpolated(alpha, lengths, columns), paper.slope / scale, paper.centre * scale


def _bands(outputs: TrainingOutputs, lengths: Tensor) -> Tensor:
    """beta: share [B, T, N] of each column that belongs to the slot, relative to its largest."""
    return bands(outputs.alpha if outputs.bands is None else outputs.bands, lengths)


def counting(starts: Tensor, targets: Targets) -> Tensor:
    """A character starts in the first column that it owns, and there are as many starts as characters."""
    owners = targets.columns
    before = owners.cummax(1).values.roll(1, 1)
    before[:, 0] = 0
    wanted = (owners > before).float()
    each = F.binary_cross_entropy_with_logits(starts, wanted, reduction="none").sum(1) / (wanted.sum(1) + 1)
    total = F.smooth_l1_loss(torch.sigmoid(starts).sum(1), targets.lengths.float())
    return _mean(each, targets.characters_known) + 0.1 * total


def correlation(alpha: Tensor, lengths: Tensor) -> Tensor:
    """L_cor: squared products of the attention [B, T, N] of every pair of characters; mean over the batch.

    The authors' code sums over the batch; multiply a weight from there by its batch size.
    """
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    squares = (alpha * written[..., None]).square()
    pairs = (squares.sum(1).square() - squares.square().sum(1)).sum(-1) / 2  # sum over i < j
    return (pairs / lengths.clamp_min(1)).mean()


def difference(shares: Tensor, slope: float, centre: float, segmentation: Tensor) -> Tensor:
    """L_dif: the characters' bands together must cover every column of the text.

    The saliency is 0 where S_m has no text and constant over a column, so the mean over pixels is a mean over
    columns, weighted by the text in each. This is a cross-entropy of the saliency; the authors' code
    treats it as a logit, which gives small gradients. No gradient reaches S_m.
    """
    saliency = torch.sigmoid(slope * (shares - centre)) * (shares > 0)
    covered = saliency.sum(1).clamp(1e-4, 1)  # [B, columns]
    rows = (segmentation.detach() > 0).sum(1).float()
    text = rows.view(*covered.shape, -1).sum(2)  # pixels of text in a column
    missed: Tensor = -(text * covered.log()).sum() / text.sum().clamp_min(1)
    return missed


def _glyph_maps(outputs: TrainingOutputs, targets: Targets, losses: Losses, ramp: float) -> Tensor:
    """L_seg on both levels, towards S_gt."""
    if losses.glyph_labels == "masks":
        return _rendered_maps(outputs, targets, losses)
    by_attention = ~targets.characters_known
    if losses.glyph_labels == "attention":
        by_attention = torch.ones_like(by_attention)
    elif losses.attention_share * ramp > 0:
        chosen = torch.arange(len(by_attention)) < round(losses.attention_share * ramp * len(by_attention))
        by_attention = by_attention | chosen
    parts = []
    for level in outputs.levels:
        size = level.maps.shape[2], level.maps.shape[3]
        ids = from_masks(targets.pixels, size)
        if bool(by_attention.any()):
            ids = torch.where(by_attention[:, None, None], pseudo_labels(outputs, targets, losses, size), ids)
        parts.append(drawing(level.maps, ids, targets.lengths, losses))
    return _total(parts, outputs.alpha)


def _rendered_maps(outputs: TrainingOutputs, targets: Targets, losses: Losses) -> Tensor:
    """L_seg of the crops whose masks are known."""
    known = targets.characters_known
    if not bool(known.any()):
        return _nothing(outputs.alpha)
    parts = []
    for level in outputs.levels:
        ids = from_masks(targets.pixels, (level.maps.shape[2], level.maps.shape[3]))
        parts.append(drawing(level.maps[known], ids[known], targets.lengths[known], losses))
    return _total(parts, outputs.alpha)


def pseudo_labels(
    outputs: TrainingOutputs, targets: Targets, losses: Losses, size: tuple[int, int]
) -> Tensor:
    """S_gt [B, *size]: bands of attention within the text of S_m, computed every step for each level.

    A constant target. Where glyphs are indistinct, S_m has little text: cells then count as background, and
    the slots rely on the glimpse.
    """
    assert outputs.segmentation is not None
    alpha, logits, paper = outputs.alpha.detach(), outputs.segmentation.detach(), losses.paper_bands
    if paper is None:
        shares = _bands(outputs, targets.lengths).detach()
        if size[1] != shares.shape[-1]:
            shares = shares.repeat_interleave(size[1] // shares.shape[-1], -1)
        return assigned(shares, text_cells(logits, size), losses.threshold)
    text = filled_cells(logits, size, paper.cell)
    return assigned(
        interpolated(alpha, targets.lengths, size[1]), text, paper.threshold * 32 / alpha.shape[-1]
    )


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
    """L_cel of log-shares [B, 1 + T, h, w]: text or background as in the paper, or a class per character."""
    if losses.binary_text:
        background = logits[:, 0]
        text = torch.log1p(-background.exp().clamp_max(1 - 1e-6))
        return -torch.where(ids > 0, text, background).mean()
    weights = None
    if losses.slot_weights:
        weights = torch.ones(logits.shape[1])
        weights[1 : 1 + len(losses.slot_weights)] = torch.tensor(losses.slot_weights[: logits.shape[1] - 1])
    return F.nll_loss(logits, ids, weight=weights)


def _null(level: Glyphs, lengths: Tensor) -> Tensor:
    """Slots past the end attend to the null cell, slots of characters do not; 0 without such a cell."""
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
    return _dense(cells, targets.classes_at(ids).flatten(1), targets.characters_known)


def alignment(alpha: Tensor, targets: Targets) -> Tensor:
    """How far each slot's attention [B, T, N] is from lying inside its character's columns."""
    place = torch.arange(1, alpha.shape[1] + 1)
    inside = targets.columns[:, None] == place[:, None]  # [B, T, N]
    mass = (alpha * inside).sum(-1).clamp_min(1e-4)
    visible = inside.any(-1)
    return -(mass.log() * visible).sum() / visible.sum().clamp_min(1)


def _ctc(outputs: TrainingOutputs, targets: Targets) -> Tensor:
    """CTC of the columns [B, N, C], per character; 0 for codes with more characters than columns."""
    assert outputs.ctc is not None
    logs, found = outputs.ctc.float().log_softmax(-1), outputs.occupancy
    if found is None:
        columns = torch.full_like(targets.lengths, logs.shape[1])
        return F.ctc_loss(logs.transpose(0, 1), targets.classes, columns, targets.lengths, zero_infinity=True)
    cost = ctc_cost(logs, targets.classes[:, : found.states.shape[2] // 2], found)
    return (cost / targets.lengths.clamp_min(1)).mean()


def orientation(odds: Tensor, oriented: Tensor) -> Tensor:
    """Cross-entropy of log-odds [2, K] of crops as they are and upside-down, where the code differs."""
    wanted = torch.tensor([1.0, 0.0])[:, None].expand_as(odds)
    each = F.binary_cross_entropy_with_logits(odds.float(), wanted, reduction="none").mean(0)
    return _mean(each, oriented[: len(each)])


def _existence(outputs: TrainingOutputs, targets: Targets, losses: Losses) -> Tensor:
    """SEC on the cells of the map, or on the columns where no cells are read."""
    places = outputs.columns if outputs.cells is None else outputs.cells
    if not losses.existence or places is None:
        return _nothing(outputs.alpha)
    return losses.existence * existence(places, targets.classes, losses)


def _mean(each: Tensor, known: Tensor) -> Tensor:
    """Mean of [B] over the crops whose masks are known."""
    return (each * known).sum() / known.sum().clamp_min(1)


def existence(places: Tensor, classes: Tensor, losses: Losses) -> Tensor:
    """SEC: cross-entropy between the characters that exist in the map and those of the text.

    It is about presence, not counts: a character that occurs twice gives no further signal. Glyphs of
    neighbouring lines inside the crop are penalized; where masks are known use dense_cells.

    Args:
        places: logits [B, P, C] of the shared classifier at every place.
        classes: int64 [B, T], 0 from the end on.
        losses: pooling, and the weight of characters of the text.
    """
    shares = pooled(places.float().log_softmax(-1)[..., 1:], losses).clamp(1e-6, 1 - 1e-6)
    wanted = torch.zeros(places.shape[0], places.shape[2]).scatter_(1, classes, 1.0)[:, 1:]
    hits = losses.existence_positives * wanted * shares.log()
    return -(hits + (1 - wanted) * (1 - shares).log()).mean()


def pooled(logs: Tensor, losses: Losses) -> Tensor:
    """Probability [B, C] that a class exists, from its log-probabilities [B, P, C] at each place."""
    match losses.existence_pooling:
        case "top":
            return logs.topk(min(losses.existence_pool, logs.shape[1]), dim=1).values.exp().mean(1)
        case "noisy_or":
            nowhere = torch.log1p(-logs.exp().clamp_max(1 - 1e-6)).sum(1)
            return 1 - nowhere.exp()
        case _:
            assert_never(losses.existence_pooling)
