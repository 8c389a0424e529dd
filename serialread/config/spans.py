"""Types of recipe values: spans, shares and weights."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("a span is (low, high)")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Low and high end of a uniform draw."""
Share = Annotated[float, Field(ge=0, le=1)]
"""Part of all samples, 0..1."""
Weight = Annotated[float, Field(ge=0)]
"""Relative weight; weights need not add up to 1."""
