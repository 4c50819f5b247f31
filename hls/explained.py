"""What explains frames beside a compiled network, as the config asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.explain import hardware
from exeunt.explain.hardware import Explained
from exeunt.graph import Accelerator
from exeunt.splits import SPLITS, read_split

if TYPE_CHECKING:
    from exeunt.config.explain import Hardware
    from exeunt.config.tree import Config


def of(accelerator: Accelerator, config: Config, run_dir: Path) -> Explained | None:
    """Its engine, with scales chosen on validation images; None: the config wants none.

    Raises:
        InputError: no validation images, or a network that the engine cannot walk back through.
    """
    wanted = config.explain.hardware
    if wanted is None:
        return None
    return made(accelerator, wanted, images(run_dir, hardware.CALIBRATION))


def images(run_dir: Path, count: int) -> npt.NDArray[np.uint8]:
    """So many validation images, uint8 (N, H, W, C), by which scales are chosen.

    Raises:
        InputError: there are none.
    """
    path = run_dir / SPLITS
    if not path.is_file():
        raise InputError(
            f"explanations in hardware must have validation images to choose their scales by, got "
            f"no {path}: calibrate first, or leave explain.hardware out"
        )
    return read_split(path, "validation").some(count).images


def made(
    accelerator: Accelerator,
    wanted: Hardware,
    images: npt.NDArray[np.uint8],
    like: Explained | None = None,
) -> Explained:
    """The engine of a network.

    Args:
        accelerator: the network.
        wanted: what is asked of it.
        images: by which scales are chosen.
        like: one of the same layers, folded otherwise, whose scales it gets; None: there is none.

    Raises:
        InputError: a network that the engine cannot walk back through.
    """
    if like is not None:
        return hardware.folded(accelerator, like)
    return hardware.calibrated(
        accelerator,
        images,
        methods=wanted.methods,
        bits=wanted.bits,
        prune=wanted.prune,
        lanes=wanted.lanes,
        slots=wanted.slots,
        every=wanted.every,
    )
