"""The config: one TOML file, one frozen tree; the shipped ones."""
