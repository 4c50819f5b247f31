"""Many ways to write one network: all are read as the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exeunt.errors import InputError
from exeunt.qonnx import file, meaning, shapes

IMAGES = np.random.default_rng(3).integers(0, 256, (3, 7, 6, 2)).astype(np.uint8)


@pytest.fixture(scope="module")
def model(builder: type, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """Convolutions, a batch norm, pools, a bias, a linear layer: every default is ONNX's."""
    b = builder((7, 6, 2))
    x = b.pool(b.conv("image", 4, norm=False, bias=True), size=2, stride=1)
    b.exit(b.linear(x, 3))
    x = b.conv(x, 5, 2)
    y = b.linear(b.mean(x), 6, act=True)
    w, _ = b.weight((6, 3), 4, False)
    b.exit(b.node("Gemm", y, w, shape=(1, 3), transB=0))
    return onnx.load(b.save(tmp_path_factory.mktemp("model") / "model.onnx"))


def logits(model: onnx.ModelProto) -> list[list[list[int]]]:
    network = meaning.integers(file.read(model, "FILE"))
    return [x.tolist() for x in network.logits(IMAGES)]


def nodes(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [n for n in model.graph.node if n.op_type == kind]


def without(model: onnx.ModelProto, kind: str, *names: str) -> None:
    found = nodes(model, kind)
    assert found
    for node in found:
        kept = [a for a in node.attribute if a.name not in names]
        del node.attribute[:]
        node.attribute.extend(kept)


def bare(m: onnx.ModelProto) -> None:
    """Nothing is written that is a default."""
    without(m, "Conv", "strides", "pads", "dilations", "group")
    without(m, "MaxPool", "strides", "pads")
    without(m, "Gemm", "alpha", "beta")
    without(m, "Flatten", "axis")
    without(m, "BatchNormalization", "epsilon", "momentum")
    without(m, "Quant", "rounding_mode")
    without(m, "ReduceMean", "keepdims")
    del m.graph.value_info[:]


def bare_kernel(m: onnx.ModelProto) -> None:
    without(m, "Conv", "kernel_shape")


def written_out(m: onnx.ModelProto) -> None:
    for node in nodes(m, "Conv"):
        node.attribute.append(helper.make_attribute("auto_pad", "VALID"))
    for node in nodes(m, "MaxPool"):
        node.attribute.append(helper.make_attribute("auto_pad", "NOTSET"))
        node.attribute.append(helper.make_attribute("ceil_mode", 0))
        node.attribute.append(helper.make_attribute("storage_order", 0))
    for node in nodes(m, "Gemm"):
        node.attribute.append(helper.make_attribute("alpha", 1.0))
        node.attribute.append(helper.make_attribute("beta", 1.0))


def negative_axis(m: onnx.ModelProto) -> None:
    for node in nodes(m, "Flatten"):
        without(m, "Flatten", "axis")
        node.attribute.append(helper.make_attribute("axis", -3))


def of_one_element(m: onnx.ModelProto) -> None:
    """Scale, zero point and bit width of shape [1] or [1, 1, 1, 1]."""
    wanted = {name for n in nodes(m, "Quant") for name in n.input[1:]}
    for k, tensor in enumerate(m.graph.initializer):
        value = numpy_helper.to_array(tensor)
        if tensor.name in wanted and value.size == 1:
            shape = (1,) if k % 2 else (1, 1, 1, 1)
            tensor.CopyFrom(numpy_helper.from_array(value.reshape(shape), tensor.name))


def int_quant(m: onnx.ModelProto) -> None:
    for node in nodes(m, "Quant"):
        node.op_type = "IntQuant"


def old_domain(m: onnx.ModelProto) -> None:
    for k, node in enumerate(nodes(m, "Quant")):
        node.domain = ["onnx.brevitas", "finn.custom_op.general"][k % 2]


def constants_as_nodes(m: onnx.ModelProto) -> None:
    made = [helper.make_node("Constant", [], [t.name], value=t) for t in m.graph.initializer]
    del m.graph.initializer[:]
    for node in reversed(made):
        m.graph.node.insert(0, node)


def constants_as_inputs(m: onnx.ModelProto) -> None:
    """As IR version 3 wrote them."""
    for t in m.graph.initializer:
        m.graph.input.append(helper.make_tensor_value_info(t.name, t.data_type, t.dims))


def any_batch(m: onnx.ModelProto) -> None:
    m.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    for output in m.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "batch"


def no_shapes(m: onnx.ModelProto) -> None:
    for output in m.graph.output:
        output.type.tensor_type.ClearField("shape")


def no_names(m: onnx.ModelProto) -> None:
    for node in m.graph.node:
        node.name = ""


def one_name(m: onnx.ModelProto) -> None:
    for node in m.graph.node:
        node.name = "node"


def shuffled(m: onnx.ModelProto) -> None:
    found = list(m.graph.node)
    del m.graph.node[:]
    m.graph.node.extend(found[::-1])


def behind(m: onnx.ModelProto, tensor: str, *made: onnx.NodeProto) -> None:
    """Put nodes behind a tensor, in front of all that takes it."""
    for node in m.graph.node:
        for k, name in enumerate(node.input):
            if name == tensor:
                node.input[k] = made[-1].output[0]
    m.graph.node.extend(made)


def nothings(m: onnx.ModelProto) -> None:
    image, first = m.graph.input[0].name, nodes(m, "MaxPool")[0].output[0]
    behind(m, image, helper.make_node("Identity", [image], ["i0"]))
    behind(
        m,
        first,
        helper.make_node("Dropout", [first], ["i1", "mask"]),
        helper.make_node("Cast", ["i1"], ["i2"], to=TensorProto.FLOAT),
    )


def dead_ends(m: onnx.ModelProto) -> None:
    """What no exit rests on is nobody's business."""
    image = m.graph.input[0].name
    m.graph.node.append(helper.make_node("NonMaxSuppression", [image, image], ["dead"]))


def softmax(m: onnx.ModelProto) -> None:
    for output in m.graph.output:
        m.graph.node.append(helper.make_node("Softmax", [output.name], [f"p{output.name}"]))
        output.name = f"p{output.name}"


def flat_by_shape(m: onnx.ModelProto) -> None:
    """torch's x.view(x.shape[0], -1)."""
    for k, node in enumerate(nodes(m, "Flatten")):
        source = node.input[0]
        m.graph.initializer.append(numpy_helper.from_array(np.array(0), f"zero{k}"))
        m.graph.initializer.append(numpy_helper.from_array(np.array([-1]), f"rest{k}"))
        made = [
            helper.make_node("Shape", [source], [f"shape{k}"]),
            helper.make_node("Gather", [f"shape{k}", f"zero{k}"], [f"batch{k}"], axis=0),
            helper.make_node("Unsqueeze", [f"batch{k}", f"zero{k}"], [f"list{k}"]),
            helper.make_node("Concat", [f"list{k}", f"rest{k}"], [f"wanted{k}"], axis=0),
        ]
        m.graph.initializer.append(numpy_helper.from_array(np.array([0]), f"axes{k}"))
        made[2].input[1] = f"axes{k}"
        m.graph.node.extend(made)
        node.op_type = "Reshape"
        del node.attribute[:]
        node.input.append(f"wanted{k}")


def transposed_weights(m: onnx.ModelProto) -> None:
    for k, node in enumerate(nodes(m, "Gemm")):
        weight = node.input[1]
        m.graph.node.append(helper.make_node("Transpose", [weight], [f"wt{k}"], perm=[1, 0]))
        node.input[1] = f"wt{k}"
        across = next((a for a in node.attribute if a.name == "transB"), None)
        assert across is not None
        across.i = 1 - across.i


def matmul(m: onnx.ModelProto) -> None:
    for k, node in enumerate(nodes(m, "Gemm")):
        across = next(a.i for a in node.attribute if a.name == "transB")
        del node.attribute[:]
        node.op_type = "MatMul"
        if across:
            made = helper.make_node("Transpose", [node.input[1]], [f"wt{k}"])
            m.graph.node.append(made)
            node.input[1] = f"wt{k}"


def quantized_bias(m: onnx.ModelProto) -> None:
    """A bias that comes from a quantizer is what the quantizer makes of it."""
    node = nodes(m, "Conv")[0]
    old = next(t for t in m.graph.initializer if t.name == node.input[2])
    values = numpy_helper.to_array(old)
    zero = nodes(m, "Quant")[0].input[2]
    m.graph.initializer.append(numpy_helper.from_array(np.float32(2.0**-20), "fine"))
    m.graph.initializer.append(numpy_helper.from_array(np.float32(32), "wide"))
    made = helper.make_node(
        "Quant", [old.name, "fine", zero, "wide"], ["qbias"], domain="qonnx.custom_op.general",
        signed=1, narrow=0, rounding_mode="ROUND",
    )  # fmt: skip
    assert np.abs(values).max() < 1
    node.input[2] = "qbias"
    m.graph.node.append(made)


def axes_as_attributes(m: onnx.ModelProto) -> None:
    m.opset_import[0].version = 13
    for node in nodes(m, "ReduceMean"):
        node.input.pop()
        node.attribute.append(helper.make_attribute("axes", [-1, -2]))


def global_average(m: onnx.ModelProto) -> None:
    for node in nodes(m, "ReduceMean"):
        node.input.pop()
        node.op_type = "GlobalAveragePool"
        del node.attribute[:]


def squeezed(m: onnx.ModelProto) -> None:
    """A mean without its dimensions, which come back one by one."""
    node = nodes(m, "ReduceMean")[0]
    result = node.output[0]
    node.output[0] = "mean"
    for name, value in (("ones", [2, 3]), ("minus", [-2, -1])):
        m.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    m.graph.node.extend([
        helper.make_node("Squeeze", ["mean", "ones"], ["less"]),
        helper.make_node("Unsqueeze", ["less", "minus"], ["more"]),
        helper.make_node("Squeeze", ["more"], ["vector"]),
        helper.make_node("Unsqueeze", ["vector", "minus"], [result]),
    ])  # fmt: skip


WAYS = [
    bare, bare_kernel, written_out, negative_axis, of_one_element, int_quant, old_domain,
    constants_as_nodes, constants_as_inputs, any_batch, no_shapes, no_names, one_name, shuffled,
    nothings, dead_ends, softmax, flat_by_shape, transposed_weights, matmul, quantized_bias,
    axes_as_attributes, global_average, squeezed,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
def test_the_same_network_in_other_words(
    way: Callable[[onnx.ModelProto], None], model: onnx.ModelProto
) -> None:
    other = onnx.ModelProto.FromString(model.SerializeToString())
    way(other)
    assert other != model
    assert logits(other) == logits(model)


def test_what_is_written_is_read_again(model: onnx.ModelProto, tmp_path: Path) -> None:
    written = file.to_model(file.read(model, "FILE"))
    onnx.checker.check_model(written)
    assert [o.name for o in written.graph.output] == ["exit0", "exit1"]
    assert logits(written) == logits(model)
    path = tmp_path / "beside.onnx"
    onnx.save(written, path, save_as_external_data=True, location="beside.data", size_threshold=0)
    assert meaning.integers(file.load(path)).logits(IMAGES)[0].tolist() == logits(model)[0]
    (tmp_path / "beside.data").unlink()
    with pytest.raises(InputError, match=r"it cannot be read \(.*export it again, with its \.data"):
        file.load(path)


def test_functions_are_read_through(model: onnx.ModelProto) -> None:
    other = onnx.ModelProto.FromString(model.SerializeToString())
    opset = helper.make_opsetid("", 20)
    inner = helper.make_function("own", "twice", ["x"], ["y"], [
        helper.make_node("Relu", ["x"], ["y"], name="inner")], [opset])  # fmt: skip
    other.functions.append(inner)
    other.opset_import.append(helper.make_opsetid("own", 1))
    for node in nodes(other, "Relu"):
        node.op_type, node.domain = "twice", "own"
    assert logits(other) == logits(model)


# Windows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("operator", ["MaxPool", "Conv"])
def test_auto_pad_is_what_onnx_says(kind: str, operator: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        size, kernel, strides = (tuple(int(v) for v in random.integers(a, b, 2))
                                 for a, b in ((4, 9), (1, 4), (1, 4)))  # fmt: skip
        x = random.integers(1, 9, (1, 1, *size)).astype(np.float32)
        weights = random.integers(1, 9, (1, 1, *kernel)).astype(np.float32)
        attributes = {"kernel_shape": kernel, "strides": strides, "auto_pad": kind}
        found = shapes.window(attributes, x.shape, None, "X")
        given = {"x": x, "w": weights} if operator == "Conv" else {"x": x}
        plain = {"kernel_shape": kernel, "strides": strides, "pads": found[2]}
        want = by_runtime(operator, given, attributes)
        assert want.shape[2:] == shapes.out(x.shape, *found)
        assert np.array_equal(by_runtime(operator, given, plain), want)


def test_ceil_mode_is_what_onnx_says() -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        size, kernel, strides = (tuple(int(v) for v in random.integers(a, b, 2))
                                 for a, b in ((4, 9), (2, 4), (1, 4)))  # fmt: skip
        pads = [int(random.integers(0, k)) for k in kernel * 2]
        x = random.integers(1, 9, (1, 1, *size)).astype(np.float32)
        attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, "ceil_mode": 1}
        found = shapes.window(attributes, x.shape, None, "X")
        plain = {"kernel_shape": kernel, "strides": strides, "pads": found[2]}
        want = by_runtime("MaxPool", {"x": x}, attributes)
        assert want.shape[2:] == shapes.out(x.shape, *found)
        assert np.array_equal(by_runtime("MaxPool", {"x": x}, plain), want)


def by_runtime(
    operator: str, given: dict[str, np.ndarray], attributes: dict[str, Any]
) -> np.ndarray:
    import onnxruntime

    kinds = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in given.items()]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node(operator, list(given), ["y"], **attributes)
    graph = helper.make_graph([node], "one", kinds, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)[0]


# Refusals ---------------------------------------------------------------------------------------


def loop(m: onnx.ModelProto) -> None:
    nodes(m, "MaxPool")[0].input[0] = nodes(m, "MaxPool")[0].output[0]


def control_flow(m: onnx.ModelProto) -> None:
    nodes(m, "MaxPool")[0].op_type = "Loop"


def dangling(m: onnx.ModelProto) -> None:
    nodes(m, "MaxPool")[0].input[0] = "nowhere"


def float_weights(m: onnx.ModelProto) -> None:
    conv = nodes(m, "Conv")[0]
    conv.input[1] = next(n for n in nodes(m, "Quant") if n.output[0] == conv.input[1]).input[0]


def computed_scale(m: onnx.ModelProto) -> None:
    quantizer = next(n for n in nodes(m, "Quant") if n.input[0] == nodes(m, "Relu")[0].output[0])
    quantizer.input[1] = nodes(m, "Relu")[0].output[0]


def reflecting(m: onnx.ModelProto) -> None:
    image = m.graph.input[0].name
    amounts = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "amounts")
    m.graph.initializer.append(amounts)
    behind(m, image, helper.make_node("Pad", [image, "amounts"], ["p"], name="P", mode="reflect"))


