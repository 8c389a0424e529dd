"""Look-alikes: characters that a keyboard or a word processor puts in the place of a printable ASCII one."""

import unicodedata

from serialread.codes.alphabet import PRINTABLE

_LETTERS = {
    # Cyrillic
    **dict(zip("АВЕЅІЈКМНОРСТУХЗ", "ABESIJKMHOPCTYX3", strict=True)),
    **dict(zip("асеіјорѕух", "aceijopsyx", strict=True)),
    # Greek
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True)),
}
_SIGNS = {
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("‘’ʼ′´", "'"),
    **dict.fromkeys("“”″", '"'),
    "⁄": "/",
    "∕": "/",
    "×": "x",
}
_FOLDED = str.maketrans(_LETTERS | _SIGNS)


def fold_lookalikes(text: str) -> str:
    """The text with printable ASCII characters in the place of those that look like them.

    Full-width and other compatibility forms, Cyrillic and Greek capitals, dashes and quotes are folded;
    invisible characters are dropped. What looks like no ASCII character stays.
    """
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text.translate(_FOLDED)).translate(_FOLDED)
    return "".join(char for char in plain if unicodedata.category(char) != "Cf")


def unreadable(text: str, more: str = "") -> tuple[tuple[int, str], ...]:
    """Position, from 1, and character of all that are neither printable ASCII nor in ``more``."""
    if text.isascii() and text.isprintable():
        return ()
    known = PRINTABLE + more
    return tuple((i, char) for i, char in enumerate(text, start=1) if char not in known)
