"""FINN's own estimate reports under FINN's names, one folder per part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finn.analysis.fpgadataflow.dataflow_performance import dataflow_performance
from finn.analysis.fpgadataflow.exp_cycles_per_layer import exp_cycles_per_layer
from finn.analysis.fpgadataflow.op_and_param_counts import aggregate_dict_keys, op_and_param_counts
from finn.analysis.fpgadataflow.res_estimation import res_estimation, res_estimation_complete
from finn.transformation.fpgadataflow.annotate_cycles import AnnotateCycles
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from exeunt.hls.back import folding
from exeunt.hls.back.folding import Fold, Folding
from exeunt.hls.front.frontend import FPGA_PART
from exeunt.hls.front.passes.drop_shapes import DropShapes
from exeunt.hls.front.register import registered
from exeunt.kernels.layer import Layer

if TYPE_CHECKING:
    from exeunt.hls.front.network import Network


def write(
    network: Network, foldings: Mapping[str, Folding], folder: Path, *, clock_mhz: float
) -> None:
    """Write auto_folding_config.json for all parts and the estimates of each part.

    The folding file is in FINN's format and can be given back as `compile.folding`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, dict[str, Any]] = {"Defaults": {}}
    with registered():
        for part, chain in zip(network.parts, network.layers, strict=True):
            folds = foldings[part.name].folds
            model = _folded(part.model, chain, folds, chosen)
            _estimates(model, folder / part.name, clock_mhz)
    _write(folder / "auto_folding_config.json", chosen)


def _folded(
    model: ModelWrapper,
    chain: tuple[Layer, ...],
    folds: tuple[Fold, ...],
    chosen: dict[str, dict[str, Any]],
) -> ModelWrapper:
    """A copy of the FINN model with the folding attributes set; they are added to `chosen`.

    It has FINN's layers alone, no shapes between them.
    """
    copy = ModelWrapper(model.model, make_deepcopy=True)
    for layer, item in zip(chain, folds, strict=True):
        for name, values in folding.attributes(layer, item).items():
            operator = getCustomOp(copy.get_node_from_name(name))
            for key, value in values.items():
                operator.set_nodeattr(key, value)
            chosen[name] = dict(values)
    return copy.transform(DropShapes())


def _estimates(model: ModelWrapper, folder: Path, clock_mhz: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "op_and_param_counts.json", model.analysis(op_and_param_counts))
    _write(folder / "estimate_layer_cycles.json", model.analysis(exp_cycles_per_layer))
    resources = model.analysis(partial(res_estimation, fpgapart=FPGA_PART))
    resources["total"] = aggregate_dict_keys(resources)
    _write(folder / "estimate_layer_resources.json", resources)
    _write(
        folder / "estimate_layer_config_alternatives.json",
        model.analysis(partial(res_estimation_complete, fpgapart=FPGA_PART)),
    )
    model = model.transform(AnnotateCycles())
    performance = dict(model.analysis(dataflow_performance))
    performance["estimated_throughput_fps"] = clock_mhz * 1e6 / performance["max_cycles"]
    performance["estimated_latency_ns"] = performance["critical_path_cycles"] * 1e3 / clock_mhz
    _write(folder / "estimate_network_performance.json", performance)


def _write(path: Path, data: Any) -> None:
    text = json.dumps(data, indent=2, default=lambda value: value.item())
    path.write_text(text + "\n", encoding="utf-8")
