"""Random codes: arbitrary sequences and part-number patterns; a blank is a gap that labels omit."""

import itertools
import string

import numpy as np

from serialread.codes import PRINTABLE, REJECT
from serialread.config.data_recipe import Texts
from serialread.synth.rng import Rng, below, one_of, weighted, within

_SEPARATORS = "--.//"
_SYMBOLS = "-./()+:,#&*<>=_\"'%"
_RARE = string.punctuation
_ALIKE = ("0ODQ", "1Il7", "2Z", "5S", "8B3", "6Gb", "UV", "4A", "nh", "ceo", "rn", "CG", "EF", "MN", "9gq")
"""Groups of characters that are confused on marks."""
_UNAMBIGUOUS = "".join(c for c in string.ascii_lowercase if c not in "iloq")
"""Letters that resemble no digit in either case."""
_VEHICLE = "".join(c for c in string.digits + string.ascii_uppercase if c not in "IOQ")
_VEHICLE_LENGTH = 17  # ISO 3779


def random_text(texts: Texts, max_length: int, rng: Rng) -> str:
    """Draw a code with its gaps; without blanks it has 1..``max_length`` characters.

    U+FFFD stands where a glyph that is no character shall be drawn.
    """
    text = _random_code(texts, max_length, rng)
    if texts.lone_gap_share and rng.random() < texts.lone_gap_share:
        text = _with_lone_gap("".join(text.split()), rng)
    if texts.reject_share and rng.random() < texts.reject_share:
        text = _with_rejects(text, rng)
    return text


def label_of(text: str) -> str:
    """The label of a drawn text: without gaps, U+FFFD for every glyph that is no character."""
    return "".join(char if char in PRINTABLE else REJECT for char in text if not char.isspace())


def _random_code(texts: Texts, max_length: int, rng: Rng) -> str:
    kind = weighted((texts.digits, texts.mixed, texts.templates, texts.arbitrary, texts.runs), rng)
    letters = _UNAMBIGUOUS if rng.random() < texts.unambiguous_share else string.ascii_lowercase
    if kind == 2:
        return _fit(from_pattern(one_of(texts.patterns, rng), rng, letters), max_length)
    if kind == 4:
        return _fit(_of_runs(letters, texts, max_length, rng), max_length).rstrip(_SEPARATORS)
    length = _length(texts, max_length, rng)
    match kind:
        case 0:
            text = _drawn(string.digits, length, texts, rng)
        case 1:
            text = _letters_and_digits(length, 1 - within((0.15, 0.5), rng), letters, texts, rng).upper()
        case _:
            text = _arbitrary(length, letters, texts, rng)
    if kind != 0 and rng.random() < texts.confusable_share:
        text = "".join(_lookalike(c, rng) if rng.random() < 0.35 else c for c in text)
    if length > 2 and rng.random() < texts.symbol_share:
        text = _with_symbol(text, rng)
    if length > 3 and rng.random() < texts.gap_share:
        text = _with_gaps(text, rng)
    return text


def _of_runs(letters: str, texts: Texts, max_length: int, rng: Rng) -> str:
    """Groups of letters or of digits alone, mostly in turn; one code in ten is a vehicle's number."""
    if max_length >= _VEHICLE_LENGTH and rng.random() < 0.1:
        serial = 4 + below(5, rng)
        head = "".join(one_of(_VEHICLE, rng) for _ in range(_VEHICLE_LENGTH - serial))
        return head + _drawn(string.digits, serial, texts, rng)
    capitals, between = rng.random() < 0.9, one_of(("", "", "", " ", " ", "-", "-", ".", "/"), rng)
    lettered, groups = rng.random() < 0.5, []
    for _ in range(1 + weighted((0.15, 0.4, 0.3, 0.15), rng)):
        length = 1 + weighted((3, 5, 5, 4, 2, 2), rng)
        groups.append(_drawn(letters if lettered else string.digits, length, texts, rng))
        lettered ^= rng.random() < 0.75
    text = between.join(groups)
    return text.upper() if capitals else text


