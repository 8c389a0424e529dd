"""Fit a station to its pictures: lens, fixture, geometry and acceptance threshold."""

from serialread.calibration.confidence import ProtocolName, calibrate_confidence, fit_acceptance
from serialread.calibration.geometry import calibrate_fixture, calibrate_geometry
from serialread.calibration.lens import Board, calibrate_lens
from serialread.calibration.station_files import (
    LABELS,
    CalibratedStation,
    LabelledPictures,
    labelled_codes,
    labelled_picture,
    load_labelled,
    refuse_to_replace,
    save_station,
)

__all__ = [
    "LABELS",
    "Board",
    "CalibratedStation",
    "LabelledPictures",
    "ProtocolName",
    "calibrate_confidence",
    "calibrate_fixture",
    "calibrate_geometry",
    "calibrate_lens",
    "fit_acceptance",
    "labelled_codes",
    "labelled_picture",
    "load_labelled",
    "refuse_to_replace",
    "save_station",
]
