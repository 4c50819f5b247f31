"""The network for the board: accuracy against cost, over many networks that are trained."""

from exeunt.search.front import Point, front, hypervolume
from exeunt.search.space import network

__all__ = ["Point", "front", "hypervolume", "network"]
