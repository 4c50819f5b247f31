"""Why an image stays: what exit 0 rests on against what the last exit rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from exeunt.config.methods import Method
from exeunt.quant.attribution import attribute

Maps = npt.NDArray[np.float64]
METHOD: Method = "deeplift"  # of the pictures and of the overlap


@dataclass(frozen=True)
class Why:
    """Maps of N images at exit 0 and at the last exit, (N, H, W), and their overlap (N,)."""

    first: Maps
    last: Maps
    overlap: npt.NDArray[np.float64]


def overlap(first: Maps, last: Maps) -> npt.NDArray[np.float64]:
    """What two maps (N, H, W) share, 0..1 per image: the sum of min(a, b), each scaled to sum 1.

    What speaks for the answer counts (values above zero); 0 where a map has nothing of it.
    """
    shares = []
    for maps in (first, last):
        up = np.maximum(maps.reshape(len(maps), -1), 0.0)
        total = up.sum(axis=1, keepdims=True)
        shares.append(np.divide(up, total, out=np.zeros_like(up), where=total > 0))
    return np.asarray(np.minimum(shares[0], shares[1]).sum(axis=1))


def why(
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    *,
    method: Method = METHOD,
    target: npt.NDArray[np.int64] | None = None,
) -> Why:
    """Attribution at exit 0 against the last exit, of the class that the last exit answers.

    Args:
        network: of two exits or more.
        images: uint8 (N, H, W, C).
        method: of attribution.
        target: classes int64 (N,) that are explained; None: those of the last exit.
    """
    last = attribute(method, network, images, target=target, exit=-1)
    first = attribute(method, network, images, target=last.target, exit=0)
    maps = [m.maps.astype(np.float64).sum(axis=3) for m in (first, last)]
    return Why(maps[0], maps[1], overlap(maps[0], maps[1]))
