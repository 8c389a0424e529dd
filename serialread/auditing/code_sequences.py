"""Codes of one batch beside each other: twice the same, one missing, out of order, of another form."""

from collections.abc import Iterator

import pandas as pd

from serialread.auditing.findings import Finding, counted, some, warning
from serialread.codes import Serials


def serial_findings(judged: pd.DataFrame) -> Iterator[Finding]:
    """One sentence a batch whose codes do not go together, by what was read, in the order of the images."""
    for _, rows in judged.groupby("batch", sort=False):
        serials, name = Serials(), rows["batch"].iloc[0]
        pairs = zip(rows["image"], rows["text"], strict=True)
        odd = [f"{image} {what}" for image, code in pairs for what in serials.take(code, image)]
        if odd:
            place = f"Batch {name}" if name else "Batch without a name"
            yield warning(f"{place}: {counted(len(odd), 'finding')} beside the codes before: {some(odd)}.")
