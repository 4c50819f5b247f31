"""Graphs whose streams part and meet: values, whether words move, FIFO depths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from exeunt import samples
from exeunt.cost import folding
from exeunt.graph import Accelerator, Dataflow, IntArray, Integer, Stream
from exeunt.kernels.layer import Addition, Concatenation, Joining, Layer, Levels, Matrix, Windows
from exeunt.kernels.lowering import lower
from exeunt.reference import network, pipeline, prepared, tokens
from exeunt.window import Window

TWO, SUM = Integer(2), Integer(12, signed=True)
SHAPE = (4, 3, 2)
FRAMES = 2
LONG = 4000  # cycles in which FRAMES frames have left, if ever: see test_words_move_or_stand_still


def _levels(source: Integer = SUM, behind: int = 1, channels: int = 2) -> Levels:
    rows = np.tile(np.array([-9, 1, 20]), (channels, 1))
    shape = (4, 3, channels)
    return Levels(
        shape, source, shape, TWO, levels=3, behind=(behind,), arrays={"thresholds": rows}
    )


def _convolution(behind: int = 1, seed: int = 0) -> list[Layer]:
    """3x3 windows, a matrix and thresholds: three layers that lag behind by a row and more."""
    weights = np.random.default_rng(seed).integers(-7, 8, (2, 18))
    window = Window((3, 3), (1, 1), (1, 1, 1, 1))
    return [
        Windows(SHAPE, TWO, (4, 3, 18), TWO, window=window, behind=(behind,)),
        Matrix((4, 3, 18), TWO, SHAPE, SUM, columns=18, weight_bits=4, accumulator=SUM,
               arrays={"weights": weights}),
        _levels(),
    ]  # fmt: skip


def _join(kind: type[Joining], *behind: int) -> list[Layer]:
    """Both as one, and thresholds, so that the next layer sees two bits again."""
    channels = 4 if kind is Concatenation else 2
    result = TWO if kind is Concatenation else Integer(3)
    return [
        kind(SHAPE, TWO, (4, 3, channels), result, other=SHAPE, other_source=TWO, behind=behind),
        _levels(result, channels=channels),
    ]


GRAPHS: dict[str, list[Layer]] = {
    "residual": [*_convolution(), *_convolution(), *_join(Addition, 1, 4)],
    "arms of different lag": [
        _levels(TWO), *_convolution(1), *_convolution(1, 1), *_convolution(7, 2),
        *_join(Addition, 4, 1),
    ],
    "concatenated arms": [
        _levels(TWO), *_convolution(1), *_convolution(4, 1), *_join(Concatenation, 1, 4)
    ],
    "residual in a residual": [
        _levels(TWO), *_convolution(), *_convolution(), *_join(Addition, 1, 4), *_convolution(),
        *_join(Addition, 1, 12),
    ],
    "fork of a fork": [
        _levels(TWO), *_convolution(), *_join(Addition, 1, 4), *_join(Addition, 1, 6),
    ],
}  # fmt: skip


# where each arm's own kernels hold all words that must wait
PLAIN = {("arms of different lag", 216), ("concatenated arms", 24), ("concatenated arms", 216)}


def _graph(name: str, target: int = 216) -> tuple[Dataflow, dict[str, IntArray]]:
    layers = GRAPHS[name]
    folds = folding.fold(layers, target=target, lanes=1).folds
    return lower("seg0", layers, folds, source=Stream(SHAPE, TWO, 1))


def _moves(
    chain: Dataflow, fifos: tuple[int, ...], offered: IntArray | None = None, limit: int = LONG
) -> int | None:
    """The cycle in which the last word of some frames leaves; None: not within the limit."""
    if offered is None:
        offered = pipeline.back_to_back(chain.input.words, FRAMES)
    try:
        found = pipeline.flow(chain.nodes, fifos, offered, reads=chain.reads, limit=limit)
    except pipeline.Stuck:
        return None
    return int(found.leaves[-1])


def _with(fifos: tuple[int, ...], place: int, depth: int) -> tuple[int, ...]:
    return (*fifos[:place], depth, *fifos[place + 1 :])


def _check_depths(chain: Dataflow) -> int:
    """How many long FIFOs there are, each of which is needed to its last word."""
    nodes, reads, words = chain.nodes, chain.reads, chain.input.words
    free = (0,) * len(chain.streams)
    period = pipeline.interval(nodes, free, reads=reads)
    found = pipeline.depths(nodes, reads=reads)
    assert pipeline.interval(nodes, found, reads=reads, frames=24) == period
    at_once = pipeline.back_to_back(words, pipeline.TRIM_FRAMES)
    spread = at_once * max(int(np.ceil(period)), words) // words
    limit = max(_moves(chain, free, offers, 10 * LONG) or 0 for offers in (at_once, spread))
    assert _moves(chain, found, at_once, limit) is not None
    long = [i for i, depth in enumerate(found) if depth > pipeline.MIN_DEPTH]
    for i in long:
        shorter = _with(found, i, found[i] - 1)
        if tokens.alive(nodes, shorter, reads=reads):
            late = _moves(chain, shorter, at_once, limit) is None
            slow = late or pipeline.interval(nodes, shorter, reads=reads) > period
            assert slow, f"FIFO {i} may have {found[i] - 1} words"
    return len(long)


@pytest.mark.parametrize("target", [24, 216])
@pytest.mark.parametrize("name", GRAPHS)
def test_depths_suffice_and_no_long_one_can_be_a_word_shorter(name: str, target: int) -> None:
    long = _check_depths(_graph(name, target)[0])
    assert long or (name, target) in PLAIN


def test_a_large_graph_keeps_the_fifos_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """They suffice as they are, and none is shorter than after the trials."""
    (chain, *_) = _graph("residual", 216)
    nodes, reads = chain.nodes, chain.reads
    tried = pipeline.depths(nodes, reads=reads)
    monkeypatch.setattr(pipeline, "TRIED", 0)
    kept = pipeline.depths(nodes, reads=reads)
    assert kept != tried
    assert all(a >= b for a, b in zip(kept, tried, strict=True))
    free = pipeline.interval(nodes, (0,) * len(kept), reads=reads)
    assert pipeline.interval(nodes, kept, reads=reads, frames=24) == free


@pytest.mark.parametrize(
    "seed", [18, 19, 29, *(pytest.param(s, marks=pytest.mark.slow) for s in (21, 31, 35, 36, 39))]
)
def test_depths_of_random_graphs(seed: int) -> None:
    whole = samples.tangled(seed)
    assert _check_depths(whole.segments[0].then(whole.heads[0]))


@pytest.mark.parametrize("name", ["residual", "residual in a residual", "fork of a fork"])
def test_words_move_or_stand_still(name: str) -> None:
    """The order of transfers alone says of every depth of every long FIFO what the cycles say."""
    chain, _ = _graph(name)
    full = pipeline.depths(chain.nodes, reads=chain.reads)
    latest = _moves(chain, full)
    assert latest is not None
    seen = set()
    for i in (i for i, depth in enumerate(full) if depth > pipeline.MIN_DEPTH):
        alive = [
            tokens.alive(chain.nodes, _with(full, i, d), reads=chain.reads)
            for d in range(1, full[i] + 1)
        ]
        assert alive == sorted(alive)
        least = alive.index(True) + 1
        seen.add(least > 1)
        for depth in {1, least - 1, least, full[i]} - {0}:
            last = _moves(chain, _with(full, i, depth))
            assert (last is not None) == alive[depth - 1], f"{name}: FIFO {i} of {depth} words"
            assert last is None or last < LONG / 2  # so LONG is long enough to tell
    assert True in seen, f"{name}: no FIFO makes words stand still"


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed in (5, 9, 36) else (pytest.mark.slow,))
        for seed in (*range(24), 31, 36, 39)
    ],
)
def test_words_of_random_graphs_move_or_stand_still(seed: int) -> None:
    chain = samples.tangled(seed, size=3, steps=5).segments[0]
    random = np.random.default_rng(seed)
    for _ in range(4):
        fifos = tuple(int(d) for d in random.choice([1, 1, 2, 3, 5, 9], len(chain.streams)))
        alive = tokens.alive(chain.nodes, fifos, reads=chain.reads)
        assert (_moves(chain, fifos) is not None) == alive, fifos


@pytest.mark.parametrize("name", GRAPHS)
def test_frames_one_by_one_are_frames_at_once(name: str) -> None:
    chain, _ = _graph(name)
    fifos = pipeline.depths(chain.nodes, reads=chain.reads)
    words, random = chain.input.words, np.random.default_rng(0)
    offered = np.cumsum(random.integers(0, 3, 4 * words)).astype(np.int64)
    accepts = np.cumsum(random.integers(0, 12, 4 * chain.output.words)).astype(np.int64)
    for ready in (None, accepts):
        whole = pipeline.flow(chain.nodes, fifos, offered, reads=chain.reads, ready=ready)
        past, entered, left = None, [], []
        for n in range(4):
            part = slice(n * words, (n + 1) * words)
            behind = slice(n * chain.output.words, (n + 1) * chain.output.words)
            start = offered[part].copy()
            if entered:
                start = np.maximum(start, entered[-1][-1] + 1 + np.arange(words))
            found = pipeline.flow(
                chain.nodes, fifos, start, reads=chain.reads, past=past,
                ready=None if ready is None else ready[behind],
            )  # fmt: skip
            past = found.past
            entered.append(found.enters)
            left.append(found.leaves)
        np.testing.assert_array_equal(np.concatenate(entered), whole.enters)
        np.testing.assert_array_equal(np.concatenate(left), whole.leaves)


def _same(whole: Accelerator, images: np.ndarray) -> None:
    expected = network.run(whole, images, streams=True).logits
    found = prepared.Prepared(whole).logits(images, batch=4)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert np.ptp(mine, axis=0).any(), "the network answers always the same"


@pytest.mark.parametrize("lanes", [1, 2])
def test_prepared_residual(lanes: int) -> None:
    _same(samples.residual(lanes=lanes), samples.images(9, channels=2, seed=1))


@pytest.mark.parametrize("seed", [1, 2, 5, 6, 9, 16, 18, 19, 21, 24, 26, 35, 38, 39])
def test_prepared_random_graphs(seed: int) -> None:
    _same(samples.tangled(seed), samples.images(9, size=4, channels=2, seed=1))


def _window_with_readers(between: bool) -> tuple[Accelerator, np.ndarray]:
    """Windows, and two matrices that read them, one behind thresholds that change nothing.

    The sum of both is given as logits of 24 classes.
    """
    window = Window((3, 3), (1, 1), (1, 1, 1, 1))
    wide = (4, 3, 18)
    layers: list[Layer] = [Windows(SHAPE, TWO, wide, TWO, window=window)]
    weights = np.random.default_rng(1).integers(-7, 8, (2, 2, 18))
    matrices = [
        Matrix(wide, TWO, SHAPE, SUM, columns=18, weight_bits=4, accumulator=SUM,
               arrays={"weights": weights[number]}, behind=(number + 1,))
        for number in range(2)
    ]  # fmt: skip
    layers.append(matrices[0])
    if between:
        same = np.tile(np.array([1, 2, 3]), (18, 1))
        layers.append(Levels(wide, TWO, wide, TWO, levels=3, behind=(2,),
                             arrays={"thresholds": same}))  # fmt: skip
        layers.append(dataclasses.replace(matrices[1], behind=(1,)))
    else:
        layers.append(matrices[1])
    total = Integer(13, signed=True)
    layers.append(
        Addition(SHAPE, SUM, SHAPE, total, other=SHAPE, other_source=SUM,
                 behind=(1, 3 if between else 2))
    )  # fmt: skip
    folds = folding.fold(layers, target=100, lanes=2).folds
    chain, arrays = lower("seg0", layers, folds, source=Stream(SHAPE, TWO, 2))
    empty = Dataflow("head0", chain.output, ())
    return Accelerator("twice", (chain,), (empty,), (1.0,), arrays), weights


@pytest.mark.parametrize("between", [False, True])
def test_windows_that_two_read_stay(between: bool) -> None:
    """A matrix may take over the windows in front of it, if nobody else reads them."""
    whole, weights = _window_with_readers(between)
    kinds = [node.kind for node in whole.segments[0].nodes]
    assert kinds.count("swg") == kinds.count("duplicate") == 1
    assert kinds.count("mvu") == 2
    assert kinds.count("threshold") == between
    images = samples.images(5, size=4, channels=2)[:, :, :3] % 4
    _same(whole, images)
    x = np.pad(images.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    want = np.zeros((5, 4, 3, 2), np.int64)
    for h, w in np.ndindex(4, 3):
        patch = x[:, h : h + 3, w : w + 3].reshape(5, -1)
        want[:, h, w] = patch @ weights.sum(axis=0).T
    np.testing.assert_array_equal(network.run(whole, images).logits[0], want.reshape(5, -1))
