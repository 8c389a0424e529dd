"""Reviewing readings: people confirm or correct them on a web page; the calls become labels."""

from serialread.reader.serialization import key_of
from serialread.review.exchange import LabelImport, calls_csv, export_labels, import_labels, labels_csv
from serialread.review.pictures import ReviewPictures
from serialread.review.queue import Filters, ReviewProgress, ReviewQueue, Task
from serialread.review.store import Call, CallLabel, ReviewStore, settled

__all__ = [
    "Call",
    "CallLabel",
    "Filters",
    "LabelImport",
    "ReviewPictures",
    "ReviewProgress",
    "ReviewQueue",
    "ReviewStore",
    "Task",
    "calls_csv",
    "export_labels",
    "import_labels",
    "key_of",
    "labels_csv",
    "settled",
]
