"""Heat maps as packets: the compressed format, and its decoder.

A packet is 32-bit words, little-endian, bits from the lowest:

| word | bits | what it holds |
|---|---|---|
| 0 | 0..31 | id of the frame |
| 1 | 0..15 | class that is explained |
| | 16..23 | exit |
| | 24..27 | method, its place in `METHODS` |
| | 28..31 | code of the map: 1 linear, 2 logarithmic, 3 levels |
| 2 | 0..7 | exponent, signed: a value v stands for v * 2**exponent of the integer logit |
| | 8..15 | bits of a gradient, 4 to 16 |
| | 16..31 | gradients that were clipped on the way, 65535 for as many or more |
| 3 | 0..31 | length: bits of the payload |
| 4.. | | payload, then zeros to the end of the last word |
| last | 0..31 | CRC-32 (zlib's) of all words before it |

With the linear and the logarithmic code the payload is the map (H, W, C) in tiles of 4 x 4
positions of one channel: tile row by tile row, in it tile column by tile column, in it channel by
channel. A tile is one bit: 0, it holds nothing but zeros; 1, and then its positions, row by row: a
bit 0 where the value is 0, or a bit 1 and the value. Positions beyond the edge of the map are 0.

A value is stored linear, in two's complement of the bits of a gradient, or logarithmic: e =
floor(log2 |v|), in as many bits as the largest one takes, and then the sign, 1 for minus. The
decoder gives the middle of all values with that e, floor(1.5 * 2**e).

With the code of levels a map is one number a pixel, (H, W, 1): the sum of its channels, of saliency
the sum of their sizes. The payload is u in 16 bits, 1 at least, which is 16 times the mean size of
all pixels, and then for each pixel, row by row, how many thresholds t * u / 256 its size reaches, t
in `THRESHOLDS`. Of saliency that number is n, 0 to 10; else a level l of every second threshold is
n = 2 * l - 1 where the pixel is positive, 2 * l where it is negative. n is 3 bits where it is below
5, else 5 + (n - 5) // 2 in 3 bits and then (n - 5) % 2 in one. The decoder gives the middle of all
pixels of a level, u times `MIDDLES` or `SIGNED_MIDDLES`, and an exponent that is 8 less.

A packet says nothing of the map's shape: that is the design's, by exit and method.

Every packet that is not exactly one that an encoder makes is an error: a wrong CRC, a bit that is
left over, a tile of zeros with positions, a value or a mean that is 0, a word too many or too few.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import CheckFailed

METHODS = ("saliency", "gradient-x-input", "guided-backprop", "deconvnet", "grad-cam")
LINEAR, LOG, LEVELS = CODES = ("linear", "log", "levels")
THRESHOLDS = (3, 7, 11, 18, 24, 28, 34, 40, 50, 64)  # of levels, in 16ths of the mean size
MIDDLES = (0, 5, 9, 14, 21, 26, 31, 37, 44, 56, 80)  # of a level, in the same
SIGNED_MIDDLES = (0, 6, 16, 28, 41, 74)
MEAN_BITS, SHORT, LEVEL_BITS = 16, 5, 3  # numbers below SHORT have LEVEL_BITS, others one more
FRACTION = 8  # bits behind the point of what a level gives
TILE = 4  # rows and columns of a tile
HEADER = struct.Struct("<IHBBbBHI")
WORD = 4  # bytes
LEAST = HEADER.size + WORD
MOST_CLIPPED = (1 << 16) - 1


@dataclass(frozen=True)
class HeatMap:
    """One map.

    Attributes:
        values: int32 (H, W, C).
        id: of the frame, as in its result.
        exit: where it left.
        class_: what is explained.
        method: one of METHODS.
        exponent: a value v stands for v * 2**exponent of the integer logit.
        bits: of a gradient.
        clipped: gradients that were too large on the way, 65535 for as many or more.
        code: one of CODES, how values are stored.
    """

    values: npt.NDArray[np.int32]
    id: int
    exit: int
    class_: int
    method: str
    exponent: int
    bits: int
    clipped: int = 0
    code: str = LINEAR


def tiles(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Tile rows, tile columns and channels of a map (H, W, C)."""
    return -(-shape[0] // TILE), -(-shape[1] // TILE), shape[2]


def absolute(method: str) -> bool:
    """Whether a pixel is the sum of sizes, in the code of levels."""
    return method == METHODS[0]


def map_shape(shape: tuple[int, int, int], code: str) -> tuple[int, int, int]:
    """Of what the decoder gives for a map of that shape."""
    return (*shape[:2], 1) if code == LEVELS else shape


def stored_bits(bits: int, code: str) -> int:
    """Bits that a value takes which is not 0, in a tile.

    Args:
        bits: of a gradient.
        code: one of CODES.
    """
    return bits if code == LINEAR else 1 + (bits - 1).bit_length()


def most_bytes(shape: tuple[int, int, int], bits: int, code: str) -> int:
    """Bytes of the longest packet of a map (H, W, C) of gradients of `bits` bits in a code."""
    down, across, channels = tiles(shape)
    payload = down * across * channels * (1 + TILE * TILE * (1 + stored_bits(bits, code)))
    return HEADER.size + WORD * -(-payload // 32) + WORD


def decode(data: Any, shapes: Mapping[tuple[int, str], tuple[int, int, int]]) -> HeatMap:
    """The map of one packet.

    Args:
        data: bytes of the packet, or an array of uint8.
        shapes: (H, W, C) of the design's maps by exit and method; (H, W, 1) with levels.

    Raises:
        CheckFailed: the packet was damaged or cut short, is of another design, or is followed by
            something else.
    """
    found, end = _packet(bytes(data), 0, shapes)
    if end != len(data):
        raise CheckFailed(
            f"a heat map must end with its packet of {end} bytes, got {len(data)}: decode several "
            "with decode_all"
        )
    return found


def decode_all(data: Any, shapes: Mapping[tuple[int, str], tuple[int, int, int]]) -> list[HeatMap]:
    """The maps of packets that follow each other; see `decode`.

    Raises:
        CheckFailed: one of them is not right, or the last one is cut short.
    """
    whole, found, begin = bytes(data), [], 0
    while begin < len(whole):
        one, begin = _packet(whole, begin, shapes)
        found.append(one)
    return found


def _packet(
    data: bytes, begin: int, shapes: Mapping[tuple[int, str], tuple[int, int, int]]
) -> tuple[HeatMap, int]:
    """The map that begins at a byte, and the byte behind its packet."""
    if len(data) - begin < LEAST:
        raise CheckFailed(
            f"a heat map must have at least {LEAST} bytes, got {len(data) - begin}: the packet was "
            "cut short, ask for the map again"
        )
    frame, class_, exit, kind, exponent, bits, clipped, length = HEADER.unpack_from(data, begin)
    words = -(-length // 32)
    inner = begin + HEADER.size
    last = inner + words * WORD
    end = last + WORD
    if end > len(data):
        raise CheckFailed(
            f"a heat map of {length} bits must have {end - begin} bytes, got {len(data) - begin}: "
            "the packet was cut short or damaged, ask for the map again"
        )
    (stored,) = struct.unpack_from("<I", data, last)
    computed = zlib.crc32(data[begin:last])
    if stored != computed:
        raise CheckFailed(
            f"the CRC of a heat map must be {computed:#010x}, got {stored:#010x}: the packet was "
            "damaged, ask for the map again"
        )
    version, number = kind >> 4, kind & 15
    if not 1 <= version <= len(CODES) or number >= len(METHODS) or not 4 <= bits <= 16:
        raise CheckFailed(
            f"a heat map must be of a known code and method and of 4 to 16 bits, got code "
            f"{version}, method {number} and {bits} bits: use the Exeunt of the design"
        )
    method = METHODS[number]
    if (exit, method) not in shapes:
        raise CheckFailed(
            f"a heat map must be of an exit and a method of the design, got exit {exit} and "
            f"{method}: use the manifest of the design that is loaded"
        )
    packed = np.frombuffer(data, np.uint8, words * WORD, inner)
    payload = np.unpackbits(packed, bitorder="little")
    code = CODES[version - 1]
    if code == LEVELS:
        exponent -= FRACTION
        values = _leveled(payload, length, shapes[exit, method], absolute(method))
    else:
        values = _unpacked(payload, length, shapes[exit, method], bits, code)
    return HeatMap(values, frame, exit, class_, method, exponent, bits, clipped, code), end


def _unpacked(
    payload: npt.NDArray[np.uint8],
    length: int,
    shape: tuple[int, int, int],
    bits: int,
    code: str,
) -> npt.NDArray[np.int32]:
    """The map (H, W, C) of a payload, one bit an element, of which `length` are used."""
    down, across, channels = tiles(shape)
    count, size = down * across * channels, TILE * TILE
    table = np.zeros((count, size), np.int64)
    width = stored_bits(bits, code)
    weights = 1 << np.arange(width, dtype=np.int64)
    place = 0
    for tile in range(count):
        if place < length and not payload[place]:
            place += 1
            continue
        place += 1
        mask = np.zeros(size, bool)
        begins = []
        for position in range(size):
            mask[position] = place < length and payload[place]
            begins.append(place + 1)
            place += 1 + width * int(mask[position])
        if place > length or not mask.any():
            raise CheckFailed(_wrong(f"tile {tile} of {count}", length, shape))
        numbers = payload[np.array(begins)[mask][:, None] + np.arange(width)]
        found = _values(numbers @ weights, width, code)
        if not found.all():
            raise CheckFailed(_wrong(f"a value of 0 in tile {tile} of {count}", length, shape))
        if found.min() < -(1 << (bits - 1)) * 3 // 2 or found.max() >= 1 << (bits - 1):
            raise CheckFailed(_wrong(f"a value too large in tile {tile}", length, shape))
        table[tile, mask] = found
    if place != length or payload[length:].any():
        raise CheckFailed(_wrong(f"an end at bit {place}", length, shape))
    order = table.reshape(down, across, channels, TILE, TILE).transpose(0, 3, 1, 4, 2)
    whole = order.reshape(down * TILE, across * TILE, channels).astype(np.int32)
    if whole[shape[0] :].any() or whole[:, shape[1] :].any():
        raise CheckFailed(_wrong("a value beyond the edge", length, shape))
    return np.ascontiguousarray(whole[: shape[0], : shape[1]])


def _leveled(
    payload: npt.NDArray[np.uint8], length: int, shape: tuple[int, int, int], sizes: bool
) -> npt.NDArray[np.int32]:
    """The map (H, W, 1) of a payload in levels; `sizes`: of pixels that are sums of sizes."""
    count = shape[0] * shape[1]
    mean = int(payload[:MEAN_BITS] @ (1 << np.arange(len(payload[:MEAN_BITS]))))
    if shape[2] != 1 or mean == 0 or length < MEAN_BITS:
        raise CheckFailed(_wrong(f"a mean of {mean} in 16ths", length, shape))
    bits = payload[:length].tolist()
    numbers: list[int] = []
    place = MEAN_BITS
    while place + LEVEL_BITS <= length and len(numbers) < count:
        number = bits[place] | bits[place + 1] << 1 | bits[place + 2] << 2
        place += LEVEL_BITS
        if number >= SHORT:
            further = bits[place] if place < length else 0
            number = SHORT + 2 * (number - SHORT) + further
            place += 1
        numbers.append(number)
    if len(numbers) != count:
        raise CheckFailed(_wrong(f"an end in pixel {len(numbers)} of {count}", length, shape))
    if place != length or payload[length:].any():
        raise CheckFailed(_wrong(f"an end at bit {place}", length, shape))
    found = np.array(numbers)
    if sizes:
        middle = np.array(MIDDLES)[found]
    else:
        middle = np.array(SIGNED_MIDDLES)[(found + 1) // 2] * np.where(found % 2, 1, -1)
    return np.asarray(mean * middle, np.int32).reshape(shape)


def _values(numbers: npt.NDArray[np.int64], width: int, code: str) -> npt.NDArray[np.int64]:
    """What stored numbers of `width` bits stand for."""
    sign = numbers >> (width - 1)
    if code == LINEAR:
        return numbers - (sign << width)
    exponent = numbers & ((1 << (width - 1)) - 1)
    middle = (3 << exponent) >> 1
    return np.where(sign == 1, -middle, middle)


def _wrong(what: str, length: int, shape: tuple[int, int, int]) -> str:
    size = " x ".join(str(n) for n in shape)
    return (
        f"{length} bits of a heat map must be a map of {size}, got {what} that is none of it: use "
        "the manifest of the design that is loaded"
    )
