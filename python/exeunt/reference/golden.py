"""Golden vectors: images with the answers that the integer reference gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt import manifest as manifests
from exeunt import registers
from exeunt.reference import controller, network
from exeunt.runtime import packing
from exeunt.runtime.golden import Golden


def make(
    run_folder: str | Path,
    images: npt.NDArray[np.uint8],
    *,
    thresholds: Sequence[int | None] | None = None,
    logits: int = 4,
) -> Golden:
    """Golden vectors from the integer reference of a run folder.

    Args:
        run_folder: holds manifest.json and the compiled graph.
        images: uint8 (N, H, W, C).
        thresholds: signed or None for always, one per exit; the manifest's unless given.
        logits: images whose logits are kept for every exit.

    Raises:
        InputError: the images do not fit, or the folder was changed by hand.
    """
    found = manifests.read(Path(run_folder))
    packing.check(found.data["input"], images)
    given = found.thresholds if thresholds is None else thresholds
    limits = [registers.ALWAYS if t is None else t for t in given]
    outputs = network.run(found.accelerator(), images)
    every = outputs.logits
    decided = controller.decide(
        every,
        limits,
        criterion=found.criterion,
        scales=found.logit_scales,
        offsets=found.offsets,
        looks=outputs.looks,
    )
    return Golden(
        images=np.ascontiguousarray(images),
        classes=decided.classes.astype(np.uint16),
        exits=decided.exits.astype(np.uint8),
        scores=decided.scores.astype(np.int32),
        thresholds=np.array(limits, np.int32),
        logits=np.stack([x[:logits].astype(np.int32) for x in every]),
        design_hash=np.array(found.data["design_hash"], np.uint32),
    )
