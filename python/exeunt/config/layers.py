"""The layers of a config's stages, and the shapes that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from exeunt.config.section import Section as _Section
from exeunt.config.sentences import LAYERS
from exeunt.window import Window

Bits = Annotated[int, Field(ge=2, le=8)]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Channels = Annotated[int, Field(ge=1, le=65535)]


Sides = Positive | tuple[Positive, Positive]


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Both sides of a window."""
    return value if isinstance(value, tuple) else (value, value)


class Conv(_Section):
    """Convolution, batch norm and a quantized ReLU.

    Attributes:
        conv: channels that it gives
        kernel: side of its window, in pixels, or height and width
        stride: step of the window, in pixels, or down and across
        padding: zeros around the image, in pixels; or above and below, left and right; or above,
            left, below, right; less than the window reaches over
        dilation: distance of the pixels of a window, or down and across
        groups: parts of the channels, each with its own filters; as many as channels: depthwise
        weight_bits: bits of a weight; unset: model.weight_bits
        activation_bits: bits of an output; unset: model.activation_bits
    """

    conv: Channels
    kernel: Sides = 3
    stride: Sides = 1
    padding: Natural | tuple[Natural, Natural] | tuple[Natural, Natural, Natural, Natural] = 0
    dilation: Sides = 1
    groups: Positive = 1
    weight_bits: Bits | None = None
    activation_bits: Bits | None = None

    @property
    def window(self) -> Window:
        """Its sliding window."""
        pads = self.padding if isinstance(self.padding, tuple) else (self.padding,) * 2
        top, left, bottom, right = pads if len(pads) == 4 else (*pads, *pads)
        pad = (top, left, bottom, right)
        return Window(pair(self.kernel), pair(self.stride), pad, pair(self.dilation))


class Residual(_Section):
    """Convolutions whose result is added to what enters them, then a quantized ReLU.

    The last of them has no ReLU: its result and what is added to it are quantized with one scale
    for both, with a sign.

    Attributes:
        residual: convolutions of the long way, in order
        shortcut: the short way, as it is or with a 1 x 1 convolution; unset: "conv" where the long
            way changes the shape
        weight_bits: bits of a weight of the short way; unset: model.weight_bits
        activation_bits: bits of both ways and of the output; unset: model.activation_bits
    """

    residual: Annotated[tuple[Conv, ...], Field(min_length=1)]
    shortcut: Literal["identity", "conv"] | None = None
    weight_bits: Bits | None = None
    activation_bits: Bits | None = None

    def short(self, shape: tuple[int, int, int], after: tuple[int, int, int]) -> Conv | None:
        """The convolution of the short way between maps of these shapes (H, W, C), if any.

        Its stride is what leads from the one height and width to the other.
        """
        if self.shortcut == "identity" or (self.shortcut is None and shape == after):
            return None
        strides = tuple(-(-a // b) for a, b in zip(shape[:2], after[:2], strict=True))
        return Conv(
            conv=after[2], kernel=1, stride=(strides[0], strides[1]), weight_bits=self.weight_bits
        )


class Pool(_Section):
    """Maximum or average of a square window.

    Attributes:
        pool: what is taken of the window
        size: side of the window, in pixels; in a head also "global", the whole image
        stride: step of the window, in pixels; unset: `size`
        padding: zeros around the image, in pixels; below `size`
        activation_bits: bits to which an average is quantized; unset: model.activation_bits
    """

    pool: Literal["max", "average"]
    size: Positive | Literal["global"] = 2
    stride: Positive | None = None
    padding: Natural = 0
    activation_bits: Bits | None = None


class Linear(_Section):
    """Fully connected layer; all but the last of a head are followed by a ReLU.

    Attributes:
        linear: features that it gives; of the last one: model.classes
        weight_bits: bits of a weight; unset: model.weight_bits
        activation_bits: bits of an output; unset: model.activation_bits
    """

    linear: Channels
    weight_bits: Bits | None = None
    activation_bits: Bits | None = None


def _layer_kind(value: Any) -> str | None:
    """Which of the three layers a table describes: the one whose key it has."""
    if isinstance(value, Mapping):
        return next((k for k in LAYERS if k in value), None)
    known = isinstance(value, Conv | Pool | Linear | Residual)
    return type(value).__name__.lower() if known else None


Block = Annotated[
    Annotated[Conv, Tag("conv")]
    | Annotated[Pool, Tag("pool")]
    | Annotated[Residual, Tag("residual")],
    Discriminator(_layer_kind),
]
HeadLayer = Annotated[
    Annotated[Conv, Tag("conv")] | Annotated[Pool, Tag("pool")] | Annotated[Linear, Tag("linear")],
    Discriminator(_layer_kind),
]


class Stage(_Section):
    """The blocks between two exits, and the head that sits behind them.

    Attributes:
        blocks: convolutions, pools and residual blocks, in order
        head: convolutions and pools, then linear layers; the last one, to the classes, is implied
    """

    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]
    head: tuple[HeadLayer, ...] = ()


def behind(
    block: Conv | Pool | Residual, shape: tuple[int, int, int], where: str
) -> tuple[int, int, int]:
    """Height, width and channels behind a block; ValueError when it cannot be there."""
    if isinstance(block, Conv):
        return _convolved(block, shape, where)
    if isinstance(block, Pool):
        return (*pooled(block, shape[0], shape[1], where), shape[2])
    after = shape
    for k, layer in enumerate(block.residual):
        after = _convolved(layer, after, f"{where}.residual[{k}]")
    short = block.short(shape, after)
    if short is None and shape != after:
        raise ValueError(
            f'{where}.shortcut must be "conv" where the long way makes {_shape(after)} of '
            f'{_shape(shape)}, got "identity"'
        )
    if short is not None and _convolved(short, shape, where) != after:
        raise ValueError(
            f"{where} must have a long way whose map a 1 x 1 convolution with a stride also makes "
            f"of {_shape(shape)}, got {_shape(after)}: pad by half the kernel"
        )
    return after


def still_pixels(
    block: Conv | Pool | Residual,
    shape: tuple[int, int, int],
    after: tuple[int, int, int],
    where: str,
) -> bool:
    """Whether the image is still one of pixels behind a block, from `shape` to `after`.

    ValueError when the block would add the image itself, whose pixels no quantizer shares.
    """
    if isinstance(block, Residual) and block.short(shape, after) is None:
        raise ValueError(
            f'{where}.shortcut must be "conv" where the image itself would be added, got "identity"'
        )
    return isinstance(block, Pool) and block.pool == "max"


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))


