"""A code beside those before it in its batch, and beside the barcode on its part."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from serialread.codes import Serials, without_blanks
from serialread.errors import RecipeError
from serialread.records import BarcodeCheck, Pixels, Record

SHORTEST = 4
"""A text of fewer characters is found in many a barcode that has nothing to do with it."""


def compare_codes(records: Iterable[Record], before: Iterable[tuple[str, str, str]] = ()) -> Iterator[Record]:
    """Each record with what is odd about its code: the same twice, one missing, out of order, another form.

    Args:
        records: in the order of their parts; a batch's need not follow each other.
        before: batch, code and image of records that an earlier run wrote.
    """
    batches: defaultdict[str, Serials] = defaultdict(Serials)
    for batch, code, image in before:
        batches[batch].take(code, image)
    for record in records:
        code = record.reading.text if record.reading else ""
        findings = batches[record.batch].take(code, record.image)
        yield replace(record, sequence_findings=findings) if findings else record


def require_barcodes() -> None:
    """Barcodes are read by zxing-cpp, which is an extra.

    Raises:
        RecipeError: it is not installed.
    """
    try:
        import zxingcpp  # noqa: F401
    except ModuleNotFoundError:
        raise RecipeError(
            "barcodes: zxing-cpp is not installed. Install it: pip install 'serialread[barcodes]'"
        ) from None


def barcodes_in(pixels: Pixels) -> tuple[str, ...]:
    """What the barcodes and matrix codes in a picture [H, W] or [H, W, 3] say, each once."""
    import zxingcpp

    return tuple(dict.fromkeys(found.text for found in zxingcpp.read_barcodes(pixels) if found.text))


def check_barcodes(text: str, barcodes: tuple[str, ...]) -> BarcodeCheck:
    """Whether a barcode says what was read, alone or among other things; case and blanks do not count."""
    if not barcodes:
        return BarcodeCheck.NONE
    code = without_blanks(text).upper()
    said = [without_blanks(barcode).upper() for barcode in barcodes]
    if code in said or (len(code) >= SHORTEST and any(code in one for one in said)):
        return BarcodeCheck.AGREES
    return BarcodeCheck.DIFFERS
