"""Small networks of the config language all the way: one stage, maps with a side of 1, pools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exeunt.command import run
from exeunt.config import tree

pytestmark = pytest.mark.sim

CLASS = """
from torch import nn
import brevitas.nn as q


class Net(nn.Module):
    def __init__(self):
        super().__init__()

        def block(i, o):
            conv = q.QuantConv2d(i, o, 3, padding=1, bias=False, weight_bit_width=4)
            return nn.Sequential(conv, nn.BatchNorm2d(o), q.QuantReLU(bit_width=4))

        def linear(i):
            return nn.Sequential(nn.Flatten(), q.QuantLinear(i, 3, bias=False, weight_bit_width=4))

        self.a, self.b, self.first = block(1, 4), block(4, 4), linear(120)
        self.second = nn.Sequential(nn.AdaptiveAvgPool2d(1), linear(4))

    def forward(self, x):
        x = self.a(x)
        return self.first(x), self.second(self.b(x))
"""
NORMALISED = """
import torch
from torch import nn
import brevitas.nn as q
from brevitas.quant import Int8ActPerTensorFixedPoint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = q.QuantIdentity(Int8ActPerTensorFixedPoint, bit_width=6)
        self.conv = q.QuantConv2d(1, 4, 3, padding=1, bias=False, weight_bit_width=4)
        self.norm, self.relu = nn.BatchNorm2d(4), q.QuantReLU(bit_width=4)
        self.last = q.QuantLinear(120, 3, bias=False, weight_bit_width=4)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(self.image(x))))
        return (self.last(torch.flatten(x, 1)),)
"""
NETWORKS = {
    "one stage": """
[[model.stages]]
blocks = [{ conv = 4, kernel = 3, stride = 2, padding = 1 }]
head = [{ pool = "max" }, { conv = 5, kernel = 1, activation_bits = 2 }]
""",
    "sides of one": """
[[model.stages]]
blocks = [{ conv = 4, kernel = 4 }]
head = [{ conv = 3, kernel = 2 }, { linear = 6 }]
[[model.stages]]
blocks = [{ conv = 4, kernel = 2, stride = 2 }, { conv = 6, kernel = 3, padding = 1 }]
""",
    "pools alone": """
[[model.stages]]
blocks = [{ pool = "max" }]
[[model.stages]]
blocks = [{ pool = "average", size = 2, stride = 1 }]
""",
    "a class with a head behind an average": CLASS,
    "a class on normalised images": NORMALISED,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_all_the_way(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label in range(3):
        folder = tmp_path / "data" / "set" / f"c{label}"
        folder.mkdir(parents=True)
        for k in range(12):
            pixels = random.integers(0, 256, (5, 6)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{k}.png")
    text, source = NETWORKS[name], ""
    if text in (CLASS, NORMALISED):
        (tmp_path / "net.py").write_text(text)
        source = f'source = "python:{tmp_path}/net.py:Net"'
        if text is NORMALISED:
            source += "\npreprocess = { scale = 0.00392156862745098, mean = [0.5], std = [0.25] }"
        text = ""
    config = tree.parse(f"""
name = "small"
[data]
dataset = "set"
format = "folder"
validation = 0.2
test = 0.25
[model]
{source}
input = [5, 6, 1]
classes = 3
{text}
[train]
epochs = 1
[compile]
baseline = false
""")
    folder = tmp_path / "run"
    run.run_all(run.Context(config, folder, tmp_path / "data"))
    report = json.loads((folder / "report.json").read_text())
    assert report["simulation"]["mismatches"] == 0
    assert report["simulation"]["images"] == 9
    assert len(report["exits"]) == (
        1 if name in ("one stage", "a class on normalised images") else 2
    )
