"""The layers of a config as things to fold, without weights: what compiling would find.

A test compares them, folded, with the kernels that the compiler makes of the exported network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.kernels.layer import Addition, Layer, Levels, Matrix, Pooling, Shape
from exeunt.kernels.parts.accumulate import Function
from exeunt.window import Window

if TYPE_CHECKING:
    from exeunt.config.layers import Conv, Linear, Pool, Residual
    from exeunt.config.tree import Model

IMAGE = Integer(8)


Layers = tuple[Layer, ...]


def accumulator(source: Integer, weight_bits: int, columns: int) -> Integer:
    """The accumulator that trained weights of `weight_bits` need, within a bit.

    Their sum over a row stays far below the worst case, since few weights are large: a quarter of
    it, within one bit on the shipped networks. The compiler takes the weights' own range.
    """
    bits = source.bits + weight_bits + math.floor(math.log2(columns) - 2) + 1
    return Integer(max(2, min(32, bits)), signed=True)


def chains(model: Model) -> tuple[tuple[Layers, ...], tuple[Layers, ...]]:
    """The layers of every segment and of every head.

    Raises:
        InputError: the network is not described by stages, or a layer would be empty.
    """
    if model.kind != "config":
        raise InputError(
            f'a cost before compiling must be of model.source "config", got "{model.source}": '
            "compile it and take the cost of the compiled graph"
        )
    height, width, channels = model.input
    shape: Shape = (height, width, channels)
    source = IMAGE
    segments, heads = [], []
    for index, stage in enumerate(model.stages):
        body = _Builder(model, shape, source)
        for number, block in enumerate(stage.blocks):
            body.add(block, f"stages[{index}].blocks[{number}]")
        if not body.quantized:
            body.requantize(f"stages[{index}]", model.activation_bits)
        shape, source = body.shape, body.source
        head = _Builder(model, shape, source)
        *hidden, last = cast("tuple[Any, ...]", model.head(index))
        for number, layer in enumerate(hidden):
            head.add(layer, f"stages[{index}].head[{number}]")
        head.linear(last, f"stages[{index}].head[{len(hidden)}]", last=True)
        segments.append(tuple(body.layers))
        heads.append(tuple(head.layers))
    segments[-1], heads[-1] = _last_cut(segments[-1], heads[-1])
    return tuple(segments), tuple(heads)


def _last_cut(segment: Layers, head: Layers) -> tuple[Layers, Layers]:
    """No stage follows the last head: it begins behind the last quantizer before it is flat."""
    layers = (*segment, *head)
    flat = next(i for i, layer in enumerate(layers) if layer.flat)
    quantized = [
        i
        for i, layer in enumerate(layers[:flat])
        if isinstance(layer, (Matrix, Levels)) and layer.levels
    ]
    cut = 1 + (quantized[-1] if quantized else len(segment) - 1)
    return layers[:cut], layers[cut:]


class _Builder:
    """Layers of one segment or head, and the stream behind them."""

    def __init__(self, model: Model, shape: Shape, source: Integer) -> None:
        self.model, self.shape, self.source = model, shape, source
        self.layers: list[Layer] = []
        self.quantized = False

    def add(self, layer: Any, where: str) -> None:
        """One entry of a stage's `blocks` or `head`; importing their classes takes time."""
        if hasattr(layer, "residual"):
            self._residual(layer, where)
        elif hasattr(layer, "conv"):
            self._conv(layer, where)
        elif hasattr(layer, "pool"):
            self._pool(layer, where)
        else:
            self.linear(layer, where)

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.shape, self.source = layer.output, layer.result

    def _matrix(
        self, where: str, output: Shape, columns: int, window: Window | None,
        weight_bits: int, activation_bits: int, *, flat: bool = False, groups: int = 1,
        signed: bool = False, behind: int = 1,
    ) -> None:  # fmt: skip
        """A matrix with the thresholds of `activation_bits` behind it, 0 for none.

        `behind` says how many layers back the one is that feeds it.
        """
        total = accumulator(self.source, weight_bits, columns)
        result = Integer(activation_bits, signed) if activation_bits else total
        levels = (1 << activation_bits) - 1 if activation_bits else 0
        self._append(
            Matrix(
                self.shape, self.source, output, result, window=window, where=where,
                weight_bits=weight_bits, signs=weight_bits == 2, levels=levels, columns=columns,
                accumulator=total, flat=flat, groups=groups, bias=result.min if levels else 0,
                behind=(behind,),
            )
        )  # fmt: skip

    def _conv(
        self, layer: Conv, where: str, *, bits: int = 0, signed: bool = False, behind: int = 1
    ) -> None:
        window = layer.window
        height, width = _behind(self.shape, window)
        self._matrix(
            where,
            (height, width, layer.conv),
            math.prod(window.kernel) * self.shape[2] // layer.groups,
            None if window.nothing else window,
            layer.weight_bits or self.model.weight_bits,
            bits or layer.activation_bits or self.model.activation_bits,
            groups=layer.groups,
            signed=signed,
            behind=behind,
        )
        self.quantized = True

    def _residual(self, layer: Residual, where: str) -> None:
        """The short way, the long one, their sum, and its thresholds."""
        bits = layer.activation_bits or self.model.activation_bits
        before, after = (self.shape, self.source), self.shape
        for conv in layer.residual:
            after = (*_behind(after, conv.window), conv.conv)
        short = layer.short(self.shape, after)
        if short is None:  # what enters has no sign, and half of the levels
            half = Integer(bits - 1)
            self._append(
                Levels(self.shape, self.source, self.shape, half, levels=half.max, where=where)
            )
        else:
            self._conv(short, where, bits=bits, signed=True)
        beside = self.source
        self.shape, self.source = before
        for number, conv in enumerate(layer.residual):
            last = number + 1 == len(layer.residual)
            self._conv(
                conv, f"{where}.residual[{number}]", bits=bits if last else 0, signed=last,
                behind=1 if number else 2,
            )  # fmt: skip
        ways = ((beside, len(layer.residual) + 1), (self.source, 1))
        (one, back), (other, near) = ways if short is None else ways[::-1]
        total = Integer.covering(one.min + other.min, one.max + other.max)
        self._append(
            Addition(after, one, after, total, other=after, other_source=other,
                     behind=(back, near), where=where)
        )  # fmt: skip
        self.requantize(where, bits)

    def linear(self, layer: Linear, where: str, *, last: bool = False) -> None:
        """A fully connected layer on the flattened map."""
        columns = math.prod(self.shape)
        self.shape = (1, 1, columns)
        self._matrix(
            where,
            (1, 1, layer.linear),
            columns,
            None,
            layer.weight_bits or self.model.weight_bits,
            0 if last else layer.activation_bits or self.model.activation_bits,
            flat=True,
        )

    def _pool(self, layer: Pool, where: str) -> None:
        whole = layer.size == "global"
        if layer.size == "global":
            kernel = stride = (self.shape[0], self.shape[1])
        else:
            kernel = (layer.size, layer.size)
            stride = (layer.stride or layer.size,) * 2
        window = Window(kernel, stride, (layer.padding,) * 4)
        height, width = _behind(self.shape, window)
        function: Function = "max" if layer.pool == "max" else "sum"
        result = self.source
        if function == "sum":
            result = Integer.covering(0, kernel[0] * kernel[1] * self.source.max)
        self._append(
            Pooling(
                self.shape, self.source, (height, width, self.shape[2]), result,
                window=None if whole and function == "sum" else window, function=function,
                flat=whole and function == "sum", where=where,
            )
        )  # fmt: skip
        if function == "sum":
            self.requantize(where, layer.activation_bits or self.model.activation_bits)

    def requantize(self, where: str, bits: int) -> None:
        """Thresholds of their own."""
        shape = self.shape
        self._append(
            Levels(
                shape, self.source, shape, Integer(bits), levels=(1 << bits) - 1, where=where
            )
        )  # fmt: skip
        self.quantized = True


def _behind(shape: Shape, window: Window) -> tuple[int, int]:
    """Height and width behind a window."""
    sizes = [
        (shape[i] + window.pad[i] + window.pad[i + 2] - window.extent[i]) // window.stride[i] + 1
        for i in (0, 1)
    ]
    return sizes[0], sizes[1]


def weighted(layers: Layers) -> Iterator[Matrix]:
    """Those with weights."""
    return (layer for layer in layers if isinstance(layer, Matrix))
