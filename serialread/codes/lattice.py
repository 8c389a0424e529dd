"""Every code of a format, position by position: what a search over a network's scores walks through."""

from collections.abc import Mapping
from dataclasses import dataclass

from serialread.codes.automaton import Automaton, Configuration
from serialread.errors import RecipeError

MOST_WAYS = 1_000_000
"""Of a lattice; half a minute of building and 300 MB."""

Way = tuple[str, int]
"""Characters that may stand here, and the node that any of them leads to."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """All codes of a format up to some length; every way lies on that of a code.

    Attributes:
        layers: the ways of each position, by the node that they start from; position 0 starts from node 0.
        ends: after each position, the nodes where a code may end.
    """

    layers: tuple[Mapping[int, tuple[Way, ...]], ...]
    ends: tuple[frozenset[int], ...]

    def holds(self, text: str) -> bool:
        """Whether a text is one of the codes."""
        if not 0 < len(text) <= len(self.layers):
            return False
        nodes = {0}
        for char, layer in zip(text, self.layers, strict=False):
            nodes = {target for node in nodes for chars, target in layer.get(node, ()) if char in chars}
            if not nodes:
                return False
        return not nodes.isdisjoint(self.ends[len(text) - 1])


_Steps = dict[tuple[int, int], str]
"""Characters from one node to another, of one position."""


def unroll(automaton: Automaton, chars: str, length: int) -> Lattice:
    """The codes of a format that have 1 to ``length`` characters, all of them among ``chars``.

    Raises:
        RecipeError: there is no such code, or there are too many ways.
    """
    steps, ends = _forward(automaton, frozenset(chars), length)
    depth = max((at + 1 for at, nodes in enumerate(ends) if nodes), default=0)
    if not depth:
        raise RecipeError(f"no code of 1 to {length} characters can obey it. Correct it.")
    return _backward(steps[:depth], ends[:depth])


def _backward(steps: list[_Steps], ends: list[frozenset[int]]) -> Lattice:
    """Only what leads to an end; nodes with one future become one node, from the last position on."""
    layers: list[Mapping[int, tuple[Way, ...]]] = []
    stops: list[frozenset[int]] = []
    outgoing: dict[int, tuple[Way, ...]] = {}
    for found, last in zip(reversed(steps), reversed(ends), strict=True):
        futures: dict[tuple[bool, tuple[Way, ...]], int] = {}
        merged: dict[int, int] = {}
        for node in sorted({*outgoing, *last}):
            future = (node in last, outgoing.get(node, ()))
            merged[node] = futures.setdefault(future, len(futures))
        layers.append({node: ways for (_, ways), node in futures.items() if ways})
        stops.append(frozenset(node for (ends_here, _), node in futures.items() if ends_here))
        outgoing = _outgoing(found, merged)
    layers.append({0: outgoing[0]})
    return Lattice(tuple(layers[:0:-1]), tuple(reversed(stops)))


def _outgoing(steps: _Steps, merged: Mapping[int, int]) -> dict[int, tuple[Way, ...]]:
    """Ways from each node, to merged nodes; those to one node are one way."""
    ways: dict[int, dict[int, set[str]]] = {}
    for (source, target), some in steps.items():
        if target in merged:
            ways.setdefault(source, {}).setdefault(merged[target], set()).update(some)
    return {
        source: tuple(("".join(sorted(some)), target) for target, some in sorted(there.items()))
        for source, there in ways.items()
    }


def _forward(
    automaton: Automaton, allowed: frozenset[str], length: int
) -> tuple[list[_Steps], list[frozenset[int]]]:
    """Steps and ends of each position, whether they lead to an end or not."""
    total = 0
    layer: list[tuple[Configuration, ...]] = [automaton.begin]
    steps: list[_Steps] = []
    ends: list[frozenset[int]] = []
    for _ in range(length):
        numbers: dict[Configuration, int] = {}
        found: dict[tuple[int, int], set[str]] = {}
        for source, configurations in enumerate(layer):
            for some, target in (step for c in configurations for step in automaton.steps(c)):
                if usable := allowed.intersection(some):
                    number = numbers.setdefault(target, len(numbers))
                    found.setdefault((source, number), set()).update(usable)
        total += len(found)
        if total > MOST_WAYS:
            raise RecipeError("too many ways to obey it. Make it shorter or less free.")
        steps.append({step: "".join(sorted(some)) for step, some in found.items()})
        ends.append(frozenset(number for target, number in numbers.items() if automaton.ends(target)))
        layer = [(configuration,) for configuration in numbers]
    return steps, ends
