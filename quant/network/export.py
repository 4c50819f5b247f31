"""From a network to the QONNX graph of it, and to the integers that the graph means."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from torch import nn

from exeunt.config.tree import Model
from exeunt.errors import InputError
from exeunt.qonnx import file, meaning
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant.network.brevitas import export_qonnx
from exeunt.quant.network.qonnx_graph import GraphNetwork

MODEL = "model.onnx"


def to_qonnx(network: nn.Module, *, shape: tuple[int, int, int], where: str = "") -> Graph:
    """The QONNX graph of a network for one image of `shape` (C, H, W).

    Args:
        network: of Brevitas layers, or a QONNX file's.
        shape: of an image.
        where: what messages call the network; empty: its class.

    Raises:
        InputError: the network cannot be exported, or has an operator that is not supported.
    """
    if isinstance(network, GraphNetwork):
        return network.graph
    network.eval()
    name = where or type(network).__name__
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / MODEL
        try:
            export_qonnx(network, torch.zeros(1, *shape), str(path), verbose=False)
            model = onnx.load(path)  # with the weights that the exporter put beside it
        except Exception as error:  # the exporter may raise anything
            raise InputError(
                f"{name} must be one that Brevitas can export to QONNX, got "
                f"{type(error).__name__} ({str(error).splitlines()[0] if str(error) else ''}): use "
                "layers of brevitas.nn and no control flow"
            ) from error
    return file.read(model, name, trained=True)


def first_graph(network: nn.Module, model: Model) -> Graph:
    """The graph of a network that is not trained yet; a QONNX file's as it is.

    One batch of noise goes through first, in training mode: quantizers that take their scales from
    what they see have none before.

    Raises:
        InputError: as `to_qonnx`, or the network cannot train on images.
    """
    height, width, channels = model.input
    if not isinstance(network, GraphNetwork):
        random = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (8, channels, height, width), generator=random)
        network.train()
        try:
            with torch.no_grad():
                network(images.float())
        except Exception as error:  # the user's code may raise anything
            raise InputError(
                f"network {model.source} must take a batch of images in training mode, got "
                f"{type(error).__name__} ({error}): correct it"
            ) from error
    where = "the network" if model.kind == "config" else model.source
    return to_qonnx(network, shape=(channels, height, width), where=where)


def integers_of(
    network: nn.Module, *, shape: tuple[int, int, int], where: str = ""
) -> IntegerNetwork:
    """What the hardware will compute for a network; arguments as in `to_qonnx`.

    Raises:
        InputError: it has something that integers cannot compute.
    """
    return meaning.integers(to_qonnx(network, shape=shape, where=where))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter and its known deprecation warnings to itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
