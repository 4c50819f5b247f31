"""Linear layers by themselves: their quantized weights, their transpose, what one weight does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

LINEAR = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Affine:
    """Y = W x + b of a convolution or fully connected layer with the weights that it computes with.

    `weight` has the shape of `module.weight`; a batch norm behind the layer may be folded into it.
    """

    module: nn.Module
    weight: Tensor
    bias: Tensor | None

    @property
    def convolution(self) -> nn.Conv2d | None:
        """The layer when it is a convolution."""
        return self.module if isinstance(self.module, nn.Conv2d) else None

    def scaled(self, factor: Tensor, offset: Tensor) -> Affine:
        """The layer with a batch norm y * factor + offset behind it, both (channels,)."""
        shape = (-1,) + (1,) * (self.weight.dim() - 1)
        bias = offset if self.bias is None else self.bias * factor + offset
        return Affine(self.module, self.weight * factor.reshape(shape), bias)

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """`weight` times x, without bias."""
        conv = self.convolution
        if conv is None:
            return F.linear(x, weight)
        pads = _pads(conv)
        return F.conv2d(x, weight, None, conv.stride, pads, conv.dilation, conv.groups)

    def transposed(self, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """`weight` transposed times `grad`: from the outputs back to inputs of `shape`."""
        conv = self.convolution
        if conv is None:
            return grad @ weight
        return conv2d_input(
            shape, weight, grad, conv.stride, _pads(conv), conv.dilation, conv.groups
        )

    def correlated(self, x: Tensor, grad: Tensor) -> Tensor:
        """For every weight the sum over positions of its input times `grad` of its output.

        x (N, inputs...), grad (N, outputs...); returns (N, *weight.shape), image by image.
        """
        conv = self.convolution
        count = len(x)
        if conv is None:
            if x.dim() == 2:
                return grad[:, :, None] * x[:, None, :]
            return torch.einsum("n...o,n...i->noi", grad, x)
        columns = F.unfold(x, conv.kernel_size, conv.dilation, _pads(conv), conv.stride)
        groups, positions = conv.groups, columns.shape[2]
        columns = columns.reshape(count * groups, -1, positions)
        grads = grad.reshape(count * groups, -1, positions)
        return torch.bmm(grads, columns.transpose(1, 2)).reshape(count, *self.weight.shape)


def _pads(conv: nn.Conv2d) -> tuple[int, int]:
    """Zeros on both sides in y and x; a convolution that pads otherwise is refused before."""
    if conv.padding == "valid":
        return (0, 0)
    assert isinstance(conv.padding, tuple)
    return (conv.padding[0], conv.padding[1])


def plainly_padded(module: nn.Module) -> bool:
    """Whether a layer pads with zeros by the same number on both sides, or is no convolution."""
    if not isinstance(module, nn.Conv2d):
        return True
    return module.padding_mode == "zeros" and module.padding != "same"


def affine(module: nn.Module) -> Affine:
    """The layer with its quantized weights where it quantizes them, detached."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    quantize = getattr(module, "quant_weight", None)
    if quantize is not None:
        quantized = quantize()
        weight = getattr(quantized, "value", quantized)
    bias = module.bias
    return Affine(module, weight.detach(), bias.detach() if isinstance(bias, Tensor) else None)
