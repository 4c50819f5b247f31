"""The networks of brevitas_examples.bnn_pynq, as they are exported, through the command line.

The RTL's logits are QONNX's. By itself, `bnn_pynq.py` does it with 1,000 images (CNV 100).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exeunt import manifest
from exeunt.config import tree
from exeunt.kernels import registry
from exeunt.kernels.mvu import Mvu
from exeunt.qonnx import file, meaning
from exeunt.reference import network

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
    chains = manifest.read(folder / f"run-{name}").accelerator().chains
    units = [node for chain in chains for node in chain.nodes if isinstance(node, Mvu)]
    assert all(unit.signs for unit in units)
    assert {unit.weight_bits for unit in units} == {1 if "1W" in name else 2}


@pytest.mark.sim
@pytest.mark.parametrize("name", QUICK)
def test_logits_of_the_rtl_are_qonnxs(name: str, bnn: ModuleType, tmp_path: Path) -> None:
    agree(bnn, name, tmp_path, 40)


@pytest.mark.sim
@pytest.mark.slow
def test_every_network_of_bnn_pynq(bnn: ModuleType, tmp_path: Path) -> None:
    for name in bnn.NAMES:
        agree(bnn, name, tmp_path, 20)


@pytest.mark.slow
def test_a_residual_one_as_far_as_its_fifos(bnn: ModuleType, tmp_path: Path) -> None:
    """RESNET18_4W4A, compiled: its logits are QONNX's, as near as float32 comes to 340,000."""
    from exeunt.hls import compile as compiler

    path, size = bnn.export("RESNET18_4W4A", tmp_path), bnn.shape("RESNET18_4W4A")
    text = bnn.CONFIG.format(name="RESNET18_4W4A", shape=list(size), cycles=200_000)
    config = tree.parse(text.replace("qonnx:", f"qonnx:{tmp_path}/"))
    images = bnn.pictures(size, 3)
    accelerator = compiler.compile_network(path, config=config, images=images)
    accelerator = compiler.with_fifos(accelerator)
    (got,), wanted = network.run(accelerator, images).logits, bnn.executed(path, images)
    steps = wanted / accelerator.logit_scales[0]
    np.testing.assert_allclose(got, steps, rtol=2e-6, atol=0.01)
    assert np.ptp(got, axis=0).any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cycles"), [("CNV_1W1A", 32_768), ("CNV_2W2A", 115_200)])
def test_finns_folding_takes_finns_cycles(
    name: str, cycles: int, bnn: ModuleType, tmp_path: Path
) -> None:
    """The interval between images of finn-examples' folding is that of its slowest matrix."""
    from exeunt.hls import compile as compiler

    path = bnn.export(name, tmp_path)
    (tmp_path / "folding.json").write_text(json.dumps(bnn.folding(name)))
    text = bnn.CONFIG.format(name=name, shape=[32, 32, 3], cycles=1000)
    text = text.replace("qonnx:", f"qonnx:{tmp_path}/") + f'folding = "{tmp_path}/folding.json"'
    images = bnn.pictures((32, 32, 3), 1)
    accelerator = compiler.compile_network(path, config=tree.parse(text), images=images)
    units = [n for chain in accelerator.chains for n in chain.nodes if isinstance(n, Mvu)]
    assert tuple((unit.output.lanes, unit.simd) for unit in units) == bnn.FOLDED[name]
    assert max(registry.of(unit).effort(unit).period for unit in units) == cycles


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
