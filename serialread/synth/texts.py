"""Which code is written: arbitrary sequences and part-number patterns; a blank is a gap that labels omit."""

import itertools
import string

import numpy as np

from serialread.recipe.data import Texts

_SEPARATORS = "--./"
_SYMBOLS = "-./()+:,#&*<>=_\"'%"
_RARE = string.punctuation


def random_text(texts: Texts, longest: int, rng: np.random.Generator) -> str:
    """Draw a code with its gaps; without blanks it has 1..``longest`` characters."""
    weights = np.array([texts.digits, texts.mixed, texts.templates, texts.arbitrary])
    kind = rng.choice(4, p=weights / weights.sum())
    if kind == 2:
        return _fit(from_pattern(str(rng.choice(np.array(texts.patterns, dtype=object))), rng), longest)
    length = _length(texts, longest, rng)
    text = (_digits, _mixed, None, _arbitrary)[kind](length, rng)  # type: ignore[misc]
    if length > 2 and rng.random() < texts.symbol_share:
        text = _with_symbol(text, rng)
    if length > 3 and rng.random() < texts.gap_share:
        text = _with_gaps(text, rng)
    return text


def from_pattern(pattern: str, rng: np.random.Generator) -> str:
    """Fill a pattern: ``#`` digit, ``@`` capital, ``*`` either, ``_`` small letter, ``{a|b}`` one of them."""
    out = []
    rest = iter(pattern)
    for char in rest:
        if char == "\\":
            out.append(next(rest, ""))
        elif char == "{":
            choices = "".join(iter(lambda: next(rest, "}"), "}")).split("|")
            out.append(from_pattern(choices[rng.integers(len(choices))], rng))
        else:
            out.append(_fill(char, rng))
    return "".join(out)


def _fill(char: str, rng: np.random.Generator) -> str:
    pool = {
        "#": string.digits,
        "@": string.ascii_uppercase,
        "*": string.digits + string.ascii_uppercase,
        "_": string.ascii_lowercase,
    }.get(char)
    return _pick(pool, rng) if pool else char


def _pick(pool: str, rng: np.random.Generator) -> str:
    return pool[rng.integers(len(pool))]


def _length(texts: Texts, longest: int, rng: np.random.Generator) -> int:
    if rng.random() < texts.long_share:
        return int(rng.integers(1, longest + 1))
    weights = np.array(texts.lengths[:longest])
    return int(rng.choice(len(weights), p=weights / weights.sum())) + 1


def _digits(length: int, rng: np.random.Generator) -> str:
    return "".join(_pick(string.digits, rng) for _ in range(length))


def _mixed(length: int, rng: np.random.Generator) -> str:
    share = rng.uniform(0.15, 0.5)
    return "".join(
        _pick(string.ascii_uppercase if rng.random() < share else string.digits, rng) for _ in range(length)
    )


def _arbitrary(length: int, rng: np.random.Generator) -> str:
    """Letters and digits in one style: small, Capitalised, CAPITALS, MixedCase."""
    style = rng.choice(4, p=(0.2, 0.15, 0.4, 0.25))
    digits = rng.choice((0.0, 0.15, 0.35))
    letters = string.ascii_letters if style == 3 else string.ascii_lowercase
    text = "".join(_pick(string.digits if rng.random() < digits else letters, rng) for _ in range(length))
    return (text, text.capitalize(), text.upper(), text)[style]


def _with_symbol(text: str, rng: np.random.Generator) -> str:
    """Separators between groups, or a symbol anywhere, in the place of a character."""
    chars = list(text)
    pool = (_SEPARATORS, _SYMBOLS, _RARE)[rng.choice(3, p=(0.6, 0.3, 0.1))]
    symbol = _pick(pool, rng)
    for place in rng.choice(len(chars), size=min(int(rng.integers(1, 4)), len(chars) - 1), replace=False):
        chars[place] = symbol if rng.random() < 0.8 else _pick(pool, rng)
    return "".join(chars)


def _with_gaps(text: str, rng: np.random.Generator) -> str:
    places = sorted(
        rng.choice(np.arange(1, len(text)), size=min(int(rng.integers(1, 4)), len(text) - 1), replace=False)
    )
    bounds = [0, *places, len(text)]
    return " ".join(text[a:b] for a, b in itertools.pairwise(bounds))


def _fit(text: str, longest: int) -> str:
    """Cut after the last character that a label may hold."""
    kept = 0
    for position, char in enumerate(text):
        kept += not char.isspace()
        if kept > longest:
            return text[:position].strip()
    return text.strip()
