"""When words leave thresholds whose lanes take turns."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.kernels.parts.turns import Passing, Search


def test_what_a_unit_has_behind_it():
    assert Search.of(0, lanes=4, searching=0) == Search(0)
    assert Search.of(15, lanes=4, searching=4) == Search(5, 1)
    assert Search.of(3, lanes=8, searching=2) == Search(3, 4)
    assert [Search(*x).latency for x in ((0,), (5,), (3, 4))] == [0, 5, 8]
    assert [Search(*x).length for x in ((0,), (5,), (3, 4))] == [1, 5, 5]


@pytest.mark.parametrize("search", [Search(0), Search(5), Search(3, 4)])
def test_words_far_apart_take_the_latency(search: Search):
    passing = Passing(search, [-1000] * search.length)
    for leave in range(0, 200, 20):
        assert passing.word(leave, -1000) == (leave, leave + search.latency)


def test_turns_hold_a_word_back_that_comes_too_soon():
    passing = Passing(Search(3, 4), [-1000] * 5)
    assert [passing.word(k, -1000) for k in (0, 1, 2)] == [(0, 8), (5, 13), (10, 18)]


def test_a_stall_reaches_the_accumulators_once_the_search_is_full():
    passing = Passing(Search(2), [-1000] * 2)
    assert passing.word(0, 50) == (0, 50)
    assert passing.word(1, -1000) == (1, 51)
    assert passing.word(2, -1000) == (50, 52)


@pytest.mark.parametrize("search", [Search(0), Search(5), Search(3, 4)])
def test_the_state_without_a_stall_goes_on_as_the_other_does(search: Search):
    step = max(1, search.turns + 1)
    start = [-1000] * search.length
    passing = Passing(search, list(start))
    gives = [passing.word(k * step, -1000)[1] for k in range(9)]
    after = search.after(np.array(start), np.array(gives))
    assert after.tolist() == passing.state()
    assert Passing(search, after.tolist()).word(30, 90) == passing.word(30, 90)
