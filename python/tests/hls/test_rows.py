"""Layers in one dimension on images and maps of any shape with the same stream, through the RTL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import graph
from exeunt.config import tree
from exeunt.kernels import registry
from exeunt.qonnx import exits, file, meaning
from exeunt.qonnx.integers import Reshape


def shaped(b: Any, x: str, *shape: int) -> str:
    return str(b.node("Reshape", x, b.constant(shape, np.int64), shape=shape))


def conv(b: Any, x: str, channels: int, *, bits: int = 4, signed: bool = False) -> str:
    """A convolution over three places of (1, C, L), and its quantizer."""
    _, before, length = b.shapes[x]
    weight, power = b.weight((channels, before, 3), 4, True)
    shape = (1, channels, length)
    y = b.node("Conv", x, weight, shape=shape, kernel_shape=[3], pads=[1, 1])
    b.variance[y] = b.variance[x] * power * before * 3
    y = b.norm(y)
    if bits == 1:
        y = b.node("BipolarQuant", y, b.constant(0.5), shape=shape)
    else:
        y = b.quant(y, bits, signed=signed, scale=4.0 / 2**bits)
    b.variance[y] = 1.0
    return str(y)


def column(b: Any) -> None:
    """Images (L, 1, C), two exits, a residual and pools."""
    x = conv(b, shaped(b, "image", 1, 3, 12), 4)
    b.exit(b.linear(b.node("Flatten", x, shape=(1, 48), axis=1), 3))
    y = conv(b, x, 4)
    x = b.quant(b.node("Add", x, y, shape=b.shapes[x]))
    x = b.node("MaxPool", x, shape=(1, 4, 6), kernel_shape=[2], strides=[2])
    x = b.node("ReduceMean", x, b.constant([2], np.int64), shape=(1, 4), keepdims=0)
    b.exit(b.linear(b.quant(x), 3))


def samples(b: Any) -> None:
    """Images (L, C, 1): each row holds the channels of one place."""
    x = b.node("Squeeze", "image", b.constant([1], np.int64), shape=(1, 12, 3))
    x = conv(b, b.node("Transpose", x, shape=(1, 3, 12), perm=[0, 2, 1]), 4)
    b.exit(b.linear(b.node("Flatten", conv(b, x, 4), shape=(1, 48), axis=1), 3))


def long_map(b: Any) -> None:
    """A map whose pixels become places, added to itself behind a convolution."""
    y = shaped(b, b.conv("image", 4, 1), 1, 4, 12)
    z = b.quant(b.node("Add", conv(b, y, 4), y, shape=b.shapes[y]), 5)
    z = shaped(b, z, 1, 4, 4, 3)
    b.exit(b.linear(b.conv(z, 4, 2), 3))


def sums_of_a_map(b: Any) -> None:
    """A pool over all pixels in one dimension, in front of the quantizer, per channel and signed.

    The function of the sums has parameters for each channel.
    """
    x = shaped(b, b.conv("image", 4, (2, 1), act=False), 1, 4, 9)
    x = b.node("MaxPool", x, shape=(1, 4, 3), kernel_shape=[3], strides=[3])
    b.exit(b.linear(b.node("Flatten", b.quant(x), shape=(1, 12), axis=1), 3))


def bits(b: Any) -> None:
    """Single bits go on as such."""
    x = b.quant(b.conv("image", 4, 1, act=False), 1, signed=True, scale=0.5)
    x = shaped(b, x, 1, 4, 12)
    x = b.node("MaxPool", x, shape=(1, 4, 6), kernel_shape=[2], strides=[2])
    b.exit(b.linear(b.node("Flatten", x, shape=(1, 24), axis=1), 3))


def beside(b: Any) -> None:
    """Channels of a column and of a row, one behind the other."""
    x = shaped(b, "image", 1, 3, 12)
    x, y = conv(b, x, 2), b.conv("image", 2, 1)
    y = shaped(b, y, 1, 2, 12)
    x = b.node("Concat", x, y, shape=(1, 4, 12), axis=1)
    b.exit(b.linear(b.node("Flatten", conv(b, x, 4), shape=(1, 48), axis=1), 3))


NETWORKS: dict[Callable[[Any], None], tuple[int, int, int]] = {
    column: (12, 1, 3), samples: (12, 3, 1), long_map: (4, 3, 1), sums_of_a_map: (4, 3, 2),
    bits: (4, 3, 2), beside: (12, 1, 3),
}  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
def test_every_kernel_agrees_with_the_file(
    network: Callable[[Any], None], builder: type, through: Any, tmp_path: Path
) -> None:
    shape = NETWORKS[network]
    b = builder(shape)
    network(b)
    path = b.save(tmp_path / "model.onnx")
    found = meaning.integers(file.load(path, shape=shape))
    assert any(isinstance(o, Reshape) for o in found.operations)
    assert found.image.shape == shape
    accelerator, _, _ = through.compiled(path, shape)
    assert accelerator.image_shape == shape
    again = graph.from_json(graph.to_json(accelerator), accelerator.arrays, registry.nodes())
    assert again.image_shape == shape


@pytest.mark.sim
@pytest.mark.parametrize("network", [column, samples, bits], ids=lambda n: n.__name__)
def test_every_image_through_the_rtl(
    network: Callable[[Any], None], builder: type, through: Any, tmp_path: Path
) -> None:
    shape = NETWORKS[network]
    b = builder(shape)
    network(b)
    through.simulated(*through.compiled(b.save(tmp_path / "model.onnx"), shape), tmp_path)


def test_a_part_of_another_shape_alone_passes_its_stream_on(
    builder: type, through: Any, tmp_path: Path
) -> None:
    """An exit on the image itself: its segment does nothing, the head takes another shape."""
    b = builder((12, 1, 3))
    x = shaped(b, "image", 1, 3, 12)
    b.exit(b.linear(b.node("Flatten", conv(b, x, 2), shape=(1, 24), axis=1), 3))
    b.exit(b.linear(b.node("Flatten", conv(b, conv(b, x, 4), 4), shape=(1, 48), axis=1), 3))
    path = b.save(tmp_path / "model.onnx")
    parts = exits.parts(meaning.integers(file.load(path)))
    assert all(any(not isinstance(o, Reshape) for o in part.operations) for part in parts)
    through.compiled(path, (12, 1, 3))


@pytest.mark.parametrize("network", [column, long_map], ids=lambda n: n.__name__)
def test_finns_reports_know_no_shapes(
    network: Callable[[Any], None], builder: type, tmp_path: Path
) -> None:
    """FINN's analyses do not know a Reshape between its layers."""
    from exeunt.hls import compile as compiler
    from exeunt.hls.front import finn_env

    shape = NETWORKS[network]
    b = builder(shape)
    network(b)
    config = tree.parse(
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\nsource = "qonnx:m.onnx"\n'
        f"input = {list(shape)}\nclasses = 3\n[compile]\ntarget_cycles = 200\nbaseline = false\n"
    )
    with finn_env.quiet():
        from exeunt.hls.back import reports
        from exeunt.hls.front import network as networks

        found = networks.read(b.save(tmp_path / "m.onnx"), shape=shape)
        operators = [n.op_type for part in found.parts for n in part.model.graph.node]
        assert "Reshape" in operators
        built = compiler.build(found, config=config)
        reports.write(found, built.foldings, tmp_path, clock_mhz=100.0)
        for part in found.parts:
            folder = tmp_path / part.name
            said = json.loads((folder / "estimate_network_performance.json").read_text())
            assert said["max_cycles"] == built.foldings[part.name].period
            cycles = json.loads((folder / "estimate_layer_cycles.json").read_text())
            assert not any("Reshape" in name for name in cycles)
