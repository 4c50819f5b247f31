"""Networks of unusual parts through the compiler: the file, its integers and the kernels agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHAPE = (8, 8, 1)
Made = Callable[[Any], Any]


def exit_at_the_image(b: Any) -> Any:
    b.exit(b.linear("image", 5))
    b.exit(b.linear(b.conv("image", 4), 5))
    return b


def two_exits_at_one_tensor(b: Any) -> Any:
    x = b.conv("image", 4)
    b.exit(b.linear(x, 5))
    b.exit(b.linear(x, 5))
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


def nothing_behind_the_first_exit(b: Any) -> Any:
    x = b.conv("image", 4)
    b.exit(b.linear(x, 5))
    b.exit(b.linear(x, 5))
    return b


def fork_in_front_of_its_quantizers(b: Any) -> Any:
    x = b.conv("image", 4, act=False)
    b.exit(b.linear(b.quant(x), 5))
    b.exit(b.linear(b.conv(b.quant(x, 3, scale=0.5), 4), 5))
    return b


def one_linear_layer(b: Any) -> Any:
    b.exit(b.linear("image", 5))
    return b


def biased_logits(b: Any) -> Any:
    """A bias on the grid of the sums: another integer for every class, and half of one for all."""
    x = b.flatten(b.conv("image", 4))
    w, _ = b.weight((5, b.shapes[x][1]), 4, False)
    step = 4.0 / 16 * 0.02
    values = b.random.integers(-300, 300, 5) * step
    bias = b.node("Quant", *map(b.constant, (values, step, 0.0, 32.0)), shape=(5,), signed=1,
                  narrow=0, rounding_mode="ROUND")  # fmt: skip
    y = b.node("Gemm", x, w, bias, shape=(1, 5), transB=1)
    y = b.node("Mul", y, b.constant(-2.0), shape=(1, 5))
    b.exit(b.node("Add", y, b.constant(0.3), shape=(1, 5)))
    return b


def one_pixel(b: Any) -> Any:
    b.exit(b.quant(b.linear("image", 5), 4, signed=True, scale=20.0))
    return b


def heads_of_a_pool(b: Any) -> Any:
    x = b.conv("image", 5)
    y = b.conv(x, 5, pad=1)
    b.exit(b.flatten(b.pool(x, "AveragePool", 6)))
    b.exit(b.flatten(b.pool(y, "MaxPool", 6)))
    return b


def logits_that_others_read(b: Any) -> Any:
    first = b.exit(b.quant(b.linear(b.conv("image", 4), 5), 5, signed=True, scale=1.0))
    b.shapes[first], b.variance[first] = (1, 5), 1.0
    b.exit(b.linear(first, 5))
    return b


def pools_first(b: Any) -> Any:
    x = b.pool("image", size=2)
    b.exit(b.flatten(b.pool(b.conv(x, 4), "AveragePool", 2)))
    return b


# One bit ----------------------------------------------------------------------------------------


def signs(b: Any, x: str, channels: int, kernel: int = 3, pad: int = 0) -> str:
    """A convolution, a batch norm, and the signs of what it gives."""
    y = b.conv(x, channels, kernel, pad=pad, act=False)
    y = b.node("Sub", y, b.constant(1.0), shape=b.shapes[y])  # what the norm adds on average
    y = b.quant(y, 1, signed=True, scale=0.5)
    b.variance[y] = 0.25
    return y


def one_bit(b: Any) -> Any:
    """Signs as bits: into a convolution, a pool, a linear layer, and logits of both parities."""
    x = b.pool(signs(b, signs(b, "image", 6), 5))
    b.exit(b.linear(x, 5))
    x = b.flatten(signs(b, x, 8, 2))
    values = b.random.choice([-1, 1], (5, b.shapes[x][1]))
    b.exit(b.node("Gemm", x, b.integers(values, 2, scale=1.0), shape=(1, 5), transB=1))
    return b


def one_bit_with_padding(b: Any) -> Any:
    """Padded zeros stand beside -1 and 1."""
    b.exit(b.linear(signs(b, signs(b, "image", 6), 5, pad=1), 5))
    return b


# Functions that rise and fall -------------------------------------------------------------------


def sigmoid_linear_units(b: Any) -> Any:
    """x * sigmoid(x) of sums, padding behind it, and of integers, in front of a pool."""

    def silu(x: str, scale: float) -> str:
        x = b.node("Sub", x, b.constant(1.5), shape=b.shapes[x])
        y = b.node("Mul", x, b.node("Sigmoid", x, shape=b.shapes[x]), shape=b.shapes[x])
        y = b.quant(y, 4, signed=True, scale=scale)
        b.variance[y] = 0.5
        return y

    x = b.conv(silu(b.conv("image", 4, act=False), 0.1), 3, pad=1, act=False)
    x = b.pool(silu(b.quant(x, 5, signed=True, scale=0.25), 0.15))
    b.exit(b.linear(x, 5))
    return b


# Pools ------------------------------------------------------------------------------------------


def pooled(b: Any, y: str) -> Any:
    y = b.quant(y, 4, scale=0.2)
    b.variance[y] = 1.0
    b.exit(b.linear(b.conv(y, 4, 1), 5))
    return b


def average_of_what_is_there(b: Any) -> Any:
    """Padding does not count, so corners are divided by less."""
    return pooled(b, b.pool(b.conv("image", 4), "AveragePool", 3, stride=2, pad=1))


def average_that_counts_padding(b: Any) -> Any:
    x = b.conv("image", 4)
    return pooled(b, b.pool(x, "AveragePool", 3, stride=2, pad=1, count_include_pad=1))


def average_beyond_the_map(b: Any) -> Any:
    x = b.conv("image", 4)
    return pooled(b, b.node("AveragePool", x, shape=(1, 4, 2, 2), kernel_shape=[4, 4],
                            strides=[4, 4], ceil_mode=1))  # fmt: skip


def signed_pool_with_padding(b: Any) -> Any:
    x = b.conv("image", 4, signed=True)
    b.exit(b.linear(b.pool(x, size=3, stride=2, pad=1), 5))
    return b


def signed_pool_beyond_the_map(b: Any) -> Any:
    x = b.conv("image", 4, signed=True)
    b.exit(b.linear(b.node("MaxPool", x, shape=(1, 4, 2, 2), kernel_shape=[4, 4], strides=[4, 4],
                           ceil_mode=1), 5))  # fmt: skip
    return b


def truncated_average(b: Any) -> Any:
    x = b.pool(b.conv("image", 4), "AveragePool", 2)
    x = b.node("Trunc", x, *map(b.constant, (1 / 16, 0.0, 6.0, 0.25, 4.0)), shape=b.shapes[x],
               rounding_mode="CEIL", signed=0, narrow=0)  # fmt: skip
    b.variance[x] = 1.0
    b.exit(b.linear(x, 5))
    return b


# Shapes -----------------------------------------------------------------------------------------


def keywords(b: Any) -> Any:
    x = b.conv("image", 4, (1, 10), stride=2)
    b.exit(b.linear(b.conv(b.pool(x, size=(1, 4)), 6, (1, 3), pad=(0, 1, 0, 1)), 5))
    return b


def spectrogram(b: Any) -> Any:
    x = b.conv("image", 4, (10, 4), stride=2, pad=(4, 1, 5, 1))
    x = b.conv(x, 6, 3, pad=1)
    b.exit(b.linear(b.pool(x, "AveragePool", b.shapes[x][2:]), 5))
    return b


def to_one_pixel(b: Any) -> Any:
    x = b.conv(b.conv("image", 4, (6, 2)), 5, (1, 3), pad=(0, 0, 0, 2))
    b.exit(b.linear(b.conv(b.conv(x, 5, (1, 4)), 4, 1), 5))
    return b


def pads_on_one_side(b: Any) -> Any:
    x = b.conv("image", 4, 3, pad=(2, 0, 0, 1))
    b.exit(b.linear(b.conv(x, 4, (2, 3), stride=2, pad=(0, 2, 1, 0)), 5))
    return b


NETWORKS: dict[Made, tuple[int, int, int]] = {
    exit_at_the_image: SHAPE,
    two_exits_at_one_tensor: SHAPE,
    nothing_behind_the_first_exit: SHAPE,
    fork_in_front_of_its_quantizers: SHAPE,
    one_linear_layer: (3, 5, 2),
    biased_logits: SHAPE,
    one_pixel: (1, 1, 5),
    heads_of_a_pool: SHAPE,
    logits_that_others_read: SHAPE,
    pools_first: SHAPE,
    average_of_what_is_there: SHAPE,
    average_that_counts_padding: SHAPE,
    average_beyond_the_map: SHAPE,
    signed_pool_with_padding: SHAPE,
    signed_pool_beyond_the_map: SHAPE,
    truncated_average: SHAPE,
    sigmoid_linear_units: SHAPE,
    one_bit: SHAPE,
    one_bit_with_padding: SHAPE,
    keywords: (1, 90, 1),
    spectrogram: (49, 10, 1),
    to_one_pixel: (6, 5, 1),
    pads_on_one_side: (7, 7, 1),
}
SIMULATED = (
    sigmoid_linear_units,
    one_bit,
    biased_logits,
    two_exits_at_one_tensor,
    heads_of_a_pool,
    average_of_what_is_there,
    signed_pool_with_padding,
)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_parts(network: Made, builder: type, through: Any, tmp_path: Path) -> None:
    shape = NETWORKS[network]
    path = network(builder(shape)).save(tmp_path / "model.onnx")
    accelerator, _, _ = through.compiled(path, shape)
    for chain in accelerator.chains:
        assert chain.nodes, chain.name


@pytest.mark.sim
@pytest.mark.parametrize("network", SIMULATED, ids=lambda f: f.__name__)
def test_parts_in_rtl(network: Made, builder: type, through: Any, tmp_path: Path) -> None:
    shape = NETWORKS[network]
    path = network(builder(shape)).save(tmp_path / "model.onnx")
    through.simulated(*through.compiled(path, shape, frames=24), tmp_path)


def test_signs_are_bits_unless_zeros_stand_beside_them(
    builder: type, through: Any, tmp_path: Path
) -> None:
    def widths(network: Made) -> list[int]:
        path = network(builder(SHAPE)).save(tmp_path / "model.onnx")
        accelerator, _, _ = through.compiled(path, SHAPE, frames=4)
        nodes = [n for c in accelerator.chains for n in c.nodes if n.kind == "mvu"]
        return [n.input.dtype.bits for n in nodes]

    assert widths(one_bit) == [8, 1, 1, 1, 1]
    assert widths(one_bit_with_padding) == [8, 2, 1]
