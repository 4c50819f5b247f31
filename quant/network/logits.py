"""What a network answers: the logits of every exit, as floats and in the hardware's integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt.config.tree import Config
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.network.model import cumulative_macs as of_layers

_BATCH = 512


def as_tensor(images: np.ndarray) -> Tensor:
    """Images uint8 (N, H, W, C) as a tensor uint8 (N, C, H, W)."""
    return torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C"))


def logits(
    network: nn.Module, images: np.ndarray, *, device: torch.device | None = None
) -> list[np.ndarray]:
    """Float logits (N, classes) of every exit for images uint8 (N, H, W, C)."""
    batches: list[list[np.ndarray]] = []
    network.eval()
    with torch.no_grad():
        for start in range(0, len(images), _BATCH):
            batch = as_tensor(images[start : start + _BATCH]).to(device)
            batches.append([out.cpu().numpy() for out in network(batch.float())])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def grid_and_cost(network: nn.Module, config: Config) -> tuple[list[float], list[int]]:
    """Logit scale of every exit, and multiplications of a frame that leaves there."""
    if isinstance(network, MultiExitNetwork):
        return network.logit_scales(), of_layers(network.costs)
    found = exact(network, config)
    return found.scales, found.multiplies()


def exact(network: nn.Module, config: Config) -> IntegerNetwork:
    """What the hardware will compute for a network of `config`.

    Raises:
        InputError: it has something that integers cannot compute.
    """
    from exeunt.quant.network.export import integers_of  # the exporter takes seconds to import

    height, width, channels = config.model.input
    where = "the network" if config.model.kind == "config" else config.model.source
    return integers_of(network, shape=(channels, height, width), where=where)


def integer_logits(
    network: nn.Module, images: npt.NDArray[np.uint8], scales: list[float]
) -> list[npt.NDArray[np.int64]]:
    """Logits of every exit in integer steps, int64 (N, classes): round(logits / scale).

    Images are uint8 (N, H, W, C). In float32, so up to what it rounds; `exact` gives what the
    hardware computes.
    """
    found = zip(logits(network, images), scales, strict=True)
    return [np.rint(out.astype(np.float64) / scale).astype(np.int64) for out, scale in found]
