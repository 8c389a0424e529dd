"""Existence of characters anywhere in the crop (SEC); after Gu et al., ICPR 2020, pooling is ours.

Shapes: B crops, T slots, P places of a feature map, C classes (0 is the end and the background).
"""

import torch
from torch import Tensor


def existence(places: Tensor, classes: Tensor, pool: int) -> Tensor:
    """Cross-entropy between the characters that the map shows somewhere and those of the text.

    Args:
        places: logits [B, P, C] of the shared classifier at every place.
        classes: int64 [B, T], 0 from the end on.
        pool: places averaged into one probability; 1 is the maximum.
    """
    shares = places.float().softmax(-1)[..., 1:].topk(pool, dim=1).values.mean(1).clamp(1e-6, 1 - 1e-6)
    wanted = torch.zeros(places.shape[0], places.shape[2]).scatter_(1, classes, 1.0)[:, 1:]
    return -(wanted * shares.log() + (1 - wanted) * (1 - shares).log()).mean()
