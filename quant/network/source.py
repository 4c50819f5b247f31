"""Where a network comes from: the stages of the config, a user's Python class or QONNX file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from exeunt.config.tree import MAX_EXITS, Model
from exeunt.errors import InputError
from exeunt.qonnx.preprocess import Preprocess, column
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.network.qonnx_graph import GraphNetwork, load_graph

_BESIDE: set[str] = set()  # modules that came from a network's own folder


def build(model: Model) -> nn.Module:
    """The network of the [model] section with fresh weights (those of the file, for QONNX).

    It takes float (N, C, H, W) of integers 0..255 and gives a tuple of logits (N, classes).

    Raises:
        InputError: the file or class cannot be used, or does not give such logits.
    """
    if model.kind == "config":
        return MultiExitNetwork(model)
    assert model.file is not None
    if model.kind == "qonnx":
        graph = load_graph(
            model.file, preprocess=model.preprocess, exits=model.exits, shape=model.input
        )
        _, channels, height, width = graph.shapes[graph.image]
        if (height, width, channels) != model.input:
            raise InputError(
                f"{model.file}: the network takes images of {(height, width, channels)} (H, W, C) "
                f"but the configuration says {model.input}; change model.input or the file"
            )
        network: nn.Module = GraphNetwork(graph)
    else:
        network = _from_class(model.file, model.source.rpartition(":")[2])
        if model.preprocess is not None:
            network = Preprocessed(network, model.preprocess, channels=model.input[2])
    return _checked(network, model)


class OneExit(nn.Module):
    """A network that gives one tensor, as one with a tuple of one."""

    def __init__(self, network: nn.Module) -> None:
        """Keep the network."""
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Its logits (N, classes)."""
        return (self.network(images),)


class Preprocessed(nn.Module):
    """A network behind its preprocessing: float (N, C, H, W) of integers 0..255 in."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess, *, channels: int) -> None:
        """Keep the constants as buffers."""
        super().__init__()
        self.network = network
        self.scale = preprocess.scale
        for key, values, default in (("mean", preprocess.mean, 0.0), ("std", preprocess.std, 1.0)):
            found = column(values, channels, default=default)
            self.register_buffer(key, torch.from_numpy(found.copy()))

    def forward(self, images: torch.Tensor) -> Any:
        """What the network makes of (images * scale - mean) / std."""
        return self.network((images * self.scale - self.mean) / self.std)


def _from_class(path: Path, name: str) -> nn.Module:
    module = _imported(path)
    kind = getattr(module, name, None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise InputError(
            f"model.source must name a torch.nn.Module in {path}, got {name!r}: check the class"
        )
    try:
        with _beside(path.parent):
            return kind()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise InputError(
            f"{name} of {path} must be made without arguments, got {type(error).__name__} "
            f"({error}): give it defaults"
        ) from error


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let what runs inside import the modules in `folder`, as `python file.py` does there.

    No byte code is kept of them: that of a file which has changed within a second, to as many
    bytes, would be taken for its own.
    """
    folder = folder.resolve()
    before, kept = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = kept
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            place = folder.joinpath(*name.split("."))
            file = getattr(sys.modules[name], "__file__", None)
            if file in (str(place.with_suffix(".py")), str(place / "__init__.py")):
                _BESIDE.add(name)


def _imported(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"model.source must name a Python file, got no file {path}: check it")
    name = f"exeunt_custom_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"model.source must name a Python file (.py), got {path}: rename it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that classes in it can be found by their module
    for other in _BESIDE:  # of another network: this one's of that name may be another file
        sys.modules.pop(other, None)
    _BESIDE.clear()
    try:
        with _beside(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise InputError(
            f"{path} must be imported without an error, got {type(error).__name__} ({error}): "
            "correct it"
        ) from error
    return module


def _checked(network: nn.Module, model: Model) -> nn.Module:
    """The network, if it turns images into 1 to 8 logits of the right shape."""
    height, width, channels = model.input
    network.eval()
    try:
        with torch.no_grad():
            outputs = network(torch.zeros(2, channels, height, width))
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        advice = "change model.input or the network"
        if "shapes cannot be multiplied" in str(error):  # of a linear layer
            advice = "flatten in front of the linear layer, or change model.input"
        raise InputError(
            f"network {model.source} must take images {channels} x {height} x {width} "
            f"(C x H x W), got {type(error).__name__} ({error}): {advice}"
        ) from error
    if isinstance(outputs, torch.Tensor):
        network, outputs = OneExit(network), (outputs,)
    if not isinstance(outputs, tuple | list) or not 1 <= len(outputs) <= MAX_EXITS:
        raise InputError(
            f"network {model.source} must give a tuple of logits for 1 to {MAX_EXITS} exits, got "
            f"{type(outputs).__name__}: return one tensor for each exit"
        )
    for index, out in enumerate(outputs):
        if tuple(out.shape) != (2, model.classes):
            raise InputError(
                f"exit {index} of {model.source} must give logits of model.classes = "
                f"{model.classes}, got {tuple(out.shape[1:])}: change model.classes or the network"
            )
    return network
