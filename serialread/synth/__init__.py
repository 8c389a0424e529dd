"""Renders codes on metal, plastic, paper and displays, with exact masks."""

from serialread.synth.rendering import make_sample, render
from serialread.synth.typeface_choice import typeface_names

__all__ = ["make_sample", "render", "typeface_names"]
