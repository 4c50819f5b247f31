"""The model of a network's cost by its shapes, and a network of the shape of ResNet-34."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from exeunt.errors import InputError
from exeunt.explain import context, engine, scales, walk
from exeunt.explain.design import CLASS
from exeunt.explain.lower import lower
from exeunt.explain.shapes import Cost, Layer, cost


def test_the_model_is_near_the_engine(graphs: ModuleType) -> None:
    """Dense cycles of a straight network within the few cycles at both ends of its steps."""
    accelerator = graphs.straight(graphs.GRAPHS["three exits"]())
    images = graphs.frames(accelerator)
    programs, numbers = {}, {}
    for exit in range(3):
        key = ("saliency", exit)
        programs[key] = walk.program(accelerator, exit, "saliency")
        found = context.forward(accelerator, programs[key], images)
        numbers[key] = scales.calibrated(programs[key], found, found.logits.argmax(1))
    made = lower(programs, numbers, exits=3, pe=4)
    layers = []
    for sweep in programs["saliency", 2].sweeps:
        (term,) = sweep.scatters
        height, width, channels = programs["saliency", 2].stream_shape(term.stream)
        count = 1 if term.stream == 0 else height * width * channels
        layers.append(Layer(count, 1.0, term.kernel, sweep.sums, 1.0))
    found = cost(layers, pe=4)
    steps = made.steps["saliency", 2]
    assert steps[0].fields["flags"] & CLASS
    real = engine.dense(made, "saliency", 2)
    assert 0 <= real - found.total <= 14 * len(steps)
    assert found.dense == found.total


def test_halves_and_several_engines() -> None:
    layer = Layer(1000, 0.5, (3, 3), (10, 10, 16), 0.25)
    assert cost([layer], pe=8) == Cost(500 * 3 * 6, 400, 200, 54, 1000 * 18 + 200 + 1600 + 54)
    two = cost([layer, Layer(100, 1.0, (1, 1), (10, 10, 16), 0.25, sums=True)], pe=8, engines=2)
    assert two == Cost(4500 + 100, 200, 100, 84, 9000 + 100 + 100 + 800 + 84)
    assert two.total == 4600 + 200 + 100 + 84
    with pytest.raises(InputError, match=r"1 lane and 1 engine or more, got pe 0 and 2 engines"):
        cost([layer], pe=0, engines=2)


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(3))
        same = stride == 1 and before == width
        self.short = None if same else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = torch.relu(self.norms[0](self.first(x)))
        short = x if self.short is None else self.norms[2](self.short(x))
        return middle, torch.relu(self.norms[1](self.second(middle)) + short)


@pytest.mark.bench
def test_a_network_of_the_shape_of_resnet_34(capsys: pytest.CaptureFixture[str]) -> None:
    """Random weights, 224 x 224; densities are those of its own masks, of four random images."""
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    with torch.no_grad():
        x = nn.functional.max_pool2d(stem(torch.randn(4, 3, 224, 224)), 3, 2, 1)
        share = float((x > 0).float().mean())
        layers = [Layer(x[0].numel(), share, (7, 7), (224, 224, 3), 1.0)]
        before = 64
        for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for k in range(count):
                block = _Block(before, width, stride if k == 0 else 1)
                middle, y = block(x)
                shape = (x.shape[2], x.shape[3], before)
                inner = (*middle.shape[2:], width)
                hidden, out = (float((z > 0).float().mean()) for z in (middle, y))
                layers.append(Layer(middle[0].numel(), hidden, (3, 3), shape, share))
                if block.short is not None:
                    layers.append(Layer(y[0].numel(), out, (1, 1), shape, share, sums=True))
                layers.append(Layer(y[0].numel(), out, (3, 3), inner, hidden))
                x, share, before = y, out, width
    layers.append(Layer(1, 1.0, (1, 1), (1, 1, 512), 1.0))
    layers = layers[::-1]
    with capsys.disabled():
        print("\n| engines x lanes | cycles | scatters, sweeps | dense | maps/s, 100, 200 MHz |")
        print("|---|---|---|---|---|")
        for engines, pe in ((16, 16), (16, 64), (64, 16), (32, 64), (64, 64)):
            found = cost(layers, pe=pe, engines=engines)
            rates = ", ".join(f"{f / found.total:.1f}" for f in (100e6, 200e6))
            print(
                f"| {engines} x {pe} | {found.total:,} | {found.scatters:,}, {found.sweeps:,} "
                f"| {found.dense:,} ({found.dense / found.total:.2f}) | {rates} |"
            )
    assert found.dense > found.total
