"""One sentence for each network that the compiler does not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exeunt.errors import InputError
from exeunt.hls.front import finn_env


@pytest.fixture(scope="module", autouse=True)
def finn() -> None:
    finn_env.prepare()
    with finn_env.quiet():
        import exeunt.hls.front.network  # noqa: F401 - only for its import of FINN


def refusal(path: Path, exits: int | None = None) -> str:
    from exeunt.hls.front import network

    with pytest.raises(InputError) as error:
        network.read(path, exits=exits)
    assert error.value.exit_code == 2
    return str(error.value).replace(str(path), "FILE")


def two(b: Any, x: str, y: str) -> Any:
    b.exit(b.linear(x, 5))
    b.exit(b.linear(y, 5))
    return b


def no_quantizers(b: Any) -> Any:
    x = b.node("Relu", "image", shape=b.shapes["image"])
    b.exit(x)
    b.exit(b.node("Relu", x, shape=b.shapes[x]))
    return b


def unsupported(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.node("Sigmoid", x, shape=b.shapes[x]))


def unsupported_late(b: Any) -> Any:
    """Supported in QONNX, but nothing quantizes what it gives."""
    x = b.conv("image", 4)
    y = b.conv(x, 4)
    return two(b, x, b.node("Relu", b.conv(y, 3, 1, act=False), shape=(1, 3, 4, 4)))


def one_output(b: Any) -> Any:
    b.exit(b.linear(b.conv("image", 4), 5))
    return b


def grouped(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.conv(x, 4, group=4))


def dilated(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.conv(x, 4, dilation=2))


def ceil(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.conv(b.pool(x, ceil_mode=1), 4, 1))


def scale_per_channel_at_a_cut(b: Any) -> Any:
    x = b.conv("image", 4, act=False)
    x = b.quant(x, 4, scale=np.linspace(0.1, 0.2, 4).reshape(1, 4, 1, 1))
    return two(b, x, b.conv(x, 4))


def cut_without_quantizer(b: Any) -> Any:
    x = b.conv("image", 4, act=False)
    return two(b, b.quant(x), b.conv(b.quant(x), 4))


def same_cut(b: Any) -> Any:
    x = b.conv("image", 4)
    b.exit(b.linear(x, 5))
    b.exit(b.linear(x, 5))
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


def no_last_segment(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, x)


def residual(b: Any) -> Any:
    x = b.conv("image", 4, pad=1)
    y = b.conv(x, 4, pad=1)
    z = b.quant(b.node("Add", x, y, shape=b.shapes[x]))
    return two(b, x, z)


def mean_subtraction(b: Any) -> Any:
    x = b.node("Sub", "image", b.constant(127.0), shape=b.shapes["image"])
    x = b.conv(x, 4)
    return two(b, x, b.conv(x, 4))


def real_image(b: Any) -> Any:
    x = b.conv(b.quant("image", 8, scale=0.0078125, signed=True), 4)
    return two(b, x, b.conv(x, 4))


def logits_with_bias(b: Any) -> Any:
    x = b.conv("image", 4)
    b.exit(b.linear(x, 5, bias=True))
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


def logits_with_scales(b: Any) -> Any:
    x = b.conv("image", 4)
    b.exit(b.linear(x, 5, per_channel=True))
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


def average_without_padding(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, b.pool(x, "AveragePool", pad=1), b.conv(x, 4))


def signed_padded_pool(b: Any) -> Any:
    x = b.conv("image", 4, signed=True)
    return two(b, b.pool(x, size=3, stride=2, pad=1), b.conv(x, 4))


def accumulators_into_a_layer(b: Any) -> Any:
    x = b.conv("image", 4, bits=8)
    y = b.linear(b.linear(x, 5, weight_bits=8), 5, weight_bits=8)
    b.exit(y)
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


def padding_as_wide_as_the_kernel(b: Any) -> Any:
    x = b.conv("image", 4, 1, pad=1)
    return two(b, x, b.conv(x, 4))


def wide_weights(b: Any) -> Any:
    x = b.conv("image", 4, weight_bits=9)
    return two(b, x, b.conv(x, 4))


def image_alone(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, "image", x)


REFUSALS: dict[Callable[[Any], Any], str] = {
    no_quantizers: (
        "FILE: the network has no quantizers (no Quant node); train it with Brevitas and export "
        "it with export_qonnx"
    ),
    unsupported: "FILE: the operator Sigmoid (node Sigmoid_",
    unsupported_late: "head1: the operator Mul (node Mul_0) leaves real numbers; every activation "
    "must be quantized and every scale must lead to a quantizer",
    grouped: "FILE: grouped convolutions are not supported but Conv (node Conv_",
    dilated: "FILE: dilation is not supported but Conv (node Conv_",
    ceil: "FILE: MaxPool (node MaxPool_",
    scale_per_channel_at_a_cut: (
        "FILE: exit 0 leaves the backbone at a quantizer with one scale per channel "
    ),
    cut_without_quantizer: (
        "FILE: exit 0 must leave the backbone at the output of an activation quantizer but "
        "leaves it behind BatchNormalization (node "
    ),
    same_cut: (
        "FILE: exit 1 must leave the backbone behind exit 0 but leaves it at or before the same "
        "tensor ("
    ),
    no_last_segment: (
        "FILE: the last exit needs a quantized layer of its own before its head but has none "
        "behind the exit before it; add a layer or drop the exit"
    ),
    residual: "FILE: a segment must be a chain but Add (node ",
    mean_subtraction: ("FILE: the image must be used as integers from 0 to 255 but Sub (node "),
    real_image: "FILE: the image must be integers from 0 to 255 but its quantizer (node ",
    logits_with_bias: (
        "the output of head0 must end on the grid of its integer logits but adds a bias (node "
    ),
    logits_with_scales: "the output of head0 must end in one positive scale but ends in 5 scales",
    average_without_padding: "head0: AveragePool (node ",
    signed_padded_pool: (
        "head0: pass hardware layers cannot take the network, FINN says: "
        "Im2Col_MaxPoolNHWC_0 : FMPadding_Batch doesn't currently support pad_val != 0; "
    ),
    accumulators_into_a_layer: (
        "head0: a linear or convolution layer takes at most 16-bit integers but "
    ),
    padding_as_wide_as_the_kernel: (
        "seg0: a window's padding must be below its kernel but "
        "seg0_ConvolutionInputGenerator_rtl_0 has the kernel (1, 1) and the padding (1, 1, 1, 1); "
    ),
    wide_weights: (
        "seg0: weights must have 2 to 8 bits, signed, but those of seg0_MVAU_rtl_0 reach from "
    ),
    image_alone: (
        "FILE: exit 0 must leave the backbone at the output of an activation quantizer but "
        "leaves it behind the image; quantize the tensor "
    ),
}


@pytest.mark.parametrize("network", REFUSALS, ids=lambda f: f.__name__)
def test_refusal(network: Callable[[Any], Any], builder: type, tmp_path: Path) -> None:
    path = network(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    got = refusal(path)
    assert got.startswith(REFUSALS[network]), got
    assert "\n" not in got


def test_number_of_outputs(builder: type, tmp_path: Path) -> None:
    path = one_output(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    assert refusal(path) == (
        "FILE: one output per exit is expected but the graph has a single one; export the heads "
        "too, or describe the one exit in the configuration's stages"
    )
    assert refusal(path, exits=3) == (
        "FILE: 3 exits were expected, one output each, but the graph has 1; export one output "
        "per exit or change the configuration"
    )


def test_one_exit_when_it_was_asked_for(builder: type, tmp_path: Path) -> None:
    from exeunt.hls.front import network

    path = one_output(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    assert network.read(path, exits=1).exits == 1


def test_too_many_exits(builder: type, tmp_path: Path) -> None:
    b, x = builder((8, 8, 1)), "image"
    for _ in range(9):
        x = b.conv(x, 1, 1)
        b.exit(b.linear(x, 2))
    assert refusal(b.save(tmp_path / "model.onnx")) == (
        "FILE: at most 8 exits are supported but it has 9"
    )


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.onnx") == (
        "FILE: no such file; export the network first or give another path"
    )


@pytest.mark.parametrize("content", [b"not a model at all, just some text\n", b""])
def test_no_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert refusal(path).startswith("FILE: an ONNX model was expected but ")


def test_truncated(builder: type, tmp_path: Path) -> None:
    path = one_output(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-300])
    assert refusal(path).startswith("FILE: an ONNX model was expected but it cannot be read (")


@pytest.mark.parametrize(
    ("kind", "shape", "sentence"),
    [
        (
            TensorProto.INT64,
            (1, 1, 8, 8),
            "FILE: the input must be a float tensor of integers from 0 to 255 but is INT64; "
            "export it as float32",
        ),
        (
            TensorProto.FLOAT,
            (4, 1, 8, 8),
            "FILE: the input must have the shape (1, C, H, W) but has (4, 1, 8, 8); "
            "export it with one example image",
        ),
        (
            TensorProto.FLOAT,
            (1, 64),
            "FILE: the input must have the shape (1, C, H, W) but has (1, 64); "
            "export it with one example image",
        ),
    ],
)
def test_other_inputs(
    kind: int, shape: tuple[int, ...], sentence: str, builder: type, tmp_path: Path
) -> None:
    b = two(builder((8, 8, 1)), "image", "image")
    b.input = helper.make_tensor_value_info("image", kind, shape)
    assert refusal(b.save(tmp_path / "model.onnx")) == sentence


def test_two_inputs(builder: type, tmp_path: Path) -> None:
    b = builder((8, 8, 1))
    path = two(b, b.conv("image", 2), "image").save(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1, 2)))
    onnx.save(model, path)
    assert refusal(path) == "FILE: one input is supported but the graph has 2"


def test_annotated_as_something_else(builder: type, tmp_path: Path) -> None:
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper

    b = builder((8, 8, 1))
    path = two(b, b.conv("image", 2), "image").save(tmp_path / "model.onnx")
    with finn_env.quiet():
        model = ModelWrapper(str(path))
        model.set_tensor_datatype("image", DataType["INT8"])
        model.save(str(path))
    assert refusal(path) == (
        "FILE: the input must be integers from 0 to 255 but is annotated as INT8; "
        "feed the network raw 8-bit images"
    )


def test_dynamic_batch_is_taken(builder: type, tmp_path: Path) -> None:
    from exeunt.hls.front import network, qonnx_file

    b = builder((8, 8, 1))
    path = two(b, b.conv("image", 2), "image").save(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, path)
    with finn_env.quiet():
        assert qonnx_file.check(qonnx_file.load(path), path, exits=2) == (8, 8, 1)
    assert network


def test_exits_are_ordered_by_their_names(builder: type, tmp_path: Path) -> None:
    from exeunt.hls.front import qonnx_file

    b = builder((8, 8, 1))
    path = two(b, b.conv("image", 2), "image").save(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.output.reverse()
    onnx.save(model, path)
    with finn_env.quiet():
        names = [o.name for o in qonnx_file.load(path).graph.output]
    assert names == ["exit0", "exit1"]
