"""From a network to the QONNX graph of it, and to the integers that the graph means."""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import io
import logging
import re
import tempfile
import traceback
import warnings
from collections import OrderedDict
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
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.network.qonnx_graph import GraphNetwork

MODEL = "model.onnx"
_LINE = re.compile(r"(?:File \"|Caused by: \()([^\"\n]+?)(?:\", line |:)(\d+),? in forward")
KEPT = 16  # exported networks of configs: most steps ask for the one that the step before had
SMALL = 4 << 20  # bytes of one that is kept
_kept: OrderedDict[str, bytes] = OrderedDict()  # the one that was used last is the last
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


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
    key = _digest(network, shape) if type(network) is MultiExitNetwork else ""
    if key in _kept:
        _kept.move_to_end(key)
        return file.read(onnx.load_model_from_string(_kept[key]), name, trained=True)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / MODEL
        _described_once()
        try:
            export_qonnx(network, torch.zeros(1, *shape), str(path), verbose=False)
            model = onnx.load(path)  # with the weights that the exporter put beside it
        except Exception as error:  # the exporter may raise anything
            raise InputError(_sentence(error, network, name)) from error
    if key and model.ByteSize() <= SMALL:
        _kept[key] = model.SerializeToString()
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    return file.read(model, name, trained=True)


def _described_once() -> None:
    """Let the exporter describe its operators once: for each network anew takes it a second."""
    with contextlib.suppress(ImportError, AttributeError):  # another PyTorch may have it elsewhere
        from torch.onnx._internal.exporter._registration import onnxscript_apis

        if not hasattr(onnxscript_apis.get_torchlib_ops, "cache_info"):
            onnxscript_apis.get_torchlib_ops = functools.cache(onnxscript_apis.get_torchlib_ops)


def _digest(network: nn.Module, shape: tuple[int, int, int]) -> str:
    """Of all that the export of a network of ours depends on: modules, settings, tensors."""
    digest = hashlib.sha256(repr(shape).encode())
    for name, module in network.named_modules():
        settings = sorted(
            (key, repr(value))
            for key, value in vars(module).items()
            if isinstance(value, bool | int | float | str | tuple | enum.Enum | None)
        )
        digest.update(repr((name, type(module), settings)).encode())
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        values = tensor.detach().cpu().contiguous()
        digest.update(repr((name, values.dtype, values.shape)).encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _sentence(error: BaseException, network: nn.Module, name: str) -> str:
    """Why a network could not be exported, and in which of its modules."""
    place = ""
    while True:
        place = _place(error, network) or place
        if error.__cause__ is None:
            break
        error = error.__cause__
    where = f" in {place}" if place else ""
    kind = type(error).__name__
    if "DataDependent" in kind:
        return (
            f"{name} must do the same for every image, got an if, a loop or a number that depends "
            f"on what a tensor holds{where}: compute it with tensors, or leave it to the exits"
        )
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines()]
    text = next((line.rstrip(":. ") for line in lines if line), "")
    return (
        f"{name} must be one that Brevitas can export to QONNX, got {kind}"
        f"{f' ({text})' if text else ''}{where}: use layers of brevitas.nn and no control flow"
    )


def _place(error: BaseException, network: nn.Module) -> str:
    """The module in whose forward an error came up, and the line; empty where nothing says so."""
    seen = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    seen += [(file, int(line)) for file, line in _LINE.findall(str(error))]
    found = ""
    for name, module in network.named_modules():
        code = getattr(type(module).forward, "__code__", None)
        if code is None or type(module).__module__.split(".")[0] in ("torch", "brevitas"):
            continue
        last = max(line for _, _, line in code.co_lines() if line is not None)
        for path, line in seen:  # the exporter's text may have lost the beginning of a path
            if code.co_filename.endswith(path) and code.co_firstlineno <= line <= last:
                place = f"{type(module).__name__} ({Path(code.co_filename).name}:{line})"
                alone = sum(type(other) is type(module) for other in network.modules()) == 1
                found = f"{name}, {place}" if name and alone else place
    return found


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
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
