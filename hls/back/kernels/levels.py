"""Memory files of `ex_threshold`, which other kernels have inside as well: levels and edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.graph import IntArray, Integer
from exeunt.kernels.parts.back import Steps
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


def middle(levels: int) -> int:
    """Which threshold the search tries first."""
    return (1 << (stages(levels) - 1)) - 1


def edge_words(name: str, steps: Steps, edges: IntArray) -> npt.NDArray[np.int64]:
    """What x is compared with for its edges: int64 (C, 2).

    x below the middle threshold is inside from word 0 on, any other below word 1. That says for all
    x that occur whether edges[c][0] <= x < edges[c][1], unless one of the two parts has both edges.

    Args:
        name: of the node.
        steps: its quantizer.
        edges: integers (C, 2), as of `exeunt.explain.slopes.line`.

    Raises:
        InputError: not two edges for each channel, or edges on the same side of the middle.
    """
    table, found = np.asarray(steps.thresholds, np.int64), np.asarray(edges, np.int64)
    if found.shape != (len(table), 2):
        raise InputError(
            f"edges of {name} must be two for each of {len(table)} channels, got shape "
            f"{found.shape}: give those of its line"
        )
    low, high = np.asarray(steps.low, np.int64), np.asarray(steps.high, np.int64)
    between = np.clip(table[:, middle(table.shape[1])], low, high + 1)
    first, stop = np.clip(found, low[:, None], high[:, None] + 1).T
    none_below = first >= np.minimum(stop, between)
    none_above = np.maximum(first, between) >= stop
    bad = np.flatnonzero((~none_below & (stop < between)) | (~none_above & (first > between)))
    if len(bad):
        c = bad[0]
        raise InputError(
            f"edges of {name} must lie on both sides of its middle threshold, got "
            f"{first[c]} and {stop[c]} around {between[c]} in channel {c}: take masks by levels"
        )
    return np.stack([np.where(none_below, high + 1, first), np.where(none_above, low, stop)], 1)


def edge_files(prefix: str, words: IntArray, *, dtype: Integer, lanes: int) -> dict[str, str]:
    """Memory files of every lane: address {channel // lanes, middle threshold reached}.

    Args:
        prefix: beginning of the file names.
        words: integers (C, 2), see `edge_words`; C a multiple of `lanes`.
        dtype: type of the values that are compared.
        lanes: channels of a word.

    Returns:
        <prefix>_<lane, three digits>.hex -> hexadecimal words, one a line.
    """
    never, digits = dtype.max - dtype.min + 1, (dtype.bits + 4) // 4
    table = np.clip(np.asarray(words, np.int64) - dtype.min, 0, never)
    return {
        f"{prefix}_{lane:03d}.hex": "".join(
            f"{w:0{digits}x}\n" for w in table[lane::lanes].reshape(-1).tolist()
        )
        for lane in range(lanes)
    }


def integer_thresholds(
    values: IntArray, channels: int, low: int, high: int
) -> npt.NDArray[np.int64]:
    """Thresholds for integers in low..high, for every channel.

    One at or below `low` always passes and becomes `low`, one above `high` never does and becomes
    high + 1. (rows, levels) or (1, levels), ascending -> (channels, levels), ascending.
    """
    clipped = np.clip(values, low, high + 1).astype(np.int64)
    return np.broadcast_to(clipped, (channels, clipped.shape[1])).copy()
