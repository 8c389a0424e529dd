"""Fitting a station: its lens, where its codes lie, and how sure is sure enough."""

from serialread.calibration.confidence import ProtocolName, calibrate_confidence, summary
from serialread.calibration.geometry import Fitted, calibrate_geometry
from serialread.calibration.labelled import Labelled, load_labelled
from serialread.calibration.lens import calibrate_lens
from serialread.calibration.platt import fit_odds
from serialread.calibration.risk_control import Limit, find_limit, pictures_needed, promise_carried
from serialread.calibration.stations import refuse_to_replace, save_station

__all__ = [
    "Fitted",
    "Labelled",
    "Limit",
    "ProtocolName",
    "calibrate_confidence",
    "calibrate_geometry",
    "calibrate_lens",
    "find_limit",
    "fit_odds",
    "load_labelled",
    "pictures_needed",
    "promise_carried",
    "refuse_to_replace",
    "save_station",
    "summary",
]
