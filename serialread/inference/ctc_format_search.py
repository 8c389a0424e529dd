"""Exact search for the most likely path of a format's codes over CTC columns (Viterbi, 1967).

A state is a node of the format's lattice and the class of the character that led to it: an equal character
may follow only after a blank. All states of one position are searched together, over all edges of columns.

Letters: N columns, C classes (0 is the blank), S states of one position, V their nodes, A arcs into them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serialread.codes import CTC_CAPACITY, Alphabet, Format
from serialread.inference.ctc_paths import MIN_SCORE, Sums, latest, prefix_sums
from serialread.inference.format_search import FormatSearch, Integers, LatticeLayer
from serialread.records import Floats

FIRST_LOSS = 7.0
"""Codes are first looked for among paths that are less likely than the best path by this log-ratio."""


@dataclass(frozen=True, slots=True)
class _Position:
    """The states of one position, sorted by node and class.

    Attributes:
        classes: class of each state [S].
        nodes: node of each state [S].
        firsts: first state of each node, and the number of states [V + 1].
        arcs: first arc of each state, and the number of arcs [S + 1].
        sources: node before each arc [A].
        equals: state before each arc that has its node and its class, -1 if there is none [A].
        stops: accepting nodes.
    """

    classes: Integers
    nodes: Integers
    firsts: Integers
    arcs: Integers
    sources: Integers
    equals: Integers
    stops: Integers


@dataclass(frozen=True, slots=True)
class _Reached:
    """Log-likelihoods of the best paths up to one position, at every edge of the columns.

    Attributes:
        entered: before the character of each state [S, N + 1].
        ended: directly after the character of each state, and a last row of -inf [S + 1, N + 1].
        best: directly after the most likely character of each node [V, N + 1].
        second: the same of its second most likely character.
        gaps: after a blank, or more, behind the character of each node [V, N + 1].
    """

    entered: Sums
    ended: Sums
    best: Sums
    second: Sums
    gaps: Sums


class CtcFormatSearch(FormatSearch):
    """Finds the code of a format with the most likely path."""

    capacity = CTC_CAPACITY

    def __init__(self, wanted: Format, alphabet: Alphabet) -> None:
        """Build the search; arguments and errors as of ``FormatSearch``."""
        super().__init__(wanted, alphabet)
        self._positions: list[_Position] = []
        keys = np.zeros(0, np.intp)
        for layer in self._layers:
            position, keys = _position(layer, self._members, keys, alphabet.classes)
            self._positions.append(position)

    def best(self, scores: Floats) -> list[int]:
        """Classes of the code with the most likely path, for log-probabilities [N, C].

        Empty if the columns are too few for any code.
        """
        likelihood, classes = self._search(_without_blanks(scores, FIRST_LOSS))
        loss = float(scores.max(axis=1).sum()) - likelihood
        if loss > FIRST_LOSS:  # a better path may have characters in the columns that were left out
            _, classes = self._search(_without_blanks(scores, loss))
        return classes

    def _search(self, scores: Floats) -> tuple[float, list[int]]:
        """Log-likelihood of the best path, and its classes."""
        sums, rest = prefix_sums(scores), np.append(np.cumsum(scores.max(axis=1)[::-1])[::-1], 0)
        nothing = np.full((1, len(scores) + 1), -np.inf)
        reached = [_Reached(nothing, nothing, nothing, nothing, sums[:1])]
        highest, length, node = -np.inf, 0, 0
        for position in self._positions[: len(scores)]:
            now = _advanced(position, reached[-1], sums)
            reached.append(now)
            if position.stops.size:
                finals = np.maximum(now.best[position.stops, -1], now.gaps[position.stops, -1])
                stop = int(finals.argmax())
                if finals[stop] > highest:
                    highest, length, node = float(finals[stop]), len(reached) - 1, int(position.stops[stop])
            if highest >= (now.best + rest).max():
                break  # longer codes are less likely
        return highest, self._backtrack(reached, sums, length, node)

    def _backtrack(self, reached: Sequence[_Reached], sums: Sums, length: int, node: int) -> list[int]:
        """Follow the best path back from its last node."""
        classes, edge, after = list[int](), sums.shape[1] - 1, 0
        for at in range(length, 0, -1):
            position, now = self._positions[at - 1], reached[at]
            own = slice(position.firsts[node], position.firsts[node + 1])
            ended, numbers = now.ended[own], position.classes[own]
            direct = np.where(numbers == after, -np.inf, ended[:, edge])
            if direct.max() < now.gaps[node, edge]:
                edge = int((now.best[node, :edge] - sums[0, :edge]).argmax())
                direct = ended[:, edge]
            state = position.firsts.item(node) + int(direct.argmax())
            after = position.classes.item(state)
            edge = int((now.entered[state, :edge] - sums[after, :edge]).argmax())
            arcs = slice(position.arcs[state], position.arcs[state + 1])
            before = _before(position, reached[at - 1], arcs, slice(edge, edge + 1))
            node = position.sources.item(int(arcs.start) + int(before.argmax()))
            classes.append(after)
        return classes[::-1]


def _advanced(position: _Position, before: _Reached, sums: Sums) -> _Reached:
    """The best paths after one more character."""
    every = slice(None)
    entered = np.maximum.reduceat(_before(position, before, every, every), position.arcs[:-1], axis=0)
    own = sums[position.classes]
    ended = own + latest(entered - own)
    firsts = position.firsts[:-1]
    best = np.maximum.reduceat(ended, firsts, axis=0)
    is_best = ended == best[position.nodes]
    second = np.maximum.reduceat(np.where(is_best, -np.inf, ended), firsts, axis=0)
    tied = np.add.reduceat(is_best, firsts, axis=0, dtype=np.intp) > 1
    return _Reached(
        entered=entered,
        ended=np.concatenate((ended, np.full_like(ended[:1], -np.inf))),
        best=best,
        second=np.where(tied, best, second),
        gaps=sums[0] + latest(best - sums[0]),
    )


def _before(position: _Position, reached: _Reached, arcs: slice, edges: slice) -> Sums:
    """The best paths to some arcs at some edges; a character equal to the arc's needs a blank behind it."""
    sources, equals = position.sources[arcs], position.equals[arcs]
    best = reached.best[sources, edges]
    direct = np.where(reached.ended[equals, edges] == best, reached.second[sources, edges], best)
    return np.maximum(direct, reached.gaps[sources, edges])


