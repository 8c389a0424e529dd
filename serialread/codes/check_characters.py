"""Check characters, as running values: what a check needs to know about the beginning of a code.

Beginnings with the same running value are interchangeable, so a search over all codes keeps one of them.
python-stdnum computes the schemes that it has. Sources: ISO/IEC 7064, ISO/IEC 7812 (Luhn), GS1
General Specifications 7.9, ISO 6346 annex A, 49 CFR 565.15 (VIN), Damm (Marburg 2004).
"""

import string
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

V = TypeVar("V", bound=Hashable)
"""A running value."""

_ALNUM = string.digits + string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class Check(Generic[V]):
    """A scheme of check characters.

    Attributes:
        name: as in a pattern, ``(?name:...)``.
        chars: the characters that have a value; others cannot be checked.
        value: running value of the beginning of a code.
        holds: whether a code with this running value is valid.
    """

    name: str
    chars: str
    value: Callable[[str], V]
    holds: Callable[[V], bool]
    about: str


def _luhn(text: str) -> tuple[int, int]:
    from stdnum import luhn

    return luhn.checksum(text), luhn.checksum(text + "0")  # each digit is doubled in one of the two


def _gs1(text: str) -> tuple[str, str]:
    from stdnum import ean

    return ean.calc_check_digit(text), ean.calc_check_digit(text + "0")


def _damm(text: str) -> int:
    from stdnum import damm

    return damm.checksum(text)


def _mod11_2(text: str) -> int:
    from stdnum.iso7064 import mod_11_2

    return mod_11_2.checksum(text)


def _mod37_2(text: str) -> int:
    from stdnum.iso7064 import mod_37_2

    return mod_37_2.checksum(text)


def _mod97_10(text: str) -> int:
    from stdnum.iso7064 import mod_97_10

    return mod_97_10.checksum(text) if text else 0


def _mod11_10(text: str) -> int:
    from stdnum.iso7064 import mod_11_10

    return mod_11_10.checksum(text)


def _mod37_36(text: str) -> int:
    from stdnum.iso7064 import mod_37_36

    return mod_37_36.checksum(text)


_CONTAINER = {d: int(d) for d in string.digits} | dict(
    zip(string.ascii_uppercase, (v for v in range(10, 39) if v % 11), strict=True)
)
"""ISO 6346: letters have the values from 10 on, without multiples of 11."""


def _iso6346(text: str) -> tuple[int, int | bool]:
    total = sum(_CONTAINER[char] << place for place, char in enumerate(text[:10])) % 11
    if len(text) <= 10:
        return len(text), total
    return len(text), text[10:] == str(total % 10)


_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, -1, 9, 8, 7, 6, 5, 4, 3, 2)
"""49 CFR 565.15; the check character at place 9 counts against the others."""
_VIN = dict(zip(_ALNUM, (*range(10), *range(1, 9), 0, *range(1, 6), 0, 7, 0, 9, *range(2, 10)), strict=True))


def _vin(text: str) -> tuple[int, int]:
    values = [10 if place == 8 and char == "X" else _VIN[char] for place, char in enumerate(text[:17])]
    return len(text), sum(w * v for w, v in zip(_VIN_WEIGHTS, values, strict=False)) % 11


_SCHEMES: tuple[Check[Any], ...] = (
    Check("luhn", string.digits, _luhn, lambda v: v[0] == 0, "Luhn: IMEI, cards"),
    Check("gs1", string.digits, _gs1, lambda v: v[1] == "0", "GS1 mod 10: GTIN, SSCC, GLN"),
    Check("damm", string.digits, _damm, lambda v: v == 0, "Damm"),
    Check("mod11-2", string.digits + "X", _mod11_2, lambda v: v == 1, "ISO 7064 mod 11-2"),
    Check("mod37-2", _ALNUM + "*", _mod37_2, lambda v: v == 1, "ISO 7064 mod 37-2"),
    Check("mod97-10", _ALNUM, _mod97_10, lambda v: v == 1, "ISO 7064 mod 97-10"),
    Check("mod11-10", string.digits, _mod11_10, lambda v: v == 1, "ISO 7064 mod 11,10"),
    Check("mod37-36", _ALNUM, _mod37_36, lambda v: v == 1, "ISO 7064 mod 37,36"),
    Check("iso6346", _ALNUM, _iso6346, lambda v: v == (11, True), "ISO 6346: freight containers"),
    Check("vin", _ALNUM, _vin, lambda v: v == (17, 0), "VIN, North America and China"),
)
CHECKS = {scheme.name: scheme for scheme in _SCHEMES}
"""Every scheme by its name in patterns."""
