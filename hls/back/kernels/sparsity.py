"""The zeros of a weight matrix as a kernel with a static schedule would see them."""

from __future__ import annotations

from typing import Any

import numpy as np

from exeunt.graph import IntArray


def pattern(weights: IntArray, *, simd: int, pe: int) -> dict[str, Any]:
    """What a schedule that skips zero blocks can gain, for the manifest.

    Args:
        weights: integers (rows, columns), columns in the order of the stream.
        simd: columns that are multiplied at once: the block.
        pe: rows that work side by side, consecutive ones.

    Returns:
        `nonzero` weights; `block` = simd; `blocks` with a weight that is not zero; `schedule`, the
        cycles of one vector when every group of rows takes as long as its longest row, against
        `dense` cycles; `balance`, blocks over PE cycles spent: 1.0 when no PE waits.
    """
    rows, columns = weights.shape
    assert rows % pe == 0, f"PE {pe} must divide {rows} rows"
    assert columns % simd == 0, f"SIMD {simd} must divide {columns} columns"
    used = (weights.reshape(rows, columns // simd, simd) != 0).any(axis=2)
    counts = used.sum(axis=1).reshape(rows // pe, pe)
    schedule = int(counts.max(axis=1).sum())
    blocks = int(counts.sum())
    return {
        "nonzero": int(np.count_nonzero(weights)),
        "weights": int(weights.size),
        "block": simd,
        "blocks": blocks,
        "schedule": schedule,
        "dense": (rows // pe) * (columns // simd),
        "balance": blocks / (pe * schedule) if schedule else 1.0,
    }
