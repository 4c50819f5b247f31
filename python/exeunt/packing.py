"""Tensors to stream words and back: element 0 in the least significant bits of a beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray, Stream


def pack(stream: Stream, values: IntArray) -> npt.NDArray[np.uint8]:
    """Words of whole frames, little-endian bytes, each word padded with zeros to whole bytes.

    Args:
        stream: how the tensor travels.
        values: integers (N, H, W, D) within the range of `stream.dtype`.

    Returns:
        uint8 (N * words, ceil(width / 8)).
    """
    flat = np.asarray(values).astype(np.int64).reshape(-1, stream.lanes)
    bits = (flat[:, :, None] >> np.arange(stream.dtype.bits)) & 1
    rows = bits.astype(np.uint8).reshape(len(flat), stream.lanes * stream.dtype.bits)
    return np.packbits(rows, axis=1, bitorder="little")


def unpack(stream: Stream, words: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Inverse of `pack`: uint8 (N * words, ceil(width / 8)) -> int64 (N, H, W, D)."""
    n_bits = stream.dtype.bits
    bits = np.unpackbits(words, axis=1, bitorder="little", count=stream.width)
    bits = bits.reshape(-1, stream.lanes, n_bits).astype(np.int64)
    values = (bits << np.arange(n_bits)).sum(axis=2)
    if stream.dtype.signed:
        values -= (values >> (n_bits - 1)) << n_bits
    return values.reshape(-1, *stream.shape)


def to_ints(words: npt.NDArray[np.uint8]) -> list[int]:
    """Each row of little-endian bytes as one Python integer (for cocotb)."""
    return [int.from_bytes(row.tobytes(), "little") for row in words]


def from_ints(ints: list[int], width: int) -> npt.NDArray[np.uint8]:
    """Inverse of `to_ints` for words of `width` bits."""
    size = -(-width // 8)
    raw = b"".join(i.to_bytes(size, "little") for i in ints)
    return np.frombuffer(raw, np.uint8).reshape(-1, size)
