"""Checks of a code against others: sequence checks within its batch, and the barcode cross-check."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from serialread.codes import SequenceChecker, without_blanks
from serialread.errors import RecipeError
from serialread.records import BarcodeCheck, Pixels, Record

MIN_CONTAINED = 4
"""Minimum length of a code that may be part of a barcode; a shorter one must be equal to it."""


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


def require_barcodes() -> None:
    """Check that zxing-cpp, which reads barcodes, is installed.

    Raises:
        RecipeError: it is not.
    """
    try:
        import zxingcpp  # noqa: F401
    except ModuleNotFoundError:
        raise RecipeError(
            "barcodes: zxing-cpp is not installed. Install it: pip install 'serialread[barcodes]'"
        ) from None


def barcodes_in(pixels: Pixels) -> tuple[str, ...]:
    """Contents of the barcodes and matrix codes in a picture [H, W] or [H, W, 3], each once."""
    import zxingcpp

    return tuple(dict.fromkeys(found.text for found in zxingcpp.read_barcodes(pixels) if found.text))


def check_barcodes(text: str, barcodes: tuple[str, ...]) -> BarcodeCheck:
    """Whether a barcode contains the code; case and blanks do not count."""
    if not barcodes:
        return BarcodeCheck.NONE
    code = without_blanks(text).upper()
    contents = [without_blanks(barcode).upper() for barcode in barcodes]
    if code in contents or (len(code) >= MIN_CONTAINED and any(code in one for one in contents)):
        return BarcodeCheck.AGREES
    return BarcodeCheck.DIFFERS
