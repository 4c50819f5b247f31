"""What a network costs in hardware, before it is compiled: LUT, DSP, BRAM, bits, cycles."""

from exeunt.cost.kernels import Size, fifo, mvu, node, threshold
from exeunt.cost.layers import LayerShape, chains
from exeunt.cost.totals import Cost, Part, at_multipliers, network

__all__ = [
    "Cost",
    "LayerShape",
    "Part",
    "Size",
    "at_multipliers",
    "chains",
    "fifo",
    "mvu",
    "network",
    "node",
    "threshold",
]
