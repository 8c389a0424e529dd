"""The likeliest of all codes of a format, found exactly: Viterbi (IEEE Trans. Information Theory 1967).

Letters: T positions, C classes (0 is the end), G groups of characters, E ways of one position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serialread.codes import MAX_LENGTH, Alphabet, Format, Lattice
from serialread.records import Floats

Integers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The ways of one position, in the order of their targets.

    Attributes:
        sources: node that each starts from [E].
        groups: characters that each takes [E].
        starts: where the ways to each target begin [targets].
    """

    sources: Integers
    groups: Integers
    starts: Integers


class Search:
    """A format, ready to find its likeliest code in a network's scores."""

    def __init__(self, wanted: Format, alphabet: Alphabet) -> None:
        """Prepare the search; some ms to some s, by the number of ways.

        Raises:
            RecipeError: the alphabet spells no code of this format.
        """
        self._lattice = wanted.codes(alphabet.chars, MAX_LENGTH)
        groups = _groups(self._lattice)
        numbers = [np.array(alphabet.encode(chars), np.intp) for chars in groups]
        self._classes = np.concatenate(numbers)  # of all groups, one behind the other
        self._bounds = np.cumsum([0, *map(len, numbers)])
        self._layers, self._ends = _arrays(self._lattice, groups)

    def holds(self, text: str) -> bool:
        """Whether a text is a code of the format."""
        return self._lattice.holds(text)

    def best(self, scores: Floats) -> list[int]:
        """Classes of the likeliest code, for log-probabilities [T, C]; its end is not among them.

        The likelihood is that of all its characters and of the end after them, as everywhere.
        """
        layers = self._layers[: len(scores) - 1]
        table = np.maximum.reduceat(scores[:, self._classes], self._bounds[:-1], axis=1)  # [T, G]
        reached = [np.zeros(1, scores.dtype)]  # the likeliest way to each node
        for layer, groups in zip(layers, table, strict=False):
            ways = reached[-1][layer.sources] + groups[layer.groups]  # [E]
            reached.append(np.maximum.reduceat(ways, layer.starts))
        length, node = self._last(reached, scores[:, 0])
        return self._traced(scores, table, reached, length, node)

    def _last(self, reached: list[Floats], end: Floats) -> tuple[int, int]:
        """How long the likeliest code is, and the node where it ends."""
        found = (-np.inf, 0, 0)
        for length, (nodes, stops) in enumerate(zip(reached[1:], self._ends, strict=False), start=1):
            if stops.size:
                at = int(stops[nodes[stops].argmax()])
                likelihood = float(nodes[at] + end[length])
                if likelihood > found[0] or not found[1]:
                    found = (likelihood, length, at)
        return found[1], found[2]

    def _traced(
        self, scores: Floats, table: Floats, reached: list[Floats], length: int, node: int
    ) -> list[int]:
        """The way back from the end, position by position."""
        classes = []
        for at in range(length - 1, -1, -1):
            layer = self._layers[at]
            last = layer.starts[node + 1] if node + 1 < len(layer.starts) else len(layer.sources)
            ways = slice(layer.starts[node], last)
            sources, groups = layer.sources[ways], layer.groups[ways]
            best = int((reached[at][sources] + table[at, groups]).argmax())
            group = int(groups[best])
            node = int(sources[best])
            known = self._classes[self._bounds[group] : self._bounds[group + 1]]
            classes.append(int(known[scores[at, known].argmax()]))
        return classes[::-1]


def _groups(lattice: Lattice) -> dict[str, int]:
    """Every set of characters that a way takes, numbered."""
    sets = {chars for layer in lattice.layers for ways in layer.values() for chars, _ in ways}
    return {chars: number for number, chars in enumerate(sorted(sets))}


def _arrays(lattice: Lattice, groups: dict[str, int]) -> tuple[list[_Layer], list[Integers]]:
    """Layers as arrays; nodes are numbered anew, without gaps."""
    layers, ends = [], []
    before = {0: 0}
    for layer, stops in zip(lattice.layers, lattice.ends, strict=True):
        ways = sorted(
            (target, before[source], groups[chars])
            for source, there in layer.items()
            if source in before
            for chars, target in there
        )
        targets, starts = np.unique([target for target, _, _ in ways], return_index=True)
        before = {int(target): number for number, target in enumerate(targets)}
        sources = np.array([source for _, source, _ in ways], np.intp)
        layers.append(_Layer(sources, np.array([group for *_, group in ways], np.intp), starts))
        ends.append(np.array(sorted(before[node] for node in stops if node in before), np.intp))
    return layers, ends
