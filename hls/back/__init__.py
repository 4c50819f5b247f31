"""From layers to RTL: folding, kernels, stitching."""
