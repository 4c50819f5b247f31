"""The same heat maps measured by Quantus, so that they compare with what others publish.

Quantus (Hedström et al., JMLR 2023) is optional. Of its six families of metrics these five figures
stand for the four that suit quantized networks without labelled regions:

pixel_flipping (faithfulness; Bach et al., PLOS ONE 2015): mean probability of the answer while the
most relevant features are replaced by the reference's, 0..1, small is good.
faithfulness_correlation (faithfulness; Bhatt et al., IJCAI 2020): correlation of the relevance of
random subsets with what replacing them takes from the answer, -1..1, large is good.
mprt (randomisation; Adebayo et al., NeurIPS 2018): mean rank correlation with the maps of networks
whose layers are initialised anew from the last to the first, -1..1, near 0 is good.
max_sensitivity (robustness; Yeh et al., NeurIPS 2019): largest relative change of a map under
noise of up to two grey levels, from 0, small is good.
sparseness (complexity; Chalasani et al., ICML 2020): Gini index of a map, 0..1, large is sparse.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt.errors import InputError
from exeunt.quant.attribution._trace import as_exits, untouched
from exeunt.quant.attribution.methods import Reference, Target, attribute
from exeunt.quant.attribution.references import resolved

PACKAGE = "quantus"
_STEPS = 32  # at most, of the pixel flipping
_SUBSETS = 50
_NOISY = 5  # maps of an image with noise
_NOISE = 2.0  # grey levels


class _Exit(nn.Module):
    """The logits of one exit, as Quantus calls a network."""

    def __init__(self, network: nn.Module, exit: int) -> None:
        super().__init__()
        self.network, self.exit = network, exit

    def forward(self, x: Tensor) -> Tensor:
        return as_exits(self.network(x))[self.exit]


def require_quantus() -> None:
    """Nothing when Quantus can be imported.

    Raises:
        InputError: it cannot.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise InputError(
            "explain.quantus must find the package quantus, got none: install quantus==0.6.0 with "
            "scikit-image and opencv-python-headless, or set it to false"
        )


def quantus_figures(
    method: str,
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: Target = None,
    exit: int = -1,
    reference: Reference = "mean",
    seed: int = 0,
) -> dict[str, float | None]:
    """Five figures of `method` on these images (N, H, W, C) by Quantus, see the module.

    Arguments and errors as for `attribute`; the figures are means over the images
    for which they are defined (no map that is 0 everywhere), None where there are none.

    Raises:
        InputError: Quantus is not installed.
    """
    require_quantus()
    with warnings.catch_warnings():  # its docstrings have escapes that Python warns of
        warnings.simplefilter("ignore")
        import quantus

    found = attribute(method, network, images, target=target, exit=exit, reference=reference)
    base = resolved(reference, images)[0]
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
    flat = np.broadcast_to(base, images.shape).transpose(0, 3, 1, 2).reshape(len(images), -1)

    def maps(model: _Exit, inputs: Any, targets: Any, **_: Any) -> npt.NDArray[np.float32]:
        of = np.ascontiguousarray(np.asarray(inputs, np.float32).transpose(0, 2, 3, 1))
        same: dict[str, Any] = {"exit": model.exit, "reference": base}
        found = attribute(method, model.network, of, target=np.asarray(targets, np.int64), **same)
        return found.maps.transpose(0, 3, 1, 2).astype(np.float32)

    def replaced(arr: Any, indices: Any, **_: Any) -> npt.NDArray[Any]:
        out = np.array(arr)
        np.put_along_axis(out, indices, np.take_along_axis(flat, indices, 1), 1)
        return out

    shared: dict[str, Any] = {"disable_warnings": True, "abs": False, "normalise": False}
    step = flip_step(planes.shape[2] * planes.shape[3], planes[0].size)
    subset = max(1, planes.shape[2] * planes.shape[3] // 8)
    metrics: dict[str, Any] = {
        "pixel_flipping": quantus.PixelFlipping(
            features_in_step=step, perturb_func=replaced, **shared
        ),
        "faithfulness_correlation": quantus.FaithfulnessCorrelation(
            nr_runs=_SUBSETS,
            subset_size=subset,
            perturb_func=replaced,
            return_aggregate=False,
            **shared,
        ),
        "mprt": quantus.MPRT(return_average_correlation=True, seed=seed, **shared),
        "max_sensitivity": quantus.MaxSensitivity(nr_samples=_NOISY, lower_bound=_NOISE, **shared),
        "sparseness": quantus.Sparseness(**{**shared, "abs": True}),
    }
    given = found.maps.transpose(0, 3, 1, 2).astype(np.float32)
    state, drawn = np.random.get_state(), torch.get_rng_state()  # Quantus draws from the global
    figures: dict[str, float | None] = {}
    try:
        with untouched(network), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = _Exit(network, found.exit).eval()
            for name, metric in metrics.items():
                np.random.seed(seed)
                try:
                    scores = metric(
                        model=model,
                        x_batch=planes,
                        y_batch=found.target,
                        a_batch=given,
                        channel_first=True,
                        explain_func=maps,
                        softmax=True,
                        device=str(next(network.parameters()).device),
                        batch_size=len(planes),
                    )
                except AssertionError as error:
                    if "equal to zero" not in str(error):
                        raise
                    figures[name] = None  # every map of a network that it randomised is 0
                    continue
                values = np.asarray(scores, np.float64)
                defined = values[np.isfinite(values)]
                figures[name] = float(defined.mean()) if defined.size else None
    finally:
        np.random.set_state(state)
        torch.set_rng_state(drawn)
    return figures


def flip_step(pixels: int, features: int) -> int:
    """How many features are flipped at once: the least divisor of `pixels` within the steps."""
    divisors = [d for d in range(1, pixels + 1) if pixels % d == 0]
    return next((d for d in divisors if features / d <= _STEPS), pixels)
