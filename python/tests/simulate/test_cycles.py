"""The cycle reference of the whole core against its RTL: every frame, on random small designs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exeunt import criteria, registers, samples
from exeunt.errors import InputError
from exeunt.graph import Accelerator, Dataflow, Integer, Node, Stream
from exeunt.hls.back import stitch
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.width import Width
from exeunt.reference import network, system
from exeunt.samples import Stage
from exeunt.simulate import answers, verilator

FRAMES = 120
CLASSES = 16
FAST = 1  # designs that every run tries; the others are slow

pytestmark = pytest.mark.sim


def _divisor(rng: np.random.Generator, value: int) -> int:
    return int(rng.choice([d for d in range(1, value + 1) if value % d == 0]))


def _design(seed: int) -> tuple[Accelerator, int, dict[str, int]] | None:
    """A random accelerator, the size of its images, and what the core is built with."""
    rng = np.random.default_rng(seed)
    size, classes = int(rng.integers(3, 9)), int(rng.integers(2, 6))
    stages, edge, channels = [], size, 1
    for _ in range(int(rng.integers(1, 9))):
        outputs, parallel = int(rng.integers(1, 7)), bool(rng.random() < 0.4)
        pool = bool(rng.random() < 0.3) and edge >= 4
        simd = 9 * channels if parallel else _divisor(rng, channels) * int(rng.choice([1, 3]))
        edge //= 1 + pool
        reduce = bool(rng.random() < 0.5)
        inputs = outputs if reduce else edge * edge * outputs
        stages.append(
            Stage(
                outputs, simd=simd, pe=_divisor(rng, outputs), pool=pool, parallel=parallel,
                reduce=reduce, head_simd=_divisor(rng, inputs), head_pe=_divisor(rng, classes),
            )
        )  # fmt: skip
        channels = outputs
    options = {
        "buffer_frames": int(rng.integers(1, 4)),
        "kept_frames": int(rng.integers(0, 3)),
        "in_flight": 1 << int(rng.integers(1, 5)),
    }
    try:
        whole = samples.accelerator(
            tuple(stages), size=size, classes=classes, bits=int(rng.integers(2, 5)), seed=seed,
            sized=bool(rng.random() < 0.7),
        )  # fmt: skip
        stitch.stitch_core.describe(whole)
    except (AssertionError, InputError):  # lanes that do not divide each other; one-bit logits
        return None
    return whole, size, options


def _designs() -> Iterator[int]:
    return (seed for seed in itertools.count() if _design(seed) is not None)


def check(
    accelerator: Accelerator,
    size: int,
    options: dict[str, int],
    folder: Path,
    *,
    quantiles: tuple[float | None, ...] = (0.2, 0.5, 0.9, None),
) -> None:
    """Accept, result, latency and decisions of every frame are exact, for thresholds of each kind.

    `quantiles`: how many stay at each exit; None: another part at each.
    """
    images = samples.images(FRAMES, size=size, channels=accelerator.segments[0].input.shape[2])
    logits = network.run(accelerator, images).logits
    scores = [criteria.get(accelerator.criterion).values(x).scores for x in logits[:-1]]
    manifest = stitch.write(accelerator, folder, **options)
    library = verilator.build(manifest)
    rng = np.random.default_rng(0)
    left = np.zeros(len(logits), np.int64)
    for quantile in quantiles:
        thresholds = [
            int(np.quantile(s, rng.random() if quantile is None else quantile)) for s in scores
        ]
        found = answers.answer(
            manifest, library, images, logits, thresholds=[*thresholds, registers.ALWAYS]
        )
        assert not len(found.wrong), f"{options}: answers of {found.wrong} differ"
        exits, trace = found.want["exit"], found.slices[0].trace
        left += np.bincount(exits, minlength=len(logits))
        want = system.predict(accelerator, exits, sizes=system.Sizes.of(manifest.data))
        begin = trace.accepts[0] - want.accepts[0]
        for name, got, expected in [
            ("first beats", trace.accepts - begin, want.accepts),
            ("results", found.left - begin, want.results),
            ("latencies", found.latency, want.reported),
            *(
                (f"decisions of exit {i}", seen - begin, predicted)
                for i, (seen, predicted) in enumerate(zip(trace.decides, want.decides, strict=True))
            ),
        ]:
            np.testing.assert_array_equal(got, expected, f"{name}: {options} {thresholds}")
    assert (left > 0).sum() > 1 or len(logits) == 1, f"all frames left at one exit: {left}"


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if k < FAST else (pytest.mark.slow,))
        for k, seed in enumerate(itertools.islice(_designs(), 16))
    ],
)
def test_random_designs(seed: int, tmp_path: Path) -> None:
    design = _design(seed)
    assert design is not None
    check(*design, tmp_path)


def test_results_of_many_exits_meet_at_the_merge(tmp_path: Path) -> None:
    """Eight exits a few cycles apart, few frames inside, one place a buffer."""
    stages = tuple(Stage(2, pe=2, pool=False) for _ in range(8))
    whole = samples.accelerator(stages, size=3, classes=2)
    options = {"buffer_frames": 1, "kept_frames": 1, "in_flight": 4}
    check(whole, 3, options, tmp_path)


def test_a_slow_last_stage_fills_all_buffers(tmp_path: Path) -> None:
    stages = (Stage(5, parallel=True, simd=9, pe=5, pool=False), Stage(16, pe=1, reduce=False))
    whole = samples.accelerator(stages, size=8, classes=3)
    check(whole, 8, {"buffer_frames": 2, "kept_frames": 2, "in_flight": 16}, tmp_path)


def test_every_exit_has_room_of_its_own(tmp_path: Path) -> None:
    stages = (
        Stage(5, parallel=True, simd=9, pe=5, pool=False), Stage(4, pe=2, pool=False),
        Stage(6, pe=1, reduce=False),
    )  # fmt: skip
    whole = samples.accelerator(stages, size=6, classes=3)
    options = {"buffer_frames": (2, 5), "kept_frames": (3, 0), "in_flight": 8}
    check(whole, 6, options, tmp_path)


def _row(name: str, stream: Stream, *nodes: Node) -> Dataflow:
    return Dataflow(name, stream, nodes, (2,) * len(nodes))


def _summed(name: str, stream: Stream, count: int) -> Reduce:
    """The sum of `count` vectors as logits."""
    logits = Stream((1, 1, stream.shape[2]), Integer(17, signed=True), stream.lanes)
    return Reduce(name, stream, logits, function="sum", count=count)


def test_frames_are_decided_before_they_have_come(tmp_path: Path) -> None:
    """A head that leaves out the last row and column: no verdict waits for those."""
    image, wide, narrow = (Stream((n, n, 4), Integer(8), 2) for n in (10, 5, 2))
    segments = (
        _row("seg0", image, Pool("p0", image, wide)),
        _row("seg1", wide, Pool("p1", wide, narrow)),
    )
    heads = (
        _row("head0", wide, Pool("q0", wide, narrow), _summed("s0", narrow, 4)),
        _row("head1", narrow, _summed("s1", narrow, 4)),
    )
    whole = Accelerator("early", segments, heads, (1.0, 1.0), {})
    check(whole, 10, {"buffer_frames": 1, "kept_frames": 0, "in_flight": 4}, tmp_path)


@pytest.mark.parametrize("frames", [2, 12])
def test_a_frame_each_cycle(frames: int, tmp_path: Path) -> None:
    """Frames of one word: dropped while all places are taken; results that wait for each other."""
    word, narrow = (Stream((1, 1, CLASSES), Integer(8), n) for n in (CLASSES, 1))
    segments = (
        _row("seg0", word, Reduce("r", word, word)),
        _row("seg1", word, Width("w", word, narrow)),
    )
    heads = (
        _row("head0", word, _summed("s0", word, 1)),
        _row("head1", narrow, _summed("s1", narrow, 1)),
    )
    whole = Accelerator("one", segments, heads, (1.0, 1.0), {})
    options = {"buffer_frames": frames, "kept_frames": 0, "in_flight": 16}
    check(whole, 1, options, tmp_path, quantiles=(0.03, 0.06, 0.1, 0.3, 0.8))
