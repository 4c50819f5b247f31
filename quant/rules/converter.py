"""A learned converter of hard images into easy ones: an autoencoder in the style of CBNet.

CBNet (converting autoencoder, 2403.07036) maps an image that is hard for the first exit to an easy
image of its class. Here it is one hidden layer with ReLU between the pixels and themselves, in
float, with a sigmoid at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Images = npt.NDArray[np.uint8]
_BATCH = 128
_RATE = 2e-3


@dataclass(frozen=True)
class Converter:
    """Weights of both layers, float32: (D, H), (H,), (H, D), (D,), with D values per image."""

    first: npt.NDArray[np.float32]
    first_bias: npt.NDArray[np.float32]
    second: npt.NDArray[np.float32]
    second_bias: npt.NDArray[np.float32]

    @property
    def multiplies(self) -> int:
        """Multiplications per image."""
        return self.first.size + self.second.size

    def __call__(self, images: Images) -> Images:
        """What becomes of images uint8 (N, H, W, C), uint8 of the same shape."""
        flat = images.reshape(len(images), -1).astype(np.float32) / 255.0
        hidden = np.maximum(flat @ self.first + self.first_bias, 0.0)
        found = 1.0 / (1.0 + np.exp(-(hidden @ self.second + self.second_bias)))
        return np.rint(255 * found).astype(np.uint8).reshape(images.shape)


def fitted(
    images: Images,
    labels: npt.NDArray[np.int64],
    easy: npt.NDArray[np.bool_],
    *,
    hidden: int = 32,
    epochs: int = 10,
    seed: int = 0,
) -> Converter:
    """A converter that maps easy images to themselves and hard ones to easy ones of their class.

    Args:
        images: uint8 (N, H, W, C), of the training set.
        labels: (N,), of which each has an easy image.
        easy: (N,), those that leave at the first exit.
        hidden: width of the layer between.
        epochs: passes over the images.
        seed: of weights, batches, and of the easy images.
    """
    draw = np.random.default_rng([seed, len(images)])
    source = torch.from_numpy(images.reshape(len(images), -1)).float() / 255.0
    pools = {int(c): np.flatnonzero(easy & (labels == c)) for c in np.unique(labels)}
    generator = torch.Generator().manual_seed(seed)
    size = source.shape[1]
    layers = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, size))
    with torch.no_grad():
        for parameter in layers.parameters():
            bound = (1.0 / (size if parameter.shape[-1] == size else hidden)) ** 0.5
            parameter.uniform_(-bound, bound, generator=generator)
    optimizer = torch.optim.Adam(layers.parameters(), lr=_RATE)
    loss = nn.BCEWithLogitsLoss()
    for _ in range(epochs):
        target = np.arange(len(images))
        for c, pool in pools.items():
            hard = np.flatnonzero(~easy & (labels == c))
            if len(pool):
                target[hard] = draw.choice(pool, len(hard))
        wanted = source[torch.from_numpy(target)]
        order = torch.randperm(len(images), generator=generator)
        for some in order.split(_BATCH):
            optimizer.zero_grad()
            loss(layers(source[some]), wanted[some]).backward()
            optimizer.step()
    first, second = (layer for layer in layers if isinstance(layer, nn.Linear))
    return Converter(
        first.weight.detach().numpy().T.copy(),
        first.bias.detach().numpy().copy(),
        second.weight.detach().numpy().T.copy(),
        second.bias.detach().numpy().copy(),
    )
