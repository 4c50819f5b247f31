"""The controller's reference against definitions written out frame by frame."""

import numpy as np
import pytest

from exeunt.reference import controller
from exeunt.registers import ALWAYS, NEVER


def test_decide_takes_the_first_exit_that_reaches_its_threshold() -> None:
    exit0 = np.array([[0, 10], [0, 9], [0, 1], [0, 0]])
    exit1 = np.array([[5, 0], [20, 0], [19, 0], [0, 0]])
    exit2 = np.array([[1, 2], [1, 2], [1, 2], [2, 1]])
    found = controller.decide([exit0, exit1, exit2], [10, 20])
    assert found.exits.tolist() == [0, 1, 2, 2]
    assert found.classes.tolist() == [1, 0, 1, 0]
    assert found.scores.tolist() == [10, 20, 1, 1]


@pytest.mark.parametrize(
    ("threshold", "exits"),
    [(ALWAYS, [0, 0]), (NEVER, [1, 1]), (-1, [0, 0]), (0, [0, 0]), (1, [0, 1]), (None, [0, 0])],
)
def test_codes(threshold: int | None, exits: list[int]) -> None:
    logits = np.array([[0, 1], [0, 0]])
    assert controller.decide([logits, logits], [threshold]).exits.tolist() == exits
    assert controller.decide([logits, logits], [threshold, NEVER]).exits.tolist() == exits


def test_each_frame_uses_its_bank() -> None:
    logits = np.array([[0, 5]] * 4)
    banks = np.array([0, 1, 1, 0])
    found = controller.decide([logits, logits], [[5], [6]], banks=banks)
    assert found.exits.tolist() == [0, 1, 1, 0]
    table = controller.results(
        found, first_id=0xFFFFFFFE, bad=np.array([True, False, True, False]), banks=banks
    )
    assert table["id"].tolist() == [0xFFFFFFFE, 0xFFFFFFFF, 0, 1]
    assert table["flags"].tolist() == [1, 2, 3, 0]
    assert controller.RESULT.itemsize == 16
    assert table[:1].tobytes()[:8] == bytes([0xFE, 0xFF, 0xFF, 0xFF, 5, 0, 0, 0])


def test_raw_beats_are_zero_padded_per_frame() -> None:
    beats = controller.raw_beats(np.array([[1, -1, 2, 3, 4], [5, 6, 7, 8, 9]]))
    words = [[beat >> (32 * k) & 0xFFFFFFFF for k in range(4)] for beat in beats]
    assert words == [[1, 0xFFFFFFFF, 2, 3], [4, 0, 0, 0], [5, 6, 7, 8], [9, 0, 0, 0]]


def test_a_drop_frees_the_place_of_a_frame_behind_one_that_waits() -> None:
    """Two places: frame 0 is kept and cannot leave; the others come and go through the second."""
    keep = np.array([True, False, False, True])
    late = np.full(4, 100)
    takes, decided, gives = controller.buffer_times(
        2, 4, np.zeros(8, np.int64), np.array([0, 5, 9, 9]), keep, ready=late
    )
    assert takes.tolist() == [0, 1, 2, 3, 6, 7, 10, 11]
    assert decided.tolist() == [1, 5, 9, 11]
    assert gives.tolist() == [100, 101, 102, 103]


def test_times_without_stalls() -> None:
    takes, gives = controller.decide_times(np.array([2, 4, 5]))
    assert takes.tolist() == [2, 4, 5]
    assert gives.tolist() == [3, 5, 6]
    keep = np.array([False, True])
    takes, decided, gives = controller.buffer_times(3, 6, np.arange(6), np.array([0, 0]), keep)
    assert takes.tolist() == [0, 1, 2, 3, 4, 5]
    assert decided.tolist() == [1, 4]
    assert gives.tolist() == [6, 7, 8]
    order, loads, gives = controller.merge_times([np.array([5, 6]), np.array([6])])
    assert order == [(0, 0), (1, 0), (0, 1)]
    assert loads.tolist() == [6, 7, 8]
    assert gives.tolist() == [7, 8, 9]
