"""What the backends of kinds share that make one stream of two."""

from __future__ import annotations

from typing import Any

from exeunt.hls.back.kernels.operators import Found
from exeunt.kernels.parts.joining import Joined


def parameters(node: Joined) -> dict[str, int | str]:
    """Lanes, types and factors of the two streams, and bits of what leaves."""
    return {
        "LANES": node.input.lanes,
        "A_BITS": node.input.dtype.bits,
        "A_SIGNED": int(node.input.dtype.signed),
        "B_BITS": node.other.dtype.bits,
        "B_SIGNED": int(node.other.dtype.signed),
        "FACTOR_A": node.factors[0],
        "FACTOR_B": node.factors[1],
        "OUT_BITS": node.output.dtype.bits,
    }


def other(found: Found) -> dict[str, Any]:
    """Fields of the layer that tell of its second stream."""
    assert found.other is not None, "it takes two streams"
    source, factor = found.other
    return {"other_source": source, "factors": (found.front.factor, factor)}
