"""A pattern as an automaton, with running check values, and all of its codes as a lattice.

A configuration is a state of the pattern and, inside a checked part, the check's running value. Thompson's
construction (Communications of the ACM 1968), with empty transitions that open and close checked parts.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from serialread.codes.check_characters import CHECKS
from serialread.codes.patterns import Chars, Checked, Choice, Node, Repeat, Sequence
from serialread.errors import RecipeError

SEPARATORS = "-./"
"""Ignored by a check that gives them no value: they are printed for readability."""

MAX_STATES = 20_000
"""Of a pattern; nested repetitions multiply, and no mark needs this many."""
MAX_TRANSITIONS = 1_000_000
"""Of a lattice; it takes half a minute to build, and 300 MB."""

Running = tuple[str, Hashable]
"""A check's name and its running value."""
Configuration = tuple[int, Running | None]
Step = tuple[str, Configuration]
"""Characters, and the configuration that any of them leads to."""


@dataclass(frozen=True, slots=True)
class _Jump:
    """An empty transition."""

    target: int
    opens: str = ""
    closes: bool = False


@dataclass(slots=True)
class _States:
    """States of a pattern, and the transitions between them."""

    arcs: dict[int, tuple[str, int]] = field(default_factory=dict)
    jumps: dict[int, list[_Jump]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def new(self) -> int:
        self.count += 1
        if self.count > MAX_STATES:
            raise RecipeError("too large: nested repetitions multiply. Use fewer of them.")
        return self.count - 1

    def build(self, node: Node, start: int) -> int:
        """Add a part from a state on; the state where it ends."""
        match node:
            case Chars(chars):
                return self._chars(chars, start)
            case Sequence(parts):
                for part in parts:
                    start = self.build(part, start)
                return start
            case Choice(parts):
                end = self.new()
                for part in parts:
                    own = self.new()
                    self.jumps[start].append(_Jump(own))
                    self.jumps[self.build(part, own)].append(_Jump(end))
                return end
            case Repeat(part, least, most):
                return self._repeat(part, least, most, start)
            case Checked(part, check):
                inside, end = self.new(), self.new()
                self.jumps[start].append(_Jump(inside, opens=check))
                self.jumps[self.build(part, inside)].append(_Jump(end, closes=True))
                return end
        assert_never(node)

    def _chars(self, chars: str, start: int) -> int:
        own, end = self.new(), self.new()
        self.jumps[start].append(_Jump(own))
        self.arcs[own] = (chars, end)
        return end

    def _repeat(self, part: Node, least: int, most: int | None, start: int) -> int:
        for _ in range(least):
            start = self.build(part, start)
        if most is None:
            loop = self.new()
            self.jumps[start].append(_Jump(loop))
            self.jumps[self.build(part, loop)].append(_Jump(loop))
            return loop
        end = self.new()
        for _ in range(most - least):
            self.jumps[start].append(_Jump(end))
            start = self.build(part, start)
        self.jumps[start].append(_Jump(end))
        return end


class Automaton:
    """The automaton of one pattern.

    Attributes:
        begin: configurations before the first character.
    """

    def __init__(self, node: Node) -> None:
        self._states = _States()
        start = self._states.new()
        self._final = self._states.build(node, start)
        self._prefixes: dict[Running, str] = {}  # a shortest text of every running value seen so far
        self._after: dict[tuple[Running, str], Running] = {}
        self._steps: dict[Configuration, tuple[Step, ...]] = {}
        self.begin = self._reached(start, None)

    def ends(self, configuration: Configuration) -> bool:
        """Whether the code may end here."""
        return configuration == (self._final, None)

    def steps(self, configuration: Configuration) -> tuple[Step, ...]:
        """The next characters and configurations; several steps may lead to one configuration."""
        if configuration not in self._steps:
            self._steps[configuration] = tuple(self._stepped(*configuration))
        return self._steps[configuration]

    def _stepped(self, state: int, running: Running | None) -> Iterator[Step]:
        if state not in self._states.arcs:
            return
        chars, target = self._states.arcs[state]
        for some, after in self._run(chars, running):
            for reached in self._reached(target, after):
                yield some, reached

    def _run(self, chars: str, running: Running | None) -> Iterator[tuple[str, Running | None]]:
        """Running values after each of the characters, grouped by value."""
        if running is None:
            yield chars, None
            return
        check = CHECKS[running[0]]
        groups: dict[Running, str] = {}
        for char in chars:
            if char in check.chars:
                after = self._advanced(running, char)
            elif char in SEPARATORS:
                after = running
            else:
                continue
            groups[after] = groups.get(after, "") + char
        for after, some in groups.items():
            yield some, after

    def _advanced(self, running: Running, char: str) -> Running:
        key = (running, char)
        if key not in self._after:
            text = self._prefixes[running] + char
            self._after[key] = self._valued(running[0], text)
        return self._after[key]

    def _valued(self, check: str, text: str) -> Running:
        running = (check, CHECKS[check].value(text))
        self._prefixes.setdefault(running, text)
        return running

    def _reached(self, state: int, running: Running | None) -> tuple[Configuration, ...]:
        """Configurations that empty transitions lead to and that read a character or end."""
        found: dict[Configuration, None] = {}
        pending: list[Configuration] = [(state, running)]
        while pending:
            here = pending.pop()
            if here in found:
                continue
            found[here] = None
            state, running = here
            for jump in self._states.jumps.get(state, ()):
                if jump.opens:
                    pending.append((jump.target, self._valued(jump.opens, "")))
                elif not jump.closes:
                    pending.append((jump.target, running))
                elif running is not None and CHECKS[running[0]].holds(running[1]):
                    pending.append((jump.target, None))
        return tuple(c for c in found if c[0] in self._states.arcs or self.ends(c))


Transition = tuple[str, int]
"""Characters at a position, and the node that any of them leads to."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """All codes of a format up to some length, position by position.

    Every transition is part of a code, perhaps of a longer one.

    Attributes:
        layers: the transitions of each position, by the node that they start from; position 0 starts from
            node 0.
        ends: after each position, the nodes where a code may end.
    """

    layers: tuple[Mapping[int, tuple[Transition, ...]], ...]
    ends: tuple[frozenset[int], ...]

    def matches(self, text: str) -> bool:
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
        RecipeError: there is no such code, or there are too many transitions.
    """
    steps, ends = _forward(automaton, frozenset(chars), length)
    depth = max((at + 1 for at, nodes in enumerate(ends) if nodes), default=0)
    if not depth:
        raise RecipeError(no_code(length))
    return _backward(steps[:depth], ends[:depth])


def no_code(length: int) -> str:
    """The message for a format without codes of up to ``length`` characters."""
    return f"no code of 1 to {length} characters matches it. Correct it."


def _backward(steps: list[_Steps], ends: list[frozenset[int]]) -> Lattice:
    """Keep what leads to an end; merge nodes with the same future, from the last position on."""
    layers: list[Mapping[int, tuple[Transition, ...]]] = []
    stops: list[frozenset[int]] = []
    outgoing: dict[int, tuple[Transition, ...]] = {}
    for found, last in zip(reversed(steps), reversed(ends), strict=True):
        futures: dict[tuple[bool, tuple[Transition, ...]], int] = {}
        merged: dict[int, int] = {}
        for node in sorted({*outgoing, *last}):
            future = (node in last, outgoing.get(node, ()))
            merged[node] = futures.setdefault(future, len(futures))
        layers.append({node: transitions for (_, transitions), node in futures.items() if transitions})
        stops.append(frozenset(node for (ends_here, _), node in futures.items() if ends_here))
        outgoing = _outgoing(found, merged)
    layers.append({0: outgoing[0]})
    return Lattice(tuple(layers[:0:-1]), tuple(reversed(stops)))


def _outgoing(steps: _Steps, merged: Mapping[int, int]) -> dict[int, tuple[Transition, ...]]:
    """Transitions from each node to merged nodes; those to one node become one."""
    transitions: dict[int, dict[int, set[str]]] = {}
    for (source, target), some in steps.items():
        if target in merged:
            transitions.setdefault(source, {}).setdefault(merged[target], set()).update(some)
    return {
        source: tuple(("".join(sorted(some)), target) for target, some in sorted(there.items()))
        for source, there in transitions.items()
    }


def _forward(
    automaton: Automaton, allowed: frozenset[str], length: int
) -> tuple[list[_Steps], list[frozenset[int]]]:
    """Steps and ends of each position, including those that lead to no end."""
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
        if total > MAX_TRANSITIONS:
            raise RecipeError("too many codes match it. Make it shorter or more specific.")
        steps.append({step: "".join(sorted(some)) for step, some in found.items()})
        ends.append(frozenset(number for target, number in numbers.items() if automaton.ends(target)))
        layer = [(configuration,) for configuration in numbers]
    return steps, ends
