"""Brevitas, imported without its remark on a missing CUDA extension; the names that we use."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brevitas.core.function_wrapper import RoundSte, TensorClamp
    from brevitas.core.scaling import ScalingImplType
    from brevitas.export import export_qonnx
    from brevitas.graph.calibrate import quantization_status_manager
    from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
    from brevitas.nn.quant_layer import QuantNonLinearActLayer
    from brevitas.proxy.runtime_quant import ActQuantProxyFromInjectorBase
    from brevitas.quant import (
        Int8ActPerTensorFloat,
        Int8WeightPerChannelFloat,
        Int8WeightPerTensorFloat,
        Uint8ActPerTensorFloat,
    )

__all__ = [
    "ActQuantProxyFromInjectorBase",
    "Int8ActPerTensorFloat",
    "Int8WeightPerChannelFloat",
    "Int8WeightPerTensorFloat",
    "QuantConv2d",
    "QuantIdentity",
    "QuantLinear",
    "QuantNonLinearActLayer",
    "QuantReLU",
    "RoundSte",
    "ScalingImplType",
    "TensorClamp",
    "Uint8ActPerTensorFloat",
    "export_qonnx",
    "quantization_status_manager",
]
