"""One sentence for each network that the compiler does not take."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exeunt.errors import InputError
from exeunt.hls.front import limits
from exeunt.qonnx import file, meaning


def refusal(path: Path, exits: int | None = None) -> str:
    with pytest.raises(InputError) as error:
        limits.parts(meaning.integers(file.load(path)), exits=exits)
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
    return two(b, x, b.node("Sin", x, shape=b.shapes[x]))


def real_numbers(b: Any) -> Any:
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


def odd_groups(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.conv(x, 4, group=3))


def few_filters(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.conv(x, 6, group=4))


def dilated_pool(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.pool(x, size=2, stride=1, dilations=[2, 2]))


def average_beyond_the_map(b: Any) -> Any:
    x = b.conv("image", 4)
    y = b.node("AveragePool", x, shape=(1, 4, 2, 2), kernel_shape=[4, 4], strides=[4, 4],
               ceil_mode=1)  # fmt: skip
    return two(b, x, b.conv(y, 4, 1))


def scale_per_channel_at_a_cut(b: Any) -> Any:
    x = b.conv("image", 4, act=False)
    x = b.quant(x, 4, scale=np.linspace(0.1, 0.2, 4).reshape(1, 4, 1, 1))
    return two(b, x, b.conv(x, 4))


def mean_subtraction(b: Any) -> Any:
    x = b.node("Sub", "image", b.constant(127.0), shape=b.shapes["image"])
    x = b.conv(x, 4, pad=1)
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


def scale_per_pixel(b: Any) -> Any:
    x = b.conv("image", 4, act=False)
    x = b.quant(x, 4, scale=np.linspace(0.1, 0.2, 36).reshape(1, 1, 6, 6))
    return two(b, x, b.conv(x, 4))


def mixed_padded_pool(b: Any) -> Any:
    x = b.conv("image", 4, act=False, norm=False)
    y = b.pool(x, size=3, stride=2, pad=1)
    b.exit(b.node("MatMul", b.flatten(y), b.integers(np.ones((36, 5)), 4), shape=(1, 5)))
    return b


def bent(b: Any) -> Any:
    x = b.conv("image", 4, act=False, weight_bits=8)
    y = b.node("Abs", x, shape=b.shapes[x])
    return two(b, b.quant(y), b.conv("image", 4))


def too_many_levels(b: Any) -> Any:
    x = b.quant(b.conv("image", 4, act=False), 12, signed=True, scale=0.01)
    return two(b, x, b.conv(x, 4))


def accumulators_into_a_layer(b: Any) -> Any:
    x = b.conv("image", 4, bits=8)
    y = b.linear(b.linear(x, 5, weight_bits=8), 5, weight_bits=8)
    b.exit(y)
    b.exit(b.linear(b.conv(x, 4), 5))
    return b


def padding_as_wide_as_the_kernel(b: Any) -> Any:
    x = b.conv("image", 4, 1, pad=1)
    return two(b, x, b.conv(x, 4))


def _other_result(b: Any, operator: str, shape: tuple[int, ...], **attributes: Any) -> str:
    """The second result of a node."""
    b.node(operator, b.conv("image", 4), shape=shape, **attributes)
    b.nodes[-1].output.append("second")
    b.shapes["second"], b.variance["second"] = shape, 1.0
    return "second"


def places_of_maxima(b: Any) -> Any:
    x = _other_result(b, "MaxPool", (1, 4, 3, 3), kernel_shape=[2, 2], strides=[2, 2])
    return two(b, b.conv("image", 4), b.quant(x))


def best_class(b: Any) -> Any:
    """As networks for FINN end: in the class with the largest logit."""
    x = b.linear(b.conv("image", 4), 5)
    b.node("TopK", x, b.constant([1], np.int64), shape=(1, 1), axis=-1)
    b.nodes[-1].output.append("second")
    b.outputs.append(helper.make_tensor_value_info("second", TensorProto.INT64, (1, 1)))
    return b


def no_number(b: Any) -> Any:
    """As a training that diverged leaves weights."""
    x = b.conv("image", 4)
    weights = np.full((144, 5), 0.25)
    weights[3, 2] = np.nan
    b.exit(b.node("MatMul", b.flatten(x), b.integers(weights, 4, scale=1.0), shape=(1, 5)))
    return b


def infinite_bias(b: Any) -> Any:
    x = b.conv("image", 4, act=False)
    x = b.node("Add", x, b.constant(np.array([0, 1, np.inf, 2]).reshape(1, 4, 1, 1)),
               shape=b.shapes[x])  # fmt: skip
    return two(b, x := b.quant(x), b.conv(x, 4))


def norm_in_training(b: Any) -> Any:
    x = b.conv("image", 4)
    norm = next(n for n in b.nodes if n.op_type == "BatchNormalization")
    norm.attribute.append(helper.make_attribute("training_mode", 1))
    return two(b, x, b.conv(x, 4))


def dropout_in_training(b: Any) -> Any:
    x = b.conv("image", 4)
    y = b.node("Dropout", x, b.constant(0.5), b.constant(True, bool), shape=b.shapes[x])
    return two(b, x, b.conv(y, 4))


def no_stride(b: Any) -> Any:
    x = b.conv("image", 4)
    return two(b, x, b.node("MaxPool", x, shape=b.shapes[x], kernel_shape=[2, 2], strides=[0, 0]))


def scales_side_by_side(b: Any) -> Any:
    x = b.conv("image", 2)
    y = b.quant(b.conv(x, 2, 1, act=False), 4, scale=0.17)
    z = b.quant(b.conv(x, 2, 1, act=False), 4, scale=0.25)
    return two(b, x, b.conv(b.node("Concat", y, z, shape=(1, 4, 6, 6), axis=1), 4))


def wide_weights(b: Any) -> Any:
    x = b.conv("image", 4, weight_bits=9)
    return two(b, x, b.conv(x, 4))


REFUSALS: dict[Callable[[Any], Any], str] = {
    no_quantizers: (
        "FILE: the network has no quantizers (no Quant node); train it with Brevitas and export "
        "it with export_qonnx"
    ),
    unsupported: (
        "FILE: the operator Sin (node Sin_#) is not supported; see the table of operators in "
        "hls/README.md"
    ),
    real_numbers: (
        "FILE: Gemm (node Gemm_#) must take quantized activations but Sigmoid (node Sigmoid_#) in "
        "front of it gives real numbers; put a quantizer between them"
    ),
    unsupported_late: (
        "FILE: Gemm (node Gemm_#) must take quantized activations but Relu (node Relu_#) in front "
        "of it gives real numbers; put a quantizer between them"
    ),
    odd_groups: (
        "FILE: Conv (node Conv_#) must have groups that divide its 4 channels and 4 filters but "
        "has 3; choose a divisor of both"
    ),
    few_filters: (
        "FILE: Conv (node Conv_#) must have groups that divide its 4 channels and 6 filters but "
        "has 4; choose a divisor of both"
    ),
    dilated_pool: "FILE: dilation is not supported but MaxPool (node MaxPool_#) has [2, 2]; use 1",
    average_beyond_the_map: (
        "FILE: Conv (node Conv_#) must take integers with one scale but Mul (node "
        "AveragePool_17.factor) gives one from pixel to pixel; put a quantizer with one scale "
        "between them"
    ),
    scale_per_channel_at_a_cut: (
        "FILE: Gemm (node Gemm_#) must take integers with one scale but Quant (node Quant_#) gives "
        "4 scales from 0.1 to 0.2; use per-tensor scaling there"
    ),
    mean_subtraction: (
        "FILE: Conv (node Conv_#) pads activations that are shifted by a constant, where a padded "
        "zero is no integer; quantize them in front of it or leave the shift out"
    ),
    real_image: (
        "FILE: Quant (node Quant_#) quantizes the image, integers from 0 to 255, but gives 255 of "
        "these 256 values one and the same result; say in model.preprocess what is done to an "
        "image before the network"
    ),
    logits_with_bias: (
        "FILE: exit 0 must end on the grid of its integer logits but Gemm (node Gemm_#) has a bias "
        "or shift behind it that is not; quantize the bias of the last layer with the scale of its "
        "sums, or give it none"
    ),
    logits_with_scales: (
        "FILE: exit 0 must end in one scale but Gemm (node Gemm_#) ends in 5 scales from 0.002933 "
        "to 0.006241; use one weight scale for the whole last layer"
    ),
    average_without_padding: (
        "FILE: Gemm (node Gemm_#) must take integers with one scale but Mul (node "
        "AveragePool_17.factor) gives one from pixel to pixel; put a quantizer with one scale "
        "between them"
    ),
    scale_per_pixel: (
        "FILE: Gemm (node Gemm_#) must take integers with one scale but Quant (node Quant_#) gives "
        "one from pixel to pixel; put a quantizer with one scale between them"
    ),
    mixed_padded_pool: (
        "FILE: MaxPool (node MaxPool_#) pads values from -7905 to 7140 but a padded max pool of "
        "negative values takes at most 8 bits; quantize in front of it"
    ),
    bent: (
        "FILE: Quant (node Quant_#) must be a table of at most 16 bits where it may rise and fall "
        "but takes integers from -137445 to 121125; quantize in front of it"
    ),
    too_many_levels: (
        "FILE: Quant (node Quant_#) must give at most 256 different integers but gives 833; use 8 "
        "bits or fewer"
    ),
    accumulators_into_a_layer: (
        "FILE: a linear or convolution layer takes at most 16-bit integers but Gemm (node Gemm_#) "
        "gets 22 bits; put a quantizer in front of it"
    ),
    padding_as_wide_as_the_kernel: (
        "FILE: a window's padding must be below its kernel but Conv (node Conv_#) has the kernel "
        "(1, 1) and the padding (1, 1, 1, 1); pad less"
    ),
    places_of_maxima: (
        "FILE: MaxPool (node MaxPool_#) may be used for its first result alone but Quant (node "
        "Quant_#) takes another one, second; leave it out"
    ),
    best_class: (
        "FILE: the operator TopK (node TopK_#) is not supported; see the table of operators in "
        "hls/README.md"
    ),
    no_number: (
        "FILE: Quant (node Quant_#) must have finite parameters but has not; train the network "
        "again"
    ),
    infinite_bias: (
        "FILE: Add (node Add_#) must have finite parameters but has not; train the network again"
    ),
    norm_in_training: (
        "FILE: BatchNormalization (node BatchNormalization_#) must use stored statistics but has "
        "training_mode set; export the network in evaluation mode"
    ),
    dropout_in_training: (
        "FILE: Dropout (node Dropout_#) must let everything pass but has training_mode set; export "
        "the network in evaluation mode"
    ),
    no_stride: (
        "FILE: MaxPool (node MaxPool_#) must have a kernel and strides of 1 or more but has [2, 2] "
        "and [0, 0]; export it again"
    ),
    scales_side_by_side: (
        "FILE: Conv (node Conv_#) must take integers with one scale but Concat (node Concat_#) "
        "gives 4 scales from 0.17 to 0.25; give what it joins one scale"
    ),
    wide_weights: (
        "FILE: the weights of Conv (node Conv_#) must have 1 to 8 bits but Quant (node Quant_#) "
        "gives 9; use fewer"
    ),
}


@pytest.mark.parametrize("network", REFUSALS, ids=lambda f: f.__name__)
def test_refusal(network: Callable[[Any], Any], builder: type, tmp_path: Path) -> None:
    path = network(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    assert re.sub(r"_\d+\)", "_#)", refusal(path)) == REFUSALS[network]


def test_number_of_outputs(builder: type, tmp_path: Path) -> None:
    path = one_output(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    assert refusal(path, exits=3) == (
        "FILE: 3 exits were expected, one output each, but the graph has 1; export one output "
        "per exit or change the configuration"
    )


@pytest.mark.parametrize("exits", [1, None])
def test_one_exit(exits: int | None, builder: type, tmp_path: Path) -> None:
    path = one_output(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    found = limits.parts(meaning.integers(file.load(path)), exits=exits)
    assert [part.name for part in found] == ["seg0", "head0"]


def test_too_many_exits(builder: type, tmp_path: Path) -> None:
    b, x = builder((8, 8, 1)), "image"
    for _ in range(9):
        x = b.conv(x, 1, 1)
        b.exit(b.linear(x, 2))
    assert refusal(b.save(tmp_path / "model.onnx")) == (
        "FILE: 1 to 8 exits are supported, one output each, but the graph has 9; leave some out"
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
            (1, 1, 1, 8, 8),
            "FILE: the input must have the shape (1, C, H, W) but has (1, 1, 1, 8, 8); "
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
    assert refusal(path) == (
        "FILE: one input is supported, the image, but the graph has 2; export the network alone"
    )


def test_annotated_as_something_else(builder: type, tmp_path: Path) -> None:
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper

    b = builder((8, 8, 1))
    path = two(b, b.conv("image", 2), "image").save(tmp_path / "model.onnx")
    model = ModelWrapper(str(path))
    model.set_tensor_datatype("image", DataType["INT8"])
    model.save(str(path))
    assert refusal(path) == (
        "FILE: the input must be integers from 0 to 255 but is annotated as INT8; "
        "feed the network raw 8-bit images"
    )
