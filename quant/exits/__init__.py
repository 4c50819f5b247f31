"""Exits: what they are trained for, and their thresholds."""
