"""What a network answers: the logits of every exit, as floats and in the hardware's integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt.config.tree import Config
from exeunt.errors import CheckFailed
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.network.model import cumulative_macs as of_layers

_BATCH = 512
_TOLERANCE = 0.02  # of one integer step, for logits of some thousand steps
_RELATIVE = 4e-7  # of the logit: float32 has 24 bits


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
    from exeunt.quant.network.export import to_qonnx
    from exeunt.quant.network.qonnx_graph import Graph, GraphNetwork, cumulative_macs, logit_scales

    height, width, channels = config.model.input
    if isinstance(network, GraphNetwork):
        graph = network.graph
    else:
        graph = Graph(to_qonnx(network, shape=(channels, height, width)), config.model.source)
    return logit_scales(graph), cumulative_macs(graph, torch.zeros(1, channels, height, width))


def integer_logits(
    network: nn.Module, images: npt.NDArray[np.uint8], scales: list[float]
) -> list[npt.NDArray[np.int64]]:
    """Logits of every exit in integer steps, int64 (N, classes): round(logits / scale).

    Images are uint8 (N, H, W, C).

    Raises:
        CheckFailed: a quotient is further from an integer than float noise explains.
    """
    result = []
    for index, (out, scale) in enumerate(zip(logits(network, images), scales, strict=True)):
        steps = out.astype(np.float64) / scale
        whole = np.rint(steps)
        error = np.abs(steps - whole)
        if (error > np.minimum(_TOLERANCE + _RELATIVE * np.abs(steps), 0.45)).any():
            off = float(error.max())
            raise CheckFailed(
                f"logits of exit {index} must be integers times {scale:.6g}, got one {off:.3f} "
                "steps off: end its head in a bias-free layer with one weight scale"
            )
        result.append(whole.astype(np.int64))
    return result
