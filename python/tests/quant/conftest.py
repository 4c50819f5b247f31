"""A tiny trained network that the tests of the quant room share."""

from __future__ import annotations

from pathlib import Path

import pytest

from exeunt.config import tree
from exeunt.quant.train import train

TINY = """
name = "tiny"
[data]
dataset = "digits"
validation = 0.15
[model]
input = [8, 8, 1]
classes = 10
weight_bits = 3
activation_bits = 3
[[model.stages]]
blocks = [{ conv = 4, stride = 2, padding = 1, weight_bits = 2 }]
head = []
[[model.stages]]
blocks = [{ conv = 8, padding = 1, activation_bits = 4 }]
head = [{ pool = "average", size = "global" }, { linear = 16 }, { linear = 10 }]
[train]
epochs = 2
batch = 128
learning_rate = 0.02
shift = 1
"""


@pytest.fixture(scope="session")
def tiny() -> tree.Config:
    """Two exits on digits: two training epochs take about a second."""
    return tree.parse(TINY)


@pytest.fixture(scope="session")
def trained(tiny: tree.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the tiny network trained; tests must not write to it."""
    folder = tmp_path_factory.mktemp("trained")
    train(tiny, folder, folder)
    return folder
