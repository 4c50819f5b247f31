"""FINN's passes on one part of the network, each followed by a check of its values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import finn.transformation.streamline.absorb as absorb
import finn.transformation.streamline.reorder as reorder
import numpy as np
import numpy.typing as npt
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
from qonnx.transformation.remove import RemoveIdentityOps

from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Integer
from exeunt.hls.front.passes.average_to_sum import AverageToSum
from exeunt.hls.front.passes.drop_flatten import DropFlatten
from exeunt.hls.front.passes.drop_scale import DropScale
from exeunt.hls.front.passes.flatten_nhwc import FlattenNHWC
from exeunt.hls.front.passes.infer_sum_pool import InferSumPool
from exeunt.hls.front.passes.integer_input import IntegerInput
from exeunt.hls.front.passes.streamline_sums import StreamlineSums
from exeunt.hls.front.passes.sum_pool_nhwc import SumPoolNHWC
from exeunt.hls.front.register import registered
from exeunt.hls.front.split import Part

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]

FPGA_PART = "xc7z020clg400-1"  # FINN's estimates want one; nothing that is built depends on it


@dataclass(frozen=True)
class Lowered:
    """A part as FINN hardware layers: integers in, integers out, both channels last."""

    name: str
    model: ModelWrapper
    hardware: ModelWrapper  # the same before layers were specialised, without names of its own
    source: Integer
    result: Integer
    scale: float  # real value of the integer 1 at the output
    inputs: Integers  # check frames (N, ...) and what must come out
    outputs: Integers


def integer(dtype: DataType) -> Integer:
    """A QONNX integer data type as ours."""
    return Integer(int(dtype.bitwidth()), bool(dtype.signed()))


def execute(model: ModelWrapper, inputs: npt.NDArray[np.generic]) -> Floats:
    """Run a model with one input on frames (N, ...), one at a time; (N, ...) float64."""
    name, result = model.graph.input[0].name, model.graph.output[0].name
    shape = model.get_tensor_shape(name)
    outputs = [
        execute_onnx(model, {name: frame.reshape(shape).astype(np.float32)})[result]
        for frame in inputs
    ]
    return np.concatenate(outputs).astype(np.float64)


class Checker:
    """Compares a part with what the QONNX network computed, after each pass."""

    def __init__(self, name: str, inputs: Integers, golden: Floats) -> None:
        """Args: inputs: integers channels last (N, ...). golden: reals, channels first."""
        self.name = name
        self.inputs = inputs
        self.golden = golden
        self.scale: float | None = None  # set once integers come out, channels last

    @property
    def expected(self) -> Integers:
        """The golden values as integers, channels last."""
        assert self.scale is not None
        golden = self.golden / self.scale
        if golden.ndim == 4:
            golden = golden.transpose(0, 2, 3, 1)
        return np.rint(golden).astype(np.int64)

    def __call__(self, model: ModelWrapper, step: str) -> None:
        """Raise unless `model` computes the golden values.

        Raises:
            CheckFailed: naming pass, part, frame, position, got and expected.
        """
        got = execute(model, self.inputs)
        if self.scale is None:
            expected = self.golden
            tolerance = 1e-4 * max(1e-6, float(np.abs(expected).max()))
        else:
            expected = self.expected.astype(np.float64)
            largest = float(np.abs(expected).max())
            # QONNX computes in float32, which holds integers up to 2**24 and sums of fewer
            tolerance = 0.0 if largest < 1 << 20 else 2e-6 * largest
        got = got.reshape(expected.shape)
        wrong = np.abs(got - expected) > tolerance
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise CheckFailed(
                f"pass {step} changed the values of {self.name}: frame {where[0]} at "
                f"{where[1:]} is {got[where]:g} but the QONNX network has "
                f"{expected[where]:g}; please report the network"
            )


def lower(
    part: Part, *, source: DataType, scale: float, inputs: Integers, golden: Floats
) -> Lowered:
    """Take one part through FINN to specialised hardware layers.

    Args:
        part: a segment or head in QONNX.
        source: type of the integers that enter.
        scale: real value of the integer 1 at the input.
        inputs: check frames, integers (N, H, W, C) or (N, D).
        golden: what the QONNX network has at the part's output for them, (N, C, H, W) or (N, D).

    Raises:
        CheckFailed: a pass changed a value.
        InputError: something in the part cannot become hardware.
    """
    check = Checker(part.name, inputs, golden)
    model = part.model
    for step, transformations in _front(source.name, scale):
        model = _run(model, part.name, step, transformations)
        check(model, step)
    drop = DropScale(f"the output of {part.name}")
    model = _apply(model, [drop])
    check.scale = drop.scale
    _check_integers(model, part.name)
    check(model, "DropScale")
    for step, transformations in _hardware():
        model = _run(model, part.name, step, transformations)
        if step == "hardware layers":
            _check_converted(model, part.name)
        check(model, step)
    hardware = ModelWrapper(copy.deepcopy(model.model))
    for node in model.graph.node:
        if node.domain:  # a flattening that stays has none
            getCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    with registered():
        model = _apply(model, [SpecializeLayers(FPGA_PART), InferShapes(), InferDataTypes()])
        model = model.transform(GiveUniqueNodeNames(f"{part.name}_"))
        check(model, "SpecializeLayers")
    result = model.get_tensor_datatype(model.graph.output[0].name)
    expected = check.expected
    return Lowered(
        part.name, model, hardware, integer(source), integer(result), drop.scale, inputs, expected
    )


def _run(
    model: ModelWrapper, part: str, step: str, transformations: Sequence[Transformation]
) -> ModelWrapper:
    """One pass; whatever FINN raises about the network becomes a sentence."""
    try:
        return _apply(model, transformations)
    except InputError as error:
        raise InputError(f"{part}: {error}") from error
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{part}: pass {step} cannot take the network, FINN says: {first}; "
            "see the table of operators in hls/README.md"
        ) from error


def _apply(model: ModelWrapper, transformations: Sequence[Transformation]) -> ModelWrapper:
    for transformation in transformations:
        model = model.transform(transformation)
    return model


def _tidy() -> list[Transformation]:
    return [
        InferShapes(),
        FoldConstants(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
        InferDataTypes(),
        RemoveStaticGraphInputs(),
    ]


def _layout() -> list[Transformation]:
    """Transposes move down the chain until they meet their inverse or the end."""
    one = [
        reorder.MakeMaxPoolNHWC(),
        SumPoolNHWC(),
        absorb.AbsorbTransposeIntoMultiThreshold(),
        reorder.MoveTransposePastScalarMul(),
        absorb.AbsorbConsecutiveTransposes(),
    ]
    return [*one, *one, *one, InferDataLayouts(), InferDataTypes()]


def _front(source: str, scale: float) -> list[tuple[str, list[Transformation]]]:
    """Passes from the QONNX part to a streamlined, channels-last integer graph."""
    return [
        ("IntegerInput", [IntegerInput(source, scale), InferShapes(), InferDataTypes()]),
        ("AverageToSum", [AverageToSum(), InferDataLayouts(), InferDataTypes()]),
        (
            "ConvertQONNXtoFINN",
            [ConvertQONNXtoFINN(), reorder.MoveMaxPoolPastMultiThreshold(), *_tidy()],
        ),
        (
            "Streamline",
            [absorb.AbsorbScalarBiasIntoMultiThreshold(), StreamlineSums()],
        ),
        ("LowerConvsToMatMul", [LowerConvsToMatMul(), *_layout(), RemoveIdentityOps()]),
        ("Streamline (lowered)", [StreamlineSums(), *_layout()]),
        ("FlattenNHWC", [FlattenNHWC(), InferShapes(), InferDataTypes(), RemoveUnusedTensors()]),
    ]


def _hardware() -> list[tuple[str, list[Transformation]]]:
    """Passes from the streamlined graph to hardware layers of minimal width."""
    rounded = [RoundAndClipThresholds(), InferDataTypes()]
    return [
        (
            "hardware layers",
            [
                GiveUniqueParameterTensors(),
                InferSumPool(),
                InferQuantizedMatrixVectorActivation(),
                InferThresholdingLayer(),
                InferPool(),
                absorb.AbsorbConsecutiveTransposes(),
                InferConvInpGen(),
                DropFlatten(),
                GiveUniqueNodeNames(),
                InferDataLayouts(),
                InferDataTypes(),
            ],
        ),
        (
            "MinimizeWidths",
            [
                MinimizeWeightBitWidth(),
                MinimizeAccumulatorWidth(),
                InferDataTypes(),
                *rounded,
                MinimizeWeightBitWidth(),
                InferDataTypes(),
            ],
        ),
    ]


def _check_integers(model: ModelWrapper, part: str) -> None:
    """Refuse a streamlined part in which some tensor is not made of integers."""
    for node in model.graph.node:
        if model.get_tensor_datatype(node.output[0]).is_integer():
            continue
        raise InputError(
            f"{part}: the operator {node.op_type} (node {node.name}) leaves real numbers; "
            "every activation must be quantized and every scale must lead to a quantizer"
        )


def _check_converted(model: ModelWrapper, part: str) -> None:
    for node in model.graph.node:
        if node.domain.startswith("finn.custom_op.fpgadataflow"):
            continue
        if node.op_type in ("Reshape", "Flatten"):
            continue
        raise InputError(
            f"{part}: the operator {node.op_type} (node {node.name}) has no hardware layer; "
            "see the table of operators in hls/README.md"
        )
