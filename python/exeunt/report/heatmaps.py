"""Heat maps: red speaks for the answer, blue against it; alone, or over an image in pale ink."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FOR, NOTHING, AGAINST = (178, 24, 43), (247, 247, 247), (33, 102, 172)  # told apart by anybody
_PALE = 0.4  # of the ink that is left under the colours

Picture = npt.NDArray[np.uint8]


def overlay(image: npt.NDArray[Any], heat: npt.NDArray[Any]) -> Picture:
    """A picture uint8 (H, W, 3) of one heat map on its image.

    Args:
        image: (H, W, C), 0..255 (or 0..16 and the like: it is scaled to its largest value when
            that is below 64), C 1 (drawn dark on white) or 3.
        heat: (H, W), any scale; its largest magnitude gets the full colour.
    """
    base = _pale(image)
    top = float(np.abs(heat).max())
    strength = (np.abs(heat) / top if top > 0 else np.zeros(heat.shape))[..., None] ** 0.7
    colours = np.where(heat[..., None] >= 0, np.array(FOR), np.array(AGAINST)) / 255.0
    return np.rint(255 * (base * (1 - strength) + colours * strength)).astype(np.uint8)


def diverging(heat: npt.NDArray[Any]) -> Picture:
    """A heat map (H, W), any scale, as a picture uint8 (H, W, 3); white is zero.

    Its largest magnitude gets the full colour.
    """
    top = float(np.abs(heat).max(initial=0))
    strength = (np.abs(heat) / top if top > 0 else np.zeros(heat.shape))[..., None]
    ends = np.where(heat[..., None] >= 0, np.array(FOR), np.array(AGAINST))
    return np.rint(np.array(NOTHING) * (1 - strength) + ends * strength).astype(np.uint8)


def plain(image: npt.NDArray[Any]) -> Picture:
    """The image alone as a picture uint8 (H, W, 3), one channel drawn dark on white."""
    return np.rint(255 * _shown(image)).astype(np.uint8)


def enlarged(picture: Picture, side: int = 224) -> Picture:
    """The picture with every pixel a square, its shorter side at least `side`."""
    factor = max(1, -(-side // min(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _shown(image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    top = float(image.max(initial=0))
    values = np.asarray(image, np.float64) / (top if 0 < top < 64 else 255.0)
    return 1.0 - values.repeat(3, axis=2) if image.shape[2] == 1 else values


def _pale(image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    shown = _shown(image).mean(axis=2, keepdims=True).repeat(3, axis=2)
    return 1.0 - _PALE * (1.0 - shown)
