"""Which channels of a network belong together: found by tracing it with torch.fx.

A *group* is a set of channels that can only go together: the outputs of one convolution or hidden
linear layer, its batch norm, and the inputs of everything that reads it, which in a multi-exit
network are the next segment and a head; an addition makes one group of all that it adds. A
flattened tensor has `repeat` features for each channel.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from exeunt.config.layers import Conv, Pool, Residual
from exeunt.config.tree import Model
from exeunt.errors import InputError
from exeunt.quant.network.brevitas import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU

Widths = Sequence[int]
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_PASS = (QuantReLU, QuantIdentity, nn.ZeroPad2d, nn.ReLU, nn.Identity, nn.Dropout, *_POOLS)
_ADD = (operator.add, operator.iadd, torch.add)


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer between the channels of group `source` and group `group`.

    `source` None: it reads the image; `repeat` input features belong to each channel; `cost`
    multiplies for each pair of an input feature and an output.
    """

    name: str
    source: int | None
    group: int
    inputs: int  # channels
    outputs: int
    repeat: int
    cost: int

    def macs(self, inputs: int, outputs: int) -> int:
        """Multiplies of a frame with so many input and output channels."""
        return inputs * self.repeat * outputs * self.cost


@dataclass(frozen=True)
class Group:
    """Channels that go together; `fixed`: none of them may go (classes, unknown operations)."""

    size: int
    producers: tuple[str, ...]
    norms: tuple[str, ...]
    fixed: bool

    @property
    def name(self) -> str:
        """The name of the first layer that makes these channels."""
        return self.producers[0]


