"""Exact search for the most likely code of a format: Viterbi (IEEE Trans. Information Theory 1967).

Letters: T positions, C classes (0 ends the string), G groups of characters, E edges of one position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serialread.codes import MAX_LENGTH, Alphabet, Format, Lattice
from serialread.records import Floats

Integers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class LatticeLayer:
    """The edges of one position, sorted by target node.

    Attributes:
        sources: source node of each edge [E].
        groups: group of characters that each edge accepts [E].
        starts: first edge of each target, and the number of edges [targets + 1].
        stops: accepting targets.
    """

    sources: Integers
    groups: Integers
    starts: Integers
    stops: Integers


class FormatSearch:
    """Finds the most likely code of a format in the scores of a network with slots.

    Attributes:
        capacity: number of characters of the longest code.
    """

    capacity = MAX_LENGTH

    def __init__(self, wanted: Format, alphabet: Alphabet) -> None:
        """Build the search; takes ms to s, depending on the number of edges.

        Raises:
            RecipeError: no code of this format can be written with the alphabet.
        """
        self._lattice = wanted.codes(alphabet.chars, self.capacity)
        groups = _groups(self._lattice)
        self._members = [np.array(alphabet.encode(chars), np.intp) for chars in groups]
        self._classes = np.concatenate(self._members)  # of all groups, concatenated
        self._bounds = np.cumsum([0, *map(len, self._members[:-1])])
        self._layers = _layers(self._lattice, groups)
        self._edges = [0, *np.cumsum([len(layer.groups) for layer in self._layers]).tolist()]
        self._cells = np.concatenate([at * len(groups) + x.groups for at, x in enumerate(self._layers)])

    def matches(self, text: str) -> bool:
        """Whether a text matches the format."""
        return self._lattice.matches(text)

    def best(self, scores: Floats) -> list[int]:
        """Classes of the most likely code, its end included, for log-probabilities [T, C].

        The list holds the characters only, without the end.
        """
        depth = min(len(self._layers), len(scores) - 1)
        table = np.maximum.reduceat(
            scores[:depth].take(self._classes, axis=1), self._bounds, axis=1
        )  # [T, G]
        weights = table.take(self._cells[: self._edges[depth]])  # of all edges, position by position
        nodes = np.zeros(1, scores.dtype)
        paths: list[Floats] = []  # log-likelihood of the best path through each edge [E]
        best, length, node = -np.inf, 0, 0
        for at, layer in enumerate(self._layers[:depth]):
            paths.append(nodes.take(layer.sources) + weights[self._edges[at] : self._edges[at + 1]])
            nodes = np.maximum.reduceat(paths[at], layer.starts[:-1])
            if layer.stops.size:
                stop = int(layer.stops[nodes.take(layer.stops).argmax()])
                likelihood = float(nodes[stop] + scores[at + 1, 0])
                if likelihood > best:
                    best, length, node = likelihood, at + 1, stop
        return self._classes_of_path(scores, paths, length, node)

    def _classes_of_path(self, scores: Floats, paths: list[Floats], length: int, node: int) -> list[int]:
        """Follow the best path back from its last node."""
        classes = []
        for at in range(length - 1, -1, -1):
            layer = self._layers[at]
            edge, last = layer.starts.item(node), layer.starts.item(node + 1)
            if last - edge > 1:
                edge += int(paths[at][edge:last].argmax())
            node = layer.sources.item(edge)
            members = self._members[layer.groups.item(edge)]
            chosen = int(scores[at].take(members).argmax()) if len(members) > 1 else 0
            classes.append(members.item(chosen))
        return classes[::-1]


def _groups(lattice: Lattice) -> dict[str, int]:
    """Every set of characters that an edge accepts, numbered."""
    sets = {chars for layer in lattice.layers for edges in layer.values() for chars, _ in edges}
    return {chars: number for number, chars in enumerate(sorted(sets))}


def _layers(lattice: Lattice, groups: dict[str, int]) -> list[LatticeLayer]:
    """Layers as arrays; nodes are renumbered without gaps."""
    layers = []
    before = {0: 0}
    for layer, stops in zip(lattice.layers, lattice.ends, strict=True):
        edges = sorted(
            (target, before[source], groups[chars])
            for source, outgoing in layer.items()
            if source in before
            for chars, target in outgoing
        )
        targets, starts = np.unique([target for target, _, _ in edges], return_index=True)
        before = {int(target): number for number, target in enumerate(targets)}
        layers.append(
            LatticeLayer(
                sources=np.array([source for _, source, _ in edges], np.intp),
                groups=np.array([group for *_, group in edges], np.intp),
                starts=np.append(starts, len(edges)),
                stops=np.array(sorted(before[node] for node in stops if node in before), np.intp),
            )
        )
    return layers
