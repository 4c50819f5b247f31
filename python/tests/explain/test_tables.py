"""What a map costs, how far it can be trusted, and the tables of `python -m exeunt.explain`."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import spearmanr

from exeunt.explain import __main__ as tables
from exeunt.explain import backward, context, faithfulness, scales, traffic, walk
from exeunt.explain.lower import lower
from exeunt.hls.back import stitch


def test_what_moves_is_what_gradients_need(graphs: ModuleType) -> None:
    """By hand for a straight network; the RTL counts its accesses in rtl_tests/explain."""
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    made, numbers = {}, {}
    images = graphs.frames(accelerator, count=4)
    for exit in range(3):
        key = ("saliency", exit)
        made[key] = walk.program(accelerator, exit, "saliency")
        found = context.forward(accelerator, made[key], images)
        numbers[key] = scales.calibrated(made[key], found, found.logits.argmax(1))
    engine = lower(made, numbers, exits=3, pe=4)
    key = ("saliency", 2)
    found = context.forward(accelerator, made[key], images)
    classes = found.logits.argmax(1)
    maps = backward.maps(made[key], numbers[key], found, classes, streams=True)
    for k in range(4):
        got = traffic.reads(engine, *key, found, maps, k)
        beats = [s.beats for s in engine.steps[key] if not s.sweeps]
        inner = maps.nonzeros[1:-1, k]
        assert got.weights == beats[0] + int((inner * beats[1:]).sum())
        assert got.values_read == got.values_written == int(inner.sum())
        assert got.masks_read == got.masks_written
        moved = traffic.moved(engine, *key, found, maps, k, 960)
        assert moved.map == 960
        width = 4 * engine.parameters["W_BITS"]
        assert moved.weights == got.weights * width
        assert moved.products == 4 * got.weights
        assert moved.gradients == 2 * (16 * got.masks_read + 8 * got.values_read)
        assert moved.total == moved.weights + moved.context + moved.gradients + 960
        assert moved.energy == pytest.approx((0.16 * moved.total + 0.23 * moved.products) / 1000)
    dense = traffic.naive(engine, made[key])
    assert dense.map == 8 * math.prod(made[key].shape)
    shapes = [
        math.prod(t.routes[-1].shape if t.routes else made[key].stream_shape(t.stream))
        for s in made[key].sweeps
        for t in s.scatters
        if t.stream
    ]
    assert dense.gradients == 2 * 8 * sum(shapes)
    assert dense.weights == width * (
        beats[0] + sum(n * b for n, b in zip(shapes, beats[1:], strict=True))
    )
    assert dense.total > moved.total


def test_rank_correlation_is_scipys() -> None:
    random = np.random.default_rng(0)
    a = random.integers(-4, 5, (5, 6, 6, 1))
    b = a + random.integers(-3, 4, a.shape)
    want = np.mean([spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)])
    assert faithfulness.spearman(a, b) == pytest.approx(want)
    flat = np.zeros((1, 4))
    assert faithfulness.spearman(flat, flat) == 1.0
    assert faithfulness.spearman(flat, np.arange(4)[None]) == 0.0


def test_shared_top_tenth() -> None:
    a = np.arange(20.0).reshape(1, 4, 5)
    assert faithfulness.top_overlap(a, a) == 1.0
    assert faithfulness.top_overlap(a, -a) == 0.0
    half = a.copy()
    half[0, 3, 3] = -1  # of the best two, 18 and 19, one is left
    assert faithfulness.top_overlap(a, half) == 0.5


def test_flipping_what_matters_first_is_faster(graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    images = graphs.frames(accelerator, count=24)
    made = walk.program(accelerator, 0, "gradient-x-input")
    found = context.forward(accelerator, made, images)
    classes = found.logits.argmax(1)
    real = backward.real(made, found, classes)
    base = images.mean(axis=0)
    flips = faithfulness.Flips(accelerator, 0, images, classes, base)
    gained = real - real / np.maximum(images, 1) * base  # against the mean image
    order = faithfulness.relevance(gained, "gradient-x-input")
    assert flips.auc(order) < flips.random() < flips.auc(-order)
    assert flips.random() == flips.random()


def test_maps_of_grad_cam_are_enlarged() -> None:
    small = np.arange(4.0).reshape(1, 2, 2)
    want = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert faithfulness.enlarged(small, (4, 4))[0].tolist() == want
    three = faithfulness.enlarged(np.arange(3.0).reshape(1, 3, 1), (7, 1))[0, :, 0]
    assert three.tolist() == [0, 0, 0, 1, 1, 2, 2]


@pytest.fixture(scope="module")
def folder(graphs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with images for calibration and for the tables."""
    run = tmp_path_factory.mktemp("explained") / "run"
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    stitch.write(accelerator, run, extra={"clock_mhz": 100.0})
    images = graphs.frames(accelerator, count=40)
    labels = np.arange(40) % 10
    parts = {}
    for name in ("train", "validation", "test"):
        parts |= {f"{name}_images": images, f"{name}_labels": labels}
    np.savez(run / "splits.npz", **parts)
    return run


def test_the_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(folder), "--images", "10", "--exit", "1", "--bits", "8"]
    assert tables.main([*arguments, "--method", "saliency", "--method", "grad-cam"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("10 test images, shifts chosen on 40 validation images\n\nexit 1, salie")
    assert "exit 1, grad-cam, map 4 x 4 x 1" in told
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("| 8 |")]
    assert len(rows) == 9 + 3
    best = float(rows[0][2])
    assert best > 0.97
    assert all(float(row[2]) <= best + 1e-9 for row in rows[:9])  # pruning never helps here
    assert told.count("| 8, levels | 0%, 0% |") == 2
    assert "no engine" not in told
    assert "| 8 bits, pruned | dense | bitmask | run length | EBPC | two-level |" in told


def test_tables_of_what_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, said in (
        (["--exit", "7"], "exeunt: the exit of a map must be in 0..2, got 7"),
        (["--method", "lime"], "exeunt: the method of a map must be one of"),
        (["--images", "0"], "exeunt: --images must be 1 and more, got 0: take 100"),
        (["--pe", "3"], "exeunt: the lanes of an explanation engine must be a power of two, got 3"),
        (["--bits", "3"], "exeunt: gradients must have 4 to 16 bits, got 3"),
        (["--mask", "no"], "exeunt: masks must be one of edges, levels, got 'no'"),
    ):
        assert tables.main([str(folder), "--images", "4", "--method", "saliency", *more]) == 2
        assert capsys.readouterr().err.startswith(said)
    assert tables.main([str(folder / "none")]) == 2
