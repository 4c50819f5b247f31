"""Chooses PE, SIMD, windows and multipliers of every layer within the resources of a board."""

from exeunt.optimise.budget import Budget
from exeunt.optimise.choose import Asked
from exeunt.optimise.network import Filled, network

__all__ = ["Asked", "Budget", "Filled", "network"]
