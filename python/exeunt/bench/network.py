"""The folder that a measurement starts from: a run folder, or `network/` of a deploy package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import manifest as manifests
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.manifest import Manifest
from exeunt.splits import SPLITS, read_split

EXITS = "exits.json"


@dataclass(frozen=True)
class Network:
    """A compiled network with its test images: uint8 (N, H, W, C) and int64 (N,)."""

    folder: Path
    manifest: Manifest
    accelerator: Accelerator
    exits: Mapping[str, Any]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The calibrated ones, one for each exit but the last."""
        return self.manifest.thresholds[:-1]

    @property
    def curve(self) -> tuple[tuple[int, ...], ...]:
        """Sets of thresholds along the calibration curve, the cheapest last."""
        points = self.exits.get("curve") or []
        return tuple(
            tuple(int(t) for t in p["thresholds"])
            for p in points
            if len(p.get("thresholds", ())) == len(self.thresholds)
        )


def load(folder: Path, *, images: int = 0) -> Network:
    """The network in `folder` and `images` of its test images, over all classes (0: all).

    Raises:
        InputError: it was not compiled, or files are missing or changed by hand.
    """
    manifest = manifests.read(folder, verify=(manifests.PARAMETERS,))
    accelerator = manifest.accelerator()
    test = read_split(folder / SPLITS, "test")
    if not len(test.labels):
        raise InputError(
            f"{folder / SPLITS} must hold test images, got none: give the data set some"
        )
    if not 0 <= images <= len(test.labels):
        raise InputError(
            f"images must be 0 (all) to {len(test.labels)}, the test images there are, got "
            f"{images}: ask for fewer"
        )
    some = test.some(images)
    exits = _json(folder / EXITS)
    return Network(folder, manifest, accelerator, exits, some.images, some.labels)


def _json(path: Path) -> Mapping[str, Any]:
    """The calibration, empty when there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise InputError(
            f"{path} must be JSON, got something else: do `exeunt calibrate` again"
        ) from None
    return data if isinstance(data, dict) else {}
