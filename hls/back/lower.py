"""Folded layers as nodes of the accelerator graph, on our kernels or on FINN's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from exeunt.graph import Dataflow, IntArray, Node, Stream
from exeunt.hls.back.kernels import registry
from exeunt.kernels.layer import Fold, Layer
from exeunt.kernels.lowering import lower


def chain(
    name: str,
    layers: Sequence[Layer],
    folds: Sequence[Fold],
    *,
    source: Stream | None = None,
    kernels: str = "exeunt",
) -> tuple[Dataflow, dict[str, IntArray]]:
    """A chain of kernels and its arrays by "<node>.<array>".

    Args:
        name: of the chain, the prefix of its nodes' names.
        layers: in stream order.
        folds: one per layer.
        source: the stream that enters; None lets the first layer choose its lanes.
        kernels: "exeunt" for ours with fused thresholds; "finn" for FINN's RTL with thresholds of
            their own, and ours where FINN has no kernel that fits.
    """
    made = lower(name, layers, folds, source=source, fused=kernels == "exeunt")
    nodes = tuple(made.nodes)
    if kernels != "exeunt":
        nodes = tuple(_on(kernels, node) for node in nodes)
    source = source or Stream(layers[0].input, layers[0].source, folds[0].lanes_in)
    return Dataflow(name, source, nodes, (2,) * len(nodes)), made.arrays


def _on(kernels: str, node: Node) -> Node:
    """The node on a backend's kernel where there is one that can implement it."""
    if registry.unsupported(node, kernels) is not None:
        return node
    return dataclasses.replace(node, backend=kernels)
