"""From pictures to records: find the files, read them, decide, write what was read."""

from serialread.reading.comparing import compare_codes
from serialread.reading.deciding import calibrated, decide, judge, log_odds, objection_to, trust
from serialread.reading.finding import Found, Picture, find_images
from serialread.reading.reader import Reader
from serialread.reading.results import FILES, Mode, Start, begin, claimed, write_records
from serialread.reading.searching import line_finder
from serialread.reading.tallying import RunSummary, aside, console_view

__all__ = [
    "FILES",
    "Found",
    "Mode",
    "Picture",
    "Reader",
    "RunSummary",
    "Start",
    "aside",
    "begin",
    "calibrated",
    "claimed",
    "compare_codes",
    "console_view",
    "decide",
    "find_images",
    "judge",
    "line_finder",
    "log_odds",
    "objection_to",
    "trust",
    "write_records",
]
