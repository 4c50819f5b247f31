"""What a network costs in hardware, before it is compiled: LUT, DSP, BRAM, bits, cycles."""

from exeunt.cost.layers import chains
from exeunt.cost.totals import Cost, Part, at_multipliers, network
from exeunt.kernels.parts.size import Size

__all__ = ["Cost", "Part", "Size", "at_multipliers", "chains", "network"]