def from_pattern(pattern: str, rng: Rng, letters: str = string.ascii_lowercase) -> str:
    """Fill a pattern: ``#`` digit, ``@`` capital, ``*`` either, ``_`` lower case, ``{a|b}`` one of them.

    ``letters`` are those that may be drawn, in lower case.
    """
    out = []
    rest = iter(pattern)
    for char in rest:
        if char == "\\":
            out.append(next(rest, ""))
        elif char == "{":
            choices = "".join(iter(lambda: next(rest, "}"), "}")).split("|")
            out.append(from_pattern(one_of(choices, rng), rng, letters))
        else:
            out.append(_fill(char, letters, rng))
    return "".join(out)


def _fill(char: str, letters: str, rng: Rng) -> str:
    pool = {
        "#": string.digits,
        "@": letters.upper(),
        "*": string.digits + letters.upper(),
        "_": letters,
    }.get(char)
    return one_of(pool, rng) if pool else char


def _length(texts: Texts, max_length: int, rng: Rng) -> int:
    if rng.random() < texts.long_share:
        return 1 + below(max_length, rng)
    return weighted(texts.lengths[:max_length], rng) + 1


def _arbitrary(length: int, letters: str, texts: Texts, rng: Rng) -> str:
    """Letters and digits in one style: lower case, Capitalised, CAPITALS, MixedCase."""
    style = weighted(texts.styles, rng)
    digits = one_of(texts.digit_shares, rng)
    text = _letters_and_digits(length, digits, letters, texts, rng)
    if style == 3:
        return "".join(c.upper() if rng.random() < 0.5 else c for c in text)
    return (text, text.capitalize(), text.upper())[style]


def _letters_and_digits(length: int, digits: float, letters: str, texts: Texts, rng: Rng) -> str:
    places = (rng.random(length) < digits).tolist()
    return "".join(_drawn(string.digits if digit else letters, 1, texts, rng) for digit in places)


def _drawn(pool: str, length: int, texts: Texts, rng: Rng) -> str:
    """Characters of a pool, uniformly or by the recipe's weights."""
    if not texts.frequencies:
        return "".join(one_of(pool, rng) for _ in range(length))
    weights = tuple(texts.frequencies.get(c, 0.0) for c in pool)
    if sum(weights) <= 0:
        weights = (1.0,) * len(pool)
    return "".join(pool[weighted(weights, rng)] for _ in range(length))


def _lookalike(char: str, rng: Rng) -> str:
    groups = [g for g in _ALIKE if char in g]
    return one_of(one_of(groups, rng), rng) if groups else char


def _with_symbol(text: str, rng: Rng) -> str:
    """Replace characters by separators or symbols."""
    chars = list(text)
    pool = (_SEPARATORS, _SYMBOLS, _RARE)[weighted((0.6, 0.3, 0.1), rng)]
    symbol = one_of(pool, rng)
    for place in rng.choice(len(chars), size=min(1 + below(3, rng), len(chars) - 1), replace=False):
        chars[place] = symbol if rng.random() < 0.8 else one_of(pool, rng)
    return "".join(chars)


def _with_gaps(text: str, rng: Rng) -> str:
    places = sorted(
        rng.choice(np.arange(1, len(text)), size=min(1 + below(3, rng), len(text) - 1), replace=False)
    )
    bounds = [0, *places, len(text)]
    return " ".join(text[a:b] for a, b in itertools.pairwise(bounds))


def _with_lone_gap(text: str, rng: Rng) -> str:
    if len(text) < 2:
        return text
    at = len(text) - 1 if rng.random() < 0.5 else 1 + below(len(text) - 1, rng)
    return f"{text[:at]} {text[at:]}"


def _with_rejects(text: str, rng: Rng) -> str:
    """Replace characters: single ones, or in one code of four a run, as a word of another script."""
    chars = list(text)
    places = [i for i, char in enumerate(chars) if not char.isspace()]
    if rng.random() < 0.25:
        first = below(len(places), rng)
        places = places[first : first + 2 + below(4, rng)]
    else:
        places = [one_of(places, rng) for _ in range(1 + below(2, rng))]
    for place in places:
        chars[place] = REJECT
    return "".join(chars)


def _fit(text: str, max_length: int) -> str:
    """Cut after the last character that a label may hold."""
    kept = 0
    for position, char in enumerate(text):
        kept += not char.isspace()
        if kept > max_length:
            return text[:position].strip()
    return text.strip()
