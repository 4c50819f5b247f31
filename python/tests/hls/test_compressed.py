"""A compressed network is compiled like any other, and its zeros get to the kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exeunt.config import tree

MATRICES = ("mvu", "sparse")
TEXT = """
name = "compressed"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 8, stride = 2, padding = 1 }]
[[model.stages]]
blocks = [{ conv = 8, padding = 1 }]
head = [{ pool = "max", size = "global" }]
[train]
epochs = 1
batch = 128
[compress]
images = 50
passes = [
  { kind = "filters", criterion = "l1", budget = 0.6, multiple = 2, epochs = 0 },
  { kind = "blocks", criterion = "l1", sparsity = 0.5, block = 2, epochs = 1 },
]
[compile]
target_cycles = 4096
baseline = false
"""


def compressed(text: str, folder: Path) -> tree.Config:
    """The config, trained, compressed, calibrated and exported in a run folder."""
    from exeunt.quant.calibrate import calibrate
    from exeunt.quant.compress.step import compress
    from exeunt.quant.export import export
    from exeunt.quant.train import train

    settings = tree.parse(text)
    train(settings, folder, folder)
    compress(settings, folder, folder)
    calibrate(settings, folder)
    export(settings, folder)
    return settings


@pytest.mark.slow
def test_compressed_network_through_the_compiler(tmp_path: Path):
    from exeunt.hls.back.kernels.sparsity import pattern
    from exeunt.hls.compile import compile_network
    from exeunt.quant.compress import load_network
    from exeunt.quant.network.logits import logits
    from exeunt.reference import network as reference
    from exeunt.splits import SPLITS, read_split

    settings = compressed(TEXT, tmp_path)
    accelerator = compile_network(tmp_path / "model.onnx", config=settings)
    widths = [
        n.output.shape[2] for s in accelerator.segments for n in s.nodes if n.kind in MATRICES
    ]
    assert sum(widths) < 16
    kinds = [node.kind for chain in accelerator.chains for node in chain.nodes]
    assert "sparse" in kinds, "zeros are left out where that is cheaper, unless it is said"
    zeros, weights, schedule, dense = 0, 0, 0, 0
    for chain in accelerator.chains:
        for node in chain.nodes:
            if node.kind in MATRICES:
                matrix = accelerator.of(node)["weights"]
                found = pattern(matrix, simd=1, pe=matrix.shape[0])
                schedule, dense = schedule + found["schedule"], dense + found["dense"]
                zeros += found["weights"] - found["nonzero"]
                weights += found["weights"]
    assert zeros >= 0.45 * weights
    assert schedule < 0.75 * dense  # rows keep equally many, but for those of a small first layer
    images = read_split(tmp_path / SPLITS, "test").images[:20]
    expected = logits(load_network(settings, tmp_path), images)
    answers = reference.run(accelerator, images).logits
    for out, found in zip(expected, answers, strict=True):
        assert (out.argmax(1) == np.asarray(found).argmax(1)).mean() >= 0.95


SHARED = """
name = "shared"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [
  { conv = 8, padding = 1 },
  { residual = [
    { conv = 8, padding = 1, weight_bits = 3 }, { conv = 12, stride = 2, padding = 1 },
  ] },
  { residual = [{ conv = 12, padding = 1 }] },
]
[train]
epochs = 1
batch = 128
[compress]
images = 50
passes = [{ kind = "sharing", criterion = "uniform", centroids = 5, centroid_bits = 4, epochs = 0 }]
[compile]
target_cycles = 4096
baseline = false
"""


@pytest.mark.slow
def test_residual_blocks_share_weights(tmp_path: Path):
    """Every layer has its codebook, also both ways of a block, whichever is compiled first."""
    from exeunt.hls.back import codebooks
    from exeunt.hls.compile import compile_network
    from exeunt.kernels.parts.weights import Weighted

    settings = compressed(SHARED, tmp_path)
    plain = compile_network(tmp_path / "model.onnx", config=settings)
    found = codebooks.attach(plain, tmp_path / codebooks.NAME)
    nodes = [n for c in found.chains for n in c.nodes if isinstance(n, Weighted)]
    assert len(nodes) == 6
    for node in nodes:
        assert 1 < len(node.codebook) <= 5
        assert node.weight_bits <= 4
        np.testing.assert_array_equal(
            found.of(node)["weights"], plain.arrays[f"{node.name}.weights"]
        )
