"""What explains frames beside a compiled network, as the config asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exeunt.errors import InputError
from exeunt.explain import hardware
from exeunt.explain.hardware import Explained
from exeunt.graph import Accelerator
from exeunt.splits import SPLITS, read_split

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def of(accelerator: Accelerator, config: Config, run_dir: Path) -> Explained | None:
    """Its engine, with scales chosen on validation images; None: the config wants none.

    Raises:
        InputError: no validation images, or a network that the engine cannot walk back through.
    """
    wanted, path = config.explain.hardware, run_dir / SPLITS
    if wanted is None:
        return None
    if not path.is_file():
        raise InputError(
            f"explanations in hardware must have validation images to choose their scales by, got "
            f"no {path}: calibrate first, or leave explain.hardware out"
        )
    return hardware.calibrated(
        accelerator,
        read_split(path, "validation").some(hardware.CALIBRATION).images,
        methods=wanted.methods,
        bits=wanted.bits,
        prune=wanted.prune,
        lanes=wanted.lanes,
        slots=wanted.slots,
        every=wanted.every,
    )
