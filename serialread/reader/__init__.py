"""From pictures to records: find the files, read them, decide, write the results."""

from serialread.reader.barcodes import check_sequences
from serialread.reader.decisions import calibrated, decide, evidence, judge, log_odds, trust
from serialread.reader.explanation import Explanation
from serialread.reader.picture_files import FoundFiles, Picture, find_images
from serialread.reader.reader import Reader
from serialread.reader.reading_processes import processes_for
from serialread.reader.results import Mode, Start, begin, claim, write_records
from serialread.reader.runs import FolderRun, read_folder
from serialread.reader.second_reader import SecondReader
from serialread.reader.serialization import FILES
from serialread.reader.summary import RunSummary, console_view

__all__ = [
    "FILES",
    "Explanation",
    "FolderRun",
    "FoundFiles",
    "Mode",
    "Picture",
    "Reader",
    "RunSummary",
    "SecondReader",
    "Start",
    "begin",
    "calibrated",
    "check_sequences",
    "claim",
    "console_view",
    "decide",
    "evidence",
    "find_images",
    "judge",
    "log_odds",
    "processes_for",
    "read_folder",
    "trust",
    "write_records",
]