def same_output(m: onnx.ModelProto) -> None:
    m.graph.output.append(m.graph.output[0])


def softmax_inside(m: onnx.ModelProto) -> None:
    first = nodes(m, "MaxPool")[0].output[0]
    behind(m, first, helper.make_node("Softmax", [first], ["s"], name="S"))


def scales_per_input(m: onnx.ModelProto) -> None:
    conv = nodes(m, "Conv")[1]
    quantizer = next(n for n in nodes(m, "Quant") if n.output[0] == conv.input[1])
    scales = np.linspace(0.1, 0.2, 4).reshape(1, 4, 1, 1).astype(np.float32)
    m.graph.initializer.append(numpy_helper.from_array(scales, "scales"))
    quantizer.input[1] = "scales"


def other_channels(m: onnx.ModelProto) -> None:
    nodes(m, "Conv")[1].input[1] = nodes(m, "Conv")[0].input[1]


REFUSED: dict[Callable[[onnx.ModelProto], None], str] = {
    loop: "the graph must not have a loop but MaxPool (node *) is in one; unroll it",
    control_flow: (
        "Loop (node *) is control flow but a network in hardware does the same for every image; "
        "export it without"
    ),
    dangling: "MaxPool (node *) takes nowhere, which nothing gives; export it again",
    float_weights: (
        "the weights of Conv (node *) must come from a quantizer but are plain numbers; use a "
        "layer of brevitas.nn"
    ),
    computed_scale: (
        "Quant (node *) must have a constant scale, zero point and bit width but computes one of "
        "them; export the network in evaluation mode"
    ),
    reflecting: (
        "Pad (node *) must pad height and width with zeros but has the mode reflect, the value 0 "
        "and the pads [0, 0, 1, 1, 0, 0, 1, 1]; use zero padding"
    ),
    same_output: "every exit must have logits of its own but two outputs are the same",
    softmax_inside: (
        "Softmax (node *) must be the last operator of an exit but feeds Flatten (node *); leave "
        "it out"
    ),
    scales_per_input: (
        "the weights of Conv (node *) must have one scale or one per output channel but Quant "
        "(node *) has others; use per-tensor or per-channel scaling"
    ),
    other_channels: (
        "Conv (node *) must have weights for 4 channels and a kernel of [2, 2] but has "
        "[4, 2, 3, 3]; export it again"
    ),
}


@pytest.mark.parametrize("way", REFUSED, ids=lambda f: f.__name__)
def test_refused(way: Callable[[onnx.ModelProto], None], model: onnx.ModelProto) -> None:
    other = onnx.ModelProto.FromString(model.SerializeToString())
    way(other)
    with pytest.raises(InputError) as error:
        logits(other)
    said = re.sub(r"\(node [^)]*\)", "(node *)", str(error.value))
    assert said == f"FILE: {REFUSED[way]}"
