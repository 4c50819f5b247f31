"""What several kinds are made of, or what stands between kernels; no kind of its own."""
