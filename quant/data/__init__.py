"""Images: datasets, their formats, downloads."""
