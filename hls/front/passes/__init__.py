"""Graph passes of ours between FINN's: one a file, each returns (model, changed)."""
