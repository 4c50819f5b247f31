"""Files with integer weights: a fraction of the size, the same network."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from exeunt.qonnx import file, meaning
from exeunt.qonnx.packed import packed

IMAGES = np.random.default_rng(2).integers(0, 256, (6, 6, 6, 2)).astype(np.uint8)


@pytest.mark.parametrize("bits", [2, 4, 5, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_the_network_is_the_same_and_the_file_smaller(bits, per_channel, builder, tmp_path):
    b = builder((6, 6, 2))
    x = b.conv("image", 16, pad=1, weight_bits=bits, per_channel=per_channel)
    y = b.conv(x, 16, pad=1, weight_bits=bits, per_channel=per_channel, bias=True)
    b.exit(b.linear(x, 5, weight_bits=bits))
    b.exit(b.linear(y, 5, weight_bits=bits))
    graph = file.load(b.save(tmp_path / "model.onnx"))
    plain = file.to_model(graph)
    small = packed(plain)
    onnx.checker.check_model(small)
    onnx.save(small, tmp_path / "small.onnx")
    onnx.save(plain, tmp_path / "plain.onnx")
    read = file.load(tmp_path / "small.onnx")
    assert len(read.outputs) == 2
    before, after = meaning.integers(graph), meaning.integers(read)
    for want, got in zip(before.logits(IMAGES), after.logits(IMAGES), strict=True):
        assert np.ptp(want)
        assert np.array_equal(want, got)
    assert before.scales == after.scales
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("small", "plain")]
    assert sizes[0] < sizes[1] * (0.3 if bits <= 4 else 0.4)


def test_weights_shared_by_two_layers_are_stored_once(builder, tmp_path):
    b = builder((6, 6, 2))
    x = b.conv("image", 4, 1, norm=False)
    weights, _ = b.weight((4, 4, 1, 1), 4, False)
    for _ in range(2):
        x = b.node("Conv", x, weights, shape=b.shapes[x], kernel_shape=[1, 1])
        x = b.quant(b.node("Relu", x, shape=b.shapes[x]), 4, scale=30.0)
    b.exit(b.linear(x, 3))
    graph = file.load(b.save(tmp_path / "model.onnx"))
    onnx.save(packed(file.to_model(graph)), tmp_path / "small.onnx")
    after = meaning.integers(file.load(tmp_path / "small.onnx"))
    (want,), (got,) = meaning.integers(graph).logits(IMAGES), after.logits(IMAGES)
    assert np.array_equal(want, got)
