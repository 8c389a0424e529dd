"""Fit a station to its pictures: lens, fixture, geometry and acceptance threshold."""

from serialread.calibration.confidence import (
    ProtocolName,
    calibrate_confidence,
    fit_acceptance,
    fit_platt,
    guarantee_of,
)
from serialread.calibration.geometry import (
    TunedView,
    calibrate_fixture,
    calibrate_geometry,
    draw_normalization,
    tune_view,
)
from serialread.calibration.lens import Board, calibrate_lens, fit_lens
from serialread.calibration.risk_control import (
    AcceptanceThreshold,
    find_threshold,
    pictures_needed,
    smallest_misread_rate,
)
from serialread.calibration.station_files import (
    CalibratedStation,
    LabelledPictures,
    load_labelled,
    refuse_to_replace,
    save_station,
)

__all__ = [
    "AcceptanceThreshold",
    "Board",
    "CalibratedStation",
    "LabelledPictures",
    "ProtocolName",
    "TunedView",
    "calibrate_confidence",
    "calibrate_fixture",
    "calibrate_geometry",
    "calibrate_lens",
    "draw_normalization",
    "find_threshold",
    "fit_acceptance",
    "fit_lens",
    "fit_platt",
    "guarantee_of",
    "load_labelled",
    "pictures_needed",
    "refuse_to_replace",
    "save_station",
    "smallest_misread_rate",
    "tune_view",
]
