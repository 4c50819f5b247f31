"""The integer reference against its own docstrings, read literally, gradient by gradient."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.explain import backward, context, scales, walk
from exeunt.explain.backward import Scales
from exeunt.explain.context import Context
from exeunt.explain.program import METHODS, Program, Scatter, Sweep, checked_classes

NAMES = ("three exits", "sums and concatenation", "tangled 6", "groups, overlapping maximum",
         "tiled sum with a rest", "pools alone")  # fmt: skip


def _at(route, found: Context, frame: int, y: int, x: int, c: int) -> tuple[int, int] | None:
    """Where a max pool sends the gradient of one of its outputs: the first of the largest."""
    values = found.streams[route.tensor][frame]
    best, place = None, None
    for ky in range(route.kernel[0]):
        for kx in range(route.kernel[1]):
            row = y * route.stride[0] - route.pad[0] + ky * route.dilation[0]
            column = x * route.stride[1] - route.pad[1] + kx * route.dilation[1]
            inside = 0 <= row < route.shape[0] and 0 <= column < route.shape[1]
            value = (int(values[row, column, c]), 1) if inside else (0, 0)
            if best is None or value > best:
                best, place = value, (row, column) if inside else None
    return place


def _scattered(sums: np.ndarray, term: Scatter, stream: np.ndarray, found, frame, left) -> None:
    for oy, ox, co in np.argwhere(stream):
        g = int(stream[oy, ox, co]) << left
        if not term.first <= co < term.first + term.rows:
            continue
        row = co - term.first
        place = (int(oy), int(ox))
        for route in term.routes:
            place = _at(route, found, frame, *place, row) if place else None
        if place is None:
            continue
        if term.weights is None:
            sums[(*place, row)] += g * term.factor
            continue
        for ky in range(term.kernel[0]):
            for kx in range(term.kernel[1]):
                y = place[0] * term.stride[0] - term.pad[0] + ky * term.dilation[0]
                x = place[1] * term.stride[1] - term.pad[1] + kx * term.dilation[1]
                if 0 <= y < sums.shape[0] and 0 <= x < sums.shape[1]:
                    sums[y, x] += g * term.factor * term.weights[row, ky, kx]


def _swept(sweep: Sweep, rounding, sums: np.ndarray, found, frame, limit) -> tuple[np.ndarray, int]:
    values, beyond = np.zeros(sweep.shape, np.int64), 0
    flat = sums.reshape(sweep.shape) if sweep.spread == (1, 1) else None
    for y, x, c in np.ndindex(*sweep.shape):
        if flat is not None:
            a = int(flat[y, x, c])
        else:
            row, column = y // sweep.spread[0], x // sweep.spread[1]
            inside = row < sums.shape[0] and column < sums.shape[1]
            a = int(sums[row, column, c]) if inside else 0
        a *= rounding.mantissas[c] if rounding.mantissas else 1
        if sweep.pixels:
            a *= int(found.images[frame].reshape(sweep.shape)[y, x, c])
        if sweep.mask is not None:
            place = (y, x)
            for route in sweep.routes:
                place = _at(route, found, frame, *place, c) if place else None
            if place is None or not found.masks[sweep.mask.tensor][frame][(*place, c)]:
                a = 0
        if sweep.positive:
            a = max(a, 0)
        size = (abs(a) + (1 << rounding.shift >> 1)) >> rounding.shift
        if size > limit:
            beyond, size = beyond + 1, limit
        values[y, x, c] = 0 if size < rounding.prune else size * (1 if a >= 0 else -1)
    return values, beyond


def literal(program: Program, chosen: Scales, found: Context, frame: int, class_: int):
    """The map, the clipped values and the non-zeros of each stream of one frame."""
    streams = [np.zeros((1, 1, program.classes), np.int64)]
    streams[0][0, 0, class_] = 1
    saturated = 0
    for sweep, rounding in zip(program.sweeps, chosen.sweeps, strict=True):
        sums = np.zeros(sweep.sums, np.int64)
        for term, left in zip(sweep.scatters, rounding.left, strict=True):
            _scattered(sums, term, streams[term.stream], found, frame, left)
        values, beyond = _swept(sweep, rounding, sums, found, frame, chosen.limit)
        streams.append(values)
        saturated += beyond
    return streams[-1], saturated, [int(np.count_nonzero(s)) for s in streams]


@pytest.mark.parametrize("method", [m for m in METHODS if m != "grad-cam"])
@pytest.mark.parametrize("name", NAMES)
def test_every_word_is_that_of_the_loops(name: str, method: str, graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS[name]())
    images = graphs.frames(accelerator, count=2)
    exit = len(accelerator.heads) - 1
    made = walk.program(accelerator, exit, method)
    found = context.forward(accelerator, made, images)
    classes = found.logits.argmax(1)
    chosen = scales.calibrated(made, found, classes, bits=6, prune=0.1, saturated=0.05)
    got = backward.maps(made, chosen, found, classes)
    assert got.values.any()
    for frame, class_ in enumerate(classes):
        want, saturated, nonzeros = literal(made, chosen, found, frame, class_)
        assert np.array_equal(got.values[frame], want)
        assert got.saturated[frame] == saturated
        assert got.nonzeros[:, frame].tolist() == nonzeros


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["three exits", "tangled 6"])
def test_many_bits_are_the_real_map(name: str, method: str, graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS[name]())
    images = graphs.frames(accelerator, count=8)
    made = walk.program(accelerator, len(accelerator.heads) - 1, method)
    found = context.forward(accelerator, made, images)
    classes = found.logits.argmax(1)
    want = backward.real(made, found, classes)
    errors = []
    for bits in (6, 8, 12, 16):
        chosen = scales.calibrated(made, found, classes, bits=bits, mantissa=16, saturated=0)
        got = backward.maps(made, chosen, found, classes)
        assert not got.saturated.any()
        assert np.abs(got.values).max() <= chosen.limit
        real = got.values * 2.0**got.exponent
        errors.append(float(np.abs(real - want).max() / np.abs(want).max()))
    assert errors[3] < 1e-3
    assert errors[0] >= errors[2] >= errors[3]


def test_what_is_too_narrow_is_counted(graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    made = walk.program(accelerator, 2, "saliency")
    found = context.forward(accelerator, made, graphs.frames(accelerator, count=8))
    classes = found.logits.argmax(1)
    chosen = scales.calibrated(made, found, classes, saturated=0)
    narrow = dataclasses.replace(
        chosen, sweeps=tuple(dataclasses.replace(s, shift=s.shift - 3) for s in chosen.sweeps)
    )
    assert not backward.maps(made, chosen, found, classes).saturated.any()
    clipped = backward.maps(made, narrow, found, classes)
    assert (clipped.saturated > 0).all()
    assert np.abs(clipped.values).max() == chosen.limit


def test_halves_go_away_from_zero() -> None:
    found = np.array([[-6, -5, -3, -2, -1, 0, 1, 2, 3, 5, 6, 4000, -4000]])
    values, beyond = backward.rounded(found, 2, 127, 0)
    assert values.tolist() == [[-2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 127, -127]]
    assert beyond.tolist() == [2]
    values, beyond = backward.rounded(found, 0, 7, 3)
    assert values.tolist() == [[-6, -5, -3, 0, 0, 0, 0, 0, 3, 5, 6, 7, -7]]
    assert beyond.tolist() == [2]


def test_streams_are_those_between_the_layers(graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    made = walk.program(accelerator, 2, "saliency")
    found = context.forward(accelerator, made, graphs.frames(accelerator, count=3))
    classes = found.logits.argmax(1)
    chosen = scales.calibrated(made, found, classes)
    got = backward.maps(made, chosen, found, classes, streams=True)
    shapes = [made.stream_shape(k) for k in range(len(made.sweeps) + 1)]
    assert [s.shape[1:] for s in got.streams] == shapes
    assert np.array_equal(got.streams[-1], got.values)
    assert [np.count_nonzero(s[1]) for s in got.streams] == got.nonzeros[:, 1].tolist()


def test_numbers_that_cannot_be(graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    made = walk.program(accelerator, 0, "saliency")
    found = context.forward(accelerator, made, graphs.frames(accelerator, count=2))
    classes = found.logits.argmax(1)
    for arguments, said in (
        ({"bits": 3}, "gradients must have 4 to 16 bits, got 3: choose such a width"),
        ({"bits": 17}, "gradients must have 4 to 16 bits, got 17"),
        ({"mantissa": 0}, "slopes must have 1 to 16 bits, got 0"),
        ({"prune": 1.0}, r"prune must be a share of the largest gradient .* got 1.0: 0.03 drops"),
        ({"prune": [0.1]}, "prune must be one share or one for each of 2 sweeps, got 1: give 2"),
    ):
        with pytest.raises(InputError, match=said):
            scales.calibrated(made, found, classes, **arguments)
    assert checked_classes(3, 2, 10).tolist() == [3, 3]
    for wrong, said in (
        ([1, 10], r"the class of a map must be in 0..9, got 10: choose one that the network"),
        (-1, r"the class of a map must be in 0..9, got -1"),
        ([1, 2, 3], "classes must be one integer for each of 2 frames, got int64 of shape .3,."),
        ([0.5, 1.0], "classes must be one integer for each of 2 frames, got float64"),
    ):
        with pytest.raises(InputError, match=said):
            checked_classes(wrong, 2, 10)


def test_slopes_of_few_bits_keep_their_order() -> None:
    from exeunt.explain.slopes import mantissas

    random = np.random.default_rng(0)
    slopes = random.uniform(0.001, 0.3, 50)
    for bits in (1, 4, 8, 16):
        table, fraction = mantissas(slopes, bits)
        assert 1 << (bits - 1) <= table.max() < 1 << bits
        assert np.abs(table / 2.0**fraction - slopes).max() <= 2.0**-fraction
    assert mantissas(np.zeros(3), 8)[0].tolist() == [0, 0, 0]
    assert mantissas(np.array([0.999]), 4)[0].tolist() == [8]  # 15.98 of four bits would be 16
