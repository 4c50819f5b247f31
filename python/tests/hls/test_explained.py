"""Maps in integers against autograd on the Brevitas network that was compiled.

Autograd passes gradients straight through the quantizers, as in training. What differs is what the
compiled graph no longer knows: thresholds are rounded to integers, so slopes and edges are a little
off, and a few activations that lie on an edge are masked here and not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from exeunt import manifest
from exeunt.config import tree
from exeunt.explain import backward, context, scales, walk
from exeunt.graph import Accelerator
from exeunt.hls import compile as compiler
from exeunt.hls.back import stitch
from exeunt.qonnx import file
from exeunt.quant.attribution import attribute
from exeunt.quant.attribution._trace import plain, with_value
from exeunt.quant.network.brevitas import QuantNonLinearActLayer
from exeunt.quant.network.export import to_qonnx
from exeunt.quant.network.model import MultiExitNetwork

NETWORKS = {
    # a residual block whose arms have two scales, a strided one, max and average pools
    "residual": """
[[model.stages]]
blocks = [
  { conv = 6, padding = 1, stride = 2 },
  { residual = [{ conv = 6, padding = 1 }, { conv = 6, padding = 1 }] },
]
head = [{ pool = "max", size = 2 }]
[[model.stages]]
blocks = [{ residual = [{ conv = 8, padding = 1, stride = 2 }, { conv = 8, padding = 1 }] }]
head = [{ pool = "average", size = "global" }]
""",
    # depthwise and grouped convolutions, a pool inside, a layer in the head
    "groups": """
[[model.stages]]
blocks = [{ conv = 8, padding = 1 }, { pool = "max", size = 2 },
          { conv = 8, padding = 1, groups = 8 }]
head = [{ pool = "max", size = 2 }]
[[model.stages]]
blocks = [{ conv = 12, kernel = 1 }, { conv = 12, padding = 1, groups = 4, stride = 2 }]
head = [{ pool = "average", size = "global" }, { linear = 16 }]
""",
}
SHAPE = (12, 12, 3)
FRAMES = 40


@pytest.fixture(scope="module", params=list(NETWORKS))
def both(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Accelerator]:
    """The Brevitas network, whose norms have seen images, and what the compiler made of it."""
    h, w, c = SHAPE
    text = (
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\ninput = [{h}, {w}, {c}]\n'
        f"classes = 5\n{NETWORKS[request.param]}"
    )
    torch.manual_seed(0)
    network = MultiExitNetwork(tree.parse(text).model).train()
    with torch.no_grad():
        for _ in range(40):
            network(torch.randint(0, 256, (16, c, h, w)).float())
    folder = tmp_path_factory.mktemp("explained")
    path = folder / "model.onnx"
    path.write_bytes(file.to_model(to_qonnx(network.eval(), shape=(c, h, w))).SerializeToString())
    config = tree.parse(
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\nsource = "qonnx:{path}"\n'
        f"input = {list(SHAPE)}\nclasses = 5\n"
        "[compile]\ntarget_cycles = 2000\nbaseline = false\n"
    )
    accelerator = compiler.compile_network(path, config=config)
    run = folder / "run"
    stitch.write(compiler.with_fifos(accelerator), run, extra={"clock_mhz": 100.0})
    return network, manifest.read(run).accelerator()


def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (FRAMES, *SHAPE)).astype(np.uint8)


class _Through(torch.autograd.Function):
    """The value of a quantizer, and what DeconvNet or guided backprop makes of its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, straight: bool) -> Tensor:
        ctx.straight = straight
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        positive = gradient.clamp(min=0)
        return (positive, None, None) if ctx.straight else (None, positive, None)


