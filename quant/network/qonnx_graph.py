"""A QONNX file as a torch network: what explanations differentiate and training figures use.

Its logits are those of the integer network up to what float32 rounds; thresholds are calibrated
on the integers themselves (`exeunt.qonnx`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from exeunt.qonnx import file, meaning
from exeunt.qonnx.file import Graph
from exeunt.qonnx.preprocess import Preprocess
from exeunt.qonnx.quantizer import limits


def load_graph(
    path: Path,
    *,
    preprocess: Preprocess | None = None,
    exits: tuple[str, ...] = (),
    shape: tuple[int, int, int] | None = None,
) -> Graph:
    """Read and check a QONNX file; its exits are ordered by depth. Arguments as of `file.load`.

    Raises:
        InputError: the file is missing or no ONNX, or holds a network that cannot be used.
    """
    graph = file.load(path, preprocess=preprocess, exits=exits, shape=shape)
    network = meaning.integers(graph)
    return graph.with_outputs(tuple(e.output for e in network.exits))


class GraphNetwork(nn.Module):
    """Runs a graph with torch; `forward` gives the logits of every output in order."""

    def __init__(self, graph: Graph) -> None:
        """Take over the constants as buffers."""
        super().__init__()
        self.graph = graph
        made = graph.producers
        names = [name for name in graph.constants if name not in made]
        self._names = {name: f"constant{k}" for k, name in enumerate(names)}
        for name, key in self._names.items():
            self.register_buffer(key, torch.from_numpy(np.array(graph.constants[name])))

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """Every tensor of the graph for float (N, C, H, W) integers 0..255."""
        values: dict[str, Tensor] = {n: getattr(self, k) for n, k in self._names.items()}
        values[self.graph.image] = images
        for node in self.graph.nodes:
            arguments = [values[name] for name in node.inputs if name]
            values[node.output] = OPERATORS[node.operator](arguments, node.attributes)
        return values

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits float (N, classes) of every exit for float (N, C, H, W) integers 0..255."""
        values = self.values(images)
        return tuple(values[name] for name in self.graph.outputs)


Arguments = Sequence[Tensor]
Attributes = Mapping[str, Any]


def _straight(rounded: Tensor, x: Tensor) -> Tensor:
    """`rounded`, whose gradient is that of x: rounding has none, and explanations need one."""
    return rounded.detach() + (x - x.detach()) if x.requires_grad else rounded


def _bipolar(x: Tensor) -> Tensor:
    return _straight(torch.where(x >= 0, 1.0, -1.0), torch.clamp(x, -1, 1))


