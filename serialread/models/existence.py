"""Existence of characters anywhere in the crop (SEC); after Gu et al., ICPR 2020, pooling is ours.

Shapes: B crops, T slots, P places of a feature map, C classes (0 is the end and the background).
"""

from typing import assert_never

import torch
from torch import Tensor

from serialread.config.training_recipe import Losses


def existence(places: Tensor, classes: Tensor, losses: Losses) -> Tensor:
    """Cross-entropy between the characters that the map shows somewhere and those of the text.

    It asks for presence, not for counts: a character that occurs twice gives no further signal. Glyphs of
    neighbouring lines inside the crop are punished though they are there; where masks are known use
    dense_cells.

    Args:
        places: logits [B, P, C] of the shared classifier at every place.
        classes: int64 [B, T], 0 from the end on.
        losses: pooling, and what a character of the text weighs against one that is not.
    """
    shares = pooled(places.float().log_softmax(-1)[..., 1:], losses).clamp(1e-6, 1 - 1e-6)
    wanted = torch.zeros(places.shape[0], places.shape[2]).scatter_(1, classes, 1.0)[:, 1:]
    hits = losses.existence_positives * wanted * shares.log()
    return -(hits + (1 - wanted) * (1 - shares).log()).mean()


def pooled(logs: Tensor, losses: Losses) -> Tensor:
    """Probability [B, C] that a class is anywhere, of its log-probabilities [B, P, C] at each place."""
    match losses.existence_pooling:
        case "top":
            return logs.topk(min(losses.existence_pool, logs.shape[1]), dim=1).values.exp().mean(1)
        case "noisy_or":
            nowhere = torch.log1p(-logs.exp().clamp_max(1 - 1e-6)).sum(1)
            return 1 - nowhere.exp()
        case _:
            assert_never(losses.existence_pooling)