@dataclass(frozen=True)
class Structure:
    """All layers of a network with multiplies, in order of execution, and their groups."""

    layers: tuple[Layer, ...]
    groups: tuple[Group, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every group as it is."""
        return tuple(g.size for g in self.groups)

    def macs(self, widths: Widths | None = None) -> int:
        """Multiplies of the full path (all segments and heads) with such widths."""
        wide = self.widths if widths is None else widths
        return sum(
            y.macs(y.inputs if y.source is None else wide[y.source], wide[y.group])
            for y in self.layers
        )

    def free(self) -> list[int]:
        """Indices of the groups that may become narrower."""
        return [i for i, g in enumerate(self.groups) if not g.fixed]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Containers are looked into, layers are not."""
        del module_qualified_name
        known = (QuantConv2d, QuantLinear, nn.Conv2d, nn.Linear, nn.Flatten, *_NORMS, *_PASS)
        return isinstance(m, known)


@dataclass
class _Value:
    """A tensor on its way: its group (None: the image), features for each channel."""

    group: int | None
    channels: int
    repeat: int = 1


class _Walk(fx.Interpreter):
    """Runs the traced network on zeros and notes what reads what."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.layers: list[Layer] = []
        self.parents: list[int] = []  # union-find over groups
        self.sizes: list[int] = []
        self.producers: list[tuple[int, str]] = []
        self.norms: list[tuple[int, str]] = []
        self.fixed: set[int] = set()
        self.values: dict[fx.Node, _Value] = {}

    def root(self, group: int) -> int:
        while self.parents[group] != group:
            group = self.parents[group]
        return group

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "placeholder":
            self.values[n] = _Value(None, result.shape[1])
        elif n.op == "call_module":
            self._module(n, self.fetch_attr(str(n.target)), result)
        elif n.op == "output":
            self._fix(n)
        elif n.op in ("call_function", "call_method"):
            self._function(n, result)
        return result

    def _module(self, n: fx.Node, module: nn.Module, result: Tensor) -> None:
        source = self.values.get(n.args[0]) if isinstance(n.args[0], fx.Node) else None
        name = str(n.target)
        if source is None:
            self._unknown(n, result)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            self._layer(n, name, module, source, result)
        elif isinstance(module, _NORMS):
            if source.group is None or source.repeat != 1:
                self._unknown(n, result)
            else:
                self.norms.append((source.group, name))
                self.values[n] = source
        elif isinstance(module, nn.Flatten):
            self._flatten(n, source, result)
        elif isinstance(module, _PASS):
            self.values[n] = source
        else:
            self._unknown(n, result)

    def _layer(
        self, n: fx.Node, name: str, module: nn.Module, source: _Value, result: Tensor
    ) -> None:
        grouped = isinstance(module, nn.Conv2d) and module.groups != 1
        where = math.prod(module.kernel_size) if isinstance(module, nn.Conv2d) else 1
        spatial = math.prod(result.shape[2:]) if isinstance(module, nn.Conv2d) else 1
        group = self._group(result.shape[1])
        outputs = result.shape[1]
        alone = grouped and isinstance(module, nn.Conv2d) and module.groups == outputs
        if alone and source.channels == outputs and source.group is not None:
            # depthwise: its channels are those that enter
            self.parents[self.root(group)] = self.root(source.group)
            self.producers.append((group, name))
            self.layers.append(Layer(name, None, group, 1, outputs, 1, where * spatial))
            self.values[n] = _Value(group, outputs)
            return
        if grouped:  # its channels are tied to the inputs in a way that is not followed
            assert isinstance(module, nn.Conv2d)
            spatial //= module.groups
            self.fixed |= {group} | ({source.group} if source.group is not None else set())
        self.producers.append((group, name))
        self.layers.append(
            Layer(
                name, source.group, group, source.channels, outputs, source.repeat, where * spatial
            )
        )
        self.values[n] = _Value(group, outputs)

    def _flatten(self, n: fx.Node, source: _Value, result: Tensor) -> None:
        if result.dim() != 2:
            self._unknown(n, result)
            return
        self.values[n] = _Value(source.group, source.channels, result.shape[1] // source.channels)

    def _function(self, n: fx.Node, result: Any) -> None:
        inputs = [self.values[a] for a in n.all_input_nodes if a in self.values]
        target = n.target
        if target in _ADD and len(inputs) == 2 and len({v.repeat for v in inputs}) == 1:
            first, second = inputs
            if first.group is None or second.group is None:
                self._unknown(n, result)
                return
            self.parents[self.root(second.group)] = self.root(first.group)
            self.values[n] = first
        elif (target in (torch.flatten, "flatten", "view", "reshape")) and len(inputs) == 1:
            self._flatten(n, inputs[0], result)
        elif target in (torch.relu, nn.functional.relu, "relu", "contiguous") and inputs:
            self.values[n] = inputs[0]
        else:
            self._unknown(n, result)

    def _group(self, size: int) -> int:
        self.parents.append(len(self.parents))
        self.sizes.append(size)
        return len(self.parents) - 1

    def _fix(self, n: fx.Node) -> None:
        self.fixed |= {
            v.group
            for v in (self.values.get(a) for a in n.all_input_nodes)
            if v is not None and v.group is not None
        }

    def _unknown(self, n: fx.Node, result: Any) -> None:
        """Leave the channels of an operation that is not followed as they are."""
        self._fix(n)
        if isinstance(result, Tensor) and result.dim() >= 2:
            group = self._group(result.shape[1])
            self.fixed.add(group)
            self.values[n] = _Value(group, result.shape[1])


def structure_of(network: nn.Module, model: Model) -> Structure:
    """The layers and groups of a network that takes images of `model.input`.

    Raises:
        InputError: torch.fx cannot trace the network (control flow that depends on values).
    """
    was = network.training
    network.eval()
    try:
        module = fx.GraphModule(network, _Tracer().trace(network))
        walk = _Walk(module)
        height, width, channels = model.input
        with torch.no_grad():
            walk.run(torch.zeros(1, channels, height, width))
    except InputError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"{type(network).__name__} must be a network that torch.fx can trace if filters are to "
            f"go, got {type(error).__name__} ({' '.join(str(error).split())[:80]}): use modules "
            "and additions alone"
        ) from error
    finally:
        network.train(was)
    return _collected(walk)


def _collected(walk: _Walk) -> Structure:
    roots = [walk.root(g) for g in range(len(walk.parents))]
    made = {root for group, _ in walk.producers for root in [roots[group]]}
    order = {root: i for i, root in enumerate(sorted(made))}
    fixed = {roots[g] for g in walk.fixed}
    groups = [
        Group(
            walk.sizes[root],
            tuple(name for g, name in walk.producers if roots[g] == root),
            tuple(name for g, name in walk.norms if roots[g] == root),
            root in fixed,
        )
        for root in order
    ]
    layers = []
    for y in walk.layers:
        source = None if y.source is None else order.get(roots[y.source])
        layers.append(
            Layer(y.name, source, order[roots[y.group]], y.inputs, y.outputs, y.repeat, y.cost)
        )
    return Structure(tuple(layers), tuple(groups))


def sliced(
    state: Mapping[str, Tensor], structure: Structure, keep: Mapping[int, Tensor]
) -> dict[str, Tensor]:
    """A state (or masks) by parameter name with only the channels `keep` of some groups.

    Args:
        state: tensors by parameter name; names that no layer has stay as they are.
        structure: the network's layers and groups.
        keep: ascending channel indices int64 by group.
    """
    out = {k: v.clone() for k, v in state.items()}
    for layer in structure.layers:
        name = f"{layer.name}.weight"
        if name in out and layer.group in keep:
            out[name] = out[name][keep[layer.group]]
        if name in out and layer.source is not None and layer.source in keep:
            out[name] = out[name][:, features(keep[layer.source], layer.repeat)]
        if f"{layer.name}.bias" in out and layer.group in keep:
            out[f"{layer.name}.bias"] = out[f"{layer.name}.bias"][keep[layer.group]]
    for index, indices in keep.items():
        for norm in structure.groups[index].norms:
            for part in ("weight", "bias", "running_mean", "running_var"):
                if f"{norm}.{part}" in out:
                    out[f"{norm}.{part}"] = out[f"{norm}.{part}"][indices]
    return out


def narrowed(model: Model, structure: Structure, keep: Mapping[int, Tensor]) -> Model:
    """The [model] section with the widths that are left; a user's own network keeps its section."""
    if model.kind != "config":
        return model
    widths = {
        name: len(indices) for g, indices in keep.items() for name in structure.groups[g].producers
    }
    names = deque(y.name for y in structure.layers)
    stages = []
    for index, stage in enumerate(model.stages):
        blocks = tuple(_narrow(b, widths, names) for b in stage.blocks)
        head = tuple(_narrow(y, widths, names) for y in model.head(index))
        stages.append(stage.model_copy(update={"blocks": blocks, "head": head}))
    return model.model_copy(update={"stages": tuple(stages)})


def _narrow(layer: Any, widths: Mapping[str, int], names: deque[str]) -> Any:
    """One layer of the config with its new width; the layers come in the order of execution."""
    if isinstance(layer, Pool):
        return layer
    if isinstance(layer, Residual):
        long = tuple(_narrow(conv, widths, names) for conv in layer.residual)
        short = bool(names) and ".short." in names[0]
        if short:
            names.popleft()
        shortcut = "conv" if short else "identity"
        return layer.model_copy(update={"residual": long, "shortcut": shortcut})
    name = names.popleft()
    if not isinstance(layer, Conv):
        return layer.model_copy(update={"linear": widths.get(name, layer.linear)})
    width = widths.get(name, layer.conv)
    groups = width if layer.groups == layer.conv and width != layer.conv else layer.groups
    return layer.model_copy(update={"conv": width, "groups": groups})


def features(channels: Tensor, repeat: int) -> Tensor:
    """The flattened features of these channels: channel c has c * repeat and those behind it."""
    return (channels[:, None] * repeat + torch.arange(repeat)).flatten()
