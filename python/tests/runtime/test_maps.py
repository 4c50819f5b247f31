"""The compressed format: what it holds bit by bit, and that no damage gives a picture."""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np
import pytest

from exeunt.errors import CheckFailed, InputError
from exeunt.explain import encode
from exeunt.runtime import maps
from exeunt.runtime.maps import (
    CODES,
    LEVELS,
    LINEAR,
    LOG,
    HeatMap,
    decode,
    decode_all,
    map_shape,
    stored_bits,
)

SHAPES = [(1, 1, 1), (4, 4, 1), (5, 7, 3), (8, 8, 2), (28, 28, 1), (3, 9, 4), (1, 1, 10)]


def heat(
    shape: tuple[int, int, int] = (5, 7, 3),
    density: float = 0.3,
    bits: int = 8,
    seed: int = 0,
    code: str = LINEAR,
) -> HeatMap:
    random = np.random.default_rng(seed)
    limit = (1 << (bits - 1)) - 1
    values = random.integers(-limit, limit + 1, shape) * (random.random(shape) < density)
    return HeatMap(
        values.astype(np.int32), id=0xDEADBEEF, exit=2, class_=777, method="deconvnet",
        exponent=-13, bits=bits, clipped=5, code=code,
    )  # fmt: skip


def known(found: HeatMap) -> dict[tuple[int, str], tuple[int, int, int]]:
    return {(found.exit, found.method): map_shape(found.values.shape, found.code)}  # type: ignore[arg-type]


def same(a: HeatMap, b: HeatMap) -> bool:
    fields = [f.name for f in dataclasses.fields(HeatMap) if f.name != "values"]
    return np.array_equal(a.values, b.values) and all(
        getattr(a, name) == getattr(b, name) for name in fields
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [4, 8, 13, 16])
@pytest.mark.parametrize("code", CODES)
def test_what_is_encoded_is_decoded(shape: tuple[int, int, int], bits: int, code: str) -> None:
    if code == LEVELS and not encode.levels_fit(shape[2], bits):
        with pytest.raises(InputError, match=r"in levels must have up to 16 channels and sums"):
            encode.encode(heat(shape, 0.1, bits, code=code))
        return
    for density in (0.0, 0.1, 0.5, 1.0):
        found = heat(shape, density, bits, code=code)
        data = encode.encode(found)
        assert same(decode(data, known(found)), encode.stored(found))
        whole = encode.packet_bits(found.values[None], bits, code, found.method)[0]
        assert 8 * len(data) == whole
        assert whole <= 8 * maps.LEAST + -(-encode.most_bits(shape, bits, code) // 32) * 32
        back = decode(np.frombuffer(data, np.uint8), known(found))
        assert back.values.dtype == np.int32


def test_every_bit_of_a_small_packet() -> None:
    values = np.zeros((5, 4, 1), np.int32)
    values[0, 1], values[2, 3], values[4, 0] = 3, -2, -7
    found = HeatMap(values, 9, 1, 4, "grad-cam", -3, 4, 70000)
    data = encode.encode(found)
    first = 0b1 | 1 << 2 | 3 << 3 | 1 << 16 | (16 - 2) << 17
    second = 0b1 | 1 << 1 | (16 - 7) << 2
    payload = first | second << 25
    length = 25 + 21
    words = [9, 4 | 1 << 16 | 4 << 24 | 1 << 28, 253 | 4 << 8 | 65535 << 16, length]
    words += [payload & 0xFFFFFFFF, payload >> 32]
    body = struct.pack("<6I", *words)
    assert data == body + struct.pack("<I", zlib.crc32(body))
    assert encode.payload_bits(values[None], 4)[0] == length


def test_logarithms_of_every_value() -> None:
    """Sign and octave are kept, the middle of an octave stays what it is."""
    assert [stored_bits(b, LOG) for b in (4, 5, 8, 9, 16)] == [3, 4, 4, 5, 5]
    assert stored_bits(7, LINEAR) == 7
    values = np.array([v for v in range(-128, 128) if v])
    stored = encode.logarithms(values, 8)
    for value, number in zip(values.tolist(), stored.tolist(), strict=True):
        assert number >> 3 == (value < 0)
        assert 1 << (number & 7) <= abs(value) < 2 << (number & 7)
    middle = encode.middles(values)
    assert middle[values == 100] == 96
    assert np.array_equal(encode.logarithms(middle, 8), stored)
    assert np.array_equal(encode.middles(middle), middle)
    assert encode.middles(np.zeros(3, np.int32)).tolist() == [0, 0, 0]


def test_every_bit_of_a_small_packet_in_levels() -> None:
    """Sums of channels 8, -4, 0, 4: a mean of 4, thresholds at 0.75, 2.75, 6, 8.5, 12.5."""
    values = np.array([[[5, 3], [-3, -1]], [[2, -2], [4, 0]]], np.int32)
    found = HeatMap(values, 9, 1, 4, "gradient-x-input", -3, 8, 0, LEVELS)
    data = encode.encode(found)
    assert encode.mean_scale(4) == (128, 5)
    # levels 3, -2, 0, 2 are 5, 4, 0, 3
    payload = 64 | (5 | 0 << 3) << 16 | 4 << 20 | 0 << 23 | 3 << 26
    words = [9, 4 | 1 << 16 | 1 << 24 | 3 << 28, 253 | 8 << 8, 29, payload]
    body = struct.pack("<5I", *words)
    assert data == body + struct.pack("<I", zlib.crc32(body))
    back = decode(data, known(found))
    assert back.exponent == -3 - 8
    assert back.values[..., 0].tolist() == [[64 * 28, -64 * 16], [0, 64 * 16]]
    # sums of sizes 8, 4, 4, 4: a mean of 5, thresholds of 0.94, 2.19, 3.44, 5.63, 7.5, 8.75
    sizes = dataclasses.replace(found, method="saliency")
    assert encode.means(encode.pixels(values[None], "saliency")).tolist() == [80]
    assert encode.numbers(encode.pixels(values[None], "saliency"), "saliency").tolist() == [
        [[5, 3], [3, 3]]
    ]
    back = decode(encode.encode(sizes), known(sizes))
    assert back.values[..., 0].tolist() == [[80 * 26, 80 * 14], [80 * 14, 80 * 14]]


def test_the_mean_of_every_count() -> None:
    for count in (1, 2, 3, 16, 49, 100, 784, 1024, 50_176):
        factor, shift = encode.mean_scale(count)
        assert 128 <= factor < 256
        assert 0 <= 16 / count - factor / (1 << shift) < 16 / count / 128
    # a map of zeros, and one with hardly anything: never a mean of 0
    few = np.zeros((2, 32, 32), np.int64)
    few[1, 3, 4] = -1
    assert encode.means(few).tolist() == [1, 1]
    assert encode.numbers(few, "deconvnet")[0].max() == 0
    assert np.flatnonzero(encode.numbers(few, "deconvnet")[1]).tolist() == [100]


@pytest.mark.parametrize("code", CODES)
def test_every_flipped_bit_is_an_error(code: str) -> None:
    found = heat(code=code)
    data = encode.encode(found)
    for bit in range(8 * len(data)):
        wrong = bytearray(data)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckFailed):
            decode(bytes(wrong), known(found))


