"""The measurement that decides whether a model ships: ``python -m benchmarks.measure --help``."""

import os

CORES = os.sched_getaffinity(0)
"""Cores that this run may use, taken before anything loads: OpenVINO forgets such a limit."""
