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
    """A segment or head of kernels and its arrays by "<node>.<array>".

    Args:
        name: of the segment or head, the prefix of its nodes' names.
        layers: each behind those that feed it.
        folds: one per layer.
        source: the stream that enters; None lets the first layer choose its lanes.
        kernels: "exeunt" for ours with fused thresholds; "finn" for FINN's RTL with thresholds of
            their own, and ours where FINN has no kernel that fits.
    """
    made, arrays = lower(name, layers, folds, source=source, fused=kernels == "exeunt")
    if kernels != "exeunt":
        nodes = tuple(_on(kernels, node) for node in made.nodes)
        made = dataclasses.replace(made, nodes=nodes)
    return made, arrays


def _on(kernels: str, node: Node) -> Node:
    """The node on a backend's kernel where there is one that can implement it."""
    if registry.unsupported(node, kernels) is not None:
        return node
    return dataclasses.replace(node, backend=kernels)
