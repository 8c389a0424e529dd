"""Doubled characters: a narrow one that stands twice and is read once, as JJ read as J."""

from collections.abc import Callable, Sequence

import numpy as np

from serialread.inference import posteriors
from serialread.inference.session import ModelCard
from serialread.reader.outputs import Outputs, probabilities_of

NARROW = frozenset("IJL1ijlrtf|!/()[]")
"""Characters that are one upright stroke: two of them take little more room than a wide one."""
MIN_CHANCE = 3e-3
"""Probability of a code with such a character twice, per probability of the code, from which it is doubted.
Of rendered codes that lost one it is 0.006 to 0.03, of others that are read clearly below 0.0012."""


def doubled_char(text: str, views: Sequence[Outputs], card: ModelCard, allows: Callable[[str], bool]) -> int:
    """The first narrow character of a line, from 1, that may be two of its kind; 0 for none.

    Args:
        text: what was read.
        views: of the line, with CTC columns.
        card: of the model.
        allows: whether the code may be another text.
    """
    if not views:
        return 0
    chances = probabilities_of(text, views, card)
    surest = int(np.argmax(chances))
    longer = {
        number: other
        for number, char in enumerate(text, start=1)
        if char in NARROW and allows(other := text[:number] + char + text[number:])
    }
    chance = dict(posteriors(views[surest].scores, card.alphabet, set(longer.values())))
    return next((n for n, other in longer.items() if chance[other] > MIN_CHANCE * chances[surest]), 0)
