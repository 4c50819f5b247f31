"""FINN's own way to hardware: HLS layers, Vitis HLS and Vivado, one stitched IP a segment and head.

The IPs stand beside our RTL, which is what simulation, driver and bitstream use: FINN's have no
cycle reference and cannot be simulated without AMD's tools. They are for those who know FINN and
want its layers of this network, folded for the same targets.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finn.transformation.fpgadataflow.create_stitched_ip import CreateStitchedIP
from finn.transformation.fpgadataflow.hlssynth_ip import HLSSynthIP
from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth
from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
from finn.transformation.fpgadataflow.replace_verilog_relpaths import ReplaceVerilogRelPaths
from finn.transformation.fpgadataflow.set_folding import SetFolding
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from exeunt.errors import ToolError
from exeunt.hls.front import finn_env
from exeunt.hls.front.frontend import Lowered
from exeunt.hls.front.passes.drop_shapes import DropShapes
from exeunt.progress import Progress, silent

FOLDER = "finn"
MODEL = "model.onnx"


def check() -> None:
    """Refuse to begin without AMD's tools.

    Raises:
        ToolError: Vivado, Vitis HLS or what tells FINN of them is missing.
    """
    missing = []
    if shutil.which("vivado") is None:
        missing.append("vivado on the PATH")
    if shutil.which("vitis_hls") is None and shutil.which("vitis-run") is None:
        missing.append("vitis_hls on the PATH")
    if not Path(os.environ.get("XILINX_VIVADO", finn_env.NO_VIVADO)).is_dir():
        missing.append("the folder that XILINX_VIVADO names")
    if missing:
        raise ToolError(
            f'compile.kernels = "vitis" must find {" and ".join(missing)}, got none: source '
            'settings64.sh of Vitis, or set compile.kernels = "exeunt" or "finn"'
        )


def specialised(part: Lowered, *, fpga_part: str, target_cycles: int) -> ModelWrapper:
    """The part in FINN's HLS layers where there are such, folded by FINN, with its FIFOs.

    Args:
        part: a segment or head as hardware layers.
        fpga_part: name of the device.
        target_cycles: cycles a frame that FINN folds for.
    """
    model = ModelWrapper(copy.deepcopy(part.hardware.model))
    for node in model.graph.node:
        if node.domain:
            getCustomOp(node).set_nodeattr("preferred_impl_style", "hls")
    passes = [
        SpecializeLayers(fpga_part),
        InferShapes(),
        InferDataTypes(),
        DropShapes(),
        SetFolding(target_cycles),
        MinimizeWeightBitWidth(),
        MinimizeAccumulatorWidth(),
        InferDataTypes(),
        InsertDWC(),
        InsertFIFO(create_shallow_fifos=True),
        SpecializeLayers(fpga_part),
        GiveUniqueNodeNames(f"{part.name}_"),
        GiveReadableTensorNames(),
    ]
    return _apply(model, passes)


def build(
    parts: Sequence[Lowered],
    folder: Path,
    *,
    targets: Mapping[str, int],
    fpga_part: str,
    clock_mhz: float,
    progress: Progress = silent,
) -> dict[str, str]:
    """Build every part with FINN's steps into `folder`/<part>: a Vivado project, ip/, model.onnx.

    Args:
        parts: segments and heads.
        folder: replaced as a whole.
        targets: cycles a frame by name of the part.
        fpga_part: name of the device.
        clock_mhz: clock that Vitis HLS schedules for.
        progress: told of every part.

    Returns:
        Name of the part -> folder of its IP, relative to the run folder.

    Raises:
        ToolError: FINN, Vitis HLS or Vivado failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    period = 1000.0 / clock_mhz
    made = {}
    for i, part in enumerate(parts):
        progress(i, len(parts), part.name)
        try:
            model = specialised(part, fpga_part=fpga_part, target_cycles=targets[part.name])
            model = _apply(
                model,
                [
                    PrepareIP(fpga_part, period),
                    HLSSynthIP(fpga_part),
                    ReplaceVerilogRelPaths(),
                    CreateStitchedIP(fpga_part, period, ip_name=part.name),
                ],
            )
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ToolError(
                f"FINN must build {part.name} with Vitis HLS and Vivado, got {first[:300]!r}: see "
                f"{os.environ.get('FINN_BUILD_DIR', 'the folder FINN_BUILD_DIR')}"
            ) from error
        project = model.get_metadata_prop("vivado_stitch_proj")
        if project is None or not (Path(project) / "ip").is_dir():
            raise ToolError(
                f"FINN must leave an IP of {part.name}, got none in {project}: look at its log"
            )
        shutil.copytree(project, folder / part.name)
        model.save(str(folder / part.name / MODEL))
        made[part.name] = f"{folder.name}/{part.name}/ip"
    progress(len(parts), len(parts), "FINN's IPs")
    return made


def _apply(model: ModelWrapper, passes: Sequence[Any]) -> ModelWrapper:
    for step in passes:
        model = model.transform(step)
    return model
