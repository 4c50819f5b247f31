"""The networks of brevitas_examples.bnn_pynq, as they are exported, through the command line.

The RTL's logits are QONNX's. By itself, `bnn_pynq.py` does it with 1,000 images (CNV 100).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exeunt.config import tree
from exeunt.qonnx import file, meaning

QUICK = ("TFC_1W1A", "TFC_2W2A")


@pytest.fixture(scope="module")
def bnn() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bnn", Path(__file__).with_name("bnn_pynq.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agree(bnn: ModuleType, name: str, folder: Path, images: int) -> None:
    found = bnn.compare(name, folder, images)
    assert found.pop("answers") > 1, "the network answers always the same"
    wanted = {"name": name, "images": images, "wrong": 0, "simulation": 0, "cycles": 0.0}
    assert found == wanted


@pytest.mark.sim
@pytest.mark.parametrize("name", QUICK)
def test_logits_of_the_rtl_are_qonnxs(name: str, bnn: ModuleType, tmp_path: Path) -> None:
    agree(bnn, name, tmp_path, 40)


@pytest.mark.sim
@pytest.mark.slow
def test_every_network_of_bnn_pynq(bnn: ModuleType, tmp_path: Path) -> None:
    for name in bnn.NAMES:
        agree(bnn, name, tmp_path, 20)


def test_a_convolutional_one_in_integers(bnn: ModuleType, tmp_path: Path) -> None:
    """CNV_1W1A, read as the command line reads it: its logits are QONNX's."""
    path = bnn.export("CNV_1W1A", tmp_path)
    text = bnn.CONFIG.format(name="CNV_1W1A", shape=[32, 32, 3], cycles=1000)
    model = tree.parse(text).model
    network = meaning.integers(file.load(path, preprocess=model.preprocess, shape=model.input))
    images = bnn.pictures((32, 32, 3), 4)
    (got,), wanted = network.logits(images), bnn.executed(path, images)
    (end,) = network.exits
    assert np.abs(got * end.scale + end.offset - wanted).max() < 0.01 * end.scale
    assert np.ptp(got, axis=0).any()
