"""Corners of `ex_temporal`: one beat or many, odd lane counts, narrowest and widest logits."""

from lib.score_block import corner

SIZES = (
    (1, 10, 14), (5, 10, 12), (10, 10, 31), (1, 2, 2), (2, 2, 8), (3, 9, 16), (7, 7, 5),
    (4, 100, 20), (16, 16, 6), (1, 3, 31), (20, 1000, 9),
)  # fmt: skip
CORNERS = [corner("temporal", *size) for size in SIZES]
