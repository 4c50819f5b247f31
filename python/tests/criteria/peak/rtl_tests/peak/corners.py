"""Corners of `ex_peak`."""

from lib.score_block import corner

CORNERS = [corner("peak", *size) for size in ((1, 10, 14), (5, 10, 12), (2, 2, 8), (7, 7, 5))]
