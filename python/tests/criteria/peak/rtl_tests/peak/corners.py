"""Corners of `ex_peak`."""

from lib.score_block import corner

SIZES = ((1, 10, 14), (5, 10, 12, 0.25), (2, 2, 8), (7, 7, 5, 2.0))
CORNERS = [corner("peak", *size) for size in SIZES]
