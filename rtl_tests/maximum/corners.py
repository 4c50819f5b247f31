"""Corners of `ex_maximum`: one beat or many, odd lane counts, a tree of one register and of two."""

from lib.score_block import corner

SIZES = (
    (1, 10, 14), (5, 10, 12), (10, 10, 31), (1, 2, 2), (2, 2, 8), (3, 9, 16), (7, 7, 5),
    (4, 100, 20), (16, 16, 6), (1, 3, 31), (20, 1000, 9), (33, 66, 4),
)  # fmt: skip
CORNERS = [corner("maximum", *size) for size in SIZES]
