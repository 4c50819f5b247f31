"""The energy of an image before anything is simulated, estimated from sizes and cycles.

    energy of an image = toggles of an image x 1/2 C V^2
    toggles of a kernel = RATE x cycles of a frame x (LUT + 48 DSP + 36 BRAM18)

as many times as images reach it. 48 and 36 are the outputs of a block, RATE how often an output
toggles in a cycle: 1/8, which is also what power estimators of FPGA vendors take where they know
nothing. It is an assumption, as C is. The controller, the clock tree and what the device draws at
rest are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from exeunt.kernels.parts.size import Size

FARAD = 1.0e-12  # of a routed signal and the inputs that it drives, assumed
VOLT = 1.0  # supply of the logic of 7-series
RATE = 0.125  # toggles of an output in a cycle
OUTPUTS: Mapping[str, int] = {"lut": 1, "dsp": 48, "bram18": 36}


def joules(toggles: float) -> float:
    """The energy that so many toggles stand for."""
    return toggles * FARAD * VOLT * VOLT / 2


def nanojoules(size: Size, cycles: float) -> float:
    """What a kernel of that size spends in so many cycles.

    Args:
        size: of the kernel.
        cycles: in which it works.
    """
    outputs = sum(count * getattr(size, name) for name, count in OUTPUTS.items())
    return 1e9 * joules(RATE * cycles * outputs)
