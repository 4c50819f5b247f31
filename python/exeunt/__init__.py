"""Explainable early-exit CNNs on FPGAs, from PyTorch to bitstream."""

__version__ = "0.2.0"
