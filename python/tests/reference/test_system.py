"""The frame-by-frame cycle reference against one that solves all frames at once."""

import numpy as np
import numpy.typing as npt
import pytest

from exeunt import samples
from exeunt.criteria import margin
from exeunt.graph import Accelerator
from exeunt.reference import controller, pipeline, system

SIZES = system.Sizes(buffers=(256, 64), verdicts=4, in_flight=16)


def _exits(kind: str, count: int) -> npt.NDArray[np.int64]:
    n = np.arange(count)
    return {
        "all leave": np.zeros(count, np.int64),
        "none leaves": np.full(count, 2),
        "in turn": n % 3,
        "random": np.random.default_rng(0).integers(0, 3, count),
    }[kind]


def _whole(accelerator: Accelerator, exits: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Decisions per exit by the references of the controller's blocks, all frames at once.

    Only for schedules in which no frame buffer fills and no frame waits for admission.
    """
    words = accelerator.segments[0].input.words
    offered = np.arange(len(exits) * words, dtype=np.int64)
    decided = []
    members = np.arange(len(exits))
    none = np.zeros(0, np.int64)
    for i, (segment, head) in enumerate(zip(accelerator.segments, accelerator.heads, strict=True)):
        if not len(members):
            decided.append(none)
            continue
        flow = pipeline.flow(
            segment.nodes + head.nodes, segment.fifos + head.fifos, offered,
            entry=0 if i else 2, fork=len(segment.nodes),
        )  # fmt: skip
        _, scored = margin.CRITERION.times(accelerator.logits(i), flow.leaves)
        _, tokens = controller.decide_times(scored)
        decided.append(tokens)
        keep = exits[members] > i
        if i + 1 == len(accelerator.segments):
            break
        _, _, offered = controller.buffer_times(
            segment.output.words, 1 << 20, flow.shows, tokens + 1, keep
        )
        members = members[keep]
    return decided


@pytest.mark.parametrize("kind", ["all leave", "none leaves", "in turn", "random"])
def test_frame_by_frame_is_all_at_once(kind: str) -> None:
    whole = samples.pooling()
    exits = _exits(kind, 40)
    found = system.predict(whole, exits, sizes=SIZES)
    for got, want in zip(found.decides, _whole(whole, exits), strict=True):
        np.testing.assert_array_equal(got, want)
    for i in range(3):
        leaving = found.results[exits == i]
        decided = found.decides[i][exits[exits >= i] == i]
        assert (leaving >= decided + 2).all()
    assert (np.bincount(found.results) <= 1).all()
    np.testing.assert_array_equal(found.reported, found.results - 1 - found.accepts)


def test_admission_waits_for_results() -> None:
    whole = samples.pooling()
    tight = system.Sizes(buffers=SIZES.buffers, verdicts=4, in_flight=2)
    free = system.predict(whole, _exits("none leaves", 12), sizes=SIZES)
    found = system.predict(whole, _exits("none leaves", 12), sizes=tight)
    left = np.sort(found.results)
    assert (found.accepts[2:] > left[:-2]).all()
    assert found.cycles >= free.cycles


def test_empty_and_single() -> None:
    whole = samples.pooling()
    assert system.predict(whole, np.zeros(0, np.int64), sizes=SIZES).cycles == 0
    one = system.predict(whole, np.array([2]), sizes=SIZES)
    assert one.cycles == one.results[0] - one.accepts[0] + 1
