"""The same networks in other forms: QCDQ, channels last, one dimension, vectors as images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exeunt.errors import InputError
from exeunt.hls.front import finn_env, limits, shadow
from exeunt.qonnx import file, meaning

QONNX = "qonnx.custom_op.general"
LAST = "qonnx.custom_op.channels_last"


class Form:
    """A model by hand: constants, nodes, one output."""

    def __init__(self, *shape: object) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shape = shape
        self.random = np.random.default_rng(2)

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, inputs, [name], f"{operator}_{name}", domain=domain,
                             **attributes)
        )  # fmt: skip
        return name

    def quant(self, x: str, scale: object, bits: int, *, signed: int = 1) -> str:
        return self.node("Quant", x, self.constant(scale), self.constant(0.0), self.constant(bits),
                         domain=QONNX, signed=signed, narrow=0, rounding_mode="ROUND")  # fmt: skip

    def weights(self, *shape: int, scale: object = 0.25) -> str:
        values = self.random.integers(-7, 8, shape) * np.asarray(scale)
        return self.quant(self.constant(values), scale, 4)

    def model(self, output: str, classes: int = 3, opset: int = 17) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "form", [value("x", TensorProto.FLOAT, self.shape)],
            [value(output, TensorProto.FLOAT, (1, classes))], self.constants,
        )  # fmt: skip
        opsets = [helper.make_opsetid(n, 1 if n else opset) for n in ("", QONNX, LAST)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def agrees(
    model: onnx.ModelProto, images: np.ndarray, given: np.ndarray, *, onnx_only: bool = False
) -> None:
    """The integers for images (N, H, W, C) are what the model gives for `given`, one by one."""
    shape = tuple(images.shape[1:])
    graph = file.read(model, "FORM", shape=shape)
    network = meaning.integers(graph)
    assert network.image.shape == shape
    limits.parts(network)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(images))
        if onnx_only:
            from onnx.reference import ReferenceEvaluator

            evaluator = ReferenceEvaluator(model)
            runs = [evaluator.run(None, {"x": x[None].astype(np.float32)})[0] for x in given]
        else:
            from qonnx.core.modelwrapper import ModelWrapper
            from qonnx.core.onnx_exec import execute_onnx
            from qonnx.transformation.infer_shapes import InferShapes

            wrapped = ModelWrapper(model).transform(InferShapes())
            runs = [
                next(iter(execute_onnx(wrapped, {"x": x[None].astype(np.float32)}).values()))
                for x in given
            ]
    want = np.concatenate(runs).reshape(len(images), -1)
    (got,) = network.logits(images)
    e = network.exits[0]
    assert np.abs(got - (want - e.offset) / e.scale).max() < 0.01
    assert np.ptp(got, axis=0).any()


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (4, *shape)).astype(np.uint8)


# One dimension ----------------------------------------------------------------------------------


def test_convolutions_in_one_dimension() -> None:
    """Conv1d, pools and a mean over (1, C, L), per-channel scales, pads on one side."""
    f = Form(1, 2, 20)
    scale = np.array([0.25, 0.5, 0.125, 0.25]).reshape(4, 1, 1)
    x = f.node("Conv", "x", f.weights(4, 2, 3, scale=scale), kernel_shape=[3], pads=[2, 1])
    x = f.quant(f.node("Relu", x), 32.0, 4, signed=0)
    x = f.node("MaxPool", x, kernel_shape=[2], strides=[2])
    x = f.node("AveragePool", x, kernel_shape=[3], strides=[2], pads=[1, 1])
    x = f.quant(x, 16.0, 4, signed=0)
    x = f.node("GlobalMaxPool", f.node("Conv", x, f.weights(6, 4, 1), kernel_shape=[1]))
    x = f.quant(f.node("Relu", x), 8.0, 4, signed=0)
    x = f.node("MatMul", f.node("Flatten", x, axis=1), f.weights(6, 3))
    found = images(1, 20, 2)
    agrees(f.model(x), found, found[:, 0].transpose(0, 2, 1))


@pytest.mark.parametrize("shape", [(1, 12, 1), (3, 2, 2)])
def test_a_vector_is_the_image_of_the_config(shape: tuple[int, int, int]) -> None:
    f = Form(1, 12)
    found = images(*shape)
    x = f.node("Gemm", "x", f.weights(3, 12), transB=1)
    agrees(f.model(x), found, found.transpose(0, 3, 1, 2).reshape(4, 12))


# Channels last ----------------------------------------------------------------------------------


def test_channels_last_by_transpositions() -> None:
    f = Form(1, 6, 5, 2)
    x = f.node("Transpose", "x", perm=[0, 3, 1, 2])
    x = f.node("Conv", x, f.weights(4, 2, 3, 3), kernel_shape=[3, 3])
    x = f.node("Transpose", x, perm=[0, 2, 3, 1])
    x = f.quant(f.node("Relu", x), 64.0, 4, signed=0)
    x = f.node("MatMul", f.node("Reshape", x, f.constant([1, -1], np.int64)), f.weights(48, 3))
    found = images(6, 5, 2)
    agrees(f.model(x), found, found)
    plain = file.read(f.model(x), "FORM")  # the first operator says it as well
    assert meaning.integers(plain).image.shape == (6, 5, 2)


def put_last(f: Form, x: str, operator: str, *inputs: str, own: bool, **more: Any) -> str:
    """A channels-last operator of QONNX, or the same between transpositions.

    QONNX's convolution has its weights channels last, too.
    """
    rank = len(more.get("kernel_shape", "hw")) + 2
    first, last = (0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)
    if own:
        return f.node(operator, x, *inputs, domain=LAST, **more)
    if operator == "Conv":
        inputs = (f.node("Transpose", inputs[0], perm=first), *inputs[1:])
    x = f.node(operator, f.node("Transpose", x, perm=first), *inputs, **more)
    return f.node("Transpose", x, perm=last)


def maps_last(own: bool) -> onnx.ModelProto:
    """Kernel and channels have one size, so that their order shows in the values alone."""
    f = Form(1, 6, 6, 3)
    given = {"strides": [1, 1], "dilations": [1, 1], "group": 1}
    scale = np.array([0.25, 0.5, 0.125, 0.25]).reshape(4, 1, 1, 1)
    x = put_last(f, "x", "Conv", f.weights(4, 3, 3, 3, scale=scale), own=own,
                 kernel_shape=[3, 3], pads=[1, 0, 1, 0], **given)  # fmt: skip
    norm = [f.constant(f.random.uniform(0.5, 1.5, 4)) for _ in range(4)]
    x = put_last(f, x, "BatchNormalization", *norm, own=own)
    x = f.quant(f.node("Relu", x), 64.0, 4, signed=0)
    x = put_last(f, x, "MaxPool", own=own, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
    return f.model(f.node("MatMul", f.node("Flatten", x, axis=1), f.weights(24, 3)))


def rows_last(own: bool) -> onnx.ModelProto:
    f = Form(1, 12, 3)
    given = {"strides": [1], "dilations": [1], "group": 1}
    x = put_last(f, "x", "Conv", f.weights(4, 3, 3), own=own, kernel_shape=[3], pads=[2, 0],
                 **given)  # fmt: skip
    x = f.quant(f.node("Relu", x), 64.0, 4, signed=0)
    x = put_last(f, x, "MaxPool", own=own, kernel_shape=[2], strides=[2], pads=[0, 0])
    return f.model(f.node("MatMul", f.node("Flatten", x, axis=1), f.weights(24, 3)))


@pytest.mark.parametrize("made", [maps_last, rows_last])
def test_channels_last_operators_of_qonnx(made: Any) -> None:
    """The same as ordinary operators between transpositions, in one dimension, too."""
    found = images(1, 12, 3) if made is rows_last else images(6, 6, 3)
    shape = tuple(found.shape[1:])
    (got,), (want,) = (
        meaning.integers(file.read(made(own), "FORM", shape=shape)).logits(found)
        for own in (True, False)
    )
    assert np.array_equal(got, want)
    agrees(made(False), found, found[:, 0] if made is rows_last else found)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
@pytest.mark.parametrize("long", [False, True])
def test_channels_are_concatenated_along_the_axis_that_has_them(axis: int, long: bool) -> None:
    """Channels last, and maps (1, C, L)."""
    f = Form(1, 2, 8) if long else Form(1, 2, 5, 4)
    kernel = [3] if long else [3, 3]
    ways = [f.node("Conv", "x", f.weights(c, 2, *kernel), kernel_shape=kernel) for c in (3, 2)]
    ways = [f.quant(f.node("Relu", way), 64.0, 4, signed=0) for way in ways]
    last = axis != 1
    if last:
        ways = [f.node("Transpose", w, perm=[0, 2, 1] if long else [0, 2, 3, 1]) for w in ways]
    x = f.node("Concat", *ways, axis=axis)
    size = 6  # pixels
    x = f.node("MatMul", f.node("Flatten", x, axis=1), f.weights(5 * size, 3))
    found = images(1, 8, 2) if long else images(5, 4, 2)
    given = found[:, 0].transpose(0, 2, 1) if long else found.transpose(0, 3, 1, 2)
    if (axis == 2 and not long) or (axis == 3 and long):
        with pytest.raises(
            InputError, match=r"must (concatenate tensors that differ|have an axis)"
        ):
            agrees(f.model(x), found, given)
        return
    agrees(f.model(x), found, given)


def test_a_row_of_the_config_may_be_channels_last() -> None:
    """An image (1, L, C) is as the driver has it; (1, C, L) is for a one-dimensional layer."""
    found = images(1, 6, 2)
    for size, given in (((1, 6, 2), found[:, 0]), ((1, 2, 6), found[:, 0].transpose(0, 2, 1))):
        f = Form(*size)
        x = f.node("MatMul", f.node("Flatten", "x", axis=1), f.weights(12, 3))
        agrees(f.model(x), found, given)


@pytest.mark.parametrize("keep", [0, 1])
def test_a_mean_over_a_map_with_channels_last(keep: int) -> None:
    f = Form(1, 4, 5, 3)
    x = f.node("ReduceMean", "x", axes=[1, 2], keepdims=keep)
    if keep:
        x = f.node("Flatten", x, axis=1)
    x = f.node("MatMul", x, f.weights(3, 3))
    found = images(4, 5, 3)
    agrees(f.model(x), found, found)


def test_padding_of_a_row_and_behind_nothing() -> None:
    """A Pad of (1, C, L), and an Identity between it and the convolution."""
    f = Form(1, 2, 9)
    x = f.node("Pad", "x", f.constant([0, 0, 1, 0, 0, 0], np.int64), mode="constant")
    x = f.node("Identity", x)
    x = f.node("Conv", x, f.weights(3, 2, 3), kernel_shape=[3], pads=[0, 1], strides=[2])
    x = f.quant(f.node("Relu", x), 64.0, 4, signed=0)
    x = f.node("MatMul", f.node("Flatten", x, axis=1), f.weights(15, 3))
    found = images(1, 9, 2)
    agrees(f.model(x), found, found[:, 0].transpose(0, 2, 1))


def test_quantized_weights_may_be_cast_to_what_they_are() -> None:
    f = Form(1, 2, 4, 4)
    w = f.node("Transpose", f.node("Cast", f.weights(3, 32), to=TensorProto.FLOAT), perm=[1, 0])
    x = f.node("MatMul", f.node("Flatten", "x", axis=1), w)
    found = images(4, 4, 2)
    agrees(f.model(x), found, found.transpose(0, 3, 1, 2))


def test_a_softmax_may_have_nothing_behind_it() -> None:
    f = Form(1, 2, 4, 4)
    y = f.node("MatMul", f.node("Flatten", "x", axis=1), f.weights(32, 3))
    x = f.node("Identity", f.node("Dropout", f.node("Softmax", y)))
    graph = file.read(f.model(x), "FORM")
    assert graph.outputs == (y,)


def test_scales_that_no_axis_has() -> None:
    """As qonnx 1.0 leaves them behind when it makes a network channels last."""
    f = Form(1, 6, 5, 2)
    scale = np.linspace(40.0, 80.0, 5).reshape(1, 5, 1, 1)
    x = f.node("Transpose", "x", perm=[0, 3, 1, 2])
    x = f.node("Conv", x, f.weights(5, 2, 3, 3), kernel_shape=[3, 3])
    x = f.quant(f.node("Transpose", x, perm=[0, 2, 3, 1]), scale, 4)
    model = f.model(f.node("MatMul", f.node("Flatten", x, axis=1), f.weights(60, 3)))
    with pytest.raises(InputError) as error:
        file.read(model, "FORM")
    assert str(error.value) == (
        "FORM: Quant (node Quant_t4) must have one scale and zero point, or one for each channel, "
        "of a tensor (1, 4, 3, 5) but has them of the shape (1, 5, 1, 1); export it again"
    )


# QCDQ -------------------------------------------------------------------------------------------


def coded(f: Form, x: str, scale: object, kind: type = np.int8, **more: Any) -> str:
    """QuantizeLinear and DequantizeLinear, between them a Clip if limits are given."""
    zero = f.constant(np.full(np.shape(scale), more.get("zero", 0)), kind)
    given = {"axis": more["axis"]} if "axis" in more else {}
    step = f.constant(scale)
    x = f.node("QuantizeLinear", x, step, zero, **given)
    if "clip" in more:
        x = f.node("Clip", x, *(f.constant(v, kind) for v in more["clip"]))
    return f.node("DequantizeLinear", x, step, zero, **given)


def qcdq(f: Form, **more: Any) -> onnx.ModelProto:
    values = f.random.integers(-7, 8, (4, 2, 3, 3)) * 0.25
    w = coded(f, f.constant(values), 0.25, clip=(-7, 7))
    x = f.node("Conv", "x", w, kernel_shape=[3, 3])
    x = coded(f, f.node("Relu", x), 64.0, np.uint8, **more)
    integers = f.constant(f.random.integers(-7, 8, (4, 3)), np.int8)
    scale, zero = f.constant(0.5), f.constant(0, np.int8)
    w = f.node("DequantizeLinear", integers, scale, zero)
    x = f.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    return f.model(f.node("MatMul", f.node("Flatten", x, axis=1), w), opset=19)


@pytest.mark.parametrize("more", [{}, {"clip": (0, 15)}, {"zero": 6}], ids=str)
def test_quantize_and_dequantize(more: dict[str, Any]) -> None:
    found = images(4, 4, 2)
    agrees(qcdq(Form(1, 2, 4, 4), **more), found, found.transpose(0, 3, 1, 2), onnx_only=True)


def test_integer_weights_with_a_scale_a_channel() -> None:
    f = Form(1, 2, 4, 4)
    weights = f.constant(f.random.integers(-128, 128, (3, 2, 4, 4)), np.int8)
    scale = f.constant([0.5, 0.25, 0.125])
    w = f.node("DequantizeLinear", weights, scale, f.constant([0, 0, 0], np.int8), axis=0)
    x = coded(f, f.node("Conv", "x", w, kernel_shape=[4, 4]), 256.0)
    w = f.node("DequantizeLinear", f.constant(np.eye(3), np.int8), f.constant(1.0))
    x = f.node("MatMul", f.node("Flatten", x, axis=1), w)
    found = images(4, 4, 2)
    agrees(f.model(x, opset=19), found, found.transpose(0, 3, 1, 2), onnx_only=True)


def test_a_clip_to_no_whole_bits_is_refused() -> None:
    with pytest.raises(InputError) as error:
        file.read(qcdq(Form(1, 2, 4, 4), clip=(0, 9)), "FORM")
    assert str(error.value) == (
        "FORM: DequantizeLinear (node DequantizeLinear_t7) must have the integers of whole bits "
        "but has those from 0 to 9; clip to a power of two"
    )


def test_half_a_pair_is_refused() -> None:
    f = Form(1, 2, 4, 4)
    x = f.node("QuantizeLinear", "x", f.constant(1.0), f.constant(0, np.uint8))
    x = f.node("Flatten", x, axis=1)
    w = f.node("DequantizeLinear", f.constant(np.ones((32, 3)), np.int8), f.constant(1.0))
    with pytest.raises(InputError) as error:
        file.read(f.model(f.node("MatMul", x, w)), "FORM")
    assert str(error.value) == (
        "FORM: Flatten (node Flatten_t1) must not work on integers but takes those of a "
        "QuantizeLinear; put a DequantizeLinear in front of it"
    )


def test_written_forms_are_read_again(tmp_path: Path) -> None:
    f = Form(1, 12)
    model = f.model(f.node("Gemm", "x", f.weights(3, 12), transB=1))
    graph = file.read(model, "FORM", shape=(3, 2, 2))
    again = file.read(file.to_model(graph), "AGAIN")
    found = images(3, 2, 2)
    for a, b in zip(
        meaning.integers(graph).logits(found), meaning.integers(again).logits(found), strict=True
    ):
        assert np.array_equal(a, b)


# Opsets and batches -----------------------------------------------------------------------------


def old_forms(opset: int, batch: object) -> onnx.ModelProto:
    """What changed its form between opsets: Squeeze, ReduceMean, Pad, Dropout, Clip."""
    f = Form(batch, 2, 6, 6)
    inputs = [f.constant([2, 3], np.int64)] if opset >= 18 else []
    axes = {} if opset >= 18 else {"axes": [2, 3]}
    x = f.node("Pad", "x", f.constant([0, 0, 1, 0, 0, 0, 0, 1], np.int64), mode="constant")
    x = f.node("Conv", x, f.weights(4, 2, 3, 3), kernel_shape=[3, 3])
    x = f.node("Clip", x, f.constant(0.0), f.constant(900.0))
    x = f.quant(f.node("Dropout", f.node("Identity", x)), 64.0, 4, signed=0)
    x = f.node("ReduceMean", x, *inputs, keepdims=1, **axes)
    if opset >= 13:
        x = f.node("Squeeze", x, f.constant([2, 3], np.int64))
    else:
        x = f.node("Squeeze", x, axes=[2, 3])
    return f.model(f.node("MatMul", x, f.weights(4, 3)), opset=opset)


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
def test_opsets_and_batches_of_any_size(opset: int) -> None:
    found = images(6, 6, 2)
    agrees(old_forms(opset, 1), found, found.transpose(0, 3, 1, 2))
    logits = [
        meaning.integers(file.read(old_forms(opset, batch), "FORM")).logits(found)[0]
        for batch in (1, "N")
    ]
    assert np.array_equal(*logits)
