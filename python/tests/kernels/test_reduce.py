"""Maximum and sum over vectors: values against torch's global and overlapped pools."""

import numpy as np
import pytest

from exeunt.graph import Integer, Stream
from exeunt.hls.back.kernels import reduce as kernel
from exeunt.hls.back.kernels import registry as backends
from exeunt.kernels import reduce, registry
from exeunt.kernels.parts.accumulate import Function
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg
from exeunt.kernels.swg import kind as swg

torch = pytest.importorskip("torch")

UINT4 = Integer(4)


def node(
    count: int,
    output: tuple[int, int, int],
    *,
    lanes: int = 1,
    function: Function = "max",
    dtype: Integer = UINT4,
) -> Reduce:
    h, w, channels = output
    out = dtype
    if function == "sum":
        out = Integer.covering(dtype.min * count, dtype.max * count)
    return Reduce(
        "reduce",
        Stream((h, w, count * channels), dtype, lanes),
        Stream(output, out, lanes),
        function=function,
        count=count,
    )


@pytest.mark.parametrize("dtype", [UINT4, Integer(5, signed=True)])
def test_global_pool_equals_torch(dtype: Integer) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(dtype.min, dtype.max + 1, (4, 7, 7, 6))
    image = torch.from_numpy(x).double()
    top = reduce.values(node(49, (1, 1, 6), dtype=dtype), {}, x)
    assert np.array_equal(top[:, 0, 0], image.amax((1, 2)).numpy())
    total = reduce.values(node(49, (1, 1, 6), function="sum", dtype=dtype), {}, x.astype(np.int8))
    assert np.array_equal(total[:, 0, 0], image.sum((1, 2)).numpy())


def test_behind_a_window_it_is_an_overlapped_pool() -> None:
    rng = np.random.default_rng(2)
    window = Swg(
        "window",
        Stream((7, 7, 3), UINT4, 1),
        Stream((4, 4, 27), UINT4, 1),
        kernel=(3, 3),
        stride=(2, 2),
        pad=(1, 1, 1, 1),
    )
    x = rng.integers(0, 16, (2, 7, 7, 3))
    image = torch.from_numpy(x).permute(0, 3, 1, 2).double()
    columns = swg.values(window, {}, x)
    top = reduce.values(node(9, (4, 4, 3)), {}, columns)
    expected = torch.nn.functional.max_pool2d(image, 3, stride=2, padding=1)
    assert np.array_equal(top, expected.permute(0, 2, 3, 1).numpy())
    total = reduce.values(node(9, (4, 4, 3), function="sum"), {}, columns)
    mean = torch.nn.functional.avg_pool2d(image, 3, stride=2, padding=1)
    assert np.array_equal(total, (mean * 9).round().permute(0, 2, 3, 1).numpy())


def test_the_last_vector_gives_beat_by_beat() -> None:
    r = node(3, (1, 2, 4), lanes=2)
    takes, gives = registry.times(r, np.arange(12) * 2)
    assert np.array_equal(takes, np.arange(12) * 2)
    assert gives.tolist() == [9, 11, 21, 23]


def test_kernel_parameters() -> None:
    r = node(9, (4, 4, 6), lanes=3, function="sum", dtype=Integer(5, signed=True))
    assert kernel.module(r) == "ex_reduce"
    assert backends.of(r).memories(r, {}) == {}
    assert kernel.parameters(r) == {
        "FUNCTION": 1, "LANES": 3, "IN_BITS": 5, "IN_SIGNED": 1, "OUT_BITS": 9, "C": 6, "COUNT": 9,
    }  # fmt: skip
