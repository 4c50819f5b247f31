"""Benchmark: what the accelerator does, against the same network on the processor."""
