"""Folded layers as nodes of the accelerator graph, with their weights and thresholds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from exeunt.graph import Chain, IntArray, Integer, Node, Stream
from exeunt.hls.back.folding import Fold, converters
from exeunt.hls.back.kernels import registry
from exeunt.hls.front.layers import Layer
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg
from exeunt.kernels.threshold import Threshold
from exeunt.kernels.width import Width


class _Builder:
    """Collects the nodes of one chain; `stream` is what the last of them gives."""

    def __init__(self, name: str, stream: Stream, *, fused: bool) -> None:
        self.name = name
        self.fused = fused  # thresholds inside the matrix-vector unit
        self.stream = stream
        self.nodes: list[Node] = []
        self.arrays: dict[str, IntArray] = {}
        self.counts: Counter[str] = Counter()

    def label(self, kind: str) -> str:
        """The next free name for a node of `kind`."""
        label = f"{self.name}_{kind}{self.counts[kind]}"
        self.counts[kind] += 1
        return label

    def add(self, node: Node, arrays: dict[str, IntArray] | None = None) -> None:
        """Append a node that takes the current stream."""
        assert self.stream.carries(node.input), (self.stream, node)
        self.nodes.append(node)
        self.stream = node.output
        for key, value in (arrays or {}).items():
            self.arrays[f"{node.name}.{key}"] = value

    def adapt(self, shape: tuple[int, int, int], lanes: int, finn: tuple[str, ...]) -> None:
        """Append the width converters that bring the stream to `lanes`."""
        elements = self.stream.elements
        for step in converters(self.stream.lanes, lanes, elements):
            source = self.stream
            target = shape if shape[2] % step == 0 else self.stream.shape
            if target[2] % step:
                target = (1, 1, elements)
            result = Stream(target, source.dtype, step)
            self.add(Width(self.label("width"), source, result, finn=finn))


def chain(
    name: str,
    layers: Sequence[Layer],
    folds: Sequence[Fold],
    *,
    source: Stream | None = None,
    kernels: str = "exeunt",
) -> tuple[Chain, dict[str, IntArray]]:
    """A chain of kernels and its arrays by "<node>.<array>".

    Args:
        name: of the chain, the prefix of its nodes' names.
        layers: in stream order.
        folds: one per layer.
        source: the stream that enters; None lets the first layer choose its lanes.
        kernels: "exeunt" for ours with fused thresholds; "finn" for FINN's RTL with thresholds of
            their own, and ours where FINN has no kernel that fits.
    """
    if source is None:
        source = Stream(layers[0].input, layers[0].source, folds[0].lanes_in)
    builder = _Builder(name, source, fused=kernels == "exeunt")
    for layer, item in zip(layers, folds, strict=True):
        builder.adapt(layer.input, item.lanes_in, layer.finn)
        if layer.kind == "matrix":
            _matrix(builder, layer, item)
        elif layer.kind == "threshold":
            assert layer.thresholds is not None
            builder.add(
                Threshold(
                    builder.label("threshold"),
                    Stream(layer.input, layer.source, item.simd),
                    Stream(layer.output, layer.result, item.pe),
                    finn=layer.finn,
                    levels=layer.thresholds.shape[1],
                    bias=layer.bias,
                ),
                {"thresholds": layer.thresholds},
            )
        else:
            _pool(builder, layer, item)
    nodes = tuple(builder.nodes)
    if kernels == "finn":
        nodes = tuple(_with_finn(node) for node in nodes)
    return Chain(name, source, nodes, (2,) * len(nodes)), builder.arrays


def _window(builder: _Builder, layer: Layer, item: Fold, finn: tuple[str, ...]) -> None:
    assert layer.window is not None
    kernel = layer.window.kernel
    depth = kernel[0] * kernel[1] * layer.input[2]
    lanes = depth if item.parallel else item.window
    builder.add(
        Swg(
            builder.label("swg"),
            Stream(layer.input, layer.source, item.window),
            Stream((*layer.output[:2], depth), layer.source, lanes),
            finn=finn,
            kernel=kernel,
            stride=layer.window.stride,
            pad=layer.window.pad,
            parallel=item.parallel,
        )
    )


def _matrix(builder: _Builder, layer: Layer, item: Fold) -> None:
    assert layer.weights is not None
    shape = (*layer.output[:2], layer.columns)
    if layer.window is not None:
        _window(builder, layer, item, layer.finn[:-1])
        builder.adapt(shape, item.simd, layer.finn[-1:])
    thresholds = layer.thresholds
    levels = 0 if thresholds is None else thresholds.shape[1]
    arrays: dict[str, IntArray] = {"weights": layer.weights}
    result = Stream(layer.output, layer.result, item.pe)
    if thresholds is not None and builder.fused:
        arrays["thresholds"] = thresholds
    alone = thresholds is not None and not builder.fused
    low, high = int(layer.weights.min()), int(layer.weights.max())
    bits = Integer.covering(min(low, -2), max(high, 1)).bits  # at least two, always signed
    builder.add(
        Mvu(
            builder.label("mvu"),
            Stream(shape, layer.source, item.simd),
            Stream(layer.output, layer.accumulator, item.pe) if alone else result,
            finn=layer.finn[-1:],
            weight_bits=bits,
            accumulator=layer.accumulator,
            levels=0 if alone else levels,
            bias=0 if alone else layer.bias,
        ),
        arrays,
    )
    if alone:
        assert thresholds is not None
        builder.add(
            Threshold(
                builder.label("threshold"),
                builder.stream,
                result,
                finn=layer.finn[-1:],
                levels=levels,
                bias=layer.bias,
            ),
            {"thresholds": thresholds},
        )


def _with_finn(node: Node) -> Node:
    """The node on FINN's RTL kernel where there is one that can implement it."""
    if registry.unsupported(node, "finn") is not None:
        return node
    return dataclasses.replace(node, backend="finn")


def _pool(builder: _Builder, layer: Layer, item: Fold) -> None:
    source = Stream(layer.input, layer.source, item.simd)
    result = Stream(layer.output, layer.result, item.pe)
    if layer.window is not None and layer.window.tiles:
        builder.add(
            Pool(
                builder.label("pool"),
                source,
                result,
                finn=layer.finn,
                function=layer.function,
                kernel=layer.window.kernel,
            )
        )
        return
    count = layer.input[0] * layer.input[1]
    if layer.window is not None:
        _window(builder, layer, item, layer.finn[:-1])
        source, count = builder.stream, int(np.prod(layer.window.kernel))
    builder.add(
        Reduce(
            builder.label("reduce"),
            source,
            result,
            finn=layer.finn[-1:] if layer.window is not None else layer.finn,
            function=layer.function,
            count=count,
        )
    )
