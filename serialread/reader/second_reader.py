"""Second readers: a reader of another kind reads the same crops, to check what was read, never to replace it.

Two independent readers err differently: what both read is right more often than what one of them is sure of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import cv2
import numpy as np

from serialread.codes import fold_lookalikes, format_of, without_blanks
from serialread.config.station import RAPIDOCR
from serialread.errors import RecipeError
from serialread.metrics import mpsc
from serialread.records import Pixels, SecondOpinion


class SecondReader(Protocol):
    """Reads the crop of one text line; any function of this form is a second reader.

    It is called from several threads at once. If it raises an exception, the reading is left for REVIEW with
    that reason.
    """

    def __call__(self, crop: Pixels, /) -> tuple[str, float]:
        """The text in an upright crop, grey uint8 [H, W], and its confidence, 0..1; ("", 0.0) for none."""


def name_of(reader: str | SecondReader) -> str:
    """What a station calls a second reader: ``rapidocr`` or ``module:function``."""
    if isinstance(reader, str):
        return reader
    named = reader if hasattr(reader, "__qualname__") else type(reader)
    return f"{named.__module__}:{named.__qualname__}"


def open_second_reader(name: str) -> SecondReader:
    """Open a second reader by its name.

    Raises:
        RecipeError: it is not installed, or cannot be imported.
    """
    if name == RAPIDOCR:
        return _RapidOcr()
    module, _, function = name.partition(":")
    try:
        found: SecondReader = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"second reader {name}: cannot be imported ({error}). Name a function of an installed module."
        ) from None
    return found


def version_of(name: str) -> str:
    """Name and version of a second reader, as a calibration names it."""
    if not name:
        return ""
    package = name.partition(":")[0].partition(".")[0]
    try:
        return f"{name} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return name


class _RapidOcr:
    """The recognizer of rapidocr: PP-OCR, without its text detection and orientation."""

    def __init__(self) -> None:
        if find_spec("rapidocr") is None or find_spec("onnxruntime") is None:
            raise RecipeError(
                "second reader rapidocr: it is not installed. "
                "Install it: pip install 'serialread[second-reader]'"
            )
        from rapidocr import RapidOCR

        one_thread = {"EngineConfig.onnxruntime.intra_op_num_threads": 1}  # crops are read side by side
        self._reader = RapidOCR(params={"Global.log_level": "error", **one_thread})

    def __call__(self, crop: Pixels, /) -> tuple[str, float]:
        colour = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
        found: Any = self._reader(colour, use_det=False, use_cls=False, use_rec=True)
        texts, scores = found.txts or ("",), found.scores or (0.0,)
        return texts[0], float(scores[0])


def ask(reader: SecondReader, rows: Sequence[Pixels]) -> SecondOpinion:
    """What a second reader reads in the rows of a code, crops [H, W]; its least confidence is that of all."""
    try:
        read = [reader(np.ascontiguousarray(row)) for row in rows]
        text = without_blanks("".join(text for text, _ in read))
        return SecondOpinion(text, min(max(min(float(sure) for _, sure in read), 0.0), 1.0))
    except Exception as error:  # foreign code: whatever it raises, the picture is read
        return SecondOpinion("", 0.0, error=f"{type(error).__name__}: {error}".removesuffix(": "))


@dataclass(frozen=True, slots=True)
class TextComparison:
    """Compares texts as an alphabet and a format see them.

    Attributes:
        format: pattern of the codes; "": none.
        has_cases: whether the alphabet has capital and small letters.
        protocol: what counts as another text: any character, or letters and digits in any case only.
    """

    format: str
    has_cases: bool
    protocol: Literal["strict", "mpsc"] = "strict"

    def agree(self, code: str, other: str) -> bool:
        """Whether another reader means this code.

        Blanks and look-alikes of other scripts do not count; the case does not where the alphabet has one
        case, nor does a look-alike that the format does not allow in its place.
        """
        other = without_blanks(fold_lookalikes(other))
        if self.protocol == "mpsc":
            code, other = mpsc(code), mpsc(other)
        elif not self.has_cases:
            code, other = code.upper(), other.upper()
        if code == other or not self.format or len(code) != len(other):
            return code == other
        differing = [at for at, char in enumerate(code) if char != other[at]]
        return all(self._is_forced(code, at, other[at]) for at in differing)

    def _is_forced(self, code: str, at: int, char: str) -> bool:
        """Whether a character looks like that of the code, and the format does not allow it there."""
        if not any(code[at] in group and char in group for group in _ALIKE) and code[at] != char.swapcase():
            return False
        return not format_of(self.format).matches(code[:at] + char + code[at + 1 :])


_ALIKE = ("0OoDQ", "1Il|!", "2Zz", "5Ss", "6G", "8B")
"""Characters of one shape in some typefaces."""
