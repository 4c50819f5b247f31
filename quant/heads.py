"""A head for a network that has none there: trained on its integers, given as integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from exeunt.config.attach import Attach
from exeunt.qonnx.heads import LEVELS, Head, Hidden, Place

_TEMPERATURE = 2.0
_RATE = 0.005
_RISE = 0.2  # share of the steps in which the rate rises
_KERNEL = 3  # rows and columns of a convolution
_MOST = 128  # filters
_BITS = 4  # of the weights of a convolution, at most
_FITTED = 4096  # images by which the integers are scaled while training

IntArray = npt.NDArray[np.int64]


def filters(grid: tuple[int, int, int], classes: int, budget: float) -> int:
    """How many a head's convolution on (channels, rows, columns) may have, a multiple of 8.

    With the linear layer behind it it has at most `budget` multiplications a frame. 0 where there
    would be fewer filters than classes.
    """
    channels, rows, columns = grid
    high, wide = min(_KERNEL, rows), min(_KERNEL, columns)
    pixels = (rows - high + 1) * (columns - wide + 1)
    count = min(_MOST, int(budget // (pixels * (high * wide * channels + classes))) // 8 * 8)
    return count if count >= classes else 0


def train_head(
    seen: npt.NDArray[Any],
    labels: Tensor,
    soft: Tensor,
    place: Place,
    window: tuple[int, int],
    section: Attach,
    *,
    filters: int = 0,
) -> Head:
    """A head of quantized weights, trained on the integers in front of it.

    Args:
        seen: integers (N, channels, rows, columns), see `exeunt.qonnx.heads.pooled`.
        labels: int64 (N,).
        soft: logits (N, classes) of the network, from which the head learns beside the labels.
        place: where it leaves.
        window: its pool.
        section: of the config; an epoch shows `images` of it, the same ones again if N is less.
        filters: of its convolution, which needs two images; 0: a linear layer alone.
    """
    spread = float(seen[:_FITTED].std()) or 1.0
    # a convolution learns offsets itself, in its norm
    mean = torch.from_numpy(seen.mean(axis=0) * (not filters)).float()
    network = _Network(seen.shape[1:], filters, soft.shape[1], section.bits)
    _fit(network, lambda part: (part.float() - mean) / spread, seen, labels, soft, section)
    grain = int(np.prod(window)) / (spread * place.step)  # of one unit of the pool's mean
    return network.head(place, window, mean.double().numpy().reshape(-1) / spread, grain)


def _fit(
    network: nn.Module,
    scaled: Callable[[Tensor], Tensor],
    seen: npt.NDArray[Any],
    labels: Tensor,
    soft: Tensor,
    section: Attach,
) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=section.weight_decay)
    shown = max(section.images, len(labels))
    batches = max(1, shown // section.batch)
    steps = section.epochs * batches + 1
    rising = min(1.0, max(_RISE, 2 / steps))  # one step up at least
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _RATE, total_steps=steps, pct_start=rising
    )
    teacher = F.softmax(soft / _TEMPERATURE, dim=1)
    x = torch.from_numpy(seen)
    network.train()
    for _ in range(section.epochs):
        for part in (torch.randperm(shown) % len(labels)).tensor_split(batches):
            out = network(scaled(x[part]))
            log = F.log_softmax(out / _TEMPERATURE, dim=1)
            gap = F.kl_div(log, teacher[part], reduction="batchmean")
            loss = F.cross_entropy(out, labels[part])
            loss = loss + section.distill * _TEMPERATURE**2 * gap
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()


class _Network(nn.Module):
    """A head while it is trained, on (N, channels, rows, columns)."""

    def __init__(self, grid: tuple[int, ...], filters: int, classes: int, bits: int) -> None:
        super().__init__()
        channels, rows, columns = grid
        self.bits = bits
        self.convolution: nn.Conv2d | None = None
        if filters:
            kernel = (min(_KERNEL, rows), min(_KERNEL, columns))
            self.convolution = nn.Conv2d(channels, filters, kernel, bias=False)
            self.norm = nn.BatchNorm2d(filters)
            self.step = nn.Parameter(torch.tensor(0.25))
            channels, rows, columns = filters, rows - kernel[0] + 1, columns - kernel[1] + 1
        self.linear = nn.Linear(channels * rows * columns, classes)
        nn.init.zeros_(self.linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.convolution is not None:
            x = F.conv2d(x, _quantized(self.convolution.weight, min(self.bits, _BITS)))
            step = self._step()
            held = (torch.relu(self.norm(x)) / step).clamp(max=LEVELS)
            x = (held + (held.round() - held).detach()) * step
        return F.linear(x.flatten(1), _quantized(self.linear.weight, self.bits), self.linear.bias)

    def _step(self) -> Tensor:
        return self.step.abs() + 1e-3

    def head(
        self, place: Place, window: tuple[int, int], mean: npt.NDArray[np.float64], grain: float
    ) -> Head:
        """In integers; `mean` was taken off what it saw, `grain` is what 1 stood for there."""
        weights, scale = _integers(self.linear.weight, self.bits)
        bias = self.linear.bias.detach().double().numpy()
        if self.convolution is None:
            bias = bias - scale * (weights @ mean)
            logit = scale * grain * place.step / int(np.prod(window))
            return Head(place, window, weights, self.bits, scale * grain, _rounded(bias / logit))
        bits = min(self.bits, _BITS)
        taps, size = _integers(self.convolution.weight, bits)
        gain, shift = _affine(self.norm)
        step = float(self._step().detach())
        hidden = Hidden(taps, bits, size * grain, gain, shift, step)
        return Head(
            place, window, weights, self.bits, scale, _rounded(bias / (scale * step)), hidden
        )


def _affine(norm: nn.BatchNorm2d) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Factor and summand of each channel."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    gain = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.detach().double() - gain * norm.running_mean.double()
    return gain.numpy(), shift.numpy()


def _step_of(weights: Tensor, bits: int) -> Tensor:
    return weights.detach().abs().max().clamp_min(1e-6) / (2 ** (bits - 1) - 1)


def _quantized(weights: Tensor, bits: int) -> Tensor:
    """Weights in symmetric steps, differentiable as if they were not."""
    step = _step_of(weights, bits)
    return weights + (torch.round(weights / step) * step - weights).detach()


def _integers(weights: Tensor, bits: int) -> tuple[IntArray, float]:
    """Weights int64 of their shape, and what 1 in them stands for."""
    step = _step_of(weights, bits)
    return torch.round(weights.detach() / step).numpy().astype(np.int64), float(step)


def _rounded(values: npt.NDArray[np.float64]) -> IntArray:
    return np.rint(values).astype(np.int64)