def test_every_cut_is_an_error() -> None:
    found = heat()
    data = encode.encode(found)
    for size in range(len(data)):
        with pytest.raises(CheckFailed, match="cut short"):
            decode(data[:size], known(found))
    with pytest.raises(
        CheckFailed, match=r"must end with its packet of .* decode several with dec"
    ):
        decode(data + b"\0\0\0\0", known(found))


def test_packets_in_a_row() -> None:
    several = [heat(seed=k, density=d) for k, d in enumerate((0.0, 0.2, 0.9))]
    data = b"".join(encode.encode(found) for found in several)
    back = decode_all(data, known(several[0]))
    assert all(same(a, b) for a, b in zip(back, several, strict=True))
    assert decode_all(b"", known(several[0])) == []
    for size in range(len(data) - len(encode.encode(several[2])) + 1, len(data)):
        with pytest.raises(CheckFailed):
            decode_all(data[:size], known(several[0]))


def resealed(data: bytes, change: dict[int, int]) -> bytes:
    """The packet with other bytes and a CRC that fits them."""
    body = bytearray(data[:-4])
    for place, value in change.items():
        body[place] = value
    return bytes(body) + struct.pack("<I", zlib.crc32(bytes(body)))


def packet(bits: list[int], found: HeatMap) -> bytes:
    """A packet with a payload of one's own."""
    whole = np.zeros(-(-len(bits) // 32) * 32, np.uint8)
    whole[: len(bits)] = bits
    header = encode.encode(found)[: maps.HEADER.size - 4] + struct.pack("<I", len(bits))
    body = header + np.packbits(whole, bitorder="little").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def test_what_no_encoder_makes_is_an_error() -> None:
    found = heat((4, 6, 1), 0.0, 4)  # two tiles, the second half beyond the edge
    one = [1] + [1, 1, 0, 1, 0] + [0] * 15
    assert decode(packet([*one, 0], found), known(found)).values[0, 0, 0] == 5
    for bits, said in (
        ([], "got tile 0 of 2 that is none of it"),
        ([0], "got tile 1 of 2 that is none of it"),
        ([0, 0, 0], "got an end at bit 2 that is none of it"),
        ([*one], "got tile 1 of 2"),
        ([1] + [0] * 16 + [0], "got tile 0 of 2"),  # a tile of nothing
        ([1] + [1] + [0] * 4 + [0] * 15 + [0], "got a value of 0 in tile 0 of 2"),
        ([0, 1] + [0, 0, 0, 1, 1, 0, 0, 0] + [0] * 12, "got a value beyond the edge"),
        ([*one[:-1]], "got tile 0 of 2"),
    ):
        with pytest.raises(CheckFailed, match=said):
            decode(packet(bits, found), known(found))
    logs = heat((4, 4, 1), 0.0, 9, code=LOG)  # 4 bits of an exponent, to 8, and a sign
    front, rest = [1, 1], [0] * 15
    assert decode(packet([*front, 0, 0, 0, 1, 1, *rest], logs), known(logs)).values[0, 0, 0] == -384
    for value in ([0, 0, 0, 1, 0], [1, 0, 0, 1, 1], [1, 1, 1, 1, 0]):
        with pytest.raises(CheckFailed, match="got a value too large in tile 0"):
            decode(packet([*front, *value, *rest], logs), known(logs))
    levels = heat((1, 2, 1), 0.0, 4, code=LEVELS)
    mean = [0, 1] + [0] * 14
    assert decode(packet([*mean, 1, 0, 0, 1, 1, 1, 1], levels), known(levels)).values.tolist() == [
        [[12], [-148]]
    ]
    for bits, said in (
        ([0] * 16 + [0] * 6, "got a mean of 0 in 16ths"),
        (mean[:15], "got a mean of 2 in 16ths"),
        ([*mean, 1, 0, 0], "got an end in pixel 1 of 2"),
        ([*mean, 1, 0, 0, 1, 1, 1], "got an end at bit 23"),
        ([*mean, 1, 0, 0, 0, 0, 0, 0], "got an end at bit 22"),
    ):
        with pytest.raises(CheckFailed, match=said):
            decode(packet(bits, levels), known(levels))
    with pytest.raises(CheckFailed, match="got a mean of 2 in 16ths"):
        decode(packet([*mean, 1, 0, 0, 1, 1, 1, 1], levels), {(2, "deconvnet"): (1, 2, 3)})
    stray = resealed(packet([*one, 0], found), {16 + 3: 0x80})  # a bit behind the last
    with pytest.raises(CheckFailed, match="got an end at bit 22"):
        decode(stray, known(found))


def test_packets_of_another_design() -> None:
    found = heat()
    data = encode.encode(found)
    for change, said in (
        ({7: 4 << 4 | 3}, "of a known code and method and of 4 to 16 bits, got code 4, method 3"),
        ({7: 3}, "got code 0, method 3"),
        ({7: 1 << 4 | 9}, "got code 1, method 9 and 8 bits: use the Exeunt of the design"),
        ({9: 17}, "got code 1, method 3 and 17 bits"),
        ({6: 1}, "must be of an exit and a method of the design, got exit 1 and deconvnet"),
    ):
        with pytest.raises(CheckFailed, match=said):
            decode(resealed(data, change), known(found))
    with pytest.raises(CheckFailed, match=r"must be a map of 6 x 7 x 4, got .* that is none of it"):
        decode(data, {(2, "deconvnet"): (6, 7, 4)})


def test_numbers_without_room() -> None:
    for change, said in (
        ({"id": 1 << 32}, "the id of a heat map must be 0 to 4294967295, got 4294967296"),
        ({"class_": -1}, "the class of a heat map must be 0 to 65535, got -1"),
        ({"exit": 256}, "the exit of a heat map must be 0 to 255, got 256"),
        ({"exponent": -129}, "the exponent of a heat map must be -128 to 127, got -129"),
        ({"bits": 4}, "the (smallest|largest) value of a heat map must be"),
        ({"bits": 3}, "the bits of a heat map must be 4 to 16, got 3"),
        (
            {"code": "huffman"},
            "the code of a heat map must be one of linear, log, levels, got 'huffman'",
        ),
        ({"method": "lime"}, "the method of a heat map must be one of saliency, .* got 'lime'"),
    ):
        with pytest.raises(InputError, match=said):
            encode.encode(dataclasses.replace(heat(density=1.0), **change))


def test_sizes_of_other_formats() -> None:
    line = np.zeros((1, 1, 40, 1), np.int32)
    line[0, 0, 17], line[0, 0, 18], line[0, 0, 39] = 5, -3, 1
    assert encode.dense_bits(line, 8)[0] == 320
    assert encode.bitmask_bits(line, 8)[0] == 40 + 24
    # 16 zeros, 1 zero and a 5; -3; 16 zeros, 4 zeros and a 1
    assert encode.run_length_bits(line, 8)[0] == (2 + 1 + 2) * 12
    empty = np.zeros((2, 1, 40, 1), np.int32)
    assert encode.run_length_bits(empty, 8).tolist() == [36, 36]
    assert encode.ebpc_bits(empty, 8).tolist() == [15, 15]
    # 3 values and 4 runs; then one block of 5, -3 and six times 1, whose differences are -8, 4 and
    # zeros: in nine planes a single 1, five planes that repeat, two 1s side by side, a plane that
    # becomes 0 and one that repeats
    assert encode.ebpc_bits(line, 8)[0] == 3 + 4 * 5 + 8 + 8 + (2 + 4) + 8 + 5 + 3
