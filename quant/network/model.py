"""The multi-exit network of a config: Brevitas layers, integers 0..255 in, logits per exit out.

A stage is a segment (blocks, ending on a quantizer with one scalar scale) and a head on its
output (ending in one linear layer without bias whose weights have one scalar scale), so that
every logit of an exit is an integer times one number, its logit scale.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from exeunt.config.layers import Conv, Linear, Pool, Residual
from exeunt.config.tree import Model
from exeunt.errors import InputError
from exeunt.quant.network.brevitas import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    QuantConv2d,
    QuantIdentity,
    QuantLinear,
    QuantReLU,
    ScalingImplType,
    Uint8ActPerTensorFloat,
    quantization_status_manager,
)
from exeunt.window import Window

# Where an unsigned quantizer of so many bits first clips an input of unit variance; learned on.
CLIP = {2: 1.8, 3: 2.4, 4: 3.0, 5: 3.5, 6: 4.0, 7: 4.0, 8: 4.0}


@dataclass(frozen=True)
class Cost:
    """Multiplications of one frame in one segment and in the head on it."""

    segment: int
    head: int


def cumulative_macs(costs: Sequence[Cost]) -> list[int]:
    """Multiplications of a frame that leaves at exit i: all segments and heads up to there."""
    return list(itertools.accumulate(c.segment + c.head for c in costs))


class MultiExitNetwork(nn.Module):
    """Segments one behind the other, a head behind each; `forward` gives the logits of all exits.

    Input: float tensor (N, C, H, W) of integers 0..255. Output: a tuple of (N, classes) floats,
    one per exit; `logits[i] / logit_scales()[i]` is integer.

    Raises:
        InputError: a window does not fit the tensor in front of it.
    """

    def __init__(self, model: Model) -> None:
        """Build the layers that the [model] section describes, with fresh weights."""
        super().__init__()
        self.input_shape = model.input  # (H, W, C)
        height, width, channels = model.input
        shape = (channels, height, width)
        self.segments = nn.ModuleList()
        self.heads = nn.ModuleList()
        self.costs: list[Cost] = []
        for index, stage in enumerate(model.stages):
            segment = _Builder(model, shape)
            for number, block in enumerate(stage.blocks):
                segment.add(block, f"model.stages[{index}].blocks[{number}]")
            if not segment.quantized:  # max pools of the image alone
                segment.quantizer(QuantIdentity, model.activation_bits)
            shape = segment.shape
            head = _Builder(model, shape)
            *hidden, last = model.head(index)
            for number, layer in enumerate(hidden):
                head.add(layer, f"model.stages[{index}].head[{number}]")
            assert isinstance(last, Linear)
            head.classifier(last)
            self.segments.append(nn.Sequential(*segment.layers))
            self.heads.append(nn.Sequential(*head.layers))
            self.costs.append(Cost(segment.macs, head.macs))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits of every exit, float (N, classes) each."""
        logits = []
        for segment, head in zip(self.segments, self.heads, strict=True):
            x = segment(x)
            logits.append(head(x))
        return tuple(logits)

    def logit_scales(self) -> list[float]:
        """For each exit the value of one integer step of its logits."""
        scales = []
        current = 1.0
        for segment, head in zip(self.segments, self.heads, strict=True):
            current = _output_scale(segment, current)
            scales.append(_output_scale(head, current))
        return scales


