"""Checks of a code against others: sequence checks within its batch, and the barcode cross-check."""

import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec

import cv2

from serialread.codes import SequenceChecker, without_blanks
from serialread.errors import RecipeError
from serialread.imaging.crops import LOW_PX
from serialread.records import BarcodeCheck, Pixels, Record

MIN_CONTAINED = 4
"""Minimum length of a code that may be part of a barcode; a shorter one must be equal to it."""
_ALNUM = string.ascii_uppercase + string.digits
LARGE_PX = 500_000
"""Larger pictures are blurred a little first: the noise of a camera makes the search ten times as slow."""


def check_sequences(
    records: Iterable[Record], before: Iterable[tuple[str, str, str]] = ()
) -> Iterator[Record]:
    """Sequence checks: each record with the duplicates, gaps, order and form errors of its code.

    Args:
        records: in production order; batches may be mixed.
        before: batch, code and image of the records of an earlier run.
    """
    batches: defaultdict[str, SequenceChecker] = defaultdict(SequenceChecker)
    for batch, code, image in before:
        batches[batch].check(code, image)
    for record in records:
        code = record.text
        findings = batches[record.batch].check(code, record.image)
        yield replace(record, sequence_findings=findings) if findings else record


def can_read_barcodes() -> bool:
    """Whether zxing-cpp, which reads barcodes, is installed."""
    return find_spec("zxingcpp") is not None


def require_barcodes() -> None:
    """Check that barcodes can be read.

    Raises:
        RecipeError: zxing-cpp is not installed.
    """
    if not can_read_barcodes():
        raise RecipeError(
            "barcodes: zxing-cpp is not installed. Install it: pip install 'serialread[barcodes]'"
        )


def barcodes_in(pixels: Pixels) -> tuple[str, ...]:
    """Contents of the barcodes and matrix codes in a picture [H, W] or [H, W, 3], each once.

    Barcodes along a crop of a line are read; standing ones only in larger pictures: that takes twice as long.
    """
    import zxingcpp

    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    standing = min(grey.shape) >= LOW_PX
    if grey.size > LARGE_PX:
        grey = cv2.GaussianBlur(grey, (3, 3), 0)
    return tuple(
        dict.fromkeys(found.text for found in zxingcpp.read_barcodes(grey, try_rotate=standing) if found.text)
    )


def check_barcodes(text: str, barcodes: Sequence[str]) -> BarcodeCheck:
    """Whether a barcode contains the code; case and blanks do not count."""
    if not barcodes:
        return BarcodeCheck.NONE
    code = without_blanks(text).upper()
    contents = [without_blanks(barcode).upper() for barcode in barcodes]
    if code in contents or (len(code) >= MIN_CONTAINED and any(_contains(one, code) for one in contents)):
        return BarcodeCheck.AGREES
    return BarcodeCheck.DIFFERS


def _contains(content: str, code: str) -> bool:
    """Whether a barcode contains the code as a field; with few more characters it may have lost some."""
    at = content.find(code)
    while at >= 0:
        before, after = content[:at], content[at + len(code) :]
        more = len(before) - len(before.rstrip(_ALNUM)) + len(after) - len(after.lstrip(_ALNUM))
        if more == 0 or more >= MIN_CONTAINED:
            return True
        at = content.find(code, at + 1)
    return False
