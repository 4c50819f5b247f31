"""Compression of trained multi-exit networks: passes, their criteria, their comparison."""

from exeunt.quant.compress.subject import load, load_network

__all__ = ["load", "load_network"]
