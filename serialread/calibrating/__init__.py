"""Fitting a station: its lens, where its codes lie, and how sure is sure enough."""

from serialread.calibrating.confidence import ProtocolName, calibrate_confidence, summary
from serialread.calibrating.fitting import fit_odds
from serialread.calibrating.geometry import Fitted, calibrate_geometry
from serialread.calibrating.labelled import Labelled, load_labelled
from serialread.calibrating.lens import calibrate_lens
from serialread.calibrating.promising import Limit, find_limit, pictures_needed, promise_carried
from serialread.calibrating.saving import refuse_to_replace, save_station

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
