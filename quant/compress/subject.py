"""A network under compression, how it is stored, and how it becomes an ordinary module again."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exeunt.config.tree import Config, Model, hash_of
from exeunt.errors import InputError
from exeunt.quant.compress.registry import FILES, PREPARE, RESTORE
from exeunt.quant.network.source import build
from exeunt.quant.train import load_checkpoint, save_state

COMPRESSED = "compressed.pt"
SCHEMA = 1
Projection = Callable[[nn.Module], None]


@dataclass
class Subject:
    """A network with what must stay true of it.

    `model` builds exactly this network; `masks` (bool, by parameter name) are False where a weight
    is zero for ever; `extras` is what other passes keep, by kind; `projections` are called after
    every optimizer step of a fine-tuning, the masks always are.
    """

    network: nn.Module
    model: Model
    masks: dict[str, Tensor] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    projections: list[Projection] = field(default_factory=list)

    @torch.no_grad()
    def project(self) -> None:
        """Make true again what an optimizer step may have broken."""
        parameters = dict(self.network.named_parameters())
        for name, mask in self.masks.items():
            parameters[name].mul_(mask.to(parameters[name].device))
        for projection in self.projections:
            projection(self.network)

    def blob(self) -> dict[str, Any]:
        """Everything as plain data for `torch.save`; `from_blob` makes the same subject of it."""
        return {
            "model": self.model.model_dump(mode="json"),
            "state": {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()},
            "masks": {k: v.cpu() for k, v in self.masks.items()},
            "extras": self.extras,
        }

    def copy(self) -> Subject:
        """A subject of its own: changing one leaves the other as it is."""
        return from_blob(copy.deepcopy(self.blob()))

    def rebuilt(
        self,
        model: Model,
        state: dict[str, Tensor] | None = None,
        masks: dict[str, Tensor] | None = None,
    ) -> Subject:
        """The network of another [model] section with this state (None: its own)."""
        blob = self.blob()
        blob["model"] = model.model_dump(mode="json")
        if state is not None:
            blob["state"] = {k: v.cpu() for k, v in state.items()}
        if masks is not None:
            blob["masks"] = masks
        return from_blob(blob)


def from_blob(blob: dict[str, Any]) -> Subject:
    """The subject that `Subject.blob` described, in evaluation mode on the CPU."""
    model = Model.model_validate(_tuples(blob["model"]))
    network = build(model)
    for kind, extra in blob["extras"].items():
        if kind in PREPARE:
            _function(PREPARE[kind])(network, extra)
    if model.kind != "config":
        conform(network, blob["state"])
    network.load_state_dict(blob["state"])
    network.eval()
    subject = Subject(network, model, dict(blob["masks"]), dict(blob["extras"]))
    for kind in subject.extras:
        if kind in RESTORE:
            _function(RESTORE[kind])(subject)
    return subject


def conform(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give every tensor of a user's network the (smaller) shape that it has in `state`."""
    modules = dict(network.named_modules())
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, value in state.items():
        if name not in tensors or tensors[name].shape == value.shape:
            continue
        tensors[name].data = torch.empty_like(value)
        owner, _, part = name.rpartition(".")
        module = modules[owner]
        if part == "weight" and isinstance(module, nn.Conv2d):
            module.out_channels, module.in_channels = value.shape[:2]
            if module.groups > 1:  # depthwise: others keep their filters
                module.groups = module.in_channels = module.out_channels
        elif part == "weight" and isinstance(module, nn.Linear):
            module.out_features, module.in_features = value.shape
        elif part == "weight" and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.num_features = len(value)


def fingerprint(config: Config) -> str:
    """What a compressed network must have been made with."""
    return hash_of(config, "data", "model", "train", "compress")


def save(path: Path, subject: Subject, *, stamp: str) -> None:
    """Write the subject whole or not at all; `stamp` says what it was made with."""
    save_state(path, {"schema": SCHEMA, "hash": stamp, **subject.blob()})


def read(path: Path) -> dict[str, Any]:
    """The contents of a compressed.pt.

    Raises:
        InputError: absent, damaged or of another schema.
    """
    if not path.is_file():
        raise InputError(
            f"compressed network {path} must exist, got no such file: run `exeunt compress`"
        )
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged archive may raise anything
        data = None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError(
            f"compressed network {path} must be a whole one of schema {SCHEMA}, got one that "
            "cannot be read: run `exeunt compress` again"
        )
    return data


def load(path: Path) -> nn.Module:
    """The compressed network in `path` as an ordinary module, in evaluation mode on the CPU.

    It takes float (N, C, H, W) of integers 0..255 and gives a tuple of logits (N, classes).

    Raises:
        InputError: absent, damaged, or the user's own network it belongs to is gone.
    """
    return from_blob(read(Path(path))).network


def load_network(config: Config, run_dir: Path) -> nn.Module:
    """The network that goes into hardware: the compressed one when [compress] is set.

    Raises:
        InputError: it is absent, damaged or of another config.
    """
    return load_subject(config, run_dir).network


def load_subject(config: Config, run_dir: Path) -> Subject:
    """The network that goes into hardware with all that compression keeps of it.

    Raises:
        InputError: it is absent, damaged or of another config.
    """
    if config.compress is None:
        return Subject(load_checkpoint(config, run_dir), config.model)
    path = run_dir / COMPRESSED
    data = read(path)
    if data["hash"] != fingerprint(config):
        raise InputError(
            f"compressed network {path} must be from this config ({fingerprint(config)[:12]}), got "
            f"one from another ({str(data['hash'])[:12]}): run `exeunt compress` again"
        )
    return from_blob(data)


def write_extras(subject: Subject, run_dir: Path) -> None:
    """Write the files that go beside model.onnx, of the passes that leave some."""
    for kind, extra in subject.extras.items():
        if kind in FILES:
            _function(FILES[kind])(run_dir, subject.network, extra)


def _function(where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value
