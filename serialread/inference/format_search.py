"""The likeliest of all codes of a format, found exactly: Viterbi (IEEE Trans. Information Theory 1967).

Letters: T positions, C classes (0 is the end), G groups of characters, E ways of one position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serialread.codes import MAX_LENGTH, Alphabet, Format, Lattice, format_of
from serialread.config import Code
from serialread.records import Floats

Integers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The ways of one position, in the order of their targets.

    Attributes:
        sources: node that each starts from [E].
        groups: characters that each takes [E].
        starts: where the ways to each target begin, and the last of them end [targets + 1].
        stops: targets where a code may end.
    """

    sources: Integers
    groups: Integers
    starts: Integers
    stops: Integers


class FormatSearch:
    """A format, ready to find its likeliest code in a network's scores."""

    def __init__(self, wanted: Format, alphabet: Alphabet) -> None:
        """Prepare the search; some ms to some s, by the number of ways.

        Raises:
            RecipeError: the alphabet spells no code of this format.
        """
        self._lattice = wanted.codes(alphabet.chars, MAX_LENGTH)
        groups = _groups(self._lattice)
        self._members = [np.array(alphabet.encode(chars), np.intp) for chars in groups]
        self._classes = np.concatenate(self._members)  # of all groups, one behind the other
        self._bounds = np.cumsum([0, *map(len, self._members[:-1])])
        self._layers = _layers(self._lattice, groups)
        self._edges = [0, *np.cumsum([len(layer.groups) for layer in self._layers]).tolist()]
        self._cells = np.concatenate([at * len(groups) + x.groups for at, x in enumerate(self._layers)])

    @classmethod
    def of(cls, code: Code, alphabet: Alphabet) -> "FormatSearch | None":
        """The search for a station's format; None where it names none."""
        return cls(format_of(code.format), alphabet) if code.format else None

    def holds(self, text: str) -> bool:
        """Whether a text is a code of the format."""
        return self._lattice.matches(text)

    def best(self, scores: Floats) -> list[int]:
        """Classes of the likeliest code, for log-probabilities [T, C]; its end is not among them.

        The likelihood is that of all its characters and of the end after them, as everywhere.
        """
        depth = min(len(self._layers), len(scores) - 1)
        table = np.maximum.reduceat(
            scores[:depth].take(self._classes, axis=1), self._bounds, axis=1
        )  # [T, G]
        weights = table.take(self._cells[: self._edges[depth]])  # of all ways, position by position
        nodes = np.zeros(1, scores.dtype)
        ways: list[Floats] = []  # likelihood of the likeliest text up to and by each way [E]
        best, length, node = -np.inf, 0, 0
        for at, layer in enumerate(self._layers[:depth]):
            ways.append(nodes.take(layer.sources) + weights[self._edges[at] : self._edges[at + 1]])
            nodes = np.maximum.reduceat(ways[at], layer.starts[:-1])
            if layer.stops.size:
                stop = int(layer.stops[nodes.take(layer.stops).argmax()])
                likelihood = float(nodes[stop] + scores[at + 1, 0])
                if likelihood > best:
                    best, length, node = likelihood, at + 1, stop
        return self._traced(scores, ways, length, node)

    def _traced(self, scores: Floats, ways: list[Floats], length: int, node: int) -> list[int]:
        """The way back from where the code ends, position by position."""
        classes = []
        for at in range(length - 1, -1, -1):
            layer = self._layers[at]
            way, last = layer.starts.item(node), layer.starts.item(node + 1)
            if last - way > 1:
                way += int(ways[at][way:last].argmax())
            node = layer.sources.item(way)
            members = self._members[layer.groups.item(way)]
            chosen = int(scores[at].take(members).argmax()) if len(members) > 1 else 0
            classes.append(members.item(chosen))
        return classes[::-1]


def _groups(lattice: Lattice) -> dict[str, int]:
    """Every set of characters that a way takes, numbered."""
    sets = {chars for layer in lattice.layers for ways in layer.values() for chars, _ in ways}
    return {chars: number for number, chars in enumerate(sorted(sets))}


def _layers(lattice: Lattice, groups: dict[str, int]) -> list[_Layer]:
    """Layers as arrays; nodes are numbered anew, without gaps."""
    layers = []
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
        layers.append(
            _Layer(
                sources=np.array([source for _, source, _ in ways], np.intp),
                groups=np.array([group for *_, group in ways], np.intp),
                starts=np.append(starts, len(ways)),
                stops=np.array(sorted(before[node] for node in stops if node in before), np.intp),
            )
        )
    return layers
