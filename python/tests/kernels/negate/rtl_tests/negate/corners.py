"""Corners of `ex_negate`."""

from __future__ import annotations

from lib.bench import Corner, kernel_corner

from exeunt.graph import Integer, Stream
from exeunt.kernels.negate import Negate


def node(lanes: int, dtype: Integer, offset: int = 0) -> Negate:
    shape = (2, 3, 2 * lanes)
    out = Integer.covering(min(offset - dtype.max, -1), max(offset - dtype.min, 0))
    name = f"lanes{lanes}_{'s' if dtype.signed else 'u'}{dtype.bits}_{offset}"
    return Negate(name, Stream(shape, dtype, lanes), Stream(shape, out, lanes), offset=offset)


CORNERS: list[Corner] = [
    kernel_corner(n)
    for n in (
        node(1, Integer(4)), node(3, Integer(8), 7), node(2, Integer(5, signed=True)),
        node(1, Integer(1, signed=True), -3),
    )
]  # fmt: skip
