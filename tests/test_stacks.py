"""Stacked text: a column of upright characters is read from top to bottom."""

import cv2
import numpy as np

from serialread.config import Station, StationView
from serialread.imaging.frames import Frame
from serialread.imaging.stacks import stacked_chars, unstacked
from serialread.reader import Reader
from serialread.records import Decision, Pixels

TEXT = "K7H4RD"


def column() -> Pixels:
    """120 x 470 px with six characters below one another."""
    pixels = np.clip(np.random.default_rng(3).normal(180, 4, (470, 120)), 0, 255).astype(np.uint8)
    for number, char in enumerate(TEXT):
        cv2.putText(pixels, char, (42, 70 + 74 * number), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 5, cv2.LINE_AA)
    return pixels


def test_a_column_is_set_side_by_side_and_knows_its_places() -> None:
    frame = Frame(column(), np.eye(3))
    boxes = stacked_chars(frame.pixels)
    assert len(boxes) == len(TEXT)
    line = unstacked(frame)
    assert line.pixels.shape[1] > 2 * line.pixels.shape[0]
    middle = line.pixels.shape[0] / 2
    places = line.sources(
        np.column_stack((np.linspace(20, line.pixels.shape[1] - 20, 50), np.full(50, middle)))
    )
    assert (np.diff(places[:, 1]) >= 0).all()  # from left to right is from top to bottom
    assert np.abs(places[0] - (boxes[0, :2] + boxes[0, 2:]) / 2).max() < 25


def test_lines_of_text_are_no_column() -> None:
    lines = np.full((300, 300), 180, np.uint8)
    for y in (80, 160, 240):
        cv2.putText(lines, "AB12", (40, y), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 5, cv2.LINE_AA)
    assert not len(stacked_chars(lines))
    assert not len(stacked_chars(np.full((200, 80), 128, np.uint8)))
    frame = Frame(lines, np.eye(3))
    assert unstacked(frame) is frame


def test_a_station_that_declares_it_reads_a_column_and_another_one_doubts_it() -> None:
    reader = Reader(barcodes=False)
    declared = reader.at(Station(view=StationView(direction="stacked"))).read(column())
    assert declared.text == TEXT
    undeclared = reader.read(column())
    assert undeclared.text != TEXT
    assert undeclared.decision is not Decision.ACCEPT
    assert undeclared.reason
