"""The cost model's layers, folded, are the kernels that the compiler makes of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exeunt import cost
from exeunt.config import tree
from exeunt.cost.totals import compiled as predicted
from exeunt.hls import compile as compiler
from exeunt.hls.optimised import Unfolded
from exeunt.kernels.layer import Matrix
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
blocks = [{{ conv = 8, kernel = 3, padding = 1, weight_bits = 2 }}, {{ pool = "max" }}]
head = []
[compile]
target_cycles = 90
headroom = 1.5
"""


EVERY_KIND = """name = "k"
[data]
dataset = "digits"
[model]
input = [10, 9, 1]
classes = 3
[[model.stages]]
blocks = [
  { conv = 4, kernel = [3, 1], stride = [2, 1], padding = [1, 0], weight_bits = 3 },
  { conv = 4, padding = 1, groups = 4 },
  { residual = [{ conv = 4, padding = 1 }, { conv = 4, padding = 1 }] },
]
head = [{ pool = "average", size = "global" }]
[[model.stages]]
blocks = [
  { residual = [{ conv = 6, padding = 1, stride = 2 }, { conv = 6, padding = 1, groups = 2 }] },
  { conv = 8, padding = [0, 2, 0, 1], kernel = [1, 3], dilation = [1, 2], groups = 2 },
]
[compile]
target_cycles = 90
headroom = 1.5
"""


@pytest.fixture(scope="module", params=[CONFIG, EVERY_KIND], ids=["chain", "every kind"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    import torch

    from exeunt.quant.network.export import to_qonnx
    from exeunt.quant.network.model import MultiExitNetwork

    found = tree.parse(request.param)
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("cost") / "model.onnx"
    model = to_qonnx(MultiExitNetwork(found.model), shape=(1, 10, 9))
    path.write_bytes(file.to_model(model).SerializeToString())
    return found, compiler.read_network(path, config=found)


def test_predicted_kernels_are_the_compiled_ones(network) -> None:
    found, read = network
    reach = (1.0, 0.3, 0.1)[: len(found.model.stages)]
    compiled = compiler.build(read, config=found, reach=reach)
    chains = predicted(found.model, target_cycles=90, reach=reach)
    assert len(chains) == 2 * len(found.model.stages)
    for mine, theirs in zip(chains, compiled.accelerator.chains, strict=True):
        assert [n.kind for n in mine.nodes] == [n.kind for n in theirs.nodes], theirs.name
        for a, b in zip(mine.nodes, theirs.nodes, strict=True):
            assert (a.input.elements, a.input.dtype, a.input.lanes) == (
                b.input.elements, b.input.dtype, b.input.lanes,
            ), b.name  # fmt: skip
            assert (a.output.shape, a.output.lanes) == (b.output.shape, b.output.lanes), b.name
            if isinstance(a, Mvu) and isinstance(b, Mvu):
                assert (a.weight_bits, a.signs) == (b.weight_bits, b.signs)
                few = b.levels < a.levels and (a.groups > 1 or b.output.dtype.signed)
                assert a.levels == b.levels or few  # the rest is out of the reach of the sums
                assert abs(a.accumulator.bits - b.accumulator.bits) <= 2
    before = cost.network(found.model, target_cycles=90, reach=reach)
    after = cost.network(compiled.accelerator, reach=reach)
    assert before.multipliers == after.multipliers == compiled.multipliers
    assert (before.cycles, before.macs, before.weight_bits) == (
        after.cycles, after.macs, after.weight_bits,
    )  # fmt: skip
    assert before.lut == pytest.approx(after.lut, rel=0.1)


def test_with_its_integers_every_layer_is_the_compiled_one(network) -> None:
    found, read = network
    mine, theirs = Unfolded.described(found.model, read.integers), Unfolded.read(read, name="k")
    count = 0
    for parts in ("segments", "heads"):
        for ours, compiled in zip(getattr(mine, parts), getattr(theirs, parts), strict=True):
            for a, b in zip(ours, compiled, strict=True):
                if not isinstance(b, Matrix):
                    continue
                assert (a.accumulator, a.result, a.levels, a.bias) == (
                    b.accumulator, b.result, b.levels, b.bias,
                ), a.where  # fmt: skip
                assert sorted(a.arrays) == sorted(b.arrays), a.where
                for name, array in b.arrays.items():
                    assert np.array_equal(a.arrays[name], array), (a.where, name)
                count += 1
    assert count >= 6
