"""What the sections of a config must agree on, refused before any step is done."""

from __future__ import annotations

import math
from typing import Any

from exeunt import criteria
from exeunt.config.compress import Filters

CIFAR = (32, 32, 3)


def check(config: Any) -> None:
    """Refuse a `tree.Config` whose sections do not go together.

    Raises:
        ValueError: with the key, the rule and the value seen.
    """
    _data(config)
    _network(config.model)
    _training(config)
    _promise(config)
    if config.compress is not None:
        _compression(config)
    if config.rules is not None:
        _rules(config)
    if config.explain.hardware is not None:
        _hardware(config)
    if config.compile.hold is not None:
        _hold(config)


def _data(config: Any) -> None:
    name, kind, shape = config.data.dataset, config.data.format, config.model.input
    if kind == "digits" and name != "digits":
        raise ValueError(f'data.format must be "digits" for dataset "digits" alone, got "{name}"')
    if kind in ("folder", "zip") and shape[2] not in (1, 3):
        raise ValueError(
            f'model.input must have 1 or 3 channels for data.format "{kind}", got {shape[2]}'
        )
    if kind == "cifar" and shape != CIFAR:
        raise ValueError(
            f'model.input must be {list(CIFAR)} for data.format "cifar", got {list(shape)}'
        )


def _network(model: Any) -> None:
    if model.exits and model.kind != "qonnx":
        raise ValueError(
            f'model.exits must be absent unless source is "qonnx:...", got {len(model.exits)} names'
        )
    if len(set(model.exits)) < len(model.exits):
        raise ValueError(f"model.exits must name each output once, got {list(model.exits)}")
    if model.preprocess is None:
        return
    if model.kind == "config":
        raise ValueError(
            'model.preprocess must be absent when source is "config", whose network takes 0..255, '
            "got one"
        )
    for key in ("mean", "std"):
        entries, channels = len(getattr(model.preprocess, key)), model.input[2]
        if entries not in (0, 1, channels):
            raise ValueError(
                f"model.preprocess.{key} must have one entry or one for each of {channels} "
                f"channels, got {entries}"
            )


def _training(config: Any) -> None:
    weights, stages = config.train.exit_weights, config.model.stages
    if weights is not None and stages and len(weights) != len(stages):
        raise ValueError(
            f"train.exit_weights must have one entry for each of {len(stages)} exits, got "
            f"{len(weights)}"
        )
    if config.train.start and config.model.kind == "qonnx":
        raise ValueError(
            "train.start must be absent with a QONNX file, which is taken as it is, got "
            f"{config.train.start}"
        )
    side = min(config.model.input[:2])
    if config.train.shift >= side:
        raise ValueError(
            f"train.shift must be below the side of the images, {side}, got {config.train.shift}"
        )
    if config.train.cutout > side:
        raise ValueError(
            f"train.cutout must be at most the side of the images, {side}, got "
            f"{config.train.cutout}"
        )
    if config.train.float_epochs >= config.train.epochs:
        raise ValueError(
            f"train.float_epochs must be below train.epochs = {config.train.epochs}, got "
            f"{config.train.float_epochs}"
        )


def _promise(config: Any) -> None:
    section = config.calibrate
    if section.guarantee == "none":
        return
    if len(config.model.stages) == 1:
        raise ValueError(
            'calibrate.guarantee must be "none" for a network of one exit, which loses nothing '
            "(exits from `exeunt attach` can have it, in the config that is left), got "
            f'"{section.guarantee}"'
        )
    if criteria.get(section.criterion).history is not None:
        raise ValueError(
            'calibrate.guarantee must be "none" for a criterion that does not judge each image by '
            f'itself, "{section.criterion}", got "{section.guarantee}"'
        )


