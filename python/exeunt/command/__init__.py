"""The command line: commands, steps, what must be done again, screen, doctor."""
