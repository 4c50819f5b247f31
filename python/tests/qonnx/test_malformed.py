"""Files that no exporter should write: one sentence for each, wherever the fault lies."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from exeunt.errors import InputError
from exeunt.qonnx import file, meaning

QONNX = "qonnx.custom_op.general"


def end(b: Any, x: str) -> None:
    b.exit(b.linear(x, 3))


def between(operator: str, *inputs: Any, act: bool = True, **attributes: Any) -> Callable[..., Any]:
    """A node of activations, behind a convolution: its quantizer (`act`) or the sums."""

    def network(b: Any) -> None:
        x = b.conv("image", 4, act=act)
        given = [v if isinstance(v, str) else b.constant(*v) for v in inputs]
        y = b.node(operator, x, *given, shape=b.shapes[x], **attributes)
        end(b, y if act else b.quant(y))

    return network


def sums(operator: str, *inputs: Any, **attributes: Any) -> Callable[..., Any]:
    return between(operator, *inputs, act=False, **attributes)


def convolution(**attributes: Any) -> Callable[..., Any]:
    def network(b: Any) -> None:
        weight, _ = b.weight((4, 1, 3, 3), 4, False)
        end(b, b.quant(b.node("Conv", "image", weight, shape=(1, 4, 6, 6), **attributes)))

    return network


def biased(size: int, *, last: bool) -> Callable[..., Any]:
    def network(b: Any) -> None:
        bias = b.constant(np.ones(size))
        x = b.conv("image", 4, bias=False if last else bias)
        b.exit(b.linear(x, 3, bias=bias if last else False))

    return network


def quantizer(scale: Any, zero: Any, bits: Any) -> Callable[..., Any]:
    return sums("Quant", (scale,), (zero,), (bits,))


def weights_of(*shape: int) -> Callable[..., Any]:
    def network(b: Any) -> None:
        x = b.conv("image", 4)
        w = b.integers(np.zeros(shape), 4)
        if len(shape) == 4:
            b.exit(b.flatten(b.node("Conv", x, w, shape=(1, shape[0], 4, 4))))
        else:
            b.exit(b.node("MatMul", b.flatten(x), w, shape=(1, shape[1])))

    return network


def unequal_weights(b: Any) -> None:
    w = b.node("Quant", b.constant(np.ones((4, 1, 3, 3))), b.constant(np.ones((3, 1, 1, 1))),
               b.constant(0.0), b.constant(4.0), shape=(4, 1, 3, 3))  # fmt: skip
    end(b, b.quant(b.node("Conv", "image", w, shape=(1, 4, 6, 6))))


def no_inputs(operator: str) -> Callable[..., Any]:
    def network(b: Any) -> None:
        x = b.conv("image", 4, act=False)
        b.nodes.append(helper.make_node(operator, [], ["none"], name="S"))
        end(b, b.quant(b.node("Add", x, "none", shape=b.shapes[x])))

    return network


def twice(b: Any) -> None:
    x = b.conv("image", 4)
    b.nodes.append(helper.make_node("Relu", ["image"], [x], name="again"))
    end(b, x)


def over_the_image(b: Any) -> None:
    x = b.conv("image", 4)
    b.nodes.append(helper.make_node("Relu", [x], ["image"], name="again"))
    end(b, x)


def linearised(zero: Any, *, between: str = "", more: tuple[Any, ...] = ()) -> Callable[..., Any]:
    """QuantizeLinear, perhaps an operator, and DequantizeLinear."""

    def network(b: Any) -> None:
        x = b.conv("image", 4, act=False)
        given = b.constant(0.25), b.constant(*zero)
        y = b.node("QuantizeLinear", x, *given, shape=b.shapes[x])
        if between:
            inner = [x if v is None else b.constant(*v) for v in more]
            y = b.node(between, *((y, *inner) if between == "Clip" else (*inner, y)),
                       shape=b.shapes[x])  # fmt: skip
        end(b, b.node("DequantizeLinear", y, *given, shape=b.shapes[x]))

    return network


def root_of_a_negative_number(b: Any) -> None:
    x = b.quant(b.conv("image", 4, act=False), 4, signed=True)
    end(b, b.quant(b.node("Pow", x, b.constant(0.5), shape=b.shapes[x])))


def softmax(axis: int) -> Callable[..., Any]:
    def network(b: Any) -> None:
        x = b.linear(b.conv("image", 4), 3)
        b.exit(b.node("Softmax", x, shape=(1, 3), axis=axis))

    return network


def gemm(**attributes: float) -> Callable[..., Any]:
    def network(b: Any) -> None:
        weight, _ = b.weight((3, 64), 4, False)
        flat = b.flatten("image")
        b.exit(b.node("Gemm", flat, weight, shape=(1, 3), transB=1, **attributes))

    return network


def truncated(*constants: Any) -> Callable[..., Any]:
    return between("Trunc", *((c,) for c in constants))


def rows(**attributes: Any) -> Callable[..., Any]:
    """A pool in one dimension."""

    def network(b: Any) -> None:
        x = b.conv("image", 4)
        wanted = b.constant([1, 4, 36], np.int64)
        y = b.node("Reshape", x, wanted, shape=(1, 4, 36))
        end(b, b.flatten(b.node("MaxPool", y, shape=(1, 4, 18), **attributes)))

    return network


def dead(*, behind: str = "", bias: bool = False) -> Callable[..., Any]:
    """Logits of a layer whose weights are all zero."""

    def network(b: Any) -> None:
        x = b.flatten(b.conv("image", 4))
        given = [b.constant(np.arange(3) * 0.125 * 0.25)] if bias else []
        weight = b.integers(np.zeros((144, 3)), 4)
        y = b.node("Gemm" if bias else "MatMul", x, weight, *given, shape=(1, 3))
        b.exit(b.quant(y, signed=True) if behind == "Quant" else y)

    return network


def times_zero(b: Any) -> None:
    x = b.linear(b.conv("image", 4), 3)
    b.exit(b.node("Mul", x, b.constant(0.0), shape=(1, 3)))


SAME = (
    "exit 0 must have logits that depend on the image but those of {} are the same for every "
    "image, {}; train the network again, or leave the exit out"
)
AGAIN = "export it again"
DAMAGED: list[tuple[Callable[[Any], None], str]] = [
    (sums("Add"), f"Add (node #) must have 2 inputs but has 1; {AGAIN}"),
    (sums("Relu", (1.0,)), f"Relu (node #) must have 1 input but has 2; {AGAIN}"),
    (no_inputs("Sum"), f"Sum (node S) must have 1 or more inputs but has 0; {AGAIN}"),
    (no_inputs("Concat"), f"Concat (node S) must have 1 or more inputs but has 0; {AGAIN}"),
    (sums("Quant"), f"Quant (node #) must have 4 inputs but has 1; {AGAIN}"),
    (
        sums("Quant", (1.0,), "", (4.0,)),
        f"Quant (node #) must have its input number 3 but names none there; {AGAIN}",
    ),
    (between("Trunc", (0.25,)), f"Trunc (node #) must have 5 or 6 inputs but has 2; {AGAIN}"),
    (
        sums("Relu", alpha=1.0),
        "Relu (node #) must be as ONNX 20 says but is not (Unrecognized attribute: alpha for "
        f"operator Relu); {AGAIN}",
    ),
    (
        between("MaxPool"),
        "MaxPool (node #) must be as ONNX 20 says but is not (Required attribute 'kernel_shape' is "
        f"missing); {AGAIN}",
    ),
    (
        sums("Quant", (1.0,), (0.0,), (4.0,), signed=2),
        f"Quant (node #) must have 0 or 1 for signed but has 2; {AGAIN}",
    ),
    (
        sums("Quant", (1.0,), (0.0,), (4.0,), rounding_mode=b"\xff"),
        f"Quant (node #) must have text for rounding_mode but has b'\\xff'; {AGAIN}",
    ),
    (
        twice,
        "every tensor must come from one place but t16 comes from Quant (node #) and from Relu "
        f"(node again); {AGAIN}",
    ),
    (
        over_the_image,
        "every tensor must come from one place but image comes from the input and from Relu (node "
        f"again); {AGAIN}",
    ),
    (
        biased(3, last=False),
        "Conv (node #) must have a bias for each of its 4 results but has one of the shape (3,); "
        f"{AGAIN}",
    ),
    (
        biased(4, last=True),
        "Gemm (node #) must have a bias for each of its 3 results but has one of the shape (4,); "
        f"{AGAIN}",
    ),
    (
        convolution(dilations=[1]),
        "Conv (node #) must have dilations of 1 or more in two dimensions but has [1]; export it "
        "again",
    ),
    (
        convolution(dilations=[0, 1]),
        "Conv (node #) must have dilations of 1 or more in two dimensions but has [0, 1]; export "
        "it again",
    ),
    (
        convolution(pads=[9999, 0, 0, 0]),
        "Conv (node #) must have a window of at most 4096 pixels but has the kernel [3, 3], the "
        "strides [1, 1], the pads [9999, 0, 0, 0] and the dilations [1, 1]; shrink it",
    ),
    (
        rows(kernel_shape=[2, 2]),
        "MaxPool (node #) must have kernel_shape in one dimension, as what it takes, but has "
        f"[2, 2]; {AGAIN}",
    ),
    (
        rows(kernel_shape=[2], pads=[0, 0, 0, 0]),
        "MaxPool (node #) must have pads in one dimension, as what it takes, but has "
        f"[0, 0, 0, 0]; {AGAIN}",
    ),
    (
        quantizer(1.0, 0.0, np.inf),
        "Quant (node #) must have one whole bit width of 1 to 64 but has inf; use the same width "
        "for all of it",
    ),
    (
        quantizer(1.0, 0.0, 1e9),
        "Quant (node #) must have one whole bit width of 1 to 64 but has 1e+09; use the same width "
        "for all of it",
    ),
    (
        quantizer(1.0, [], 4.0),
        "Quant (node #) must have a whole zero point but has none; quantize with an integer zero "
        "point or none",
    ),
    (
        quantizer(1.0, 1e30, 4.0),
        "Quant (node #) must have a zero point within 16777216 of 0, where float32 holds every "
        "integer, but has 1e+30; train the network again",
    ),
    (
        quantizer(1e-40, 0.0, 4.0),
        "Quant (node #) must have a scale that float32 holds with all its digits, 1.18e-38 or "
        "more, but has 9.99995e-41; train the network again",
    ),
    (
        unequal_weights,
        "Quant (node #) must have one scale and zero point, or one for each channel, of a tensor "
        f"(4, 1, 3, 3) but has them of the shape (3, 1, 1, 1); {AGAIN}",
    ),
    (
        weights_of(0, 4, 3, 3),
        "Conv (node #) must have weights but has none of the shape (0, 4, 3, 3); export the "
        "network again",
    ),
    (
        weights_of(144, 0),
        "MatMul (node #) must have weights but has none of the shape (144, 0); export the network "
        "again",
    ),
    (
        sums("Clip", ([0.0, 1.0],)),
        f"Clip (node #) must have one number for each limit but has 2 for min; {AGAIN}",
    ),
    (
        root_of_a_negative_number,
        "Quant (node #) must take numbers but what is in front of it has no value, as the root or "
        "logarithm of a negative number and the inverse of zero have none, where the integers in "
        "it are -7; clip or quantize in front of that operator",
    ),
    (
        between("Transpose", perm=[0, 1, 1, 7]),
        "Transpose (node #) must put the 4 dimensions of (1, 4, 6, 6) into an order but has "
        f"[0, 1, 1, 7]; {AGAIN}",
    ),
    (
        between("Transpose", perm=[0, 1, 2]),
        "Transpose (node #) must put the 4 dimensions of (1, 4, 6, 6) into an order but has "
        f"[0, 1, 2]; {AGAIN}",
    ),
    (
        between("Squeeze", ([2], np.int64)),
        "Squeeze (node #) must take away axes of one element but takes away [2] of (1, 4, 6, 6); "
        f"{AGAIN}",
    ),
    (
        between("Squeeze", ([9], np.int64)),
        f"Squeeze (node #) must have an axis of a tensor of 4 dimensions but has 9; {AGAIN}",
    ),
    (
        between("Unsqueeze", ([2, 2], np.int64)),
        f"Unsqueeze (node #) must name every axis once but has [2, 2]; {AGAIN}",
    ),
    (
        between("Flatten", axis=9),
        f"Flatten (node #) must flatten along an axis of (1, 4, 6, 6) but has 9; {AGAIN}",
    ),
    (
        between("Reshape", ([1.0, -1.0],)),
        "Reshape (node #) must reshape to a shape of constant integers but does not; see the table "
        "of operators in hls/README.md",
    ),
    (
        linearised((0.0,)),
        "QuantizeLinear (node #) must have a zero point of integers, whose type is that of its "
        f"result, but has one of float32; {AGAIN}, or as QONNX",
    ),
    (
        linearised((0, np.uint8), between="Clip", more=(([0, 1], np.uint8),)),
        "Clip (node #) must have one constant integer for each limit but does not; export it "
        "again, or as QONNX",
    ),
    (
        linearised((0, np.uint8), between="Add", more=(None,)),
        "Add (node #) must not work on integers but takes those of a QuantizeLinear; put a "
        "DequantizeLinear in front of it",
    ),
    (
        truncated(0.25, 0.0, np.inf, 2.0),
        "Trunc (node #) must have positive scales, a whole zero point and bit widths of 0 to 64 "
        "but has 0.25, 0, inf, 2; train the network again",
    ),
    (
        truncated(0.25, 0.0, 4.0, -1.0, 2.0),
        "Trunc (node #) must have positive scales, a whole zero point and bit widths of 1 to 64 "
        "but has 0.25, 0, 4, -1, 2; train the network again",
    ),
    (
        softmax(0),
        "Softmax (node #) must work on all logits of an image but works along the axis 0 of "
        "(1, 3); take the axis of the classes",
    ),
    (
        softmax(5),
        f"Softmax (node #) must have an axis of a tensor of 2 dimensions but has 5; {AGAIN}",
    ),
    (
        gemm(alpha=0.0),
        "Gemm (node #) must have a number other than zero for alpha but has 0; leave it out",
    ),
    (
        gemm(beta=float("nan")),
        "Gemm (node #) must have a number for beta but has nan; leave it out",
    ),
    (dead(), SAME.format("MatMul (node #)", "all its weights are zero")),
    (dead(bias=True), SAME.format("Gemm (node #)", "all its weights are zero")),
    (dead(behind="Quant"), SAME.format("Quant (node #)", "all its weights are zero")),
    (times_zero, SAME.format("Gemm (node #)", "they are multiplied by zero")),
    (
        sums("Cast", to=10),
        "Cast (node #) must cast activations to float32 or float64, since others round them, but "
        "does not; leave it out, or put a quantizer there",
    ),
]


def refusal(model: onnx.ModelProto, path: Path) -> str:
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError) as error:
        meaning.integers(file.load(path))
    assert error.value.exit_code == 2
    return re.sub(r"\(node \w+_\d+\)", "(node #)", str(error.value)).replace(str(path), "FILE")


@pytest.mark.parametrize(("network", "sentence"), DAMAGED, ids=[s[:60] for _, s in DAMAGED])
def test_one_sentence(
    network: Callable[[Any], None], sentence: str, builder: type, tmp_path: Path
) -> None:
    b = builder((8, 8, 1))
    network(b)
    assert refusal(b.model(), tmp_path / "model.onnx") == f"FILE: {sentence}"


def taken(builder: type) -> onnx.ModelProto:
    b = builder((8, 8, 1))
    end(b, b.conv("image", 4))
    return b.model()


def test_a_damaged_initializer(builder: type, tmp_path: Path) -> None:
    model = taken(builder)
    first = model.graph.initializer[0]
    first.raw_data = first.raw_data[:-3]
    assert re.fullmatch(
        r"FILE: the initializer p\d+ must hold the numbers of its shape but cannot be read \(.+\); "
        "export it again",
        refusal(model, tmp_path / "model.onnx"),
    )


def test_an_initializer_of_text(builder: type, tmp_path: Path) -> None:
    model = taken(builder)
    first = model.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(np.array(["a"], object), first.name))
    assert refusal(model, tmp_path / "model.onnx") == (
        f"FILE: the initializer {first.name} must hold real numbers but holds others; export it "
        "again"
    )


def test_an_image_of_too_many_pixels(builder: type, tmp_path: Path) -> None:
    model = taken(builder)
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 1 << 20
    assert refusal(model, tmp_path / "model.onnx") == (
        "FILE: an image must have at most 16777216 numbers but the input (1, 1, 1048576, 1048576) "
        "has 1099511627776; take smaller images"
    )


def test_a_softmax_of_old_counts_all_axes_from_its_own_on(builder: type, tmp_path: Path) -> None:
    """Before version 13 a Softmax of (1, 3, 1, 1) along its axis 1 is over all classes."""
    b = builder((8, 8, 1))
    x = b.conv("image", 3, act=False, norm=False, per_channel=False)
    x = b.node("GlobalAveragePool", x, shape=(1, 3, 1, 1))
    b.exit(b.node("Softmax", x, shape=(1, 3, 1, 1), axis=1))
    for version in (11, 13):
        model = b.model()
        model.opset_import[0].version = version
        path = tmp_path / f"{version}.onnx"
        path.write_bytes(model.SerializeToString())
        assert len(meaning.integers(file.load(path)).exits) == 1
    model.graph.node[-1].attribute[0].i = 2
    assert refusal(model, tmp_path / "model.onnx") == (
        "FILE: Softmax (node #) must work on all logits of an image but works along the axis 2 of "
        "(1, 3, 1, 1); take the axis of the classes"
    )