def modified(network: nn.Module, method: str, x: Tensor, exit: int, classes: np.ndarray) -> Tensor:
    """Gradients of the logits with the rule of `method` at every ReLU."""

    def rule(module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        value = plain(out)
        found = _Through.apply(plain(args[0]), value, method == "deconvnet")
        return with_value(out, found)

    relus = [m for m in network.modules() if isinstance(m, QuantNonLinearActLayer)
             and "ReLU" in type(m).__name__]  # fmt: skip
    hooks = [m.register_forward_hook(rule) for m in relus]
    try:
        logits = plain(network(x)[exit])
    finally:
        for hook in hooks:
            hook.remove()
    chosen = logits[torch.arange(len(x)), torch.tensor(classes)].sum()
    return torch.autograd.grad(chosen, x)[0]


def by_torch(network: nn.Module, method: str, exit: int, classes: np.ndarray) -> np.ndarray:
    """The map (N, H, W, C) of the real logit; gradients keep their sign."""
    if method == "gradient-x-input":
        return attribute(method, network, images(), exit=exit, target=classes).maps
    x = torch.tensor(images().transpose(0, 3, 1, 2).astype(np.float32), requires_grad=True)
    if method == "saliency":
        logits = plain(network(x)[exit])
        chosen = logits[torch.arange(len(x)), torch.tensor(classes)].sum()
        gradient = torch.autograd.grad(chosen, x)[0]
    else:
        gradient = modified(network, method, x, exit, classes)
    return gradient.numpy().transpose(0, 2, 3, 1)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    pairs = [(x.ravel(), y.ravel()) for x, y in zip(a, b, strict=True) if x.any() and y.any()]
    assert len(pairs) > len(a) // 2
    return float(np.mean([spearmanr(x, y).statistic for x, y in pairs]))


@pytest.mark.parametrize("method", ["saliency", "gradient-x-input", "guided-backprop", "deconvnet"])
def test_maps_are_those_of_autograd(both: tuple[nn.Module, Accelerator], method: str) -> None:
    network, accelerator = both
    for exit in range(2):
        made = walk.program(accelerator, exit, method)
        found = context.forward(accelerator, made, images())
        classes = found.logits.argmax(1)
        want = by_torch(network, method, exit, classes)
        real = backward.real(made, found, classes) * accelerator.logit_scales[exit]
        assert want.any()
        exact = np.abs(real - want).max((1, 2, 3)) / np.abs(want).max((1, 2, 3)).clip(1e-12)
        # the same numbers in most images; where sums are small, slopes are known to a twentieth
        assert np.median(exact) < 0.06, exact
        assert correlation(real, want) > 0.99
        wide = scales.calibrated(made, found, classes, bits=16, mantissa=16, saturated=0)
        got = backward.maps(made, wide, found, classes)
        whole = got.values * 2.0**got.exponent * accelerator.logit_scales[exit]
        assert np.abs(whole - real).max() < 1e-3 * np.abs(real).max()
        eight = scales.calibrated(made, found, classes, bits=8)
        assert correlation(backward.maps(made, eight, found, classes).values, want) > 0.985


def test_masks_of_levels_are_coarser(both: tuple[nn.Module, Accelerator]) -> None:
    """Why two thresholds a channel are worth it."""
    network, accelerator = both
    found = {}
    for mask in ("edges", "levels"):
        made = walk.program(accelerator, 1, "saliency", mask=mask)
        forward = context.forward(accelerator, made, images())
        classes = forward.logits.argmax(1)
        want = by_torch(network, "saliency", 1, classes)
        found[mask] = correlation(backward.real(made, forward, classes), want)
    assert found["levels"] < 0.9 < 0.99 < found["edges"]


def test_grad_cam_is_that_of_autograd(both: tuple[nn.Module, Accelerator]) -> None:
    network, accelerator = both
    made = walk.program(accelerator, 0, "grad-cam")
    forward = context.forward(accelerator, made, images())
    classes = forward.logits.argmax(1)
    cam = backward.real(made, forward, classes)
    small = torch.nn.functional.interpolate(
        torch.tensor(cam.transpose(0, 3, 1, 2)), SHAPE[:2], mode="bilinear", align_corners=False
    ).numpy()
    want = attribute("grad-cam", network, images(), exit=0, target=classes).maps.sum(3)
    scaled = small[:, 0] / small.max() * want.max()
    assert want.max() > 0
    assert np.abs(scaled - want).max() < 1e-4 * want.max()