def _rules(config: Any) -> None:
    section = config.calibrate
    if len(config.model.stages) == 1:
        raise ValueError(
            "rules must be absent for a network of one exit, since they make images leave earlier, "
            "got a section [rules]"
        )
    if not criteria.get(section.criterion).by_class:
        raise ValueError(
            "calibrate.criterion must go by the logits of one image alone with [rules], as "
            f'"{criteria.DEFAULT}" does, got "{section.criterion}"'
        )
    for key in ("per_class", "shift"):
        if value := getattr(section, key):
            raise ValueError(
                f"calibrate.{key} must be left out with [rules], got {str(value).lower()}"
            )
    if not config.rules.first and not config.rules.looks:
        raise ValueError(
            "rules must have something to learn, got first = false and looks = 0: leave [rules] out"
        )


def _hardware(config: Any) -> None:
    if config.compile.kernels != "exeunt":
        raise ValueError(
            'explain.hardware must go with compile.kernels = "exeunt", whose quantizers tell where '
            f'gradients pass, got "{config.compile.kernels}"'
        )
    if config.rules is not None and config.rules.looks:
        raise ValueError(
            "explain.hardware must go without further looks, got rules.looks = "
            f"{config.rules.looks}"
        )


def _hold(config: Any) -> None:
    if len(config.model.stages) == 1:
        raise ValueError(
            "compile.hold must be absent for a network of one exit, which no image leaves early, "
            "got one"
        )
    if config.rules is not None and config.rules.looks:
        raise ValueError(
            f"compile.hold must go without further looks, got rules.looks = {config.rules.looks}"
        )
    carry = criteria.get(config.calibrate.criterion).carry
    if carry is not None and not carry.fixed:
        raise ValueError(
            "compile.hold must go with a criterion whose images carry on nothing that depends on "
            f'thresholds, got "{config.calibrate.criterion}"'
        )


def _compression(config: Any) -> None:
    passes = config.compress.passes
    if config.model.kind == "qonnx":
        raise ValueError(
            "compress must be absent when model.source is a QONNX file, got one with "
            f"{len(passes)} passes"
        )
    for i, spec in enumerate(passes[1:], start=1):
        if any(earlier.kind == "sharing" for earlier in passes[:i]):
            raise ValueError(
                'compress.passes must end with the one of kind "sharing", got one of kind '
                f'"{spec.kind}" behind it'
            )
    for i, spec in enumerate(passes):
        needs = spec.kind == "precision" or getattr(spec, "centroid_bits", None) is not None
        if needs and config.model.kind != "config":
            raise ValueError(
                f"compress.passes[{i}] must have a network of stages for its bits, got "
                f'model.source = "{config.model.source}"'
            )
    for i, spec in enumerate(passes):
        for j, stage in enumerate(config.model.stages):
            for k, block in enumerate(stage.blocks):
                if spec.kind == "precision" and hasattr(block, "residual"):
                    raise ValueError(
                        f'compress.passes[{i}] of kind "precision" must have stages without '
                        f"residual blocks, got one at model.stages[{j}].blocks[{k}]"
                    )
    widths = [
        layer.conv
        for s in config.model.stages
        for block in s.blocks
        for layer in (block.residual if hasattr(block, "residual") else [block])
        if hasattr(layer, "conv") and layer.groups in (1, layer.conv)
    ]
    for i in range(len(config.model.stages)):
        hidden = [y.linear for y in config.model.head(i) if hasattr(y, "linear")][:-1]
        widths += hidden
    for i, spec in enumerate(passes):
        if isinstance(spec, Filters) and widths and not any(_loses(w, spec) for w in widths):
            raise ValueError(
                f"compress.passes[{i}].multiple must leave layers something to lose, got "
                f"{spec.multiple} with floor {spec.floor} where the widest layer has "
                f"{max(widths)} filters"
            )


def _loses(width: int, spec: Filters) -> bool:
    """Whether a layer of so many filters can lose a lot of them."""
    floor = max(1, math.ceil(spec.floor * width))
    least = max(spec.multiple, math.ceil(floor / spec.multiple) * spec.multiple)
    return width - (width % spec.multiple or spec.multiple) >= least
