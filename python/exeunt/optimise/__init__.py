"""Chooses PE, SIMD, windows and multipliers of every layer within the resources of a board."""
