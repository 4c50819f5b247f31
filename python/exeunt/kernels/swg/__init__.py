"""The sliding window: what it is, what it answers, and one file for each way it is built."""

from exeunt.kernels.swg.node import Swg

__all__ = ["Swg"]
