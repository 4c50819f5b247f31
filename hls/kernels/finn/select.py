"""Hands the nodes that FINN's RTL kernels can implement over to them."""

from __future__ import annotations

import dataclasses

from exeunt.graph import Accelerator, Chain, IntArray, Mvu, Node, Stream, Threshold
from exeunt.hls.kernels.finn import unsupported

FIFO = 2


def split(node: Mvu) -> tuple[Mvu, Threshold]:
    """`node` without its fused thresholds, and those as a node of their own.

    FINN's RTL matrix-vector unit gives accumulators only.
    """
    sums = Stream(node.output.shape, node.accumulator, node.output.lanes)
    multiply = dataclasses.replace(node, output=sums, levels=0, bias=0)
    compare = Threshold(
        f"{node.name}_threshold",
        sums,
        node.output,
        finn=node.finn,
        levels=node.levels,
        bias=node.bias,
    )
    return multiply, compare


def nodes_of(node: Node) -> tuple[Node, ...]:
    """What stands for `node`: FINN's kernels where they can, `node` itself where not."""
    if isinstance(node, Mvu) and node.levels:
        parts: tuple[Node, ...] = split(node)
        if any(unsupported(part) for part in parts):
            return (node,)
    else:
        parts = (node,)
    return tuple(p if unsupported(p) else dataclasses.replace(p, backend="finn") for p in parts)


def _chain(chain: Chain) -> Chain:
    nodes: list[Node] = []
    fifos: list[int] = []
    depths = chain.fifos or (FIFO,) * len(chain.nodes)
    for node, depth in zip(chain.nodes, depths, strict=True):
        parts = nodes_of(node)
        nodes.extend(parts)
        fifos.extend([FIFO] * (len(parts) - 1) + [depth])
    return dataclasses.replace(chain, nodes=tuple(nodes), fifos=tuple(fifos))


def select(accelerator: Accelerator) -> Accelerator:
    """`accelerator` with FINN's kernels where they exist; it computes the same.

    Pools, parallel windows and 1x1 windows stay ours. A matrix-vector unit with thresholds
    becomes two nodes, the second with the first one's name and `_threshold`. FIFO depths are
    kept: size them anew.
    """
    arrays: dict[str, IntArray] = dict(accelerator.arrays)
    for chain in accelerator.chains:
        for node in chain.nodes:
            _move(node, arrays)
    return dataclasses.replace(
        accelerator,
        segments=tuple(_chain(c) for c in accelerator.segments),
        heads=tuple(_chain(c) for c in accelerator.heads),
        arrays=arrays,
    )


def _move(node: Node, arrays: dict[str, IntArray]) -> None:
    parts = nodes_of(node)
    if len(parts) == 2:
        arrays[f"{parts[1].name}.thresholds"] = arrays.pop(f"{node.name}.thresholds")
