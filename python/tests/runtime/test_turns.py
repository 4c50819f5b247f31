"""Turns: one thread at a time, in the order in which they came, whatever interrupts them."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from exeunt.runtime.turns import Turns

SECONDS = 10.0


def start(*works) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def end(threads) -> None:
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def until(turns: Turns, waiting: int) -> None:
    """Until so many threads stand in the queue."""
    limit = time.monotonic() + SECONDS
    while len(turns._queue) < waiting:
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_the_one_that_waited_longest_is_next():
    turns, order = Turns(), []

    def work(name: int) -> None:
        with turns:
            order.append(name)

    threads = []
    with turns:
        for name in range(6):
            threads += start(lambda name=name: work(name))
            until(turns, name + 1)
    end(threads)
    assert order == list(range(6))


def test_who_gives_back_and_wants_it_at_once_goes_behind():
    """`threading.RLock` starves the other thread here."""
    turns, mine, other = Turns(), [], []

    def work() -> None:
        for _ in range(50):
            with turns:
                other.append(len(mine))

    with turns:
        threads = start(work)
        until(turns, 1)
    for _ in range(50):
        with turns:
            mine.append(len(other))
            time.sleep(0.001)  # so that the other one can come
    end(threads)
    assert max(b - a for a, b in itertools.pairwise(mine)) <= 2


def test_its_holder_takes_it_again_and_gives_way_as_a_whole():
    turns, order = Turns(), []

    def work() -> None:
        with turns:
            order.append("other")

    with turns, turns, turns:
        threads = start(work)
        until(turns, 1)
        turns.give_way()
        order.append("mine")
        assert turns.mine
    end(threads)
    assert order == ["other", "mine"]
    assert not turns.mine
    with turns:
        turns.give_way()  # nobody waits


def test_waits_until_somebody_says_changed():
    turns, order = Turns(), []

    def work() -> None:
        with turns:
            order.append("seen")
        time.sleep(0.02)
        with turns:
            order.append("changed")
            turns.changed()

    with turns, turns:
        threads = start(work)
        turns.wait()
        order.append("mine")
        assert turns.mine
    end(threads)
    assert order == ["seen", "changed", "mine"]


def test_an_error_gives_it_back():
    turns = Turns()
    with pytest.raises(ValueError, match="x"), turns:
        raise ValueError("x")
    end(start(lambda: turns.__enter__()))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("way", ["enter", "give_way", "wait"])
def test_interrupted_while_it_waits(way):
    """Ctrl-C: one that stands in the queue leaves it, one that had its turn has it again."""
    turns, inside, go = Turns(), threading.Event(), threading.Event()

    def work() -> None:
        with turns:
            inside.set()
            go.wait(SECONDS)

    def interrupt() -> None:
        inside.wait(SECONDS)
        time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.02)
        go.set()

    if way == "enter":
        threads = start(work)
        inside.wait(SECONDS)
        threads += start(interrupt)
        with pytest.raises(KeyboardInterrupt), turns:
            pass
        assert not turns.mine
    else:
        with turns, turns:
            threads = start(work, interrupt)
            until(turns, 1)
            with pytest.raises(KeyboardInterrupt):
                getattr(turns, way)()
            assert turns.mine
        assert not turns.mine
    end(threads)
    assert not turns._queue
    with turns:
        pass
