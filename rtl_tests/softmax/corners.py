"""Corners of `ex_softmax`: one beat or many, odd lane counts, tables of all kinds."""

from lib.score_block import corner

SIZES = (
    (1, 10, 14, 0.01), (5, 10, 12, 0.003), (10, 10, 31, 1e-7), (1, 2, 2), (2, 2, 8, 0.1),
    (3, 9, 16, 2e-4), (7, 7, 5, 0.5), (4, 100, 20, 1e-5), (16, 16, 6, 20.0), (1, 3, 31, 0.06),
    (20, 1000, 9, 0.02), (33, 66, 4, 0.7), (1, 2, 3, 0.05), (2, 2, 4, 0.003),
)  # fmt: skip
CORNERS = [corner("softmax", *size) for size in SIZES]