def _convolved(layer: Conv, shape: tuple[int, int, int], where: str) -> tuple[int, int, int]:
    """Height, width and channels behind a convolution."""
    height, width, channels = shape
    if channels % layer.groups or layer.conv % layer.groups:
        raise ValueError(
            f"{where}.groups must divide the {channels} channels that enter and the {layer.conv} "
            f"that leave, got {layer.groups}"
        )
    window = layer.window
    over, pad = window.extent, window.pad
    if any(pad[k] >= over[k % 2] for k in range(4)):
        one = over[0] == over[1] and len(set(pad)) == 1
        raise ValueError(
            f"{where}.padding must be below the window {over[0] if one else list(over)}, got "
            f"{pad[0] if one else list(pad)}"
        )
    h, w = height + pad[0] + pad[2], width + pad[1] + pad[3]
    if over[0] > h or over[1] > w:
        raise ValueError(
            f"{where} must have a window within its {h} x {w} input, got "
            f"{over[0] if over[0] == over[1] else list(over)}"
        )
    return (h - over[0]) // window.stride[0] + 1, (w - over[1]) // window.stride[1] + 1, layer.conv


def pooled(layer: Pool, height: int, width: int, where: str) -> tuple[int, int]:
    """Height and width behind a pool."""
    if layer.size == "global":
        raise ValueError(f'{where}.size must be a number in a stage, got "global"')
    size, stride = layer.size, layer.stride or layer.size
    if layer.padding >= size:
        raise ValueError(f"{where}.padding must be below the window {size}, got {layer.padding}")
    h, w = height + 2 * layer.padding, width + 2 * layer.padding
    if size > h or size > w:
        raise ValueError(f"{where} must have a window within its {h} x {w} input, got {size}")
    return (h - size) // stride + 1, (w - size) // stride + 1
