"""Heads on a network that has none: its places, what a head sees, and the network with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.qonnx import exits, file, heads, meaning
from exeunt.qonnx.heads import LEVELS, Head, Hidden, Place

IMAGES = np.random.default_rng(5).integers(0, 256, (9, 6, 6, 2)).astype(np.uint8)


def plain(b: Any) -> list[str]:
    x = b.conv("image", 4, pad=1)
    y = b.conv(x, 6, pad=1)
    z = b.linear(b.pool(y), 8, act=True)
    b.exit(b.linear(z, 3))
    return [x, y, z]


def residual(b: Any) -> list[str]:
    x = b.conv("image", 4, pad=1)
    arm = b.quant(b.conv(x, 4, pad=1, act=False), 4, signed=True)
    same = b.quant(x, 4, signed=True)
    y = b.quant(b.node("Relu", b.node("Add", arm, same, shape=b.shapes[x]), shape=b.shapes[x]))
    z = b.conv(y, 4, pad=1)
    b.exit(b.linear(z, 3))
    return [x, y, z]


def bipolar(b: Any) -> list[str]:
    x = b.conv("image", 4, pad=1, act=False)
    x = b.quant(x, 1, signed=True, scale=0.5)
    y = b.conv(x, 6, pad=0)
    b.exit(b.linear(y, 3))
    return [x, y]


def flat(b: Any) -> list[str]:
    """Fully connected, an exit behind each hidden layer."""
    x = b.linear("image", 20, act=True)
    y = b.linear(x, 16, act=True)
    z = b.linear(y, 12, act=True)
    b.exit(b.linear(z, 3))
    return [x, y, z]


def read(b: Any, tmp_path: Path) -> tuple[Any, Any]:
    graph = file.load(b.save(tmp_path / "model.onnx"))
    return graph, meaning.integers(graph)


def head(place: Place, window: tuple[int, int], seed: int = 0, hidden: bool = False) -> Head:
    random = np.random.default_rng(seed)
    channels, rows, columns = place.grid(window)
    layer = None
    if hidden:
        kernel = (min(2, rows), min(3, columns))
        taps = random.integers(-7, 8, (4, channels, *kernel))
        # sums of odd parts of steps: no value is half way between two
        layer = Hidden(taps, 4, 2.0**-6, np.full(4, 1.0), np.full(4, 0.3), 0.37)
        channels, rows, columns = 4, rows - kernel[0] + 1, columns - kernel[1] + 1
    weights = random.integers(-15, 16, (3, channels * rows * columns))
    return Head(place, window, weights, 5, 0.013, random.integers(-900, 900, 3), layer)


def answer(head: Head, pooled: np.ndarray) -> np.ndarray:
    """Logits int64 (N, classes) of a head by its definition, in floats."""
    x, layer = pooled.astype(np.float64), head.hidden
    if layer is not None:
        view = np.lib.stride_tricks.sliding_window_view(x, layer.weights.shape[2:], axis=(2, 3))
        sums = np.einsum("nchwij,ocij->nohw", view, layer.weights.astype(np.float64))
        sums *= layer.scale * head.place.step / np.prod(head.window)
        sums = sums * layer.gain[:, None, None] + layer.bias[:, None, None]
        x = np.clip(np.rint(sums / layer.step), 0, LEVELS)
    return np.asarray(x.reshape(len(x), -1) @ head.weights.T + head.bias, np.int64)


@pytest.mark.parametrize("made", [plain, residual, bipolar, flat])
def test_places_are_the_quantizers_that_everything_passes(made, builder, tmp_path):
    b = builder((6, 6, 2))
    expected = made(b)
    graph, network = read(b, tmp_path)
    found = heads.places(graph, network)
    assert [p.tensor for p in found] == expected
    costs = [p.multiplies for p in found]
    assert costs == sorted(costs)
    first = 6 * 6 * 2 * 20 if made is flat else 6 * 6 * 4 * 9 * 2
    assert costs[0] == first
    assert costs[-1] < network.multiplies()[-1]
    assert found[0].shape == ((1, 1, 20) if made is flat else (6, 6, 4))


@pytest.mark.parametrize("made", [plain, residual, bipolar, flat])
@pytest.mark.parametrize(
    ("window", "hidden"),
    [((1, 1), False), *(((r, c), h) for r, c in ((2, 3), (4, 4), (6, 6)) for h in (False, True))],
)
def test_the_network_answers_as_before_and_as_its_heads_say(
    made, window, hidden, builder, tmp_path
):
    b = builder((6, 6, 2), seed=1)
    made(b)
    graph, network = read(b, tmp_path)
    places = heads.places(graph, network)
    wanted = [(p, (min(window[0], p.shape[0]), min(window[1], p.shape[1]))) for p in places]
    seen, answers = heads.pooled(network, IMAGES, wanted)
    assert np.array_equal(answers, network.logits(IMAGES)[0])
    maps = [hidden and p.shape[:2] != (1, 1) for p in places]  # what is left costs less elsewhere
    put = [head(p, w, n, m) for n, ((p, w), m) in enumerate(zip(wanted, maps, strict=True))]
    whole = heads.attached(graph, put)
    path = tmp_path / "whole.onnx"
    path.write_bytes(file.to_model(whole).SerializeToString())
    for found in (meaning.integers(whole), meaning.integers(file.load(path))):
        *early, last = found.logits(IMAGES)
        assert np.array_equal(last, answers)
        for one, pooled, got in zip(put, seen, early, strict=True):
            assert np.ptp(pooled)
            assert np.array_equal(got, answer(one, pooled))
            assert not hidden or len(np.unique(got)) > 1
        assert found.scales[:-1] == pytest.approx([h.logit_scale for h in put])
        assert len(exits.parts(found)) == 2 * len(put) + 2
        spent = np.cumsum([h.multiplies for h in put])
        costs = [p.multiplies + s for p, s in zip(places, spent, strict=True)]
        assert found.multiplies() == [*costs, network.multiplies()[-1] + int(spent[-1])]


def test_pooled_sums_the_windows_of_the_integers(builder, tmp_path):
    b = builder((6, 6, 2))
    plain(b)
    graph, network = read(b, tmp_path)
    place = heads.places(graph, network)[0]
    (seen,), _ = heads.pooled(network, IMAGES, [(place, (4, 3))])
    whole = network.tensors(IMAGES)[place.tensor]
    sums = np.stack([whole[:, :4, :3].sum((1, 2)), whole[:, :4, 3:].sum((1, 2))], axis=2)[
        :, :, None
    ]
    assert np.array_equal(seen, sums)
    assert seen.dtype == np.int16


@pytest.mark.parametrize(
    ("budget", "window"),
    [(6 * 6 * 4 * 3, (2, 2)), (108, (2, 2)), (107, (3, 3)), (48, (3, 3)), (12, (4, 4)), (11, None)],
)
def test_the_pool_is_the_smallest_that_keeps_the_budget(budget, window):
    assert Place("x", (6, 6, 4), 1.0, 0).window(3, budget) == window


def test_a_flat_map_is_pooled_along_its_long_side_alone():
    assert Place("x", (1, 8, 2), 1.0, 0).window(3, 24) == (1, 2)
    assert Place("x", (1, 8, 2), 1.0, 0).grid((1, 3)) == (2, 1, 2)


def test_names_of_the_network_are_not_taken_twice(builder, tmp_path):
    b = builder((6, 6, 2))
    plain(b)
    graph, network = read(b, tmp_path)
    place = heads.places(graph, network)[0]
    once = heads.attached(graph, [head(place, (6, 6))])
    again = heads.attached(once.with_outputs(once.outputs[-1:]), [head(place, (6, 6), seed=1)])
    assert len({n.output for n in again.nodes}) == len(again.nodes)
    assert len(meaning.integers(again).exits) == 2


def test_a_network_that_has_exits_is_refused(builder, tmp_path):
    b = builder((6, 6, 2))
    plain(b)
    graph, network = read(b, tmp_path)
    place = heads.places(graph, network)[0]
    whole = heads.attached(graph, [head(place, (6, 6))])
    with pytest.raises(InputError) as caught:
        heads.attached(replace(whole, where="two.onnx"), [head(place, (6, 6))])
    assert str(caught.value) == (
        "two.onnx: heads are for a network with one exit but it has 2; name one of them in "
        "model.exits"
    )
