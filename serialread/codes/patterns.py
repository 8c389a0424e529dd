r"""Patterns of codes: a subset of regular expressions, with check characters.

``A`` itself, ``\d`` a digit, ``[A-Z0-9]`` one of a set, ``[^O]`` any printable except these, ``.`` any
printable, ``\.`` a dot; ``?`` ``*`` ``+`` ``{3}`` ``{2,5}`` ``{2,}`` repetition; ``(A|B)`` alternatives;
``(?luhn:\d{15})`` the enclosed part has a valid check character. Blanks in a pattern are ignored: codes have
none.
"""

import re
import string
from dataclasses import dataclass

from serialread.codes.alphabet import CTC_CAPACITY, PRINTABLE
from serialread.codes.check_characters import CHECKS
from serialread.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    chars: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One part or another."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, several times; without limit if ``most`` is None."""

    part: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A part with a check character."""

    part: "Node"
    check: str


Node = Chars | Sequence | Choice | Repeat | Checked

_TIMES = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_COUNT = re.compile(r"\{([0-9]{1,3})(,([0-9]{1,3})?)?\}")
_CHECK = re.compile(r"\(\?([a-z0-9-]+):")
_SPECIAL = frozenset("?*+{}[]()|")


def parse(pattern: str) -> Node:
    """The tree of a pattern.

    Raises:
        RecipeError: what is wrong, and at which position of the pattern, counted from 1.
    """
    return _Parser(pattern).whole()


class _Parser:
    """Recursive descent from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._check = ""

    def whole(self) -> Node:
        node = self._choice()
        if self._at < len(self._pattern):
            raise self._wrong("a ) without a (. Remove it, or write \\)")
        return node

    def _wrong(self, what: str, at: int | None = None) -> RecipeError:
        place = (self._at if at is None else at) + 1
        return RecipeError(f"format '{self._pattern}', position {place}: {what}.")

    def _next(self) -> str:
        """The next character that is no blank; "" at the end."""
        while self._pattern[self._at : self._at + 1].isspace():
            self._at += 1
        return self._pattern[self._at : self._at + 1]

    def _taken(self, expected: re.Pattern[str]) -> re.Match[str] | None:
        found = expected.match(self._pattern, self._at)
        if found:
            self._at = found.end()
        return found

    def _choice(self) -> Node:
        parts = [self._sequence()]
        while self._next() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        while True:
            mark, at = self._next(), self._at
            if mark in _TIMES:
                self._at += 1
                least, most = _TIMES[mark]
            elif found := self._taken(_COUNT):
                least = int(found[1])
                most = least if not found[2] else int(found[3]) if found[3] else None
            elif mark == "{":
                raise self._wrong("{ begins no count, such as {3}. For the character, write \\{")
            else:
                return part
            if least > CTC_CAPACITY or (most is not None and not max(least, 1) <= most <= CTC_CAPACITY):
                count = self._pattern[at : self._at]
                raise self._wrong(
                    f"{count} is no valid count. Give {{least,most}} within 0 to {CTC_CAPACITY}", at
                )
            part = Repeat(part, least, most)

    def _one(self) -> Node:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return Chars(self._set())
            case ".":
                self._at += 1
                return Chars(PRINTABLE)
            case "\\":
                return Chars(self._escaped())
        if char in _SPECIAL:
            raise self._wrong(f"{char} has nothing to repeat or open. For the character, write \\{char}")
        return Chars(self._literal())

    def _literal(self) -> str:
        char = self._pattern[self._at]
        if char not in PRINTABLE:
            raise self._wrong(f"{char!r} is not a printable ASCII character. Remove it")
        self._at += 1
        return char

    def _escaped(self) -> str:
        self._at += 1
        following = self._pattern[self._at : self._at + 1]
        if following == "d":
            self._at += 1
            return string.digits
        if not following or following.isalnum():
            raise self._wrong(
                f"\\{following} is unknown. There are \\d, and \\ before a symbol", self._at - 1
            )
        return self._literal()

    def _group(self) -> Node:
        opened, outer = self._at, self._check
        if found := self._taken(_CHECK):
            if found[1] not in CHECKS:
                raise self._wrong(f"no check {found[1]}. Choose from {', '.join(sorted(CHECKS))}", opened)
            if outer:
                raise self._wrong(f"check {found[1]} within check {outer}. Write one after the other", opened)
            self._check = found[1]
        else:
            self._at += 1
        inside = self._choice()
        if self._next() != ")":
            raise self._wrong("this ( has no ). Add it, or write \\(", opened)
        self._at += 1
        self._check = outer
        return Checked(inside, found[1]) if found else inside

    def _set(self) -> str:
        opened = self._at
        self._at += 1
        negated = self._pattern[self._at : self._at + 1] == "^"
        self._at += negated
        found: set[str] = set()
        while (char := self._next()) != "]":
            if not char:
                raise self._wrong("this [ has no ]. Add it, or write \\[", opened)
            found |= self._range()
        self._at += 1
        chars = "".join(c for c in PRINTABLE if (c in found) != negated)
        if not chars:
            raise self._wrong("an empty set. Add its characters", opened)
        return chars

    def _range(self) -> set[str]:
        """One entry of a set: a character, an escaped one, or all from one to another."""
        at = self._at
        first = self._escaped() if self._pattern[at] == "\\" else self._literal()
        rest = self._pattern[self._at :]
        if len(first) > 1 or len(rest) < 2 or rest[0] != "-" or rest[1] == "]":
            return set(first)
        self._at += 1
        last = self._escaped() if rest[1] == "\\" else self._literal()
        if len(last) > 1 or last < first:
            raise self._wrong(f"{self._pattern[at : self._at]} is reversed. Write the lower one first", at)
        return {c for c in PRINTABLE if first <= c <= last}
