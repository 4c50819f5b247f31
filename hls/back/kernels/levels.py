"""Memory files of `ex_threshold`, which other kernels have inside as well."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray, Integer
from exeunt.kernels.parts.levels import stages


def files(prefix: str, thresholds: IntArray, *, dtype: Integer, lanes: int) -> dict[str, str]:
    """Memory files of every stage and lane: address {channel // lanes, bits found so far}.

    Args:
        prefix: beginning of the file names.
        thresholds: integers (C, levels), ascending; C a multiple of `lanes`.
        dtype: type of the values that are compared.
        lanes: channels of a word.

    Returns:
        <prefix>_<stage>_<lane, three digits>.hex -> hexadecimal words, one a line.
    """
    channels, levels = thresholds.shape
    depth = stages(levels)
    never = dtype.max - dtype.min + 1
    table = np.full((channels, 1 << depth), never, np.int64)  # [0] is never read
    table[:, 1 : levels + 1] = np.clip(thresholds.astype(np.int64) - dtype.min, 0, never)
    digits = (dtype.bits + 4) // 4
    result = {}
    for stage in range(depth):
        step = 1 << (depth - 1 - stage)
        entries = table[:, step :: 2 * step]  # (C, 2**stage), by the bits found so far
        for lane in range(lanes):
            words = entries[lane::lanes].reshape(-1)
            text = "".join(f"{w:0{digits}x}\n" for w in words.tolist())
            result[f"{prefix}_{stage}_{lane:03d}.hex"] = text
    return result


def integer_thresholds(
    values: IntArray, channels: int, low: int, high: int
) -> npt.NDArray[np.int64]:
    """Thresholds for integers in low..high, for every channel.

    One at or below `low` always passes and becomes `low`, one above `high` never does and becomes
    high + 1. (rows, levels) or (1, levels), ascending -> (channels, levels), ascending.
    """
    clipped = np.clip(values, low, high + 1).astype(np.int64)
    return np.broadcast_to(clipped, (channels, clipped.shape[1])).copy()
