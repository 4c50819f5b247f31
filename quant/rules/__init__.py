"""Rules that modify images so that they leave earlier: learned, explained, compared."""
