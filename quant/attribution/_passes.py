"""What every pixel and every output of every linear layer contributes to the logits of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from exeunt.errors import InputError
from exeunt.quant.attribution import _rules
from exeunt.quant.attribution._trace import GRADIENT, LRP, RESCALE, Call, Trace, as_exits

STEPS = 32  # of integrated gradients
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)

OfWeights = Callable[[slice], Tensor]


@dataclass(frozen=True)
class Layer:
    """One linear layer: signed contributions of its outputs, and those through its weights."""

    name: str
    module: nn.Module
    contribution: Tensor  # (N, C, H, W) or (N, F)
    weights: tuple[OfWeights, ...]  # their sum is (n, *weight.shape) for a slice of n images

    @classmethod
    def absent(cls, call: Call, count: int) -> Layer:
        """A layer that has no part in an exit."""
        nothing = call.output.new_zeros(()).expand(count, *call.output.shape[1:])
        return cls(call.name, call.module, nothing, ())


@dataclass(frozen=True)
class Pass:
    """One exit of a batch; gap is the output explained less that of the reference, (N,)."""

    exit: int
    target: Tensor
    gap: Tensor
    pixels: Tensor  # (N, C, H, W)
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Question:
    """Which number is explained: an objective of the target class (None: each exit's answer)."""

    target: Tensor | None
    objective: str

    def answer(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The target class and the best other one (N,), for logits of the images."""
        target = logits.argmax(1) if self.target is None else self.target
        others = logits.scatter(1, target[:, None], -torch.inf)
        return target, others.argmax(1)

    def value(self, logits: Tensor, target: Tensor, rival: Tensor) -> Tensor:
        """The number itself, (N,), for logits (N or 1, classes)."""
        logits = logits.expand(len(target), -1)
        chosen = logits.gather(1, target[:, None])[:, 0]
        if self.objective == "margin":
            return chosen - logits.gather(1, rival[:, None])[:, 0]
        if self.objective == "centred":
            return chosen - logits.mean(1)
        if self.objective == "log-probability":
            return chosen - logits.logsumexp(1)
        return chosen

    def slope(
        self, logits: Tensor, target: Tensor, rival: Tensor, base: Tensor | None = None
    ) -> Tensor:
        """What one logit adds, (N, classes): derivative, or secant from logits `base`.

        The secant of the log-softmax is its derivative averaged along the straight way.
        """
        one = F.one_hot(target, logits.shape[1]).to(logits.dtype)
        if self.objective == "margin":
            return one - F.one_hot(rival, logits.shape[1]).to(logits.dtype)
        if self.objective == "centred":
            return one - 1.0 / logits.shape[1]
        if self.objective == "log-probability":
            if base is None:
                return one - logits.softmax(1)
            mean = torch.zeros_like(logits)
            for node, weight in zip(_NODES, _NODE_WEIGHTS, strict=True):
                there = base + (logits - base) * float(0.5 + 0.5 * node)
                mean += there.softmax(1) * float(0.5 * weight)
            return one - mean
        return one


def passes(
    method: str,
    network: nn.Module,
    images: Tensor,
    references: Sequence[Tensor],
    question: Question,
    exits: Sequence[int] | None = None,
) -> list[Pass]:
    """One forward of a batch, one backward for each exit: contributions everywhere.

    Args:
        method: one of METHODS.
        network: in evaluation mode, no parameter wanting gradients (see `untouched`).
        images: float (N, C, H, W).
        references: each (1, C, H, W) or (N, C, H, W); contributions are averaged over them.
        question: what is explained.
        exits: which; None: all.
    """
    if method in LRP:
        return _relevance(method, network, images, question, exits)
    work = {
        "deeplift": _deeplift,
        "integrated-gradients": _integrated,
    }.get(method, functools.partial(_gradient, method))
    found = [work(network, images, reference, question, exits) for reference in references]
    return [_mean(of_exit) for of_exit in zip(*found, strict=True)]


def _mean(parts: Sequence[Pass]) -> Pass:
    if len(parts) == 1:
        return parts[0]
    count = len(parts)
    layers = []
    for same in zip(*(p.layers for p in parts), strict=True):
        weights = tuple(_scaled(w, 1.0 / count) for layer in same for w in layer.weights)
        total = torch.stack([layer.contribution for layer in same]).mean(0)
        layers.append(Layer(same[0].name, same[0].module, total, weights))
    return Pass(
        parts[0].exit,
        parts[0].target,
        torch.stack([p.gap for p in parts]).mean(0),
        torch.stack([p.pixels for p in parts]).mean(0),
        tuple(layers),
    )


def _scaled(weights: OfWeights, factor: float) -> OfWeights:
    return lambda part: weights(part) * factor


def _merged(layers: list[Layer]) -> tuple[Layer, ...]:
    """Layers by name: one that is used several times adds up."""
    found: dict[str, Layer] = {}
    for layer in layers:
        old = found.get(layer.name)
        if old is not None:
            total = old.contribution + layer.contribution
            layer = Layer(layer.name, layer.module, total, (*old.weights, *layer.weights))
        found[layer.name] = layer
    return tuple(found.values())


def _backward(
    output: Tensor, slope: Tensor, batch: Tensor, trace: Trace
) -> tuple[Tensor, list[Tensor | None]]:
    """Gradient of sum(output * slope) at the batch and at every call's output (None: no part)."""
    wanted = [batch, *(call.output for call in trace.calls)]
    grads = torch.autograd.grad(
        (output * slope).sum(), wanted, retain_graph=True, allow_unused=True
    )
    found: list[Tensor | None] = list(grads)
    first = torch.zeros_like(batch) if found[0] is None else found[0]
    return first, found[1:]


def _deeplift(
    network: nn.Module,
    images: Tensor,
    reference: Tensor,
    question: Question,
    exits: Sequence[int] | None,
) -> list[Pass]:
    count = len(images)
    batch = torch.cat([images, reference]).requires_grad_()
    trace = Trace(network, RESCALE, count)
    outputs = trace.run(batch)
    found = []
    for index in range(len(outputs)) if exits is None else exits:
        logits, base = outputs[index].detach()[:count], outputs[index].detach()[count:]
        target, rival = question.answer(logits)
        slope = question.slope(logits, target, rival, base)
        pixels, grads = _backward(outputs[index][:count], slope, batch, trace)
        layers = []
        for call, grad in zip(trace.calls, grads, strict=True):
            if grad is None:
                layers.append(Layer.absent(call, count))
                continue
            here = grad[:count]
            flow = functools.partial(_rescaled_flow, call, here)
            layers.append(Layer(call.name, call.module, here * call.change, (flow,)))
        gap = question.value(logits, target, rival) - question.value(base, target, rival)
        pixels = pixels[:count] * (images - reference)
        found.append(Pass(index, target, gap, pixels, _merged(layers)))
    return found


def _rescaled_flow(call: Call, grad: Tensor, part: slice) -> Tensor:
    """What flows through each weight: input difference times weight times multiplier."""
    x = call.input[: call.count][part] - (
        call.input[call.count :]
        if len(call.input) == call.count + 1
        else call.input[call.count :][part]
    )
    return call.layer.correlated(x, grad[part]) * call.layer.weight


def _flow(call: Call, x: Tensor, grad: Tensor) -> OfWeights:
    """What flows through each weight: input times weight times multiplier of the output."""
    return lambda part: call.layer.correlated(x[part], grad[part]) * call.layer.weight


def _relevance(
    method: str,
    network: nn.Module,
    images: Tensor,
    question: Question,
    exits: Sequence[int] | None,
) -> list[Pass]:
    batch = images.detach().clone().requires_grad_()
    trace = Trace(network, method, len(images))
    outputs = trace.run(batch)
    found = []
    for index in range(len(outputs)) if exits is None else exits:
        logits = outputs[index].detach()
        target, rival = question.answer(logits)
        slope = question.slope(logits, target, rival)
        pixels, grads = _backward(outputs[index], slope, batch, trace)
        layers = []
        for call, grad in zip(trace.calls, grads, strict=True):
            if grad is None:
                layers.append(Layer.absent(call, len(images)))
                continue
            flow = functools.partial(_relevance_flow, call, method, grad)
            layers.append(Layer(call.name, call.module, grad * call.output.detach(), (flow,)))
        gap = (logits * slope).sum(1)
        found.append(Pass(index, target, gap, pixels * images, _merged(layers)))
    return found


def _relevance_flow(call: Call, method: str, grad: Tensor, part: slice) -> Tensor:
    value = call.output.detach()[part]
    return _rules.relevance_of_weights(call.layer, method, call.input[part], value, grad[part])


def _gradient(
    method: str,
    network: nn.Module,
    images: Tensor,
    reference: Tensor,
    question: Question,
    exits: Sequence[int] | None,
) -> list[Pass]:
    """Saliency, gradient x input and Grad-CAM: derivatives straight through the quantizers."""
    batch = images.detach().clone().requires_grad_()
    trace = Trace(network, GRADIENT, len(images))
    outputs = trace.run(batch)
    with torch.no_grad():
        bases = as_exits(network(reference))
    found = []
    for index in range(len(outputs)) if exits is None else exits:
        logits = outputs[index].detach()
        target, rival = question.answer(logits)
        slope = question.slope(logits, target, rival)
        pixels, grads = _backward(outputs[index], slope, batch, trace)
        layers = []
        for call, grad in zip(trace.calls, grads, strict=True):
            if grad is None:
                layers.append(Layer.absent(call, len(images)))
                continue
            value = call.output.detach()
            weights: OfWeights
            if method == "saliency":
                part, weights = grad, functools.partial(_raw, call, grad)
            elif method == "grad-cam":
                mean = grad.mean((2, 3), keepdim=True) if grad.dim() == 4 else grad
                part, weights = mean * value, _flow(call, call.input, mean.expand_as(value))
            else:
                part, weights = grad * value, _flow(call, call.input, grad)
            layers.append(Layer(call.name, call.module, part, (weights,)))
        if method == "saliency":
            shown = pixels.abs()
        elif method == "grad-cam":
            shown = _cam(trace, outputs[index], slope, images)
        else:
            shown = pixels * (images - reference)
        gap = question.value(logits, target, rival)
        gap = gap - question.value(bases[index], target, rival)
        found.append(Pass(index, target, gap, shown, _merged(layers)))
    return found


def _raw(call: Call, grad: Tensor, part: slice) -> Tensor:
    return call.layer.correlated(call.input[part], grad[part])


def _cam(trace: Trace, output: Tensor, slope: Tensor, images: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017) of the last activations (N, C, H, W) of an exit.

    Spread evenly over the channels of the image, so that their sum is the map.
    """
    candidates = trace.activations or [c.output for c in trace.calls if c.output.dim() == 4]
    if not candidates:
        raise InputError(
            "grad-cam must find a convolution or an activation with channels, height and width, "
            "got none in the network: choose another method"
        )
    grads = torch.autograd.grad(
        (output * slope).sum(), candidates, retain_graph=True, allow_unused=True
    )
    used = [(a, g) for a, g in zip(candidates, grads, strict=True) if g is not None]
    if not used:
        return torch.zeros_like(images)
    spread = [(a, g) for a, g in used if a.shape[2] * a.shape[3] > 1] or used
    value, grad = spread[-1]
    cam = (grad.mean((2, 3), keepdim=True) * value.detach()).sum(1, keepdim=True).clamp(min=0)
    cam = F.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False)
    return (cam / images.shape[1]).expand_as(images)


def _integrated(
    network: nn.Module,
    images: Tensor,
    reference: Tensor,
    question: Question,
    exits: Sequence[int] | None,
) -> list[Pass]:
    """Integrated gradients (Sundararajan, Taly, Yan, ICML 2017), in layers as conductance.

    The trapezoidal rule over STEPS steps from the reference to the image; a layer's share of a step
    is the mean of its two gradients times the change of its outputs.
    """
    with torch.no_grad():
        ends, bases = as_exits(network(images)), as_exits(network(reference))
    chosen = list(range(len(ends)) if exits is None else exits)
    asked = {e: question.answer(ends[e]) for e in chosen}
    pixels = {e: torch.zeros_like(images) for e in chosen}
    layers: dict[int, list[Layer]] = {e: [] for e in chosen}
    before: dict[int, tuple[Tensor, list[Tensor | None]]] = {}
    calls: list[Call] = []
    for step in range(STEPS + 1):
        batch = (reference + (images - reference) * (step / STEPS)).detach().requires_grad_()
        trace = Trace(network, GRADIENT, len(images))
        outputs = trace.run(batch)
        for e in chosen:
            target, rival = asked[e]
            slope = question.slope(outputs[e].detach(), target, rival)
            here = _backward(outputs[e], slope, batch, trace)
            if step:
                last = before[e]
                pixels[e] += 0.5 * (here[0] + last[0]) * (images - reference) / STEPS
                for k, (old, new) in enumerate(zip(calls, trace.calls, strict=True)):
                    now, then = here[1][k], last[1][k]
                    if now is None or then is None:
                        layers[e].append(Layer.absent(new, len(images)))
                        continue
                    mean = 0.5 * (now + then)
                    change = new.output.detach() - old.output
                    flow = _flow(new, new.input - old.input, mean)
                    layers[e].append(Layer(new.name, new.module, mean * change, (flow,)))
            before[e] = here
        calls = [Call(c.name, c.module, c.input, c.output.detach()) for c in trace.calls]
    found = []
    for e in chosen:
        target, rival = asked[e]
        gap = question.value(ends[e], target, rival) - question.value(bases[e], target, rival)
        found.append(Pass(e, target, gap, pixels[e], _merged(layers[e])))
    return found
