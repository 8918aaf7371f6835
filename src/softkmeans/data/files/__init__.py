"""Data files: read whole, read in windows, and written."""
