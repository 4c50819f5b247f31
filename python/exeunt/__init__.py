"""Explainable early-exit CNNs on FPGAs, from PyTorch to bitstream."""

__version__ = "0.1.0"
