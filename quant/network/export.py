"""From a Brevitas network to the QONNX graph of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import torch
from torch import nn

from exeunt.errors import InputError
from exeunt.quant.network.brevitas import export_qonnx
from exeunt.quant.network.qonnx_graph import quiet, tidied

MODEL = "model.onnx"


def to_qonnx(network: nn.Module, *, shape: tuple[int, int, int]) -> onnx.ModelProto:
    """The QONNX graph of a Brevitas network for one image of `shape` (C, H, W).

    Raises:
        InputError: the network cannot be exported.
    """
    network.eval()
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / MODEL
        try:
            export_qonnx(network, torch.zeros(1, *shape), str(path), verbose=False)
        except Exception as error:  # the exporter may raise anything
            raise InputError(
                f"{type(network).__name__} must be one that Brevitas can export to QONNX, got "
                f"{type(error).__name__} ({str(error).splitlines()[0] if str(error) else ''}): use "
                "layers of brevitas.nn and no control flow"
            ) from error
        return tidied(onnx.load(path))  # with the weights that the exporter put beside it
