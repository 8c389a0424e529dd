"""From pictures to records: find the files, read them, decide, write what was read."""

from serialread.reading.deciding import decide
from serialread.reading.finding import Found, Picture, find_images
from serialread.reading.reader import Reader
from serialread.reading.results import FILES, Mode, Start, begin, write_records
from serialread.reading.tallying import Tally, aside, console_view

__all__ = [
    "FILES",
    "Found",
    "Mode",
    "Picture",
    "Reader",
    "Start",
    "Tally",
    "aside",
    "begin",
    "console_view",
    "decide",
    "find_images",
    "write_records",
]
