"""How a multiplier passes a layer backwards: rescale, the max-pool mixture, LRP.

Every method is a gradient with some derivatives replaced. What flows backwards is a multiplier m,
and the contribution of a value x with reference r is m * (x - r); so sums over branches and
residual additions need no rule of their own.

DeepLIFT (Shrikumar, Greenside, Kundaje, ICML 2017), rescale: an elementwise layer, however many
steps it has inside, passes m_in = m_out * (y - y_r) / (x - x_r), and so keeps
sum of contributions = y - y_r exactly. Where x = x_r the straight-through derivative stands in; so
it does where the two differ by float noise alone and a rounding tie falls on different sides.

Max pooling: a window's output is x_a for the image and r_b for the reference. With d = x - r and
dy = x_a - r_b the winners bound it, d_b <= dy <= d_a, so dy = t d_a + (1 - t) d_b with one t in
0..1: m_in is t m_out at a and (1 - t) m_out at b. It is complete, and needs no small divisor.

LRP (Bach et al., PLoS ONE 2015): relevance is m * x; see `relevance`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from exeunt.quant.attribution._linear import Affine

ALPHA, BETA = 2.0, 1.0
EPSILON = 0.01  # of the root mean square of a layer's outputs for the image
_SAME = 1e-6  # relative difference below which two activations count as equal


class Scaled(torch.autograd.Function):
    """`value` forwards; backwards the gradient of the images times `slope`, zero for the rest."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        """X (B, ...), value (B, ...), slope (N, ...) with N <= B."""
        ctx.save_for_backward(slope)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of x."""
        (slope,) = ctx.saved_tensors
        count = len(slope)
        inner = grads[0].new_empty(grads[0].shape)
        torch.mul(grads[0][:count], slope, out=inner[:count])
        inner[count:].zero_()
        return inner, None, None


class Mixed(torch.autograd.Function):
    """A max pool's `value` forwards; backwards the mixture of the two winners of each window."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, value: Tensor, first: Tensor, second: Tensor, share: Tensor
    ) -> Tensor:
        """First, second (N, C, P): flat winners for image and reference; share of the first."""
        ctx.save_for_backward(first, second, share)
        ctx.shape = x.shape
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Gradient of x."""
        first, second, share = ctx.saved_tensors
        count = len(first)
        out = grads[0][:count].flatten(2)
        inner = out.new_zeros(ctx.shape).flatten(2)
        inner[:count].scatter_add_(2, first, out * share)
        inner[:count].scatter_add_(2, second, out * (1 - share))
        return inner.reshape(ctx.shape), None, None, None, None


class Relevant(torch.autograd.Function):
    """A linear layer's `value` forwards; backwards a rule of LRP."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, layer: Affine, method: str) -> Tensor:
        """X (N, ...) is what the layer took, value (N, ...) what it gave."""
        ctx.save_for_backward(x, value)
        ctx.layer, ctx.method = layer, method
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Gradient of x."""
        x, value = ctx.saved_tensors
        return relevance(ctx.layer, ctx.method, x, value, grads[0]), None, None, None


def relevance(layer: Affine, method: str, x: Tensor, value: Tensor, grad: Tensor) -> Tensor:
    """Multiplier at the input x of a linear layer, given `grad` at its output `value`.

    epsilon: R_i = sum_j x_i w_ij / (z_j + e sign z_j) R_j with e = EPSILON times the root mean
    square of z. alpha-beta: R_i = sum_j (ALPHA (x_i w_ij)+ / Z_j+ - BETA (x_i w_ij)- / Z_j-) R_j;
    a bias takes its share with it.
    """
    if method == "lrp-epsilon":
        return layer.transposed(damped(value, grad), layer.weight, x.shape)
    up, down = _signs(layer, x, value, grad)
    plus, minus = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    total = torch.zeros_like(x)
    for chosen, same, other in (((x >= 0), plus, minus), ((x < 0), minus, plus)):
        if bool(chosen.any()):
            back = layer.transposed(up, same, x.shape) + layer.transposed(down, other, x.shape)
            total = torch.where(chosen, back, total)
    return total


