"""One forward pass with the derivatives of a method in place, and what each layer took and gave."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from exeunt.errors import InputError
from exeunt.quant.attribution import _rules
from exeunt.quant.attribution._linear import LINEAR, Affine, affine, plainly_padded
from exeunt.quant.network.brevitas import (
    ActQuantProxyFromInjectorBase,
    QuantIdentity,
    QuantNonLinearActLayer,
    QuantReLU,
    RoundSte,
    TensorClamp,
)

GRADIENT = "gradient"  # derivatives as they are, straight through the quantizers
RESCALE = "deeplift"
LRP = ("lrp-epsilon", "lrp-alpha-beta")

_PASSIVE: tuple[type[nn.Module], ...] = (
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Flatten,
    nn.Identity,
    nn.Unflatten,
    nn.UpsamplingNearest2d,
    nn.ZeroPad2d,
)
_ELEMENTWISE: tuple[type[nn.Module], ...] = (
    QuantNonLinearActLayer,
    nn.ELU,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ReLU,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Tanh,
)
# names of functions that are called outside of layers
_ELEMENTWISE_FUNCTIONS = frozenset(
    """abs ceil celu clamp clamp_max clamp_min clip elu floor gelu hardsigmoid hardswish hardtanh
    leaky_relu mish relu relu6 round selu sigmoid sign silu softplus sqrt square tanh""".split()  # noqa: SIM905 - reads better
)
_LINEAR_FUNCTIONS = frozenset(
    """__add__ __getitem__ __neg__ __radd__ __rsub__ __sub__ _adaptive_avg_pool2d _to_copy
    adaptive_avg_pool2d add avg_pool2d cat chunk clone concat concatenate contiguous double expand
    expand_as flatten float index_select interpolate mean movedim narrow neg pad permute repeat
    reshape reshape_as split split_with_sizes squeeze stack sub subtract sum swapaxes t tile to
    transpose type unbind unflatten unsqueeze view view_as""".split()  # noqa: SIM905 - as above
)
_PRODUCTS = frozenset(
    """__matmul__ __mul__ __rmul__ __truediv__ bmm div divide einsum matmul mm mul multiply
    true_divide""".split()  # noqa: SIM905 - as above
)
_LAYER_FUNCTIONS = frozenset(("batch_norm", "conv1d", "conv2d", "dropout", "linear"))
_QUESTIONS = frozenset(
    ("__get__", "__len__", "detach", "dim", "is_floating_point", "ndimension", "numel", "size")
)


def plain(value: Any) -> Tensor:
    """A tensor, also where Brevitas hands on a QuantTensor."""
    return value if type(value) is Tensor else getattr(value, "value", value)


def with_value(old: Any, value: Tensor) -> Any:
    """`value` in the wrapping of `old`."""
    return value if isinstance(old, Tensor) and not hasattr(old, "set") else old.set(value=value)


def as_exits(outputs: Any) -> tuple[Tensor, ...]:
    """The logits of every exit, also of a network that gives those of its only exit alone."""
    if isinstance(outputs, Tensor) or hasattr(outputs, "value"):
        outputs = (outputs,)
    return tuple(plain(out) for out in outputs)


@dataclass
class Call:
    """One use of a linear layer; `output` is where the gradient is asked for."""

    name: str
    module: nn.Module
    input: Tensor  # detached (B, ...)
    output: Tensor  # (B, ...), behind a folded batch norm for LRP
    count: int = 0  # images in the batch; the rest are references

    @functools.cached_property
    def layer(self) -> Affine:
        """Its weights, with a folded batch norm for LRP."""
        return affine(self.module)

    @functools.cached_property
    def change(self) -> Tensor:
        """Outputs of the images less those of their references, for DeepLIFT."""
        return self.output.detach()[: self.count] - self.output.detach()[self.count :]


class Trace(TorchFunctionMode):
    """Runs a network on `count` images and the references behind them, under one method's rules."""

    def __init__(self, network: nn.Module, method: str, count: int) -> None:
        super().__init__()
        self.network, self.method, self.count = network, method, count
        self.calls: list[Call] = []
        self.activations: list[Tensor] = []  # (B, C, H, W) behind activations, for gradients only
        self.places: list[str] = []
        self._steps: dict[int, Tensor | None] = {}  # of plain rounding quantizers
        self._inside = 0  # > 0: in a layer whose insides need no rule
        self._waiting: dict[int, tuple[Any, Tensor]] = {}  # inputs of elementwise layers
        self._folding: dict[int, tuple[Call, Tensor]] = {}  # outputs that a batch norm may take
        self._kept: list[Tensor] = []  # so that no id is used twice

    def run(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Logits of every exit for the batch (B, C, H, W), with a graph back to it.

        Raises:
            InputError: a layer or function that the method has no rule for, or images of a shape
                that the network does not take.
        """
        hooks = []
        try:
            for name, module in _parts("", self.network):
                before, after = self._hooks(name, module)
                if before is not None:
                    hooks.append(module.register_forward_pre_hook(before))
                if after is not None:
                    hooks.append(module.register_forward_hook(after))
            with torch.enable_grad():
                if self.method == GRADIENT:
                    outputs = self._forward(batch)
                else:
                    with self:
                        outputs = self._forward(batch)
        finally:
            for hook in hooks:
                hook.remove()
            self._waiting.clear()
            self._folding.clear()
            self._kept.clear()
        return as_exits(outputs)

    def _forward(self, batch: Tensor) -> Any:
        try:
            return self.network(batch)
        except InputError:
            raise
        except (RuntimeError, ValueError) as error:
            shape = "x".join(str(batch.shape[k]) for k in (2, 3, 1))
            reason = " ".join(str(error).split())[:120]
            raise InputError(
                f"images must have the shape that the network was made for, got {shape} "
                f"(H x W x C), which it does not take ({reason}): resize them"
            ) from error

    def _hooks(
        self, name: str, module: nn.Module
    ) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
        if isinstance(module, LINEAR):
            return self._enter_linear(name, module), self._leave_linear(name, module)
        if self.method == GRADIENT:
            return None, self._note if isinstance(module, _ELEMENTWISE) else None
        if isinstance(module, _ELEMENTWISE):
            self._steps[id(module)] = _step_of(module)
            return self._enter_elementwise, self._leave_elementwise
        if isinstance(module, ActQuantProxyFromInjectorBase):
            if not getattr(module, "is_quant_enabled", False):
                return None, None
            return self._enter_elementwise, self._leave_elementwise
        if isinstance(module, nn.MaxPool2d):
            return self._enter, self._leave_pool(module)
        if isinstance(module, _PASSIVE):
            fold = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and self.method in LRP
            return self._enter, self._leave_norm(module) if fold else self._leave
        return self._enter_place(name, module), self._leave_place

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._inside += 1

    def _leave(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        self._inside -= 1

    def _note(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        if plain(out).dim() == 4:
            self.activations.append(plain(out))

    def _enter_place(self, name: str, module: nn.Module) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            self.places.append(f"{name or 'the network'} ({type(module).__name__})")

        return hook

    def _leave_place(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        self.places.pop()

    def _enter_linear(self, name: str, module: nn.Module) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            if not plainly_padded(module):
                raise InputError(
                    f"layer {name} must pad with zeros by a number to be explained, got "
                    f"{module.padding!r} {module.padding_mode!r}: give it a number"
                )
            self._inside += 1

        return hook

    def _leave_linear(self, name: str, module: nn.Module) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
            x, value = plain(args[0]), plain(out)
            call = Call(name, module, x.detach(), value, self.count)
            self.calls.append(call)
            if self.method in LRP:
                call.output = _rules.Relevant.apply(x, value.detach(), call.layer, self.method)
                self._folding[id(call.output)] = (call, x)
                self._kept.append(call.output)
                out = with_value(out, call.output)
            self._inside -= 1
            return out

        return hook

    def _leave_norm(self, norm: nn.Module) -> Callable[..., Any]:
        """LRP: a batch norm right behind a layer is part of it."""
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)

        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
            self._inside -= 1
            found = self._folding.pop(id(plain(args[0])), None)
            if found is None or norm.running_mean is None or norm.running_var is None:
                return None
            call, x = found
            factor = (norm.running_var + norm.eps).rsqrt()
            factor = factor if norm.weight is None else factor * norm.weight.detach()
            offset = -norm.running_mean * factor
            offset = offset if norm.bias is None else offset + norm.bias.detach()
            call.layer = call.layer.scaled(factor, offset)
            call.output = _rules.Relevant.apply(x, plain(out).detach(), call.layer, self.method)
            return with_value(out, call.output)

        return hook

    def _enter_elementwise(self, module: nn.Module, args: tuple[Any, ...]) -> Any:
        self._inside += 1
        leaf = plain(args[0]).detach()
        if self._steps.get(id(module)) is None:
            leaf.requires_grad_()
        self._waiting[id(module)] = (args[0], leaf)
        given = leaf.clone() if getattr(module, "inplace", False) else leaf
        return (with_value(args[0], given), *args[1:])

    def _leave_elementwise(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        old, leaf = self._waiting.pop(id(module))
        step, value = self._steps.get(id(module)), plain(out)
        rounded = None
        if step is not None:  # rounding passes the gradient on, ReLU and clipping do not
            rounded = functools.partial(
                _unclipped, leaf, value, step, isinstance(module, QuantReLU)
            )
        out = with_value(out, self._straightened(plain(old), leaf, value, rounded))
        self._inside -= 1
        return out

    def _leave_pool(self, pool: nn.MaxPool2d) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
            x = plain(args[0])
            if self.method == RESCALE:
                out = with_value(out, self._mixed(pool, x, plain(out)))
            self._inside -= 1
            return out

        return hook

    def _straightened(
        self,
        x: Tensor,
        leaf: Tensor,
        value: Tensor,
        slope: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """`value`, whose gradient to x is the secant; `leaf` is x cut off from the graph."""

        def derivative() -> Tensor:
            if not value.requires_grad:
                return torch.zeros_like(leaf)
            return torch.autograd.grad(value.sum(), leaf)[0]

        found = _rules.secant(
            leaf.detach(),
            value.detach(),
            self.count if self.method == RESCALE else len(x),
            slope or derivative,
            zero=self.method != RESCALE,
        )
        return _rules.Scaled.apply(x, value.detach(), found)

    def _mixed(self, pool: nn.MaxPool2d, x: Tensor, value: Tensor) -> Tensor:
        first, second, share = _rules.winners(pool, x.detach(), self.count)
        return _rules.Mixed.apply(x, value.detach(), first, second, share)

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Give rules to functions that are called outside of layers; refuse what has none."""
        kwargs = kwargs or {}
        if self._inside:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in _QUESTIONS or not _tracked((args, kwargs)):
            return func(*args, **kwargs)
        self._inside += 1
        try:
            return self._function(name, func, args, kwargs)
        finally:
            self._inside -= 1

    def _function(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bare = name.rstrip("_") if not name.startswith("__") else name
        if bare in _ELEMENTWISE_FUNCTIONS and _tracked(args[:1]) == _tracked((args, kwargs)) == 1:
            leaf = args[0].detach().requires_grad_()
            copy = leaf.clone()  # for functions that work in place
            return self._straightened(args[0], leaf, func(copy, *args[1:], **kwargs))
        if bare in ("max_pool2d", "_max_pool2d", "boolean_dispatch"):
            if self.method != RESCALE:
                return func(*args, **kwargs)
            pool = nn.MaxPool2d(*args[1:], **kwargs)
            return self._mixed(pool, args[0], func(*args, **kwargs))
        if name in _LINEAR_FUNCTIONS or (name in _PRODUCTS and _tracked((args, kwargs)) == 1):
            return func(*args, **kwargs)
        if name in _LAYER_FUNCTIONS and self.method == RESCALE and not kwargs.get("training"):
            return func(*args, **kwargs)
        where = self.places[-1] if self.places else "the network"
        raise InputError(
            f"{where} must be made of layers that {self.method} has a rule for, got {bare}: use a "
            "layer of torch.nn or Brevitas for it, or another method"
        )


def _parts(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules by name but those inside a layer; a layer's own activation quantizers too."""
    yield name, module
    if isinstance(module, (*_ELEMENTWISE, *_PASSIVE, nn.MaxPool2d, ActQuantProxyFromInjectorBase)):
        return
    for key, child in module.named_children():
        if not isinstance(module, LINEAR) or isinstance(child, ActQuantProxyFromInjectorBase):
            yield from _parts(f"{name}.{key}" if name else key, child)


def _step_of(module: nn.Module) -> Tensor | None:
    """Step of a plain rounding quantizer, whose straight-through derivative needs no second pass.

    None for everything else.
    """
    if not isinstance(module, QuantReLU | QuantIdentity):
        return None
    proxy = module.act_quant
    fused = getattr(proxy, "fused_activation_quant_proxy", None)
    quantizer = getattr(fused, "tensor_quant", None)
    if not getattr(proxy, "is_quant_enabled", False) or quantizer is None:
        return None
    inner = getattr(quantizer, "int_quant", None)
    if not isinstance(getattr(inner, "float_to_int_impl", None), RoundSte):
        return None
    if not isinstance(getattr(inner, "tensor_clamp_impl", None), TensorClamp):
        return None
    if module.input_quant.is_quant_enabled:
        return None
    scale = proxy.scale()
    return scale if isinstance(scale, Tensor) and scale.numel() == 1 else None


def _unclipped(x: Tensor, value: Tensor, step: Tensor, relu: bool) -> Tensor:
    """1 where a quantizer only rounded x to `value`, 0 where it clipped, as x's dtype."""
    near = (value - x).abs_() <= step * (0.5 + 1e-5)
    return (near & (x > 0) if relu else near).to(x.dtype)


def _tracked(value: Any) -> int:
    """How many tensors in nested arguments depend on the image."""
    if isinstance(value, Tensor):
        return int(value.requires_grad)
    if hasattr(value, "value") and isinstance(value.value, Tensor):
        return int(value.value.requires_grad)
    if isinstance(value, dict):
        return sum(_tracked(v) for v in value.values())
    return sum(_tracked(v) for v in value) if isinstance(value, list | tuple) else 0


@contextmanager
def untouched(network: nn.Module) -> Iterator[torch.device]:
    """The network in evaluation mode without parameter gradients; as before afterwards.

    Gives the device that it is on.
    """
    modes = [(module, module.training) for module in network.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    tensors = [*network.parameters(), *network.buffers()]
    network.eval()
    try:
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        yield tensors[0].device if tensors else torch.device("cpu")
    finally:
        for parameter, needed in wanted:
            parameter.requires_grad_(needed)
        for module, mode in modes:
            module.training = mode
