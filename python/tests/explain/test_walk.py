"""The steps of an explanation against autograd on the same graph, kernel by kernel."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from explained_graphs import GRAPHS, compiled, frames, straight
from torch import Tensor

from exeunt import samples
from exeunt.errors import InputError
from exeunt.explain import backward, context, walk
from exeunt.explain.program import METHODS
from exeunt.explain.slopes import line
from exeunt.graph import Accelerator, Dataflow, Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.layer import Levels, Pooling, Windows
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.parts.back import Steps
from exeunt.window import Window

GRADIENTS = [m for m in METHODS if m != "grad-cam"]


class _Steps(torch.autograd.Function):
    """A quantizer: the levels forwards, its line backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, slope: Tensor, inside: Tensor, way: str) -> Tensor:
        ctx.save_for_backward(slope, inside)
        ctx.way = way
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        slope, inside = ctx.saved_tensors
        if ctx.way in ("guided-backprop", "deconvnet"):
            gradient = gradient.clamp(min=0)
        if ctx.way != "deconvnet":
            gradient = gradient * inside
        return gradient * slope, None, None, None, None


def _node(
    accelerator: Accelerator, node: Node, x: list[Tensor], way: str, mask: str, pad: float = 0.0
) -> Any:
    """What a node gives, with a graph behind it; x are (N, H, W, C), padded with `pad`."""
    arrays = accelerator.of(node)
    x = [part.reshape(-1, *stream.shape) for part, stream in zip(x, node.inputs, strict=True)]
    if node.kind == "swg":
        top, left, bottom, right = node.pad
        (kh, kw), (sh, sw), (dh, dw) = node.kernel, node.stride, node.dilation
        padded = torch.nn.functional.pad(x[0], (0, 0, left, right, top, bottom), value=pad)
        oh, ow = node.output.shape[:2]
        seen = [
            padded[:, ky * dh :][:, : (oh - 1) * sh + 1 : sh, kx * dw :]
            [:, :, : (ow - 1) * sw + 1 : sw]
            .reshape(-1, oh, ow, node.blocks, x[0].shape[3] // node.blocks)
            for ky in range(kh) for kx in range(kw)
        ]  # fmt: skip
        return torch.stack(seen, 4).reshape(-1, *node.output.shape)
    if node.kind in ("mvu", "threshold"):
        y = x[0]
        if node.kind == "mvu":
            flat = y.reshape(-1, y.shape[-1])
            weights = torch.tensor(arrays["weights"].astype(np.float64))
            if node.groups == 1:
                y = flat @ weights.T
            else:
                order = flat.reshape(
                    len(flat), node.groups // node.together, -1, node.together, node.simd
                )
                parts = order.permute(0, 1, 3, 2, 4).reshape(len(flat), node.groups, -1)
                rows = weights.reshape(node.groups, -1, weights.shape[1])
                y = torch.einsum("ngm,grm->ngr", parts, rows).reshape(len(flat), -1)
            y = y.reshape(-1, *node.output.shape)
        if not node.levels:
            return y
        table = arrays["thresholds"]
        out = node.bias + (y.detach().numpy()[..., None] >= table).sum(-1)
        (steps,) = [p for p in registry.of(node).back(node, arrays)[0] if isinstance(p, Steps)]
        found = line(steps, node.name)
        if mask == "levels":
            inside = (out > node.bias) & (out < node.bias + table.shape[1])
        else:
            value = y.detach().numpy()
            inside = (value >= found.edges[:, 0]) & (value < found.edges[:, 1])
        given = torch.tensor(out.astype(np.float64))
        relu = node.bias >= 0 and (steps.low < 0).any()
        return _Steps.apply(
            y, given, torch.tensor(found.slope), torch.tensor(inside * 1.0), way if relu else ""
        )
    if node.kind == "pool":
        nchw = x[0].permute(0, 3, 1, 2)
        if node.function == "max":
            y = torch.nn.functional.max_pool2d(nchw, node.kernel)
        else:
            y = torch.nn.functional.avg_pool2d(nchw, node.kernel) * math.prod(node.kernel)
        return y.permute(0, 2, 3, 1)
    if node.kind == "reduce":
        groups = x[0].reshape(len(x[0]), -1, node.count, node.output.shape[2])
        if node.function == "sum":
            return groups.sum(2)
        first = groups.argmax(2, keepdim=True)  # the first of several
        return groups.gather(2, first)[:, :, 0]
    if node.kind == "add":
        return node.factors[0] * x[0] + node.factors[1] * x[1]
    if node.kind == "concat":
        return torch.cat([node.factors[0] * x[0], node.factors[1] * x[1]], 3)
    if node.kind == "duplicate":
        return x[0], x[0]
    assert node.kind == "width", node.kind
    return x[0].reshape(-1, *node.output.shape)


def by_autograd(
    accelerator: Accelerator, exit: int, way: str, images: np.ndarray, mask: str = "edges"
) -> np.ndarray:
    """The map of the class that is answered, float64 (N, H, W, C)."""
    chain = walk.path(accelerator, exit)
    x = torch.tensor(images.astype(np.float64), requires_grad=True)
    waiting: dict[int, Tensor] = {-1: x}
    number = -1
    pooled = {s for n, r in zip(chain.nodes, chain.reads, strict=True) for s in r
              if n.kind == "reduce" and n.function == "max"}  # fmt: skip
    for node, sources in zip(chain.nodes, chain.reads, strict=True):
        pad = -0.5 if number + 1 in pooled else 0.0  # an input comes before the padding
        given = _node(accelerator, node, [waiting.pop(s) for s in sources], way, mask, pad)
        for y in given if isinstance(given, tuple) else (given,):
            number += 1
            waiting[number] = y
    logits = waiting[number].reshape(len(images), -1)
    (gradient,) = torch.autograd.grad(logits.max(1).values.sum(), x)
    found = gradient.numpy().reshape(images.shape)
    return found * images if way == "gradient-x-input" else found


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("method", GRADIENTS)
def test_without_rounding_it_is_autograd(name: str, method: str) -> None:
    accelerator = straight(GRAPHS[name]())
    images = frames(accelerator)
    for exit in range(len(accelerator.heads)):
        for mask in ("edges", "levels"):
            made = walk.program(accelerator, exit, method, mask=mask)
            found = context.forward(accelerator, made, images)
            got = backward.real(made, found, found.logits.argmax(1))
            want = by_autograd(accelerator, exit, method, images, mask)
            assert got.any() or not want.any()
            assert np.abs(got - want).max() <= 1e-9 * max(np.abs(want).max(), 1), (exit, mask)


def test_some_of_the_maps_are_not_empty() -> None:
    """What is compared above says something."""
    for name, make in GRAPHS.items():
        accelerator = straight(make())
        assert by_autograd(accelerator, 0, "saliency", frames(accelerator)).any(), name


def test_layers_that_cannot_be_explained() -> None:
    crooked = samples.accelerator(seed=5)  # its thresholds are those of a normal distribution
    with pytest.raises(InputError, match=r"thresholds of seg0_mvu0 must lie on a line .* got chan"):
        walk.program(crooked, 0, "saliency")
    walk.program(crooked, 0, "grad-cam")  # needs no slope
    for arguments, said in (
        ((0, "lime"), "the method of a map must be one of saliency, .*, got 'lime': choose"),
        ((3, "saliency"), r"the exit of a map must be in 0..2, got 3: the network has 3 exits"),
        ((-1, "saliency"), r"the exit of a map must be in 0..2, got -1"),
    ):
        with pytest.raises(InputError, match=said):
            walk.program(crooked, *arguments)
    with pytest.raises(InputError, match="masks must be one of edges, levels, got 'none': edges"):
        walk.program(crooked, 0, "saliency", mask="none")


def test_a_kind_without_a_way_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = straight(samples.accelerator(seed=5))
    kind = registry.of(accelerator.segments[0].nodes[0])
    monkeypatch.setitem(registry._kinds, kind.node.kind, dataclasses.replace(kind, back=None))
    with pytest.raises(InputError, match="seg0_swg0 must be of a kind that explanations go back"):
        walk.program(accelerator, 0, "saliency")


def test_windows_of_nothing_are_refused() -> None:
    four = Integer(4)
    windows = Windows((4, 4, 1), four, (4, 4, 9), four, window=Window((3, 3), (1, 1), (1, 1, 1, 1)))
    rows = np.tile(np.array([3, 6, 9]), (9, 1))
    levels = Levels((4, 4, 9), four, (4, 4, 9), Integer(2), levels=3, arrays={"thresholds": rows})
    pool = Pooling((4, 4, 9), Integer(2), (1, 1, 9), Integer(8), function="sum")
    made = compiled([[windows, levels], [pool]], Stream((4, 4, 1), four, 1), 0)
    with pytest.raises(InputError, match="seg0_swg0 must stand in front of a matrix or a pool to"):
        walk.program(made, 0, "saliency")


# ------------------------------------------------------------------------- Grad-CAM


@pytest.mark.parametrize("name", ["three exits", "depthwise", "tiled sum with a rest"])
def test_grad_cam_is_the_mean_gradient_times_the_features(name: str) -> None:
    accelerator = straight(GRAPHS[name]())
    images = frames(accelerator)
    for exit in range(len(accelerator.heads)):
        made = walk.program(accelerator, exit, "grad-cam")
        assert made.features is not None
        found = context.forward(accelerator, made, images)
        classes = np.arange(len(images)) % made.classes
        got = backward.real(made, found, classes)
        features = torch.tensor(
            found.streams[made.features.tensor].astype(np.float64), requires_grad=True
        )
        waiting = {made.features.tensor: features}
        number = made.features.tensor
        chain = walk.path(accelerator, exit)
        for node, sources, first in zip(chain.nodes, chain.reads, chain.first_streams, strict=True):
            if first > made.features.tensor:
                taken = [waiting.pop(s) for s in sources]
                (number, y) = first, _node(accelerator, node, taken, "", "edges")
                waiting[number] = y
        logits = waiting[number].reshape(len(images), -1)
        wanted = logits[torch.arange(len(images)), torch.tensor(classes)].sum()
        (gradient,) = torch.autograd.grad(wanted, features)
        mean = gradient.mean((1, 2), keepdim=True)
        area = features.shape[1] * features.shape[2]
        want = ((mean * features.detach()).sum(3, keepdim=True) * area).clamp(min=0).numpy()
        assert got.shape == want.shape
        assert want.any()
        assert np.abs(got - want).max() < 1e-9 * want.max()


def test_grad_cam_needs_a_linear_head() -> None:
    accelerator = straight(samples.residual(seed=3))
    deep = dataclasses.replace(
        accelerator,
        heads=(_deep_head(accelerator.heads[0]), accelerator.heads[1]),
        arrays={**accelerator.arrays, "more.weights": np.ones((4, 4), np.int64)},
    )
    with pytest.raises(InputError, match="grad-cam must find a head that is linear in its pooled"):
        walk.program(deep, 0, "grad-cam")
    bare = samples.pooling()
    with pytest.raises(InputError, match="grad-cam must find activations between image and exit 0"):
        walk.program(bare, 0, "grad-cam")


def _deep_head(head: Dataflow) -> Dataflow:
    """Another matrix behind the logits."""
    stream = Stream((1, 1, 4), head.output.dtype, head.output.lanes)
    node = Mvu("more", stream, dataclasses.replace(stream, lanes=1), weight_bits=4)
    return head.then(Dataflow("more", stream, (node,)))
