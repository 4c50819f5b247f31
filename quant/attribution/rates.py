"""How many images leave at each exit, before the network is calibrated for good."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from torch import nn

from exeunt.config.tree import Config
from exeunt.quant.exits.calibration import calibrate_exits
from exeunt.quant.network.logits import grid_and_cost, integer_logits


def exit_rates(
    network: nn.Module,
    config: Config,
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any],
) -> tuple[float, ...]:
    """Share of the images uint8 (N, H, W, C) that leaves at each exit, fractions that sum to 1.

    From a calibration on these images themselves with the config's `calibrate.drop`; the final one
    follows once the network is as it will be.

    Raises:
        InputError: no images, or something that integers cannot compute.
    """
    scales, macs = grid_and_cost(network, config)
    found = integer_logits(network, images, scales)
    section = config.calibrate
    result = calibrate_exits(
        found, labels, macs=macs, drop=section.drop, criterion=section.criterion, scales=scales
    )
    return result.chosen.rates
