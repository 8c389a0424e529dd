"""The characters of a code."""

from dataclasses import dataclass

from serialread.errors import RecipeError

PRINTABLE = "".join(chr(c) for c in range(33, 127))
"""The 94 printable ASCII characters without the blank: a blank is a gap, not a character."""

MAX_LENGTH = 25
"""Longest code that networks with slots read, in characters (method: SIGA section 1)."""
CTC_CAPACITY = 40
"""Longest code that networks with CTC columns are meant to read, in characters; the longest of a sample."""

REJECT = "\ufffd"
"""What a label has for a glyph that is no character: of another script, a symbol, a logo."""


def without_blanks(text: str) -> str:
    """Remove every blank: blanks are drawn as gaps, and no comparison counts them."""
    return "".join(text.split())


_ROTATABLE = frozenset("0125689HIMNOSWXZbdlnopqsuxz")
_MIRRORED = {**{char: char for char in "08AHIMOTUVWXYilovwx-.:=+*"}, "J": "L", "L": "J", "b": "d", "d": "b"}


_READ_FOR_MIRRORED = frozenset("1235BCDENPQRSZmnpqsu") | _MIRRORED.keys()
"""What else a mirrored character is read as: Q for a 9 or a P, 8 or B for a B, N for an N."""


def may_be_mirrored(text: str) -> bool:
    """Whether each character of a code may be what is read for a mirrored one."""
    return all(char in _READ_FOR_MIRRORED for char in text)


def mirror_image(text: str) -> str:
    """The code that a code reads if its mark is mirrored; "" if one of its characters reads as none then."""
    if not all(char in _MIRRORED for char in text):
        return ""
    return "".join(_MIRRORED[char] for char in reversed(text))


def reads_upside_down(text: str) -> bool:
    """Whether a code is a code upside down, too: each letter and digit becomes the same or another one."""
    return all(char in _ROTATABLE or not char.isalnum() for char in text)


@dataclass(frozen=True, slots=True)
class Alphabet:
    """Characters and their class numbers; class 0 is the end of the code."""

    chars: str = PRINTABLE

    def __post_init__(self) -> None:
        if len(set(self.chars)) != len(self.chars) or not self.chars:
            raise RecipeError(
                f"alphabet {self.chars!r}: it needs at least one character, and no repeated ones. Correct it."
            )

    @property
    def classes(self) -> int:
        """Number of classes, the end included."""
        return len(self.chars) + 1

    def encode(self, text: str) -> list[int]:
        """Class numbers of a text without blanks; a RecipeError names the first unknown character."""
        numbers = []
        for position, char in enumerate(text, start=1):
            number = self.chars.find(char) + 1
            if number == 0:
                raise RecipeError(
                    f"text {text!r}: character {position} ({char!r}) is not in the alphabet. Leave it out."
                )
            numbers.append(number)
        return numbers

    def decode(self, numbers: list[int]) -> str:
        """Text of class numbers, up to the first end class."""
        end = numbers.index(0) if 0 in numbers else len(numbers)
        return "".join(self.chars[n - 1] for n in numbers[:end])
