"""Filter scores of a whole network: one pass against Captum's layer by layer."""

from __future__ import annotations

import time
from importlib import resources

import numpy as np
import pytest
import torch

from exeunt.config import tree
from exeunt.quant.attribution import scores
from exeunt.quant.attribution._captum import captum_filter_scores
from exeunt.quant.attribution.faithfulness import completeness_table
from exeunt.quant.network.brevitas import QuantIdentity, QuantReLU
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.train import train
from exeunt.splits import read_split


@pytest.mark.bench
@pytest.mark.slow
def test_filter_scores_in_one_pass():
    """The MNIST network with average pooling, where both give the same scores; one thread."""
    text = (
        resources.files("exeunt.config.shipped").joinpath("mnist.toml").read_text(encoding="utf-8")
    )
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    net = MultiExitNetwork(tree.parse(text.replace('pool = "max"', 'pool = "average"')).model)
    data = random.integers(0, 256, (256, 28, 28, 1)).astype(np.uint8)
    for module in net.modules():
        if isinstance(module, QuantReLU | QuantIdentity):  # learned steps are not all the same
            for parameter in module.parameters():
                parameter.data *= random.uniform(0.6, 1.1)
    with torch.no_grad():
        for _ in range(10):
            net(torch.from_numpy(data[:64]).permute(0, 3, 1, 2).float())
    net.eval()
    target, mean = random.integers(0, 10, 256), data.mean(0).astype(np.float32)
    ratios = []
    try:
        torch.set_num_threads(1)
        for _ in range(3):
            began = time.process_time()
            ours = scores("deeplift", net, data, target=target, reference=mean, weights=False)
            between = time.process_time()
            theirs = captum_filter_scores(net, data, target=target, reference=mean, exits=range(3))
            ratios.append((time.process_time() - between) / (between - began))
    finally:
        torch.set_num_threads(threads)
    for single, table in zip(ours.per_exit, theirs, strict=True):
        reached = [f for f in single.filters.values() if f.any()]
        for found, expected in zip(reached, table.values(), strict=True):
            assert np.allclose(found, expected, rtol=1e-4, atol=1e-6)
    print(f"filter scores, LayerDeepLift / one pass: {', '.join(f'{r:.1f}' for r in ratios)} x")
    assert np.median(ratios) >= 5.0


TABLE = """
name = "table"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
weight_bits = {bits}
activation_bits = {bits}
[[model.stages]]
blocks = [{{ conv = 8, padding = 1 }}, {{ pool = "{pool}", size = 2 }}]
[[model.stages]]
blocks = [{{ conv = 16, padding = 1 }}, {{ conv = 16, padding = 1 }}, {{ pool = "{pool}" }}]
head = [{{ linear = 24 }}, {{ linear = 10 }}]
[train]
epochs = 2
learning_rate = 0.02
"""


@pytest.mark.bench
@pytest.mark.slow
def test_completeness_at_every_width(tmp_path):
    """Digits networks of 8, 4, 3 and 2 bits with either pool, two epochs; 128 test images."""
    networks = []
    for pool in ("average", "max"):
        for bits in (8, 4, 3, 2):
            loaded = tree.parse(TABLE.format(bits=bits, pool=pool))
            folder = tmp_path / f"{pool}{bits}"
            networks.append((f"{bits} bits, {pool:7}", train(loaded, folder, folder).eval()))
    data = read_split(tmp_path / "max2" / "splits.npz", "test").images[:128]
    reference = data.mean(0).astype(np.float32)
    rows = completeness_table(networks, data, reference=reference)
    for row in rows:
        print(
            f"{row.name} exit {row.exit}: {row.ours:.1e}, Captum {100 * row.captum:.1f}%, "
            f"with opaque quantizers {100 * row.captum_opaque:.4f}%"
        )
    assert max(row.ours for row in rows) <= 1e-4
    assert min(row.captum for row in rows) > 1e-3
