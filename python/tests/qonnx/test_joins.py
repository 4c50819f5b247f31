"""Sums and concatenations of streams: integers that stand for reals with different scales."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.qonnx import exits, file, joins, meaning
from exeunt.qonnx.integers import IntegerNetwork, Join

SHAPE = (6, 6, 2)
Made = Callable[[Any], Any]


def read(b: Any, tmp_path: Path) -> IntegerNetwork:
    return meaning.integers(file.load(b.save(tmp_path / "model.onnx")))


def joined(network: IntegerNetwork) -> list[Join]:
    return [o for o in network.operations if isinstance(o, Join)]


def same(b: Any, tmp_path: Path, exact: float = 0.02) -> IntegerNetwork:
    """The integers are those that QONNX's execution gives."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    network = read(b, tmp_path)
    images = np.random.default_rng(3).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
    model = ModelWrapper(str(tmp_path / "model.onnx")).transform(InferShapes())
    for k, image in enumerate(images):
        found = execute_onnx(model, {"image": image.transpose(2, 0, 1)[None].astype(np.float32)})
        for e, got in zip(network.exits, network.logits(images[k : k + 1]), strict=True):
            want = found[e.output].reshape(-1) / e.scale
            assert np.abs(got[0] - want).max() <= exact, e.output
            assert np.ptp(got), "the test network answers always the same"
    return network


def add(b: Any, x: str, y: str, kind: str = "Add") -> str:
    return b.node(kind, x, y, shape=b.shapes[x])


def arms(
    b: Any, first: float = 0.25, second: float = 0.25, signed: bool = False
) -> tuple[str, str]:
    """Two quantized ways from one map, with these scales."""
    x = b.conv("image", 4, pad=1)
    y = b.quant(b.conv(x, 4, pad=1, act=False), 4, signed=signed, scale=first)
    z = b.quant(b.conv(x, 4, 1, act=False), 4, signed=signed, scale=second)
    return y, z


def ended(b: Any, x: str) -> Any:
    """A quantizer and two exits behind a tensor."""
    x = b.quant(x, 4, scale=0.4)
    b.exit(b.linear(x, 3))
    b.exit(b.linear(b.conv(x, 4), 3))
    return b


@pytest.mark.parametrize(
    ("first", "second", "factors"),
    [(0.25, 0.25, (1, 1)), (0.5, 0.25, (2, 1)), (0.25, 0.75, (1, 3)), (0.2, 0.3, (2, 3))],
)
def test_scales_become_factors(
    first: float, second: float, factors: tuple[int, int], builder: type, tmp_path: Path
) -> None:
    b = builder(SHAPE)
    network = same(ended(b, add(b, *arms(b, first, second))), tmp_path)
    assert [j.factors for j in joined(network)] == [factors]


def test_scales_without_a_ratio_get_the_smallest_factors_that_every_pair_agrees_with(
    builder: type, tmp_path: Path
) -> None:
    """The levels behind the sum are those of the reals for all 256 pairs, whatever the factors."""
    for seed, scale in enumerate((0.1771, 0.3333, 0.6180339, 0.0917)):
        b = builder(SHAPE, seed=seed)
        network = same(ended(b, add(b, *arms(b, 0.25, scale, signed=True))), tmp_path)
        (join,) = joined(network)
        levels = next(o for o in network.operations if getattr(o, "source", None) == join.result)
        m, n = join.factors
        for x, y in product(range(-8, 8), repeat=2):
            real = np.float32(0.25) * x + np.float32(scale) * y
            level = int(np.clip(np.rint(real / np.float32(0.4)), 0, 15))
            integer = m * x + n * y
            assert (levels.thresholds[0] <= integer).sum() + levels.bias == level


def test_factors_keep_the_order_of_the_sums() -> None:
    for p, q in ((0.3, 0.7071), (0.11, -0.37), (-1.0, 0.123)):
        x, y = np.meshgrid(np.arange(-8, 8), np.arange(0, 16))
        order = np.argsort((p * x + q * y).ravel(), kind="stable")
        for m, n in joins.factors(p, q, (-8, 7), (0, 15)):
            assert (np.diff((m * x + n * y).ravel()[order]) >= 0).all()
    assert joins.factors(0.5, 0.25, (0, 1 << 20), (0, 1 << 20)) == ((2, 1),)
    assert joins.factors(0.5, 0.2512341, (0, 1 << 20), (0, 1 << 20)) == ()


def test_a_sum_without_a_quantizer_has_the_ratio_of_its_scales(
    builder: type, tmp_path: Path
) -> None:
    b = builder(SHAPE)
    x = b.conv("image", 4, pad=1)
    y, z = (b.quant(b.conv(x, 4, 1, act=False), 2, scale=s) for s in (0.25, 0.17))
    b.exit(b.linear(add(b, y, z), 3))
    assert [j.factors for j in joined(same(b, tmp_path))] == [(25, 17)]
    assert (3, 2) in joins.factors(0.25, 0.1701, (0, 3), (0, 3))  # which the order is content with


