"""Renders codes on metal, plastic, paper and displays, with exact masks."""

from serialread.synth.rendering import make_sample, render, typeface_names

__all__ = ["make_sample", "render", "typeface_names"]
