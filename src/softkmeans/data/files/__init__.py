"""Data files: read whole, read in windows, and written, in the formats of ``FORMATS``."""