def test_a_difference_a_nested_sum_and_a_tensor_with_itself(builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    y, z = arms(b, 0.5, 0.25)
    nested = add(b, add(b, y, z, "Sub"), y)
    same(ended(b, add(b, nested, nested)), tmp_path)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_sum_of_any_number_of_streams(count: int, builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    y, z = arms(b, 0.5, 0.25)
    streams = [y, z, b.conv(y, 4, pad=1)][:count]
    network = same(ended(b, b.node("Sum", *streams, shape=b.shapes[y])), tmp_path)
    assert len(joined(network)) == count - 1


def test_a_sum_with_a_norm_behind_it_and_one_that_a_pool_takes(
    builder: type, tmp_path: Path
) -> None:
    b = builder(SHAPE)
    x = b.norm(add(b, *arms(b, 0.5, 0.3, signed=True)))
    x = b.quant(b.node("Relu", x, shape=b.shapes[x]))
    y, z = b.conv(x, 4, 1), x
    x = b.pool(add(b, y, z), "AveragePool")
    b.exit(b.linear(b.quant(x, 4, scale=0.3), 3))
    same(b, tmp_path)


def concatenated(b: Any, *arms: str) -> str:
    n, _, h, w = b.shapes[arms[0]]
    channels = sum(b.shapes[a][1] for a in arms)
    return b.node("Concat", *arms, shape=(n, channels, h, w), axis=1)


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.1771])
def test_concatenation_of_maps(scale: float, builder: type, tmp_path: Path) -> None:
    """With scales that have no ratio the thresholds behind it differ from channel to channel."""
    b = builder(SHAPE)
    y, z = arms(b, 0.25, scale)
    network = same(ended(b, concatenated(b, y, b.conv("image", 3, 1), z)), tmp_path)
    assert len(joined(network)) == 2


def test_concatenation_of_vectors(builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    y, z = (b.flatten(a) for a in arms(b))
    both = b.node("Concat", y, z, shape=(1, 288), axis=-1)
    b.exit(b.linear(both, 3))
    same(b, tmp_path)


def test_an_exit_between_two_residual_blocks(builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    x = b.quant(add(b, *arms(b)), 4)
    b.exit(b.linear(x, 3))
    y = b.quant(add(b, b.conv(x, 4, pad=1), x), 4, scale=0.4)
    b.exit(b.linear(y, 3))
    parts = exits.parts(same(b, tmp_path))
    assert [sum(isinstance(o, Join) for o in part.operations) for part in parts] == [1, 0, 1, 0]


def refused(b: Any, tmp_path: Path) -> str:
    with pytest.raises(InputError) as error:
        exits.parts(read(b, tmp_path))
    return re.sub(r"_\d+", "_#", str(error.value).replace(str(tmp_path / "model.onnx"), "FILE"))


def test_refusals(builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    x = b.conv("image", 4, pad=1, act=False)
    y = b.quant(x, 4, scale=np.linspace(0.1, 0.2, 4).reshape(1, 4, 1, 1))
    assert refused(ended(b, add(b, y, b.conv("image", 4, pad=1))), tmp_path) == (
        "FILE: Add (node Add_#) must join integers with one scale but Quant (node Quant_#) gives 4 "
        "scales from 0.1 to 0.2; put a quantizer with one scale in front of it"
    )
    b = builder(SHAPE)
    y, z = arms(b)
    assert refused(ended(b, add(b, y, z, "Mul")), tmp_path) == (
        "FILE: Mul (node Mul_#) joins 2 streams but only Add, Sub and Concat may; join them with "
        "one of these"
    )
    b = builder(SHAPE)
    y, z = arms(b)
    total = b.node("Concat", y, z, shape=(1, 4, 12, 6), axis=2)
    assert refused(ended(b, total), tmp_path) == (
        "FILE: Concat (node Concat_#) must concatenate channels of activations but has the axis 2 "
        "of (1, 4, 12, 6); concatenate along axis 1"
    )
    b = builder(SHAPE)
    y, z = arms(b)
    total = b.node("Concat", y, b.constant(np.zeros((1, 4, 6, 6))), shape=(1, 8, 6, 6), axis=1)
    assert "must concatenate channels of activations but has a constant, " in refused(
        ended(b, total), tmp_path
    )
    b = builder(SHAPE)
    y, z = arms(b)
    total = b.node("Concat", y, b.conv(z, 4), shape=(1, 8, 6, 6), axis=1)
    assert refused(ended(b, total), tmp_path) == (
        "FILE: Concat (node Concat_#) must concatenate tensors that differ in their channels alone "
        "but gets (1, 4, 6, 6), (1, 4, 4, 4) along axis 1; concatenate along axis 1"
    )
    b = builder(SHAPE)
    x = b.conv("image", 4, pad=1)
    y = b.conv(x, 4, pad=1)
    b.exit(b.linear(y, 3))
    z = b.quant(add(b, b.conv(y, 4, pad=1), x), 4, scale=0.4)
    b.exit(b.linear(z, 3))
    assert refused(b, tmp_path) == (
        "FILE: exit 0 must leave the backbone where all of it passes but hangs on Conv (node "
        "Conv_#), on one of several ways that meet again behind it; move the exit in front of "
        "where they part or behind where they meet"
    )
    b = builder(SHAPE)
    first = b.conv("image", 4, pad=1)
    b.exit(b.linear(first, 3))
    x = b.conv(first, 4, pad=1)
    y = b.conv(x, 4, pad=1)
    b.exit(b.linear(y, 3))
    z = b.quant(add(b, b.conv(y, 4, pad=1), x), 4, scale=0.4)
    b.exit(b.linear(z, 3))
    assert refused(b, tmp_path).startswith("FILE: exit 1 must leave the backbone where all of it")
    b = builder(SHAPE)
    x, y = (b.node("Mul", b.conv("image", 4, pad=1, act=False, norm=False, per_channel=False),
                   b.constant(k), shape=(1, 4, 6, 6)) for k in (1.0, 0.7123))  # fmt: skip
    assert re.fullmatch(
        r"FILE: Add \(node Add_#\) must add integers whose scales have a ratio of small integers "
        r"but they are 0\.02 behind Conv \(node Conv_#\) and 0\.014246 behind Conv \(node "
        r"Conv_#\), over \d+ and \d+ values; give both the same quantizer, shared or with one "
        r"scale",
        refused(ended(b, add(b, x, y)), tmp_path),
    )