def relevance_of_weights(
    layer: Affine, method: str, x: Tensor, value: Tensor, grad: Tensor
) -> Tensor:
    """Relevance that flows through each weight, (N, *weight.shape), image by image."""
    if method == "lrp-epsilon":
        return layer.correlated(x, damped(value, grad)) * layer.weight
    up, down = _signs(layer, x, value, grad)
    plus, minus = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    high, low = x.clamp(min=0), x.clamp(max=0)
    found = plus * layer.correlated(high, up) + minus * layer.correlated(high, down)
    if bool((low != 0).any()):
        found = found + minus * layer.correlated(low, up) + plus * layer.correlated(low, down)
    return found


def damped(value: Tensor, grad: Tensor) -> Tensor:
    """Multiplier at an output, less where the output is small against the others of its image."""
    size = value.flatten(1).square().mean(1).sqrt().reshape(-1, *(1,) * (value.dim() - 1))
    magnitude = value.abs()
    return grad * magnitude / (magnitude + EPSILON * size + torch.finfo(value.dtype).tiny)


def _signs(layer: Affine, x: Tensor, value: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """What is handed to the positive and to the negative products of every output."""
    plus, minus = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    high, low = x.clamp(min=0), x.clamp(max=0)
    positive, negative = layer.apply(high, plus), layer.apply(high, minus)
    if bool((low != 0).any()):
        positive = positive + layer.apply(low, minus)
        negative = negative + layer.apply(low, plus)
    if layer.bias is not None:
        shape = (-1,) + (1,) * (value.dim() - 2) if layer.convolution is not None else (-1,)
        positive = positive + layer.bias.clamp(min=0).reshape(shape)
        negative = negative + layer.bias.clamp(max=0).reshape(shape)
    handed = grad * value
    # an output without products of one sign gives all to the other
    alpha = torch.where(negative < 0, ALPHA, 1.0)
    beta = torch.where(positive > 0, BETA, -1.0)
    up = torch.where(positive > 0, alpha * handed / positive.clamp(min=1e-30), 0.0)
    down = torch.where(negative < 0, -beta * handed / negative.clamp(max=-1e-30), 0.0)
    return up, down


def secant(x: Tensor, y: Tensor, count: int, slope: Callable[[], Tensor], *, zero: bool) -> Tensor:
    """(y - y_r) / (x - x_r) of an elementwise layer, `slope` where the two inputs are equal.

    x, y (B, ...) hold `count` images, then their references; with `zero` there are none and the
    reference is x = y = 0. `slope()` (B, ...) is the straight-through derivative.
    """
    image = x[:count]
    if zero:
        run, rise = image.clone(), y[:count].clone()
        same = run.abs() <= 1e-12
    else:
        run, rise = image - x[count:], y[:count] - y[count:]
        # a rounding tie that float noise decides: the secant would be that noise
        same = (run.abs() <= image.abs().mul_(_SAME)) & ((run == 0) | (rise != 0))
    if not bool(same.any()):
        return rise.div_(run)
    rise.div_(run.masked_fill_(same, 1.0))
    return torch.where(same, slope()[:count], rise)


def winners(pool: nn.MaxPool2d, x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each window the winner for image and reference (N, C, P), and the first one's share."""
    value, index = F.max_pool2d(
        x,
        pool.kernel_size,
        pool.stride,
        pool.padding,
        pool.dilation,
        pool.ceil_mode,
        return_indices=True,
    )
    value, index = value.flatten(2), index.flatten(2)
    first = index[:count]
    second = index[count:].expand_as(first)
    gap = (x[:count] - x[count:]).flatten(2)
    rise = value[:count] - value[count:]
    high, low = gap.gather(2, first), gap.gather(2, second)
    width = high - low
    share = torch.where(width > 0, (rise - low) / torch.where(width > 0, width, 1.0), 1.0)
    return first, second, share.clamp(0.0, 1.0)
