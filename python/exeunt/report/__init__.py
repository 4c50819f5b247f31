"""report.json and report.html: store, page, one file for each group of sections."""