class ResidualBlock(nn.Module):
    """Y = out(arm(long(x)) + arm(short(x))), each of arm and out with one scale."""

    def __init__(
        self, long: Sequence[nn.Module], short: Sequence[nn.Module], arm: nn.Module, out: nn.Module
    ) -> None:
        """Without `short` the input itself is added."""
        super().__init__()
        self.long = nn.Sequential(*long)
        self.short = nn.Sequential(*short)
        self.arm = arm
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, C, H, W) to (N, C', H', W')."""
        y: Tensor = self.out(self.arm(self.long(x)) + self.arm(self.short(x)))
        return y


def _output_scale(chain: nn.Module, scale: float) -> float:
    """Scale of what leaves a chain of layers, given that of what enters."""
    layers = list(chain.children())
    for layer in layers:
        quantizer = layer.out if isinstance(layer, ResidualBlock) else layer
        if isinstance(quantizer, QuantReLU | QuantIdentity):
            scale = quantizer.act_quant.scale().item()
    last = layers[-1]
    if isinstance(last, QuantLinear):
        scale *= last.weight_quant(last.weight).scale.item()
    return scale


@contextmanager
def quantizers_disabled(network: nn.Module) -> Iterator[None]:
    """Run the same layers in floating point: stored weights, plain ReLU, no rounding, no clip."""
    with quantization_status_manager(
        network,
        disable_act_quant=True,
        disable_weight_quant=True,
        disable_bias_quant=True,
        call_act_quantizer_impl=False,
    ):
        yield


def _quantizer(
    kind: type[QuantReLU] | type[QuantIdentity], bits: int, *, signed: bool = False
) -> nn.Module:
    """A quantizer with one scale, learned."""
    return kind(
        act_quant=Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat,
        bit_width=bits,
        scaling_impl_type=ScalingImplType.PARAMETER,
        scaling_init=CLIP[bits],
    )


class _Builder:
    """Layers of one segment or head, the shape (C, H, W) behind them, their multiplications."""

    def __init__(self, model: Model, shape: tuple[int, int, int]) -> None:
        self.model = model
        self.shape = shape
        self.layers: list[nn.Module] = []
        self.macs = 0
        self.quantized = False
        self.flat = False

    def add(self, layer: Conv | Pool | Linear | Residual, where: str) -> None:
        """One entry of a stage's `blocks` or `head`."""
        if isinstance(layer, Conv):
            self._conv(layer, where)
            self.quantizer(QuantReLU, layer.activation_bits or self.model.activation_bits)
        elif isinstance(layer, Residual):
            self._residual(layer, where)
        elif isinstance(layer, Pool):
            self._pool(layer, where)
        else:
            self._hidden(layer)

    def classifier(self, layer: Linear) -> None:
        """The last linear layer: no bias, one scale for all weights."""
        features = self._flatten()
        self.layers.append(
            QuantLinear(
                features,
                layer.linear,
                bias=False,
                weight_quant=Int8WeightPerTensorFloat,
                weight_bit_width=layer.weight_bits or self.model.weight_bits,
            )
        )
        self.macs += features * layer.linear

    def quantizer(self, kind: type[QuantReLU] | type[QuantIdentity], bits: int) -> None:
        """Y = scale * clip(round(x / scale), 0, 2^bits - 1) with one scale, learned."""
        self.layers.append(_quantizer(kind, bits))
        self.quantized = True

    def _residual(self, layer: Residual, where: str) -> None:
        bits = layer.activation_bits or self.model.activation_bits
        channels, height, width = self.shape
        long = _Builder(self.model, self.shape)
        *first, last = layer.residual
        for number, conv in enumerate(first):
            long.add(conv, f"{where}.residual[{number}]")
        long._conv(last, f"{where}.residual[{len(first)}]")
        after = (long.shape[1], long.shape[2], long.shape[0])
        single = layer.short((height, width, channels), after)
        short = _Builder(self.model, self.shape)
        if single is not None:
            short._conv(single, where)
        arm = _quantizer(QuantIdentity, bits, signed=True)
        self.layers.append(
            ResidualBlock(long.layers, short.layers, arm, _quantizer(QuantReLU, bits))
        )
        self.quantized = True
        self.shape = long.shape
        self.macs += long.macs + short.macs

    def _conv(self, layer: Conv, where: str) -> None:
        """A convolution and its batch norm."""
        inputs, window = self.shape[0], layer.window
        _, height, width = self._window(window, where)
        top, left, bottom, right = window.pad
        even = (top, left) == (bottom, right)
        if not even:
            self.layers.append(nn.ZeroPad2d((left, right, top, bottom)))
        self.layers += [
            QuantConv2d(
                inputs,
                layer.conv,
                window.kernel,
                stride=window.stride,
                padding=(top, left) if even else 0,
                dilation=window.dilation,
                groups=layer.groups,
                bias=False,
                weight_quant=Int8WeightPerChannelFloat,
                weight_bit_width=layer.weight_bits or self.model.weight_bits,
            ),
            nn.BatchNorm2d(layer.conv),
        ]
        self.shape = (layer.conv, height, width)
        self.macs += layer.conv * height * width * inputs // layer.groups * math.prod(window.kernel)

    def _hidden(self, layer: Linear) -> None:
        features = self._flatten()
        self.layers += [
            QuantLinear(
                features,
                layer.linear,
                bias=False,
                weight_quant=Int8WeightPerChannelFloat,
                weight_bit_width=layer.weight_bits or self.model.weight_bits,
            ),
            nn.BatchNorm1d(layer.linear),
        ]
        self.quantizer(QuantReLU, layer.activation_bits or self.model.activation_bits)
        self.shape = (layer.linear, 1, 1)
        self.macs += features * layer.linear

    def _pool(self, layer: Pool, where: str) -> None:
        if layer.size == "global":
            kernel = strides = self.shape[1:]
        else:
            kernel = (layer.size, layer.size)
            strides = (layer.stride, layer.stride) if layer.stride else kernel
        if 2 * layer.padding > min(kernel):
            raise InputError(
                f"{where} must pad by at most half of its window of {kernel[0]}x{kernel[1]}, got "
                f"{layer.padding}: lower its padding"
            )
        window = Window((kernel[0], kernel[1]), (strides[0], strides[1]), (layer.padding,) * 4)
        self.shape = self._window(window, where)
        if layer.pool == "max":
            self.layers.append(nn.MaxPool2d(kernel, strides, layer.padding))
        else:
            self.layers.append(nn.AvgPool2d(kernel, strides, layer.padding))
            self.quantizer(QuantIdentity, layer.activation_bits or self.model.activation_bits)

    def _window(self, window: Window, where: str) -> tuple[int, int, int]:
        channels, height, width = self.shape
        over, (top, left, bottom, right) = window.extent, window.pad
        h, w = height + top + bottom, width + left + right
        if h < over[0] or w < over[1]:
            pad = top if len(set(window.pad)) == 1 else window.pad
            raise InputError(
                f"{where} must have a window within the {height}x{width} tensor in front of it "
                f"(padding {pad}), got {over[0]}x{over[1]}: shrink it or pool less"
            )
        return (
            channels,
            (h - over[0]) // window.stride[0] + 1,
            (w - over[1]) // window.stride[1] + 1,
        )

    def _flatten(self) -> int:
        if not self.flat:
            self.layers.append(nn.Flatten())
            self.flat = True
        return math.prod(self.shape)
