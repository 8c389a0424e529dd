"""A pattern as a machine that reads one character after the other, running check values included.

A configuration is a place in the pattern and, inside a checked part, the check's running value. Thompson's
construction (Communications of the ACM 1968), with jumps that open and close checked parts.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from serialread.codes.checks import CHECKS
from serialread.codes.patterns import Chars, Checked, Choice, Node, Repeat, Sequence
from serialread.errors import RecipeError

SEPARATORS = "-./"
"""Passed over by a check that gives them no value: they are printed for the eye."""

MOST_PLACES = 20_000
"""Of a pattern; counts within counts multiply, and no mark needs so many."""

Running = tuple[str, Hashable]
"""A check's name and its running value."""
Configuration = tuple[int, Running | None]
Step = tuple[str, Configuration]
"""Characters, and the configuration that any of them leads to."""


@dataclass(frozen=True, slots=True)
class _Jump:
    """A way from place to place that reads nothing."""

    target: int
    opens: str = ""
    closes: bool = False


@dataclass(slots=True)
class _Places:
    """Places of a pattern, and the ways between them."""

    arcs: dict[int, tuple[str, int]] = field(default_factory=dict)
    jumps: dict[int, list[_Jump]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def new(self) -> int:
        self.count += 1
        if self.count > MOST_PLACES:
            raise RecipeError("too large, for counts within counts multiply. Write it with fewer of them.")
        return self.count - 1

    def build(self, node: Node, start: int) -> int:
        """Lay a part from a place on; the place where it ends."""
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
    """The machine of one pattern.

    Attributes:
        begin: configurations before the first character.
    """

    def __init__(self, node: Node) -> None:
        self._places = _Places()
        start = self._places.new()
        self._final = self._places.build(node, start)
        self._beginnings: dict[Running, str] = {}  # a shortest text of every running value that was met
        self._after: dict[tuple[Running, str], Running] = {}
        self._steps: dict[Configuration, tuple[Step, ...]] = {}
        self.begin = self._reached(start, None)

    def ends(self, configuration: Configuration) -> bool:
        """Whether the code may end here."""
        return configuration == (self._final, None)

    def steps(self, configuration: Configuration) -> tuple[Step, ...]:
        """What may follow; a configuration may be reached by several steps."""
        if configuration not in self._steps:
            self._steps[configuration] = tuple(self._stepped(*configuration))
        return self._steps[configuration]

    def _stepped(self, place: int, running: Running | None) -> Iterator[Step]:
        if place not in self._places.arcs:
            return
        chars, target = self._places.arcs[place]
        for some, after in self._run(chars, running):
            for reached in self._reached(target, after):
                yield some, reached

    def _run(self, chars: str, running: Running | None) -> Iterator[tuple[str, Running | None]]:
        """Running values after each of the characters, those of one value together."""
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
            text = self._beginnings[running] + char
            self._after[key] = self._valued(running[0], text)
        return self._after[key]

    def _valued(self, check: str, text: str) -> Running:
        running = (check, CHECKS[check].value(text))
        self._beginnings.setdefault(running, text)
        return running

    def _reached(self, place: int, running: Running | None) -> tuple[Configuration, ...]:
        """Configurations that jumps lead to and that matter: they read on, or end."""
        found: dict[Configuration, None] = {}
        pending: list[Configuration] = [(place, running)]
        while pending:
            here = pending.pop()
            if here in found:
                continue
            found[here] = None
            place, running = here
            for jump in self._places.jumps.get(place, ()):
                if jump.opens:
                    pending.append((jump.target, self._valued(jump.opens, "")))
                elif not jump.closes:
                    pending.append((jump.target, running))
                elif running is not None and CHECKS[running[0]].holds(running[1]):
                    pending.append((jump.target, None))
        return tuple(c for c in found if c[0] in self._places.arcs or self.ends(c))
