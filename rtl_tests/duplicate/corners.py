"""Corners of `ex_duplicate`: only the width, and frames of one word and of many."""

from lib.bench import Corner, kernel_corner

from exeunt.graph import Integer, Stream
from exeunt.kernels.duplicate import Duplicate


def node(lanes: int, bits: int, words: int) -> Duplicate:
    """A copy of `words` words a frame."""
    stream = Stream((1, words, lanes), Integer(bits), lanes)
    return Duplicate(f"lanes{lanes}_bits{bits}_words{words}", stream, stream)


CORNERS: list[Corner] = [
    kernel_corner(node(*values)) for values in ((1, 1, 20), (1, 8, 1), (37, 1, 9), (8, 4, 31))
]
