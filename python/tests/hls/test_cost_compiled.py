"""The cost model's layers, folded, are the kernels that the compiler makes of the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from exeunt import cost
from exeunt.config import tree
from exeunt.cost.totals import compiled as predicted
from exeunt.hls import compile as compiler
from exeunt.kernels.mvu import Mvu
from exeunt.qonnx import file

HEAD = "{ linear = 12, activation_bits = 2 }"
CONFIG = f"""
name = "shapes"
[data]
dataset = "digits"
[model]
input = [10, 9, 1]
classes = 3
[[model.stages]]
blocks = [{{ conv = 4, kernel = 3, stride = 2, padding = 1, weight_bits = 3 }}]
head = [{{ pool = "average", size = "global" }}]
[[model.stages]]
blocks = [{{ conv = 6, kernel = 1, activation_bits = 3 }}, {{ pool = "max", size = 2, stride = 1 }}]
head = [{HEAD}]
[[model.stages]]
blocks = [{{ conv = 8, kernel = 3, padding = 1 }}, {{ pool = "max" }}]
head = []
[compile]
target_cycles = 90
"""
REACH = (1.0, 0.3, 0.1)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory):
    import torch

    from exeunt.quant.network.export import to_qonnx
    from exeunt.quant.network.model import MultiExitNetwork

    found = tree.parse(CONFIG)
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("cost") / "model.onnx"
    model = to_qonnx(MultiExitNetwork(found.model), shape=(1, 10, 9))
    path.write_bytes(file.to_model(model).SerializeToString())
    return found, compiler.read_network(path, config=found)


def test_predicted_kernels_are_the_compiled_ones(network) -> None:
    found, read = network
    compiled = compiler.build(read, config=found, reach=REACH)
    chains = predicted(found.model, target_cycles=90, reach=REACH)
    assert len(chains) == 6
    for mine, theirs in zip(chains, compiled.accelerator.chains, strict=True):
        assert [n.kind for n in mine.nodes] == [n.kind for n in theirs.nodes], theirs.name
        for a, b in zip(mine.nodes, theirs.nodes, strict=True):
            assert (a.input.elements, a.input.dtype, a.input.lanes) == (
                b.input.elements, b.input.dtype, b.input.lanes,
            ), b.name  # fmt: skip
            assert (a.output.shape, a.output.lanes) == (b.output.shape, b.output.lanes), b.name
            if isinstance(a, Mvu) and isinstance(b, Mvu):
                assert (a.weight_bits, a.levels) == (b.weight_bits, b.levels)
                assert abs(a.accumulator.bits - b.accumulator.bits) <= 2
    before = cost.network(found.model, target_cycles=90, reach=REACH)
    after = cost.network(compiled.accelerator, reach=REACH)
    assert before.multipliers == after.multipliers == compiled.multipliers
    assert (before.cycles, before.macs, before.weight_bits) == (
        after.cycles, after.macs, after.weight_bits,
    )  # fmt: skip
    assert before.lut == pytest.approx(after.lut, rel=0.1)
