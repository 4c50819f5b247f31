"""The encoder of the compressed format of `exeunt.runtime.maps`, and what other formats take."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.runtime.maps import (
    CODES,
    FRACTION,
    HEADER,
    LEVEL_BITS,
    LEVELS,
    LINEAR,
    LOG,
    MEAN_BITS,
    METHODS,
    MIDDLES,
    MOST_CLIPPED,
    SHORT,
    SIGNED_MIDDLES,
    THRESHOLDS,
    TILE,
    HeatMap,
    absolute,
    stored_bits,
    tiles,
)

Ints = npt.NDArray[Any]


def in_tiles(values: Ints) -> Ints:
    """Maps (N, H, W, C) as tiles (N, tiles, 16) in the order of the format, 0 beyond the edge."""
    count, height, width, channels = values.shape
    down, across, _ = tiles((height, width, channels))
    rest = (down * TILE - height, across * TILE - width)
    whole = np.pad(values, ((0, 0), (0, rest[0]), (0, rest[1]), (0, 0)))
    parts = whole.reshape(count, down, TILE, across, TILE, channels)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(count, -1, TILE * TILE)


def encode(found: HeatMap) -> bytes:
    """The packet of a map; with levels of all its channels.

    Raises:
        InputError: a number that does not fit into its place in the packet.
    """
    limit = 1 << (found.bits - 1)
    places = (
        ("bits", found.bits, 4, 16),
        ("id", found.id, 0, (1 << 32) - 1),
        ("class", found.class_, 0, (1 << 16) - 1),
        ("exit", found.exit, 0, 255),
        ("exponent", found.exponent, -128, 127),
        ("smallest value", int(found.values.min(initial=0)), -limit, 0),
        ("largest value", int(found.values.max(initial=0)), 0, limit - 1),
    )
    for name, value, low, high in places:
        if not low <= value <= high:
            raise InputError(
                f"the {name} of a heat map must be {low} to {high}, got {value}: it has no room in "
                "the packet"
            )
    if found.method not in METHODS:
        raise InputError(
            f"the method of a heat map must be one of {', '.join(METHODS)}, got {found.method!r}: "
            "choose one of them"
        )
    if found.code not in CODES:
        raise InputError(
            f"the code of a heat map must be one of {', '.join(CODES)}, got {found.code!r}: choose "
            "one of them"
        )
    if found.code == LEVELS and not levels_fit(found.values.shape[2], found.bits):
        raise InputError(
            f"a heat map in levels must have up to {TILE * TILE} channels and sums of up to 13 "
            f"bits, got {found.values.shape[2]} of {found.bits} bits: choose 8 bits, or the code "
            f"{LOG}"
        )
    bits = _levels(found) if found.code == LEVELS else _tiles(found)
    payload = np.zeros(-(-len(bits) // 32) * 32, np.uint8)
    payload[: len(bits)] = bits
    kind = (CODES.index(found.code) + 1) << 4 | METHODS.index(found.method)
    header = HEADER.pack(
        found.id, found.class_, found.exit, kind,
        found.exponent, found.bits, min(found.clipped, MOST_CLIPPED), len(bits),
    )  # fmt: skip
    body = header + np.packbits(payload, bitorder="little").tobytes()
    return body + zlib.crc32(body).to_bytes(4, "little")


def _tiles(found: HeatMap) -> npt.NDArray[np.uint8]:
    """The payload in tiles, a bit an element."""
    tiles_of = in_tiles(found.values[None])[0].astype(np.int64)  # (tiles, 16)
    there = tiles_of != 0
    stored = tiles_of if found.code == LINEAR else logarithms(tiles_of, found.bits)
    width = stored_bits(found.bits, found.code)
    bits = np.zeros((len(there), TILE * TILE, 2 + width), np.int64)  # of the tile, of the value
    used = np.zeros(bits.shape, bool)
    any_ = there.any(axis=1)
    bits[:, 0, 0], used[:, 0, 0] = any_, True
    bits[:, :, 1], used[:, :, 1] = there, any_[:, None]
    bits[:, :, 2:] = (stored[..., None] >> np.arange(width)) & 1
    used[:, :, 2:] = there[..., None]
    return bits[used].astype(np.uint8)


def logarithms(values: Ints, bits: int) -> npt.NDArray[np.int64]:
    """Values as the logarithmic code stores them: the sign, then floor(log2 |v|).

    Args:
        values: integers; of 0 it says nothing.
        bits: of a gradient.
    """
    width = stored_bits(bits, LOG)
    exponents = np.maximum(np.frexp(np.abs(values).astype(np.float64))[1] - 1, 0)
    return np.asarray(exponents | (values < 0).astype(np.int64) << (width - 1), np.int64)


def middles(values: Ints) -> Ints:
    """What the decoder gives for values that were stored logarithmically, 0 stays 0."""
    exponents = np.maximum(np.frexp(np.abs(values).astype(np.float64))[1] - 1, 0)
    middle = (3 << exponents.astype(np.int64)) >> 1
    return np.where(values == 0, 0, np.sign(values) * middle).astype(np.int32)


# ------------------------------------------------------------------------- levels


def code_of(channels: int, bits: int) -> str:
    """The code in which maps of so many channels are stored unless another one is chosen."""
    return LEVELS if channels > 1 and levels_fit(channels, bits) else LOG


def levels_fit(channels: int, bits: int) -> bool:
    """Whether maps of so many channels can be stored in levels: a sum has up to 13 bits."""
    return channels <= TILE * TILE and bits + (channels - 1).bit_length() < MEAN_BITS - 2


def pixels(values: Ints, method: str) -> npt.NDArray[np.int64]:
    """One number a pixel, int64 (N, H, W), of maps (N, H, W, C)."""
    whole = np.asarray(values, np.int64)
    return np.asarray((np.abs(whole) if absolute(method) else whole).sum(axis=3))


def mean_scale(count: int) -> tuple[int, int]:
    """(factor, shift): s * factor >> shift is 16 times the mean of `count` numbers of sum s."""
    shift = 0
    while ((TILE * TILE) << shift) // count < 128:
        shift += 1
    return ((TILE * TILE) << shift) // count, shift


def means(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """U of pixels (N, H, W), int64 (N,)."""
    factor, shift = mean_scale(found[0].size)
    total = np.abs(found).sum(axis=(1, 2))
    return np.asarray(np.maximum(total * factor >> shift, 1))


def numbers(found: npt.NDArray[np.int64], method: str) -> npt.NDArray[np.int64]:
    """What stands for each of the pixels (N, H, W), 0 to 10, in that shape."""
    size = np.abs(found)[..., None] << FRACTION
    reached = (size >= means(found)[:, None, None, None] * np.array(THRESHOLDS)).sum(axis=3)
    if absolute(method):
        return np.asarray(reached)
    level = (reached + 1) // 2
    return np.asarray(np.where(found < 0, 2 * level, np.maximum(2 * level - 1, 0)))


def _levels(found: HeatMap) -> npt.NDArray[np.uint8]:
    """The payload in levels, a bit an element."""
    whole = pixels(found.values[None], found.method)
    number = numbers(whole, found.method).ravel()
    short = number < SHORT
    beyond = number - SHORT
    code = np.where(short, number, (SHORT + beyond // 2) | (beyond % 2) << LEVEL_BITS)
    bits = (code[:, None] >> np.arange(LEVEL_BITS + 1)) & 1
    used = np.ones(bits.shape, bool)
    used[:, LEVEL_BITS] = ~short
    mean = (means(whole) >> np.arange(MEAN_BITS)) & 1
    return np.concatenate([mean, bits[used]]).astype(np.uint8)


def leveled(values: Ints, method: str) -> npt.NDArray[np.int32]:
    """What the decoder gives for maps (N, H, W, C) in levels, (N, H, W, 1)."""
    whole = pixels(values, method)
    number = numbers(whole, method)
    if absolute(method):
        middle = np.array(MIDDLES)[number]
    else:
        middle = np.array(SIGNED_MIDDLES)[(number + 1) // 2] * np.where(number % 2, 1, -1)
    return np.asarray(means(whole)[:, None, None] * middle, np.int32)[..., None]


def stored(found: HeatMap) -> HeatMap:
    """What the decoder gives for the packet of a map."""
    if found.code == LINEAR:
        return found
    if found.code == LOG:
        return dataclasses.replace(found, values=middles(found.values))
    values = leveled(found.values[None], found.method)[0]
    return dataclasses.replace(found, values=values, exponent=found.exponent - FRACTION)


# ------------------------------------------------------------------------- sizes


def payload_bits(
    values: Ints, bits: int, code: str = LINEAR, method: str = ""
) -> npt.NDArray[np.int64]:
    """Bits of the payload of each map.

    Args:
        values: integers (N, H, W, C) of `bits` bits.
        bits: of a gradient.
        code: one of CODES.
        method: of the maps, which tells with levels what a pixel is.
    """
    if code == LEVELS:
        longer = numbers(pixels(values, method), method) >= SHORT
        size = MEAN_BITS + LEVEL_BITS * longer[0].size
        return np.asarray(size + longer.sum(axis=(1, 2)))
    bits = stored_bits(bits, code)
    parts = in_tiles(values) != 0
    held = parts.any(axis=2).sum(axis=1)
    return np.asarray(parts.shape[1] + TILE * TILE * held + bits * parts.sum(axis=(1, 2)))


def most_bits(shape: tuple[int, int, int], bits: int, code: str) -> int:
    """Bits of the largest payload that a map (H, W, C) of `bits` bits can have."""
    if code == LEVELS:
        return MEAN_BITS + (LEVEL_BITS + 1) * shape[0] * shape[1]
    down, across, channels = tiles(shape)
    return down * across * channels * (1 + TILE * TILE * (1 + stored_bits(bits, code)))


def log_bits(values: Ints, bits: int) -> npt.NDArray[np.int64]:
    """Bits of the payload of each map with the logarithmic code."""
    return payload_bits(values, bits, LOG)


def packet_bits(
    values: Ints, bits: int, code: str = LINEAR, method: str = ""
) -> npt.NDArray[np.int64]:
    """Bits of the whole packet of each map, see `payload_bits`."""
    words = -(-payload_bits(values, bits, code, method) // 32)
    return 8 * HEADER.size + 32 * (words + 1)


def level_bits(values: Ints, bits: int) -> npt.NDArray[np.int64]:
    """Bits of the payload of each map in levels, of pixels that are sums."""
    return payload_bits(values, bits, LEVELS)


def dense_bits(values: Ints, bits: int) -> npt.NDArray[np.int64]:
    """Every value."""
    return np.full(len(values), values[0].size * bits, np.int64)


def bitmask_bits(values: Ints, bits: int) -> npt.NDArray[np.int64]:
    """A bit for every value, and those that are not 0."""
    flat = values.reshape(len(values), -1)
    return np.asarray(flat.shape[1] + bits * np.count_nonzero(flat, axis=1), np.int64)


def run_length_bits(values: Ints, bits: int, run: int = 4) -> npt.NDArray[np.int64]:
    """Pairs of a run of zeros (`run` bits) and the value behind it; 0 behind the longest run."""
    found = []
    longest = (1 << run) - 1
    for flat in values.reshape(len(values), -1):
        places = np.flatnonzero(flat)
        gaps = np.diff(np.concatenate([[-1], places])) - 1
        rest = len(flat) - 1 - (int(places[-1]) if len(places) else -1)
        pairs = len(places) + int((gaps // (longest + 1)).sum()) + -(-rest // (longest + 1))
        found.append(pairs * (run + bits))
    return np.array(found, np.int64)


def ebpc_bits(values: Ints, bits: int) -> npt.NDArray[np.int64]:
    """Extended bit-plane compression (Cavigelli et al., JETCAS 2019), blocks of 8 values.

    One bit for every value that is not 0, 1 + 4 for every run of up to 16 zeros; besides, the
    values that are not 0 in blocks: the first as it is, of the differences the bit planes, each
    exclusive-or its neighbour, in the code of bit-plane compression (Kim et al., ISCA 2016). The
    last block is filled up with its last value.
    """
    return np.array([_ebpc(flat, bits) for flat in values.reshape(len(values), -1)], np.int64)


_BLOCK, _RUN = 8, 4


def _ebpc(flat: Ints, bits: int) -> int:
    held = flat[flat != 0].astype(np.int64)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat == 0, [0]]).astype(np.int8)))
    runs = (changes[1::2] - changes[::2]) if len(changes) else np.zeros(0, np.int64)
    total = len(held) + int((-(-runs // (1 << _RUN))).sum()) * (1 + _RUN)
    if not len(held):
        return total
    blocks = np.pad(held, (0, -len(held) % _BLOCK), mode="edge").reshape(-1, _BLOCK)
    differences = np.diff(blocks, axis=1)  # bits + 1 wide
    planes = (differences[:, None, :] >> np.arange(bits, -1, -1)[:, None]) & 1  # highest first
    mixed = planes.copy()
    mixed[:, 1:] ^= planes[:, :-1]
    width = _BLOCK - 1
    index = (width - 1).bit_length()
    run_bits = bits.bit_length()
    for block, whole in zip(mixed, planes, strict=True):
        total += bits
        zeros = 0
        for plane, original in zip(block, whole, strict=True):
            ones = int(plane.sum())
            if not ones:
                zeros += 1
                continue
            total += _zeros(zeros, run_bits)
            zeros = 0
            together = ones == 2 and bool((plane[1:] & plane[:-1]).any())
            if ones == width or not original.any():
                total += 5
            elif together or ones == 1:
                total += 5 + index
            else:
                total += 1 + width
        total += _zeros(zeros, run_bits)
    return total


def _zeros(count: int, run_bits: int) -> int:
    """Of so many planes of zeros in a row."""
    return 0 if not count else 3 if count == 1 else 2 + run_bits


FORMATS: Mapping[str, Callable[[Ints, int], npt.NDArray[np.int64]]] = {
    "dense": dense_bits,
    "bitmask": bitmask_bits,
    "run length": run_length_bits,
    "EBPC": ebpc_bits,
    "two-level": payload_bits,
    "two-level, log": log_bits,
    "two-level, packet": packet_bits,
    "levels": level_bits,
}
