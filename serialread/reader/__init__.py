"""From pictures to records: find the files, read them, decide, write what was read."""

from serialread.reader.barcodes import compare_codes
from serialread.reader.decisions import calibrated, decide, judge, log_odds, objection_to, trust
from serialread.reader.line_search import line_finder
from serialread.reader.picture_files import Found, Picture, find_images
from serialread.reader.pipeline import Reader
from serialread.reader.results import FILES, Mode, Start, begin, claimed, write_records
from serialread.reader.summary import RunSummary, aside, console_view

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
