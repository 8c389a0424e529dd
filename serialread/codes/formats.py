"""Formats of codes: predefined ones by name, and custom patterns."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from serialread.codes.alphabet import CTC_CAPACITY, PRINTABLE
from serialread.codes.automaton import Automaton, Lattice, no_code, unroll
from serialread.codes.check_characters import CHECKS
from serialread.codes.patterns import parse
from serialread.errors import RecipeError

_DATE = r"\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])"
_WORD = r"[A-Za-z0-9!-'*-/:-?_]"  # brackets belong to the (AI)
_GS1_KEY = r"(\(00\)(?gs1:\d{18})|\((01|02)\)(?gs1:\d{14})|\(41[0-7]\)(?gs1:\d{13}))"
_GS1_ATTRIBUTE = "|".join(
    (
        rf"\(1[1-35-7]\){_DATE}",
        rf"\((10|21|22)\){_WORD}{{1,20}}",
        rf"\((240|241|250|251|400)\){_WORD}{{1,21}}",
        r"\((30|37)\)\d{1,8}",
        r"\(20\)\d{2}",
        r"\(3[1-6]\d[0-5]\)\d{6}",
    )
)
_VIN = "[A-HJ-NPR-Z0-9]"

FORMATS = MappingProxyType(
    {
        "digits": (r"\d+", "digits only"),
        "letters-digits": ("[A-Z0-9]+", "capital letters and digits"),
        "vin": (
            rf"{_VIN}{{13}}\d{{4}}",
            "vehicle, ISO 3779, any country: no I, O, Q, four digits at the end",
        ),
        "vin-checked": (
            rf"(?vin:{_VIN}{{8}}[0-9X]{_VIN}{{4}}\d{{4}})",
            "with the check character of North America and China",
        ),
        "iso6346": (r"(?iso6346:[A-Z]{3}[UJZ]-?\d{6}-?\d)", "freight container, check digit last"),
        "iso6346-type": (
            r"(?iso6346:[A-Z]{3}[UJZ]-?\d{6}-?\d)[0-9A-Z]{2}[0-9A-Z]{2}",
            "with the size and type code after it",
        ),
        "imei": (r"(?luhn:\d{15})", "mobile equipment, 15 digits"),
        "gs1-128": (
            f"{_GS1_KEY}?({_GS1_ATTRIBUTE})*",
            "GS1 element strings, (AI) in brackets: SSCC, GTIN or GLN first, then common attributes",
        ),
        "gtin": (r"(?gs1:\d{8}|\d{12,14})", "GS1 article number of 8, 12, 13 or 14 digits"),
        "sscc": (r"(?gs1:\d{18})", "GS1 shipping container"),
        "nsn": (r"\d{4}-?\d{2}-?\d{3}-?\d{4}", "NATO stock number"),
        "part-bosch": (r"[0-9F][0-9A-Z]\d{2}[.]?[0-9A-Z]\d{2}[.]?\d{3}(-[0-9A-Z]{3})?", "as 0.280.158.117"),
        "part-ford": ("[A-Z0-9]{4}-[A-Z0-9]{4,6}-[A-Z]{1,3}", "as 6G9N-6028-AB"),
        "part-mercedes": (r"[A-HN]\d{10}", "as A2721410202"),
        "part-toyota": (r"\d{5}-[A-Z0-9]{5}(-[A-Z0-9]{2})?", "as 90919-02240"),
        "part-vag": (r"[0-9A-Z]{3}[.]?\d{3}[.]?\d{3}[.]?[A-Z]{0,2}", "as 06A.905.115D"),
    }
)
"""Predefined formats: pattern and description."""


@dataclass(frozen=True)
class Format:
    """The set of valid codes."""

    name: str
    pattern: str
    _automaton: Automaton = field(repr=False, compare=False)

    @cached_property
    def _printable(self) -> Lattice:
        return self._unrolled(PRINTABLE, CTC_CAPACITY)

    def matches(self, text: str) -> bool:
        """Whether a text of at most 40 characters is a code of this format."""
        return self._printable.matches(text)

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of its check characters."""
        return tuple(name for name in CHECKS if f"(?{name}:" in self.pattern)

    def expected_check(self, text: str) -> tuple[int, str] | None:
        """Position, from 1, and character that would make a text with a wrong check character valid.

        None if the format has no check character, or the text has another fault.
        """
        places = [8] if "vin" in self.checks else range(len(text) - 1, -1, -1)
        for place in places if self.checks else ():
            for char in sorted({char for name in self.checks for char in CHECKS[name].chars}):
                if char != text[place : place + 1] and self.matches(text[:place] + char + text[place + 1 :]):
                    return place + 1, char
        return None

    def codes(self, chars: str, length: int) -> Lattice:
        """All codes of up to ``length`` characters, each among ``chars``.

        Raises:
            RecipeError: there are none, or too many.
        """
        if chars != PRINTABLE:
            return self._unrolled(chars, length)
        every = self._printable
        if not any(every.ends[:length]):
            raise RecipeError(f"format '{self.name}': {no_code(length)}")
        return Lattice(every.layers[:length], every.ends[:length])

    def _unrolled(self, chars: str, length: int) -> Lattice:
        try:
            return unroll(self._automaton, chars, length)
        except RecipeError as error:
            raise RecipeError(f"format '{self.name}': {error}") from None


@lru_cache(maxsize=32)
def format_of(name: str) -> Format:
    """A predefined format by its name, or the format of a pattern.

    Raises:
        RecipeError: neither; the message says what is wrong with the pattern.
    """
    if name not in FORMATS and name.replace("-", "").isalnum():  # as a pattern it would match only itself
        raise RecipeError(
            f"format '{name}': no such format. Choose from {', '.join(FORMATS)}, or give a pattern."
        )
    pattern, _ = FORMATS.get(name, (name, ""))
    tree = parse(pattern)
    try:
        made = Format(name, pattern, Automaton(tree))
    except RecipeError as error:
        raise RecipeError(f"format '{name}': {error}") from None
    made.matches("")
    return made
