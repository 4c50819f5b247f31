"""Kernels that solve all words at once, against their rules word by word, on random nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from exeunt.graph import Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.mvu import Mvu, folds
from exeunt.kernels.mvu.products import operands
from exeunt.kernels.parts import fifo, levels
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles
from exeunt.kernels.parts.turns import Passing
from exeunt.kernels.swg import Swg, serial
from exeunt.reference import pipeline

FRAMES = 3
AGO = int(LONG_AGO)


def word_by_word_window(
    node: Swg, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """A frame through a serial window, read by read."""
    plan, words = serial.plan(node), node.input.words
    before = [AGO] * (plan.depth + 2) if past is None else past.tolist()
    taken, free, room = before[0], before[1], before[2:]
    takes: list[int] = []
    gives: list[int] = []
    for window, reads in enumerate(plan.word.tolist()):
        while len(takes) < min(len(room), words):
            taken = max(int(offered[len(takes)]), taken + 1, room[len(takes)])
            takes.append(taken)
        for word in reads:
            read = max(free, takes[word] + 1)
            free = max(read + 1, AGO if ready is None else int(ready[len(gives)]))
            gives.append(free)
        room += [read + 1] * int(plan.base[window + 1] - plan.base[window])
    while len(takes) < words:
        taken = max(int(offered[len(takes)]), taken + 1, room[len(takes)])
        takes.append(taken)
    return np.array(takes), np.array(gives), np.array([taken, free, *room[words:]])


def word_by_word_matrix(
    node: Mvu, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Whole vectors through a matrix-vector unit, step by step."""
    nf, sf = folds(node)
    before, search = operands(node.simd, signs=node.signs), node.behind
    room = 2 if nf == 1 else 2 * sf
    if past is None:
        past = np.full(3 + room + before + search.length, LONG_AGO)
    ends, read, enter, left = np.split(past, (3, 3 + room, 3 + room + before))
    taken, started, leave = ends.tolist()
    free, entered, passing = read.tolist(), enter.tolist(), Passing(search, left.tolist())
    takes: list[int] = []
    gives: list[int] = []
    for vector in range(len(offered) // sf):
        for fold in range(nf):
            for step in range(sf):
                started += 1
                if fold == 0:
                    k = vector * sf + step
                    taken = max(int(offered[k]), taken + 1, free[k] + 1)
                    takes.append(taken)
                    started = max(started, taken + 1)
                started = max(started, entered[-before])
                enters = max(started + before, entered[-1] + 1)
                entered.append(max(enters, leave) if step == 0 else enters)
                if fold == nf - 1:
                    free.append(started)
            accept = AGO if ready is None else int(ready[len(gives)])
            leave, given = passing.word(max(entered[-1] + 1, leave + 1), accept)
            gives.append(given)
    after = [taken, started, leave, *free[-room:], *entered[-before:], *passing.state()]
    return np.array(takes), np.array(gives), np.array(after)


def word_by_word_registers(
    depth: int, past: Cycles, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Words through registers in a row."""
    left, taken = past[:-1].tolist(), int(past[-1])
    takes: list[int] = []
    for k, earliest in enumerate(offered.tolist()):
        taken = max(earliest, taken + 1, left[k])
        takes.append(taken)
        left.append(max(taken + depth, left[-1] + 1, AGO if ready is None else int(ready[k])))
    return np.array(takes), np.array(left[depth:]), np.array([*left[-depth:], taken])


def _window(rng: np.random.Generator) -> Swg | None:
    (h, w), (kh, kw), (sh, sw) = (rng.integers(1, high, 2).tolist() for high in (12, 6, 4))
    dilation = tuple(rng.choice([1, 1, 2], 2).tolist())
    pad = tuple(int(rng.integers(0, k)) for k in (kh, kw, kh, kw))
    lanes, blocks = int(rng.choice([1, 2])), int(rng.choice([1, 2]))
    channels = lanes * blocks * int(rng.integers(1, 3))
    oh = (h + pad[0] + pad[2] - (kh - 1) * dilation[0] - 1) // sh + 1
    ow = (w + pad[1] + pad[3] - (kw - 1) * dilation[1] - 1) // sw + 1
    if oh < 1 or ow < 1:
        return None
    return Swg(
        "window", Stream((h, w, channels), Integer(4), lanes),
        Stream((oh, ow, channels * kh * kw), Integer(4), lanes), kernel=(kh, kw), stride=(sh, sw),
        pad=pad, dilation=dilation, blocks=blocks,
    )  # fmt: skip


def _matrix(rng: np.random.Generator) -> Mvu:
    simd, pe = int(rng.choice([1, 2, 3, 10, 90])), int(rng.choice([1, 2, 4, 8]))
    columns, rows, vectors = (int(rng.integers(1, high)) for high in (9, 6, 12))
    return Mvu(
        "matrix", Stream((vectors, 1, simd * columns), Integer(4), simd),
        Stream((vectors, 1, pe * rows), Integer(16, True), pe),
        levels=int(rng.choice([0, 0, 1, 3, 15, 200])),
    )  # fmt: skip


def _later(rng: np.random.Generator, start: int, count: int) -> Cycles:
    """First cycles of words: pauses, as often and as long as chance has it."""
    often, long = rng.choice([1, 0.1, 0.02]), int(rng.choice([1, 3, 10, 60]))
    pauses = (rng.random(count) < often) * rng.integers(0, long, count)
    return start + np.cumsum(pauses)


@pytest.mark.parametrize("make", [_window, _matrix], ids=["window", "matrix"])
def test_all_words_at_once_move_as_word_by_word(
    make: Callable[[np.random.Generator], Node | None],
) -> None:
    rule = {_window: word_by_word_window, _matrix: word_by_word_matrix}[make]
    stalled = 0
    for seed in range(60):
        rng = np.random.default_rng([7, seed])
        node = make(rng)
        if node is None:
            continue
        resume = registry.resume(node)
        for waits in (False, True, True):
            past = plain = None
            start = 0
            for _ in range(FRAMES):
                offered = _later(rng, start + int(rng.integers(0, 30)), node.input.words)
                if past is not None:  # as a chain gives it
                    past = np.maximum(past, offered[0] - pipeline.SETTLED)
                    plain = np.maximum(plain, offered[0] - pipeline.SETTLED)
                ready = _later(rng, int(offered[0]), node.output.words) if waits else None
                want = rule(node, plain, offered, ready)
                got = resume(node, past, offered, ready)
                for a, b in zip(got[:2], want[:2], strict=True):
                    np.testing.assert_array_equal(a, b, f"{node}, seed {seed}")
                free = resume(node, past, offered, None)[1]
                stalled += ready is not None and bool((got[1] > np.maximum(free, ready)).any())
                past, plain, start = got[2], want[2], int(got[0][-1]) + 1
    assert stalled > 20  # what waits makes others wait


def test_registers_in_a_row() -> None:
    for seed in range(100):
        rng = np.random.default_rng([8, seed])
        depth = int(rng.integers(1, 8))
        past = np.append(np.sort(rng.choice(40, depth, replace=False)), rng.integers(0, 30))
        offered = _later(rng, int(rng.integers(0, 50)), 80)
        ready = None if rng.random() < 0.3 else _later(rng, int(offered[0]), 80)
        want = word_by_word_registers(depth, past, offered, ready)
        got = levels.registers(depth, past, offered, ready)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b, f"seed {seed}")


@pytest.mark.parametrize("count", [0, 1, 5, fifo.MANY, 1000])
def test_no_two_words_in_a_cycle(count: int) -> None:
    rng = np.random.default_rng(count)
    for step in (1, 2, 9):
        cycles = np.cumsum(rng.integers(0, step + 1, count)) + (step == 9) * np.arange(count)
        found, last = fifo.spaced(cycles), -1
        for earliest, cycle in zip(cycles.tolist(), found.tolist(), strict=True):
            last = max(last + 1, earliest)
            assert cycle == last
        assert count == 0 or not np.shares_memory(found, cycles)
    assert fifo.index(count).tolist() == list(range(count))
