"""Files of data: read whole, read in windows, and written."""
