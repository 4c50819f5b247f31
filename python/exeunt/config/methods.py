"""Names of the methods that say what an answer rests on."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal[
    "deeplift",
    "lrp-epsilon",
    "lrp-alpha-beta",
    "integrated-gradients",
    "gradient-x-input",
    "saliency",
    "grad-cam",
]
METHODS: tuple[str, ...] = get_args(Method)

InHardware = Literal["saliency", "gradient-x-input", "guided-backprop", "deconvnet", "grad-cam"]
IN_HARDWARE: tuple[str, ...] = get_args(InHardware)
"""Methods that an accelerator can have, as `exeunt.explain.program.METHODS`."""
