"""Kernel kinds as RTL, one room each: module, parameters, memory files, and what FINN calls them.

`registry` finds the backends of every kind; `finn` has those that are FINN's own RTL.
"""