def _without_blanks(scores: Floats, loss: float) -> Floats:
    """Scores in which a run of columns is one if any character there lowers a path by at least ``loss``."""
    blank = scores[:, 0] - scores[:, 1:].max(axis=1) >= loss
    starts = np.flatnonzero(~(blank & np.append(False, blank[:-1])))
    shorter = scores[starts]
    shorter[:, 0] = np.add.reduceat(scores[:, 0], starts)
    shorter[blank[starts], 1:] = MIN_SCORE
    return shorter


def _position(
    layer: LatticeLayer, members: Sequence[Integers], before: Integers, classes: int
) -> tuple[_Position, Integers]:
    """The states of one position, and their keys: node and class in one number; ``before`` are the last."""
    edges = np.repeat(np.arange(len(layer.groups)), [len(members[group]) for group in layer.groups])
    targets = np.repeat(np.arange(len(layer.starts) - 1), np.diff(layer.starts))
    chars = np.concatenate([members[group] for group in layer.groups])
    arcs = targets[edges] * classes + chars
    order = np.argsort(arcs, kind="stable")
    keys, starts = np.unique(arcs[order], return_index=True)
    sources = layer.sources[edges][order]
    wanted = sources * classes + chars[order]
    equals = np.searchsorted(before, wanted)
    found = np.append(before, -1)[equals] == wanted
    nodes = keys // classes
    position = _Position(
        classes=keys % classes,
        nodes=nodes,
        firsts=np.searchsorted(nodes, np.arange(len(layer.starts))),
        arcs=np.append(starts, len(arcs)),
        sources=sources,
        equals=np.where(found, equals, -1),
        stops=layer.stops,
    )
    return position, keys
