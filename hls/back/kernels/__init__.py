"""Kernel backends: RTL module, parameters and memory files of every node kind."""
