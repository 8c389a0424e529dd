"""The line detector: text lines in whole pictures, in any direction, on arcs and circles."""

from serialread.detection.cutting import cut_line
from serialread.detection.line_finder import LineFinder
from serialread.detection.lone_marks import lone_mark
from serialread.detection.text_lines import Maps, TextLine, lines_of, spanning

__all__ = ["LineFinder", "Maps", "TextLine", "cut_line", "lines_of", "lone_mark", "spanning"]
