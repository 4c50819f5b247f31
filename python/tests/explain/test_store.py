"""Context words: where every value lies, and which streams cannot be kept."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.explain.store import GROUP, Gather, packed, way_bits, words


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 20, 32, 45])
def test_every_value_is_in_its_lane(channels: int) -> None:
    values = np.random.default_rng(channels).integers(0, 8, (2, 3, 4, channels))
    found = words(values)
    made = Gather((3, 4, channels), 3, channels)
    assert found.shape == (2, made.words, made.lanes_of_word)
    lanes, groups = min(GROUP, channels), -(-channels // GROUP)
    for (n, y, x, c), value in np.ndenumerate(values):
        assert found[n, (y * 4 + x) * groups + c // GROUP, c % GROUP] == value
    beyond = found.reshape(2, 12, groups * lanes)[..., channels:]
    assert not beyond.any()
    first = packed(found[0], 3)[0]
    assert [first >> 3 * i & 7 for i in range(lanes)] == found[0, 0].tolist()
    assert made.width == 3 * lanes


def test_writes_by_hand() -> None:
    takes = np.array([0, 1, 5, 6])
    # 12 lanes of 24: beat 1 completes channels 0 to 15 and the rest
    assert Gather((1, 2, 24), 1, 12).writes(takes).tolist() == [2, 3, 7, 8]
    # 8 lanes of 24: a word in beats 0 and 1, another one in beat 2
    assert Gather((1, 1, 24), 1, 8).writes(np.array([3, 4, 9])).tolist() == [5, 10]
    # 32 lanes: two words at once
    assert Gather((1, 1, 64), 1, 32).writes(np.array([3, 4])).tolist() == [4, 5]
    assert Gather((1, 2, 3), 1, 1).writes(np.arange(6)).tolist() == [3, 6]


@pytest.mark.parametrize(
    ("channels", "lanes", "rule", "step"),
    [
        (20, 3, "must divide its 20 channels, got 3", "fold its kernel by a divisor"),
        (20, 0, "must divide its 20 channels, got 0", "fold its kernel by a divisor"),
        (48, 24, "must be a multiple of 16 or all 48 channels, got 24", "fold its kernel"),
    ],
)
def test_lanes_that_make_no_whole_words(channels: int, lanes: int, rule: str, step: str) -> None:
    with pytest.raises(InputError, match=f"of a stream that is kept {rule}: {step}"):
        Gather((2, 2, channels), 1, lanes)


def test_bits_of_a_way() -> None:
    assert [way_bits(k) for k in ((1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (4, 4))] == [
        1, 1, 2, 3, 4, 4
    ]  # fmt: skip
