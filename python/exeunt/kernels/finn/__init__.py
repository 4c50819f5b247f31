"""Cycles of FINN's RTL kernels, the backend `kernels = "finn"`; their values are ours.

One module for each kind that FINN implements; all are exact, also under stalls.
"""
