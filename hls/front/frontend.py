"""FINN's passes on one part of the network, each followed by a check of its values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.convert_to_hw.vector_vector_activation import (
    InferVectorVectorActivation,
)
from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import GiveUniqueNodeNames, GiveUniqueParameterTensors
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Integer
from exeunt.hls.front import finn_graph
from exeunt.hls.front.passes.drop_flatten import DropFlatten
from exeunt.hls.front.passes.minimize_weights import MinimizeWeights
from exeunt.hls.front.register import registered
from exeunt.qonnx.exits import Part
from exeunt.qonnx.integers import Matrix

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
    scale: float  # real value of the integer 1 at the output of a head
    inputs: Integers  # check frames (N, ...) and what must come out
    outputs: Integers


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
    """Compares a part with the integer network, after each pass."""

    def __init__(self, part: Part, inputs: Integers, expected: Integers) -> None:
        """Args: inputs, expected: integers (N, ...), channels last."""
        self.part, self.inputs, self.expected = part, inputs, expected
        # FINN computes in float32, which holds all integers up to 2**24 and rounds beyond
        products = [
            np.abs(o.weights.reshape(len(o.weights), -1)).sum(axis=1).max()
            * max(-o.source.low, o.source.high)
            for o in part.operations
            if isinstance(o, Matrix)
        ]
        terms = max(
            (o.weights[0].size for o in part.operations if isinstance(o, Matrix)), default=1
        )
        largest = max(products, default=0)
        self.tolerance = 0.0 if largest <= 1 << 24 else float(largest) * 2.0**-24 * terms

    def __call__(self, model: ModelWrapper, step: str) -> None:
        """Raise unless `model` computes the integers.

        Raises:
            CheckFailed: naming pass, part, frame, position, got and expected.
        """
        got = execute(model, self.inputs).reshape(self.expected.shape)
        wrong = np.abs(got - self.expected) > self.tolerance
        if wrong.any() and (self.tolerance == 0 or self._far(got)):
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise CheckFailed(
                f"pass {step} changed the values of {self.part.name}: frame {where[0]} at "
                f"{where[1:]} is {got[where]:g} but the network has {self.expected[where]}; "
                "please report the network"
            )

    def _far(self, got: Floats) -> bool:
        """Whether sums that float32 rounds explain less than what differs."""
        return bool(np.mean(got != self.expected) > 0.01)


def lower(part: Part, *, inputs: Integers, expected: Integers) -> Lowered:
    """Take one part through FINN to specialised hardware layers.

    Args:
        part: a segment or head in integers.
        inputs: check frames, integers (N, H, W, C).
        expected: what the part gives for them, (N, H, W, C).

    Raises:
        CheckFailed: a pass changed a value.
        InputError: something in the part cannot become hardware.
    """
    last = part.operations[-1]
    offsets = last.offsets if isinstance(last, Matrix) else None
    check = Checker(part, inputs, expected if offsets is None else expected - offsets)
    model = finn_graph.model(part)
    check(model, "FinnGraph")
    for step, transformations in passes():
        model = _run(model, part.name, step, transformations)
        check(model, step)
    _check_converted(model, part.name)
    hardware = ModelWrapper(copy.deepcopy(model.model))
    for node in model.graph.node:
        if node.domain:  # a flattening that stays has none
            getCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    with registered():
        step = "SpecializeLayers"
        specialise = [SpecializeLayers(FPGA_PART), InferShapes(), InferDataTypes()]
        model = _run(model, part.name, step, specialise)
        model = model.transform(GiveUniqueNodeNames(f"{part.name}_"))
        check(model, step)
    return Lowered(
        part.name,
        model,
        hardware,
        part.source.dtype,
        part.result.dtype,
        part.scale,
        inputs,
        expected,
    )


def _run(
    model: ModelWrapper, part: str, step: str, transformations: Sequence[Transformation]
) -> ModelWrapper:
    """One pass; whatever FINN raises about the network becomes a sentence."""
    try:
        for transformation in transformations:
            model = model.transform(transformation)
    except InputError as error:
        raise InputError(f"{part}: {error}") from error
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{part}: pass {step} cannot take the network, FINN says: {first}; "
            "see the table of operators in hls/README.md"
        ) from error
    return model


def passes() -> list[tuple[str, list[Transformation]]]:
    """Passes from the graph of integers to hardware layers of minimal width."""
    return [
        (
            "hardware layers",
            [
                GiveUniqueParameterTensors(),
                InferQuantizedMatrixVectorActivation(),
                InferVectorVectorActivation(),
                InferThresholdingLayer(),
                DropFlatten(),
                GiveUniqueNodeNames(),
                InferShapes(),
                InferDataLayouts(),
                InferDataTypes(),
            ],
        ),
        (
            "MinimizeWidths",
            [
                MinimizeWeights(),
                MinimizeAccumulatorWidth(),
                InferDataTypes(),
                RoundAndClipThresholds(),
                InferDataTypes(),
                MinimizeWeights(),
                InferDataTypes(),
            ],
        ),
    ]


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
