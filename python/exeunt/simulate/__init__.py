"""Bulk simulation of the RTL as a compiled shared library."""
