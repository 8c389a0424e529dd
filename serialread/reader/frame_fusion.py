"""Several pictures of one part: their readings fused into one record."""

from collections.abc import Sequence
from dataclasses import replace

from serialread.config import Station
from serialread.reader.decisions import decide, judge, trust
from serialread.reader.fusion import fuse
from serialread.records import Decision, Reading, Record

_BEST = (Decision.ACCEPT, Decision.REVIEW, Decision.REJECT)


def fuse_frames(records: Sequence[Record], station: Station) -> Record:
    """The record of the frame that supports the code best, with the reading of all frames.

    Frames vote as the views of a crop do, with the sum of their log-odds (see ``fusion.fuse``). A frame that
    alone would be accepted with another code leaves the fused code for REVIEW. Frames of one part share what
    hides a character, so more of them are no more confident than the best one alone: stations are calibrated
    on single pictures. Stations with fields get the record of their best frame.

    Args:
        records: of the frames; those in which nothing was read do not count beside others.
        station: that read them.
    """
    ranked = sorted(records, key=lambda record: (_BEST.index(record.decision), -(record.confidence or 0)))
    read = {id(record): record.reading for record in ranked if record.reading and record.chars}
    if len(read) < 2 or station.fields:
        return next((record for record in ranked if id(record) in read), ranked[0])
    code = fuse(list(read.values()), station.code)
    best = next(record for record in ranked if record.text == code.text)
    return _decided(best, code, records, station)


def _decided(best: Record, code: Reading, records: Sequence[Record], station: Station) -> Record:
    others = {r.text for r in records if r.decision is Decision.ACCEPT} - {code.text}
    doubts = (*best.doubts, *(f"another frame reads {text}" for text in sorted(others)))
    confidence = min(trust(code, station.calibration, best.second), best.confidence or 0.0)
    decision, reason = decide(code, confidence, doubts, station.limits)
    return replace(
        best,
        reading=code,
        confidence=confidence,
        verdict=judge(code, station.code),
        doubts=doubts,
        decision=decision,
        reason=reason,
        elapsed_ms=sum(record.elapsed_ms for record in records),
    )
