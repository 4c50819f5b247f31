"""The operators that a network may consist of: one list for training and compiling.

`hls/README.md` shows it as a table; a test compares the two. It imports nothing, so that every
room may read it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """A row of the table: ONNX names, what they become in hardware, and what is refused."""

    names: tuple[str, ...]
    becomes: str
    limits: str = "-"


STREAM: tuple[Operator, ...] = (
    Operator(
        ("Quant", "IntQuant", "BipolarQuant"),
        "on weights: integers; on activations: thresholds",
        "weights of 1 to 8 bits, one scale or one per output channel; activations of 1 to 8 bits; "
        "every rounding mode, signed or not, narrow or not, integer zero points, scales of either "
        "sign",
    ),
    Operator(
        ("Conv",),
        "Swg, Mvu",
        "one or two dimensions, any groups, any dilation; padding below the reach of the kernel",
    ),
    Operator(("Gemm", "MatMul"), "Mvu", "quantized weights on the right"),
    Operator(
        ("BatchNormalization", "Add", "Sub", "Mul", "Div"),
        "part of the next thresholds",
        "with constants; behind the last layer of an exit one factor, and a bias on its grid",
    ),
    Operator(
        ("Add", "Sub", "Sum"),
        "Add, of two streams; their scales become integer factors",
        "one scale per stream; both streams of one shape",
    ),
    Operator(("Concat",), "Concat", "channels; one scale per stream"),
    Operator(
        (
            "Relu",
            "Clip",
            "LeakyRelu",
            "PRelu",
            "Elu",
            "Selu",
            "Celu",
            "Softplus",
            "Softsign",
            "Sigmoid",
            "HardSigmoid",
            "Tanh",
            "Erf",
            "Exp",
            "Log",
            "Sqrt",
            "Round",
            "Floor",
            "Ceil",
            "Sign",
            "Neg",
            "Max",
            "Min",
        ),
        "part of the next thresholds",
        "no negative slopes; also sums, differences and products of such functions of one tensor",
    ),
    Operator(
        ("Abs", "Pow", "HardSwish", "Mish", "Gelu", "Shrink", "ThresholdedRelu"),
        "part of the next thresholds; two counts and their difference where they rise and fall",
        "integers of at most 16 bits in front of them where they rise and fall",
    ),
    Operator(
        (
            "Where",
            "Greater",
            "GreaterOrEqual",
            "Less",
            "LessOrEqual",
            "And",
            "Or",
            "Not",
        ),
        "part of the next thresholds, as the row above",
        "conditions on functions of the tensor that they choose; constants and such functions",
    ),
    Operator(
        ("QuantizeLinear", "DequantizeLinear"),
        "as a Quant",
        "in pairs of one scale and zero point, with a Clip between them or not; on constants",
    ),
    Operator(("Trunc",), "thresholds", "one scale, zero point and bit width; every rounding mode"),
    Operator(
        ("MaxPool", "GlobalMaxPool", "ReduceMax"),
        "Pool, or Swg and Reduce when windows overlap or are padded",
        "padding of signed values: at most 8 bits; no dilation; ReduceMax over height or width",
    ),
    Operator(
        ("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"),
        "Pool or Reduce of sums; the division goes into the next thresholds",
        "ReduceMean and ReduceSum over height or width; where padding does not count, a "
        "quantizer behind it",
    ),
    Operator(
        ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
        "nothing: the next matrix's columns are in the stream's order",
        "the batch stays the first dimension",
    ),
    Operator(("Pad",), "padding of the next convolution", "zeros, in front of convolutions only"),
    Operator(("Identity", "Dropout", "Cast"), "nothing", "Cast to a float type"),
    Operator(
        ("Softmax", "LogSoftmax"),
        "nothing: the exit criteria work on the logits",
        "as the last operator of an exit in a file",
    ),
)

# These are understood where their inputs are constants, or a shape that is known.
CONSTANT: tuple[str, ...] = (
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Expand",
    "Exp",
    "Gather",
    "Identity",
    "Mul",
    "Neg",
    "Pow",
    "Range",
    "Reciprocal",
    "Reshape",
    "Shape",
    "Slice",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
)

NAMES: frozenset[str] = frozenset(name for operator in STREAM for name in operator.names)


def table() -> str:
    """The list as a Markdown table, as it stands in hls/README.md."""
    rows = [f"| {', '.join(o.names)} | {o.becomes} | {o.limits} |" for o in STREAM]
    return "\n".join(["| QONNX | becomes | limits |", "|---|---|---|", *rows])
