"""Images that are not as those of training: noise, blur, contrast, rotation, made here by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]

SEVERITIES = (1, 2, 3)


def noise(images: Images, severity: int, seed: int = 0) -> Images:
    """Gaussian noise of standard deviation 12, 24, 40 of 255 on every value."""
    draw = np.random.default_rng([seed, severity])
    made = images + draw.normal(0.0, (12.0, 24.0, 40.0)[severity - 1], images.shape)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def blur(images: Images, severity: int, seed: int = 0) -> Images:
    """A Gaussian of standard deviation 0.5, 0.8, 1.2 pixels."""
    from scipy.ndimage import gaussian_filter

    del seed
    width = (0.5, 0.8, 1.2)[severity - 1]
    made = gaussian_filter(images.astype(np.float32), (0, width, width, 0), mode="nearest")
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def contrast(images: Images, severity: int, seed: int = 0) -> Images:
    """Every value 0.75, 0.5, 0.35 times as far from the image's mean."""
    del seed
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    made = mean + (0.75, 0.5, 0.35)[severity - 1] * (images - mean)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def rotation(images: Images, severity: int, seed: int = 0) -> Images:
    """10, 20, 30 degrees to the left or to the right, zeros from outside."""
    from scipy.ndimage import rotate

    angle = (10.0, 20.0, 30.0)[severity - 1]
    left = np.random.default_rng([seed, severity]).random(len(images)) < 0.5
    made = images.astype(np.float32)
    for here, turn in ((left, angle), (~left, -angle)):
        if here.any():
            made[here] = rotate(made[here], turn, axes=(1, 2), reshape=False, order=1)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


KINDS: Mapping[str, Callable[[Images, int, int], Images]] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "rotation": rotation,
}
