"""Corners of `ex_explain_pool`: those of `ex_pool` that take a maximum."""

from __future__ import annotations

import pool.corners
from lib.bench import Corner, Port

from exeunt.explain.store import way_bits
from exeunt.graph import Integer
from exeunt.kernels.pool import Pool


def corner(node: Pool) -> Corner:
    stream, ways = node.input, way_bits(node.kernel)
    outputs = {"m_valid": 1, "m_way": ways * stream.lanes, "m_mask": stream.lanes,
               "m_data": stream.width}  # fmt: skip
    return Corner(
        name=node.name,
        module="ex_explain_pool",
        parameters={
            "LANES": stream.lanes,
            "IN_BITS": stream.dtype.bits,
            "IN_SIGNED": int(stream.dtype.signed),
            "C": stream.shape[2],
            "H": stream.shape[0],
            "W": stream.shape[1],
            "KH": node.kernel[0],
            "KW": node.kernel[1],
        },
        ports=(
            Port("take"), Port("s_data", stream.width), Port("s_mask", stream.lanes),
            *(Port(k, w, output=True) for k, w in outputs.items()),
        ),
        data=node,
    )  # fmt: skip


_MAXIMA = [c.node for c in pool.corners.CORNERS if getattr(c.node, "function", "") == "max"]
_MORE = [
    pool.corners.node("max", Integer(1), (5, 7), kernel=(2, 3), lanes=(4, 2)),
    pool.corners.node("max", Integer(2, signed=True), (6, 6), kernel=(3, 2), lanes=(3, 3)),
    pool.corners.node("max", Integer(3), (7, 6), kernel=(3, 3), lanes=(2, 1)),
    pool.corners.node("max", Integer(3), (4, 5), kernel=(2, 2), lanes=(2, 1)),
]
CORNERS = [corner(n) for n in (*_MAXIMA, *_MORE) if isinstance(n, Pool)]