def _half_away(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.floor(torch.abs(x) + 0.5)


def _half_towards(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.ceil(torch.abs(x) - 0.5)


ROUNDING: Mapping[str, Callable[[Tensor], Tensor]] = {
    "ROUND": torch.round,
    "HALF_EVEN": torch.round,
    "CEIL": torch.ceil,
    "FLOOR": torch.floor,
    "UP": lambda x: torch.sign(x) * torch.ceil(torch.abs(x)),
    "DOWN": torch.trunc,
    "HALF_UP": _half_away,
    "HALF_DOWN": _half_towards,
}


def _quant(x: Arguments, a: Attributes) -> Tensor:
    """Scale * (clip(round(x / scale + zero), low, high) - zero), QONNX's Quant."""
    value, scale, zero, bits = x
    found = value / scale + zero
    if int(bits) == 1 and a["signed"]:
        return scale * _bipolar(found)
    low, high = limits(int(bits), signed=bool(a["signed"]), narrow=bool(a["narrow"]))
    clipped = torch.clamp(found, low, high)
    integers = _straight(ROUNDING[a["rounding_mode"]](clipped), clipped)
    return (integers - zero) * scale


def _padding(x: Tensor, a: Attributes, fill: float) -> Tensor:
    top, left, bottom, right = a["pads"]
    if not (top or left or bottom or right):
        return x
    return F.pad(x, (left, right, top, bottom), value=fill)


def _conv(x: Arguments, a: Attributes) -> Tensor:
    bias = x[2] if len(x) > 2 else None
    return F.conv2d(
        _padding(x[0], a, 0.0),
        x[1],
        bias,
        stride=tuple(a["strides"]),
        dilation=tuple(a["dilations"]),
        groups=a["group"],
    )


def _max_pool(x: Arguments, a: Attributes) -> Tensor:
    value = _padding(x[0], a, float("-inf"))
    return F.max_pool2d(value, tuple(a["kernel_shape"]), tuple(a["strides"]))


def _average_pool(x: Arguments, a: Attributes) -> Tensor:
    value = _padding(x[0], a, 0.0)
    return F.avg_pool2d(value, tuple(a["kernel_shape"]), tuple(a["strides"]))


def _batch_norm(x: Arguments, a: Attributes) -> Tensor:
    value, weight, bias, mean, variance = x
    return F.batch_norm(value, mean, variance, weight, bias, eps=a["epsilon"])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _gemm(x: Arguments, a: Attributes) -> Tensor:
    out = a["alpha"] * (x[0] @ (x[1].T if a["transB"] else x[1]))
    return out + a["beta"] * x[2] if len(x) > 2 else out


def _reshape(x: Arguments, a: Attributes) -> Tensor:
    value, shape = x[0], [int(s) for s in x[1]]
    return value.reshape(value.shape[0], *shape[1:])  # the 1 in front stands for any N


def _shrink(x: Arguments, a: Attributes) -> Tensor:
    """Nothing from -lambd to lambd, elsewhere nearer to zero by the bias."""
    return torch.where(x[0].abs() > a["lambd"], x[0] - x[0].sign() * a["bias"], 0.0)


OPERATORS: Mapping[str, Callable[[Arguments, Attributes], Tensor]] = {
    "Abs": lambda x, a: x[0].abs(),
    "Add": lambda x, a: x[0] + x[1],
    "And": lambda x, a: x[0] & x[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "BipolarQuant": lambda x, a: x[1] * _bipolar(x[0] / x[1]),
    "Ceil": lambda x, a: _straight(x[0].ceil(), x[0]),
    "Celu": lambda x, a: F.celu(x[0], a["alpha"]),
    "Clip": lambda x, a: torch.minimum(torch.maximum(x[0], x[1]), x[2]),
    "Concat": lambda x, a: torch.cat(list(x), dim=a["axis"]),
    "Conv": _conv,
    "Div": lambda x, a: x[0] / x[1],
    "Elu": lambda x, a: F.elu(x[0], a["alpha"]),
    "Erf": lambda x, a: x[0].erf(),
    "Exp": lambda x, a: x[0].exp(),
    "Floor": lambda x, a: _straight(x[0].floor(), x[0]),
    "Gelu": lambda x, a: F.gelu(x[0], approximate=_text(a["approximate"])),
    "Gemm": _gemm,
    "Greater": lambda x, a: x[0] > x[1],
    "GreaterOrEqual": lambda x, a: x[0] >= x[1],
    "HardSigmoid": lambda x, a: (a["alpha"] * x[0] + a["beta"]).clamp(0.0, 1.0),
    "HardSwish": lambda x, a: F.hardswish(x[0]),
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a["alpha"]),
    "Less": lambda x, a: x[0] < x[1],
    "LessOrEqual": lambda x, a: x[0] <= x[1],
    "Log": lambda x, a: x[0].log(),
    "MatMul": lambda x, a: x[0] @ x[1],
    "Max": lambda x, a: torch.maximum(x[0], x[1]),
    "MaxPool": _max_pool,
    "Min": lambda x, a: torch.minimum(x[0], x[1]),
    "Mish": lambda x, a: F.mish(x[0]),
    "Mul": lambda x, a: x[0] * x[1],
    "Neg": lambda x, a: -x[0],
    "Not": lambda x, a: ~x[0],
    "Or": lambda x, a: x[0] | x[1],
    "PRelu": lambda x, a: torch.where(x[0] < 0, x[0] * x[1], x[0]),
    "Pow": lambda x, a: x[0] ** x[1],
    "Quant": _quant,
    "Relu": lambda x, a: x[0].relu(),
    "Reshape": _reshape,
    "Round": lambda x, a: _straight(x[0].round(), x[0]),
    "Selu": lambda x, a: a["gamma"] * F.elu(x[0], a["alpha"]),
    "Shrink": _shrink,
    "Sigmoid": lambda x, a: x[0].sigmoid(),
    "Sign": lambda x, a: _straight(x[0].sign(), x[0].clamp(-1, 1)),
    "Softplus": lambda x, a: F.softplus(x[0]),
    "Softsign": lambda x, a: F.softsign(x[0]),
    "Sqrt": lambda x, a: x[0].sqrt(),
    "Sub": lambda x, a: x[0] - x[1],
    "Tanh": lambda x, a: x[0].tanh(),
    "ThresholdedRelu": lambda x, a: torch.where(x[0] > a["alpha"], x[0], 0.0),
    "Transpose": lambda x, a: x[0].permute(*a["perm"]),
    "Where": lambda x, a: torch.where(x[0], x[1], x[2]),
}
