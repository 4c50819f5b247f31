"""Edges of quantizers as memory files: what the hardware compares tells the masks of `explain`."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.explain import walk
from exeunt.explain.slopes import line
from exeunt.graph import Integer, Node, Stream
from exeunt.hls.back.kernels import levels, registry
from exeunt.kernels import registry as kinds
from exeunt.kernels.parts.back import Steps
from exeunt.kernels.pool import Pool
from exeunt.kernels.threshold import Threshold


def words_of(node: Node, parameters: dict, files: dict[str, str]) -> np.ndarray:
    """The words in the memories of all lanes, (C, 2)."""
    lanes = getattr(node, "search", node.output.lanes)  # those that search thresholds
    words = np.zeros((node.output.shape[2], 2), np.int64)
    for lane in range(lanes):
        text = files[f"{parameters['EDGE_FILE']}_{lane:03d}.hex"].split()
        words[lane::lanes] = np.array([int(w, 16) for w in text]).reshape(-1, 2)
    return words


def zero(node: Node, steps: Steps) -> np.ndarray:
    """From where on the hardware counts, (C,)."""
    if node.kind == "threshold":
        return np.full(len(steps.low), node.input.dtype.min)
    return steps.low if node.signs else np.full(len(steps.low), node.accumulator.min)


def check(node: Node, steps: Steps, words: np.ndarray, edges: np.ndarray) -> None:
    """Every x that occurs, or many and all around what it is compared with, as the RTL has it."""
    first = zero(node, steps)
    middle = steps.thresholds[:, levels.middle(steps.thresholds.shape[1])]
    for c, (low, high) in enumerate(zip(steps.low, steps.high, strict=True)):
        x = np.linspace(low, high, min(high - low + 1, 3000)).astype(np.int64)
        near = np.concatenate([steps.thresholds[c], edges[c]])
        x = np.concatenate([x, *((near + k).clip(low, high) for k in (-1, 0, 1))])
        counted = x - first[c]
        got = np.where(x >= middle[c], counted < words[c, 1], counted >= words[c, 0])
        assert np.array_equal(got, (x >= edges[c, 0]) & (x < edges[c, 1])), (node.name, c)


@pytest.mark.parametrize(
    "name",
    ["three exits", "sums and concatenation", "depthwise", "tangled 6", "tangled 9"],
)
def test_masks_of_networks(name: str, graphs: ModuleType) -> None:
    accelerator = graphs.straight(graphs.GRAPHS[name]())
    known = {n.name: n for chain in accelerator.chains for n in chain.nodes}
    seen = 0
    for exit in range(len(accelerator.heads)):
        for mask in walk.program(accelerator, exit, "saliency").masks.values():
            assert mask.probe is not None
            assert mask.edges is not None
            node = known[mask.probe.name]
            arrays = accelerator.of(node)
            parameters, files = registry.with_edges(node, arrays, mask.edges)
            assert parameters == {
                **registry.of(node).parameters(node), "EDGES": 1, "EDGE_FILE": f"{node.name}_edges"
            }  # fmt: skip
            assert files.items() >= registry.of(node).memories(node, arrays).items()
            back = kinds.of(node).back
            assert back is not None
            steps = back(node, arrays)[0][-1]
            check(node, steps, words_of(node, parameters, files), mask.edges)
            seen += 1
    assert seen


def quantizer(thresholds: list[list[int]], bits: int = 6) -> Threshold:
    """A node with these levels."""
    shape, count = (1, 1, len(thresholds)), len(thresholds[0])
    output = Stream(shape, Integer.covering(0, count), len(thresholds))
    return Threshold("q", Stream(shape, Integer(bits, signed=True), len(thresholds)), output,
                     levels=count)  # fmt: skip


def test_every_line_has_edges_on_both_sides_of_its_middle() -> None:
    """Lines with noise, cut and not, of few and many levels: one comparison is always enough."""
    rng = np.random.default_rng(0)
    for _ in range(3000):
        count = int(rng.choice([1, 2, 3, 6, 7, 14, 15, 31, 100, 255]))
        step = float(rng.choice([rng.uniform(0.05, 1.5), rng.uniform(1, 5), rng.uniform(3, 200)]))
        low, high = -int(rng.integers(0, 2000)), int(rng.integers(1, 2000))
        noise = rng.uniform(-0.45, 0.45, count) * (rng.random() < 0.7)
        first = rng.uniform(low - step * count, high)
        table = np.sort(np.ceil(first + step * (np.arange(count) + noise)).astype(np.int64))
        if rng.random() < 0.5:
            table = np.clip(table, low, high + 1)
        node = Threshold("q", Stream((1, 1, 1), Integer(16, signed=True), 1),
                         Stream((1, 1, 1), Integer(8), 1), levels=count)  # fmt: skip
        bias = int(rng.choice([0, -(count + 1) // 2]))
        steps = Steps(table[None], np.array([low]), np.array([high]), node, bias)
        try:
            edges = line(steps, "q").edges
        except InputError:
            continue  # not a line
        check(node, steps, levels.edge_words("q", steps, edges) + (1 << 15), edges)


def test_what_cannot_tell_edges_is_refused() -> None:
    node = quantizer([[0, 4, 8], [0, 4, 8]])
    arrays = {"thresholds": np.array([[0, 4, 8], [0, 4, 8]])}
    with pytest.raises(InputError, match=r"edges of q must be two for each of 2 channels, got "
                       r"shape \(1, 2\): give those of its line"):  # fmt: skip
        registry.with_edges(node, arrays, np.array([[0, 4]]))
    for bad in ([-9, 3], [5, 9]):
        with pytest.raises(InputError, match=r"edges of q must lie on both sides of its middle "
                           rf"threshold, got {bad[0]} and {bad[1]} around 4 in channel 1: take "
                           "masks by levels"):  # fmt: skip
            registry.with_edges(node, arrays, np.array([[-2, 10], bad]))
    stream = Stream((2, 2, 1), Integer(4), 1)
    pool = Pool("p", stream, Stream((1, 1, 1), Integer(4), 1), kernel=(2, 2))
    with pytest.raises(InputError, match="p must be a kernel of ours with thresholds to tell "
                       "edges, got kind pool of exeunt: take masks by levels"):  # fmt: skip
        registry.with_edges(pool, {}, np.zeros((1, 2)))
